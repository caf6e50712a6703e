r"""Seventeen hacks

Each trick for training GANs is a switch here, `hacks=["input_noise(sigma=0.1)"]`;
`pushforward hacks` lists them. Do they help? Only a measurement tells: the share of eight modes
found, and of samples close to one. Below one short fit each, of one seed: noise on the critic's
input changes little here, soft labels spread the samples. One seed proves nothing; [five seeds of
all hacks](../results.md#which-of-the-17-hacks-help) are on the page of results.

$$\text{soft labels: } 1 \to U[.7, 1.2],\ 0 \to U[0, .3] \qquad \text{input noise: } D(x +
\sigma_t\, \varepsilon),\ \sigma_t \to 0 .$$

Try:

* `hacks=["batch_discrimination"]`, and two at once.
* `packing=2`: the critic sees two samples at a time; not a hack of the list.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.data import centres
from pushforward.metrics.modes import modes
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, points

CASES = {"none": (), "soft labels": ("soft_labels",), "input noise": ("input_noise(sigma=0.2)",)}


def figure() -> Figure:
    """Samples of a GAN without a hack, and with either of two."""
    data = pf.read("eight_gaussians:10000")
    x = data.take(torch.arange(2000)).x
    drawn = []
    for name, hacks in CASES.items():
        model = pf.GAN(latent=2, hidden=(64, 64), penalties=(), hacks=hacks)
        model.fit(data, steps=1200, batch=128, ema=0.99)
        sample = model.sample(2000, rng=0)
        covered, good, _ = modes(sample, centres("eight_gaussians"), 0.05)
        words = f"{name}: {covered.value:.0f} of 8, {good.value:.0%} near one"
        drawn.append(points(sample, words, over=x, limit=1.6))
    return panels(*drawn, side=4)
