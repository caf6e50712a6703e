r"""A heat map: where, and how often it goes in

Two densities make a chance. With $p(x)$ the density of all shots and $p(x \mid \text{made})$ that
of made ones, Bayes' rule gives the chance of a shot at $x$:

$$P(\text{made} \mid x) = P(\text{made})\, \frac{p(x \mid \text{made})}{p(x)} .$$

Where there are few shots, it is a guess, so only places with some are coloured. Shots are
synthetic, with a chance that falls from 65 % at the rim to 33 % at the arc.
`pushforward recipe aldridge` does this with a table of yours, shrunk towards the average.

Try:

* A narrower bandwidth: spots appear that mean nothing.
"""

from __future__ import annotations

from functools import partial

import torch

import pushforward as pf
from pushforward.lecture.synthetic import made, shots
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import field, panels
from pushforward.recipes.basketball.court import draw_court


def figure() -> Figure:
    """Density of synthetic shots, and the share that goes in."""
    x = shots(4000)
    good = made(x)
    every, some = pf.KDE(2.5).fit(x), pf.KDE(2.5).fit(x[good])

    def density(at: torch.Tensor) -> torch.Tensor:
        return every.log_prob(at).exp()

    def chance(at: torch.Tensor) -> torch.Tensor:
        share = good.double().mean() * some.log_prob(at).exp() / density(at)
        return share.where(density(at) > 2e-4, torch.nan)

    look = {"limits": (-25, 25, 0, 35), "cells": 100, "over": partial(draw_court, depth=35)}
    return panels(
        field(density, title="Where", unit="shots per square foot", high=0.004, **look),
        field(chance, title="How often it goes in", unit="share made", high=0.8, **look),
        side=5,
    )
