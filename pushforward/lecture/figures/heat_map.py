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

import torch

import pushforward as pf
from pushforward.lecture.synthetic import shots
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import heat, panels
from pushforward.recipes.basketball.court import draw_court


def figure() -> Figure:
    """Density of synthetic shots, and the share that goes in."""
    x = shots(4000)
    chance = 0.65 - 0.32 * ((x - torch.tensor([0, 5.25])).norm(dim=1) / 24).clamp(max=1)
    made = torch.rand(4000, generator=torch.Generator().manual_seed(0)) < chance
    grid = torch.cartesian_prod(torch.arange(0, 35, 0.5), torch.arange(-25, 25, 0.5)).flip(1)
    every, good = pf.KDE(2.5).fit(x), pf.KDE(2.5).fit(x[made])
    density = every.log_prob(grid.double()).exp().reshape(70, 100)
    share = made.double().mean() * good.log_prob(grid.double()).exp().reshape(70, 100) / density
    share[density < 2e-4] = torch.nan
    box, feet = (-25, 25, 0, 35), ("feet across", "feet from the baseline")
    picture = panels(
        heat(density, box, "Where", names=feet, unit="shots per square foot", high=0.004),
        heat(share, box, "How often it goes in", names=feet, unit="share made", high=0.8),
        side=5,
    )
    for ax in picture.axes[:2]:
        draw_court(ax, depth=35)
    return picture
