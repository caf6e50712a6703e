r"""Clips: a moving foreground on a still background

A clip is a tensor over time, height and width. VGAN generates two streams and a mask between them:

$$x = m \odot f + (1 - m) \odot b .$$

The foreground $f$ and the mask $m$ come from convolutions in space and time; the background $b$ is
one image for all frames, so that what does not move costs nothing. The fit below is *very* short
(150 steps of a narrow network): it shows the layers, and no shapes yet. Above it, the same after a
proper fit, by [the recipe](../recipes.md#moving-shapes).

![Clips and layers of a VGAN after a proper fit](../images/moving-shapes.png)

Try:

* `pushforward recipe moving-shapes --budget 0.2`
* `mask_weight=0`: everything becomes foreground.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots import clip_sheet
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """A clip of moving shapes, and a sample of a briefly trained VGAN with its layers."""
    clips = pf.read("moving-shapes:400")
    model = pf.VGAN(latent=16, width=4, mask_weight=0.6, penalties=("r1(gamma=0.1)",))
    rates = dict.fromkeys(("critic", "generator"), "adam(rate=0.001, beta1=0.5)")
    model.fit(clips, steps=150, batch=8, ema=0.9, optimizers=rates)
    made = model.scenes(1, rng=1)
    mask = (255 * made.mask).expand_as(made.x)
    real = clips.take(torch.arange(2)).x.float()
    rows = torch.cat([real, made.x, mask, made.foreground, made.background])
    names = ["data", "data", "sample", "mask", "foreground", "background"]
    return clip_sheet(rows, clips.space, names, title="Clips of moving shapes")
