"""Images written for runs on images: samples, and originals beside their reconstructions."""

from __future__ import annotations

import re
from importlib import util
from pathlib import Path

import torch

from pushforward.core.folders import replace_on_exit
from pushforward.core.space import Space
from pushforward.data.export.grids import image_grid
from pushforward.data.export.moving import clip_film, write_animation
from pushforward.experiments.opened import OpenedRun, Parts, labels_of, rows_of
from pushforward.experiments.run_sheets import pairs_sheet, samples_sheet
from pushforward.experiments.sample import translates
from pushforward.experiments.uses import samples_means
from pushforward.metrics.reconstruction import reconstruct
from pushforward.plots import write_figure

__all__ = ["PAIRS", "write_images", "pairs_path", "write_pairs", "write_over"]

SAMPLES = 64
PAIRS = 32
"""Originals shown beside their reconstructions."""


def write_images(run: OpenedRun, parts: Parts) -> None:
    """Write images/samples and images/reconstructions if the model has them.

    Images are .png files, clips .gif. Images made from images are shown with their conditions and
    originals, and clips also frame by frame, as far as Matplotlib is there.
    """
    model = run.model
    kind = model.fitted_space().kind
    if kind == "points" or None in model.fitted_space().shape:
        return
    suffix = ".png" if kind == "images" else ".gif"
    folder = run.folder / "images"
    batch = rows_of(parts.held_out or parts.train, PAIRS)
    y = labels_of(model, batch)
    if run.can("Samples"):
        n = SAMPLES if y is None else len(batch.x)
        drawable = util.find_spec("matplotlib") is not None
        if drawable and translates(run):
            which = "training" if parts.held_out is None else "held-out"
            pairs = pairs_sheet(run, batch, f"{which.capitalize()} pairs, not picked")
            write_figure(pairs, folder / "samples.png")
        else:
            x = model.sample(n, y=y, rng=0, using="mean" if samples_means(model) else None)
            write_over(x, model.space, folder / f"samples{suffix}")
            if drawable and kind == "clips":
                stills = samples_sheet(x, model.fitted_space(), "Samples, not picked")
                write_figure(stills, folder / "samples.png")
    if run.can("Encodes", "Decodes"):
        with torch.no_grad():
            write_pairs(
                batch.x,
                reconstruct(model, batch.x, y),
                model.space,
                folder / f"reconstructions{suffix}",
            )


def pairs_path(run: OpenedRun, kind: str, data: str) -> Path:
    """The path, in the run's images, for a grid of originals and reconstructions."""
    name = re.sub(r"[^a-zA-Z0-9_-]+", "-", Path(data).name)
    return run.folder / "images" / f"{kind}-{name}.png"


def write_pairs(x: torch.Tensor, restored: torch.Tensor, space: Space, path: Path) -> None:
    """Write a grid of originals, each with its reconstruction to the right."""
    pairs = torch.stack([x.to("cpu", torch.float64), restored.to("cpu", torch.float64)], 1).flatten(
        0, 1
    )
    write_over(pairs, space, path, columns=8)


def write_over(x: torch.Tensor, space: Space, path: Path, columns: int | None = None) -> None:
    """Write a grid of images, or an animated one of clips, replacing an older one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x = x.detach().to("cpu")
    with replace_on_exit(path) as new:
        if space.kind == "clips":
            write_animation(clip_film(x, space, columns), new, space.frame_rate)
        else:
            image_grid(x, space, columns).save(new, format="PNG")
