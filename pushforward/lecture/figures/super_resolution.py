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
from pushforward.metrics.image_quality import psnr
from pushforward.plots.image_rows import image_rows
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels
from pushforward.recipes.translation.scenes import aerial_and_map, scenes


def figure() -> Figure:
    """Small images, bicubic, SRResNet, SRGAN and originals."""
    photos = scenes(aerial_and_map, 400, 48, 0).take(torch.arange(400)).y
    train = pf.read(photos[:360], y="low_resolution(4)")
    test = pf.read(photos[360:], y="low_resolution(4)", like=train).take(torch.arange(4))
    first = pf.SRResNet(width=16, blocks=2)
    first.fit(train, steps=400, batch=8, optimizers={"generator": "adam(rate=0.001)"})
    gan = pf.SRGAN(width=16, blocks=2, features="none", weight=0.05, critic_width=16)
    gan.fit(train, steps=200, batch=8, start=first)
    small = test.y.repeat_interleave(4, 2).repeat_interleave(4, 3)
    rows = {"small": small, "bicubic": enlarge(test.y, 4)}
    rows |= {"SRResNet": first.translate(test.y), "SRGAN": gan.translate(test.y)}
    decibels = {n: psnr(test.x, x, low=0, high=255).value for n, x in rows.items()}
    shown = {f"{n}, {decibels[n]:.1f} dB": x for n, x in rows.items()} | {"original": test.x}
    return panels(image_rows(shown, train.space), side=6, height=6.6)
