"""How a notebook shows a model: what it is, how its fit ended, and some samples."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import Samples, capabilities
from pushforward.core.errors import PushforwardError
from pushforward.core.registry import Value
from pushforward.core.space import Space

__all__ = ["describe_in_html"]

IMAGES, ROWS = 8, 5
"""Samples shown."""
SHORTER_SIDE = 64
"""Pixels at which an image is shown at least."""
MOST_NUMBERS = 2**22
"""Numbers of the samples at most: a notebook shows its result at once."""
MOST_COLUMNS = 12
"""Columns of the samples shown."""


def describe_in_html(model: Any) -> str:
    """A table of a model's settings, and samples if they are drawn at once."""
    facts = {"model": type(model).__name__, **_settings(model), **_fit(model)}
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(str(name))}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{lines}</table>{_samples(model)}"


def _settings(model: Any) -> dict[str, str]:
    return {name: _text(value) for name, value in model.hyperparameters().items()}


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(part) for part in value) or "none"
    return str(value) if isinstance(value, (Value, str)) else repr(value)


def _fit(model: Any) -> dict[str, str]:
    """The space it was fitted to, how the fit ended, and what the model can do."""
    if model.space is None:
        return {"fitted to": "nothing yet; call fit(x)"}
    facts = {"fitted to": str(model.space)}
    if model.condition_space is not None:
        facts["given"] = str(model.condition_space)
    if model.fit_result is not None:
        end = model.fit_result
        facts["fit"] = f"{end.samples:,} samples seen in {end.seconds:.0f} s; ended: {end.reason}"
    return {**facts, "can": ", ".join(capabilities(model))}


def _samples(model: Any) -> str:
    """Samples of a model that draws them without conditions; nothing where it cannot."""
    space: Space | None = model.space
    if space is None or model.condition_space is not None or not isinstance(model, Samples):
        return ""
    count = IMAGES if space.kind == "images" else ROWS
    if space.kind not in ("images", "points") or count * space.size > MOST_NUMBERS:
        return ""
    try:
        with torch.no_grad():
            x = model.sample(count, rng=0)
    except PushforwardError:
        return ""
    return _images(x, space) if space.kind == "images" else _rows(x, space)


def _rows(x: Tensor, space: Space) -> str:
    names = space.names[:MOST_COLUMNS]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    more = "" if len(space.names) <= MOST_COLUMNS else f" ({MOST_COLUMNS} columns)"
    lines = [
        "".join(f"<td>{escape(_cell(value, column))}</td>" for value, column in zip(row, columns))
        for columns in [space.columns[:MOST_COLUMNS]]
        for row in x[:, :MOST_COLUMNS].tolist()
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>samples{more}</caption><tr>{head}</tr>{body}</table>"


def _cell(value: float, column: Any) -> str:
    if column.kind == "categorical":
        return str(column.categories[round(value)])
    return f"{value:.4g}"


def _images(x: Tensor, space: Space) -> str:
    """The images side by side, as one PNG in larger squares."""
    span = (space.high - space.low) or 1.0
    levels = ((x.to(torch.float32) - space.low) / span).clamp(0, 1).mul(255).round()
    levels = levels.nan_to_num(0).to(torch.uint8)
    levels = levels.expand(-1, 3, -1, -1) if levels.shape[1] < 3 else levels[:, :3]
    framed = torch.nn.functional.pad(levels, (1, 1, 1, 1), value=255)
    strip = framed.permute(2, 0, 3, 1).flatten(1, 2).contiguous()
    height, width = strip.shape[:2]
    times = max(1, -(-SHORTER_SIDE // min(x.shape[-2:])))
    address = base64.b64encode(_png(strip)).decode()
    return (
        f"<img alt='{len(x)} samples' width='{width * times}' height='{height * times}'"
        f" style='image-rendering:pixelated' src='data:image/png;base64,{address}'>"
    )


def _png(pixels: Tensor) -> bytes:
    """Bytes (height, width, 3) as a PNG file (https://www.w3.org/TR/png/)."""
    height, width, _ = pixels.shape
    filtered = torch.nn.functional.pad(pixels.flatten(1), (1, 0))  # filter 0 before each line
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(filtered.numpy().tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
