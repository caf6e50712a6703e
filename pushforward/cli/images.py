"""Images a run leaves when the data are images: samples, and originals beside their reconstructions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pushforward.cli import runs
from pushforward.cli.runs import Run

__all__ = ["leave_images", "write_pairs", "write_over"]

SAMPLES = 64
PAIRS = 32


def leave_images(run: Run, parts: runs.Data) -> None:
    """images/samples.png and images/reconstructions.png, where the model has them."""
    import torch

    from pushforward.metrics.reconstruction import reconstruct

    model = run.model
    if model.fitted_space().kind != "images" or None in model.fitted_space().shape:
        return
    folder = run.folder / "images"
    batch = runs.rows_of(parts.held_out or parts.train, PAIRS)
    y = runs.labels_of(model, batch)
    if run.can("Samples"):
        n = SAMPLES if y is None else len(batch.x)
        write_over(model.sample(n, y=y, rng=0), model.space, folder / "samples.png")
    if run.can("Encodes", "Decodes"):
        with torch.no_grad():
            write_pairs(batch.x, reconstruct(model, batch.x, y), model.space, folder / "reconstructions.png")


def write_pairs(x: Any, restored: Any, space: Any, path: Path) -> None:
    """A grid of originals, each with its reconstruction to its right."""
    import torch

    pairs = torch.stack([x.to("cpu", torch.float64), restored.to("cpu", torch.float64)], 1).flatten(0, 1)
    write_over(pairs, space, path, columns=8)


def write_over(x: Any, space: Any, path: Path, columns: int | None = None) -> None:
    """A grid in the place of an older one."""
    from pushforward.core.folders import written_whole
    from pushforward.data.export.grids import image_grid

    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as new:
        image_grid(x.detach().to("cpu"), space, columns).save(new, format="PNG")
