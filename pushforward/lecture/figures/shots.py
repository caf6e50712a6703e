r"""Where are the shots? A density

A shot is a point in the plane. Many shots are samples of a distribution, and its density says how
likely a shot is at every place:

$$\hat p(x) = \frac1n \sum_{i=1}^n K_h(x - x_i),\qquad K_h(u) = \frac1{2\pi h^2}
e^{-\lVert u\rVert^2/2h^2}.$$

The shots here are synthetic; `pushforward recipe curry --file TABLE` draws the same from a table of
real ones. A contour holds the stated share of the mass.

Try:

* `shots(200)`: how many shots does it take until the three-point line shows?
* `bandwidth=4`, and `bandwidth=0.5`.
"""

from __future__ import annotations

import pushforward as pf
from pushforward.lecture.synthetic import shots
from pushforward.plots import density_map
from pushforward.plots.matplotlib_types import Figure
from pushforward.recipes.basketball.court import draw_court


def figure() -> Figure:
    """The kernel density of 2000 synthetic shots, on a court."""
    x = shots(2000)
    model = pf.KDE(bandwidth=1.5).fit(x)
    box = ([-25, 0], [25, 35])
    page = density_map(
        model,
        x,
        limits=box,
        shares=(0.5, 0.9),
        top=0.008,
        unit="shots per square foot",
        title="Shots, and their density",
    )
    draw_court(page.axes[0], depth=35)
    return page
