"""`python -m docs.edits`: draw docs/images/edits.png.

A VAE is fitted to small images of discs. A larger photograph-like image of one disc is projected on
it; a drag and a stroke of colour change the small image, and the change is applied to the large
one.
"""

from __future__ import annotations

import colorsys
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

import pushforward as pf
from pushforward.experiments import OpenedRun
from pushforward.experiments.edits import Drag, ImageEdit, edit

IMAGE = Path(__file__).parent / "images" / "edits.png"
SIDE, LARGE, RADIUS = 24, 360, 4.5
DRAG: Drag = ((8.0, 9.0), (15.0, 14.0))


def disc(x: float, y: float, hue: float, side: int = SIDE) -> NDArray[np.float64]:
    """A disc on grey (side, side, 3); places are in pixels of the small images."""
    down, across = (np.mgrid[:side, :side] + 0.5) * SIDE / side - 0.5
    inside = np.clip(RADIUS + 0.5 - np.hypot(down - y, across - x), 0, 1)[..., None]
    return (1 - inside) * 0.85 + inside * np.array(colorsys.hsv_to_rgb(hue, 0.85, 0.9))


def discs(n: int = 3000) -> Tensor:
    """Bytes (n, 3, 24, 24)."""
    rng = np.random.default_rng(0)
    images = [disc(*rng.uniform(6, SIDE - 7, 2), rng.uniform()) for _ in range(n)]
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2) * 255).round().to(torch.uint8)


def photograph() -> Image.Image:
    """A disc with a fine texture, 15 times as large."""
    (x, y), _ = DRAG
    levels = disc(x, y, 0.6, LARGE)
    down, across = np.mgrid[:LARGE, :LARGE]
    texture = 0.06 * np.sin(across / 3) * np.sin(down / 4) + 0.04 * np.sin(across / 17)
    return Image.fromarray(((levels + texture[..., None]).clip(0, 1) * 255).astype(np.uint8))


def stroke() -> Image.Image:
    """A spot of orange in the disc."""
    image = Image.new("RGBA", (LARGE, LARGE))
    x, y = ((at + 0.5) * LARGE / SIDE for at in DRAG[0])
    ImageDraw.Draw(image).ellipse([x - 45, y - 45, x + 45, y + 45], fill=(225, 120, 30, 255))
    return image


def draw() -> Figure:
    """The figure: a row for the drag, a row for the stroke."""
    by = pf.Trainer(epochs=60, batch=64, seed=0, quiet=True)
    model = pf.VAE(latent=8, hidden=(256, 256)).fit(discs(), by=by)
    photo, strokes = photograph(), stroke()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        photo.save(path)
        run = OpenedRun(Path(folder), model)
        dragged = edit(run, path, drags=[DRAG], radius=6.0, candidates=4)
        coloured = edit(run, path, colour=strokes, candidates=4)
    figure = Figure(figsize=(9.6, 4.1), layout="constrained")
    axes = figure.subplots(2, 5)
    asked = Image.alpha_composite(photo.convert("RGBA"), strokes)
    for row, made, what in ((axes[0], dragged, photo), (axes[1], coloured, asked)):
        _row(row, made, what)
    start, end = ([(at + 0.5) * LARGE / SIDE for at in place] for place in DRAG)
    axes[0][0].annotate(
        "", end, start, arrowprops={"arrowstyle": "->", "color": "black", "linewidth": 2}
    )
    titles = ("photo, and what is asked", "projected", "candidates", "result", "photo, edited")
    for panel, title in zip(axes[0], titles):
        panel.set_title(title, fontsize=10)
    return figure


def _row(axes: NDArray[np.object_], made: ImageEdit, asked: Image.Image) -> None:
    assert made.photo is not None
    best = made.edited.x[:4]
    sheet = torch.ones(3, 2 * SIDE + 1, 2 * SIDE + 1, dtype=best.dtype) * 255
    for i, x in enumerate(best):
        top, left = (i // 2) * (SIDE + 1), (i % 2) * (SIDE + 1)
        sheet[:, top : top + SIDE, left : left + SIDE] = x
    _show(axes[0], np.asarray(asked))
    for panel, image in zip(axes[1:4], (made.before, sheet, made.frames[-1])):
        _show(panel, image.clamp(0, 255).round().byte().movedim(0, -1).numpy())
    _show(axes[4], made.photo.levels.transpose(1, 2, 0))


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_axis_off()


if __name__ == "__main__":
    draw().savefig(IMAGE, dpi=110)
