r"""Super-resolution: four times as wide

The condition is a small image, the answer a large one. Least error and looking real are two
different wishes:

$$\min \lVert G(y) - x \rVert_1 \qquad\text{and}\qquad \min \lVert G(y) - x \rVert + \lambda\,
\big(-\log D(G(y))\big).$$

The first gives the average of all images that fit, which is smooth; the second picks one of them.
Aerial views made by this package, 12 × 12 to 48 × 48 pixels; small networks and short fits.
PSNR, in decibels, measures error, so the GAN may lose there. [The
recipe](../recipes.md#super-resolution) has emoji.

Try:

* `weight=0.5` in SRGAN: more invention, fewer decibels.
* `pushforward enlarge RUN photo.jpg`
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.data.resampling import enlarge
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import images, panels
from pushforward.recipes.translation.scenes import aerial_and_map, scenes


def figure() -> Figure:
    """Small images, bicubic, SRResNet, SRGAN and originals."""
    pictures = scenes(aerial_and_map, 400, 48, 0).take(torch.arange(400)).y
    train = pf.read(pictures[:360], y="low_resolution(4)")
    test = pf.read(pictures[360:], y="low_resolution(4)", like=train).take(torch.arange(4))
    first = pf.SRResNet(width=16, blocks=2)
    first.fit(train, steps=400, batch=8, optimizers={"generator": "adam(rate=0.001)"})
    gan = pf.SRGAN(width=16, blocks=2, features="none", weight=0.05, critic_width=16)
    gan.fit(train, steps=200, batch=8, start=first)
    rows = {
        "small": test.y.repeat_interleave(4, 2).repeat_interleave(4, 3),
        "bicubic": enlarge(test.y, 4), "SRResNet": first.translate(test.y),
        "SRGAN": gan.translate(test.y), "original": test.x,
    }  # fmt: skip
    drawn = [
        images(x, train.space, name + quality(x, test.x), columns=2) for name, x in rows.items()
    ]
    return panels(*drawn, side=2.6)


def quality(x: torch.Tensor, real: torch.Tensor) -> str:
    """PSNR of images in 0..255, in decibels; nothing for the originals."""
    error = (x.double() - real.double()).square().mean()
    return f", {float(10 * (255**2 / error).log10()):.1f} dB" if error else ""
