"""Handwritten digits, 8×8: densities, reconstructions and samples of several models.

All models are trained on the same dequantised rows and measured on the same dequantised test rows,
because a density on whole numbers is meaningless: narrow peaks on the levels make it arbitrarily
high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes, HasBound, HasDensity, Samples
from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.data import image_grid
from pushforward.latent.paths import interpolate, plane
from pushforward.metrics.likelihood import elbo, iwae, log_prob
from pushforward.metrics.reconstruction import reconstruct, squared_error

__all__ = ["measure", "table", "draw", "COLUMNS"]

COLUMNS = ("log-density", "ELBO", "importance-weighted bound", "reconstruction error")


def measure(
    models: Mapping[str, Any], x: Tensor, *, data: str, k: int = 200
) -> dict[str, dict[str, Record]]:
    """Records by model name and column, on held-out rows x (n, *shape).

    Quantities that a model does not have are absent.
    """
    records: dict[str, dict[str, Record]] = {}
    for name, model in models.items():
        row: dict[str, Record] = {}
        if isinstance(model, HasDensity):
            row["log-density"] = log_prob(model, x, data=data)
        if isinstance(model, HasBound):
            row["ELBO"] = elbo(model, x, rng=0, data=data)
            row["importance-weighted bound"] = iwae(model, x, k=k, rng=0, data=data)
        if isinstance(model, Encodes) and isinstance(model, Decodes):
            row["reconstruction error"] = squared_error(model, x, data=data)
        records[name] = row
    return records


def table(records: Mapping[str, Mapping[str, Record]]) -> list[list[str]]:
    """The records as rows of text under `COLUMNS`, with a dash for absent quantities."""
    rows = []
    for name, row in records.items():
        cells = [f"{row[c].value:.2f} ± {row[c].error:.2f}" if c in row else "–" for c in COLUMNS]
        rows.append([name, *cells])
    return rows


@torch.no_grad()
def draw(
    models: Mapping[str, Any], train: Tensor, test: Tensor, space: Space, folder: Path
) -> list[Path]:
    """Four images: samples, reconstructions, the latent plane on a grid, interpolations.

    Interpolations are those of the last model that encodes, decodes and samples; the plane is that
    of a model with two codes, if any.

    The paths are those of the last model that encodes, decodes and samples;
    the plane is that of one with two codes, if any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    codes_of = [
        m
        for m in models.values()
        if isinstance(m, Encodes) and isinstance(m, Decodes) and isinstance(m, Samples)
    ]
    coder = codes_of[-1]
    flat = next((m for m in codes_of if getattr(m, "latent", 0) == 2), coder)
    codes = flat.encode(train)
    drawn: dict[str, tuple[Tensor, int, str]] = {}
    samplers = {name: model for name, model in models.items() if isinstance(model, Samples)}
    rows = torch.cat([test[:16], *(_means(model, 32) for model in samplers.values())])
    drawn["samples"] = (
        rows,
        16,
        "top row: real digits; then two rows each: "
        + ", ".join(f"samples of {n}" for n in samplers),
    )
    restored = {
        name: reconstruct(m, test[:16])
        for name, m in models.items()
        if isinstance(m, Encodes) and isinstance(m, Decodes)
    }
    title = "top row: held-out digits; below, as restored by " + ", ".join(restored)
    drawn["reconstructions"] = (
        torch.cat([test[:16], *(r.to(test) for r in restored.values())]),
        16,
        title,
    )
    grid = flat.decode(plane(codes, 15).reshape(-1, codes.shape[1]))
    drawn["plane"] = (
        grid,
        15,
        (
            "the latent plane: the decoder along the codes' two widest directions, ±2 standard"
            " deviations"
        ),
    )
    ends = coder.encode(test[:12])
    paths = torch.cat([coder.decode(interpolate(a, b, 12)) for a, b in zip(ends[:6], ends[6:])])
    drawn["interpolations"] = (
        paths,
        12,
        "from one held-out digit (left) to another (right), straight through latent space",
    )
    return [
        _write(folder / f"{name}.png", x, space, columns, text)
        for name, (x, columns, text) in drawn.items()
    ]


def _means(model: Any, n: int) -> Tensor:
    """Samples without observation noise, if the model allows it.

    At 8×8, noise hides the strokes.
    """
    if isinstance(model, HasBound):
        means: Tensor = model.sample(n, rng=0, using="mean")  # type: ignore[attr-defined]
        return means
    samples: Tensor = model.sample(n, rng=0)
    return samples


def _write(path: Path, x: Tensor, space: Space, columns: int, text: str) -> Path:
    titled(image_grid(x, space, columns), text).save(path)
    return path


def titled(image: Image.Image, text: str, size: int = 15) -> Image.Image:
    """The image below lines of text, on white."""
    font = ImageFont.load_default(size)
    lines = _wrapped(text, font, image.width - 12)
    height = (size + 6) * len(lines) + 8
    page = Image.new("RGB", (image.width, image.height + height), "white")
    pen = ImageDraw.Draw(page)
    for i, line in enumerate(lines):
        pen.text((6, 4 + i * (size + 6)), line, fill="black", font=font)
    page.paste(image.convert("RGB"), (0, height))
    return page


def _wrapped(text: str, font: Any, width: float) -> Sequence[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
