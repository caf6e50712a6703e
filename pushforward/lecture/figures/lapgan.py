r"""LAPGAN: coarse first, then detail

A Laplacian pyramid writes an image as a coarse one and the detail that each enlargement lacks:

$$I_k = u(I_{k+1}) + h_k .$$

LAPGAN learns $I_K$ by one GAN and each $h_k$ by another, *given* the coarse image:
$h_k = G_k(z_k, u(I_{k+1}))$. Every level is trained by itself, on real coarse images; sampling
chains them. Here there is one level, 4 × 4 to 8 × 8 pixels, and the fit is short.

Try:

* `model.residuals(coarse)` of a real coarse image: the detail the model invents.
* [The recipe](../recipes.md#lapgan): CIFAR-10 and emoji.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import images, panels


def figure() -> Figure:
    """Samples of a LAPGAN of digits: coarse, and with their detail."""
    digits = pf.read("digits", label=False)
    model = pf.LAPGAN(latent=32, width=16, base="mlp(hidden=(128, 128))")
    model.fit(digits, steps=1500, batch=64, ema=0.99)
    coarse, fine = model.stages(model.prior(30).rsample(rng=0))
    x = digits.take(torch.arange(30)).x
    return panels(
        images(coarse.repeat_interleave(2, 2).repeat_interleave(2, 3), digits.space,
               "Coarse, 4 × 4", columns=6),
        images(fine, digits.space, "With detail, 8 × 8", columns=6),
        images(x, digits.space, "Digits", columns=6),
    )  # fmt: skip
