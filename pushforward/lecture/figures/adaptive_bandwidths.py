r"""A width for each point

Where points are dense, bumps may be narrow; in the tails they should be wide. Abramson's rule takes
the width from a first estimate $\tilde p$, with $g$ its geometric mean over the data:

$$\hat p(x) = \frac1n \sum_i \frac1{h_i^d}\, K\!\left(\frac{x - x_i}{h_i}\right), \qquad
h_i = h \left(\frac{\tilde p(x_i)}{g}\right)^{-1/2} .$$

Note the power $d$ of $h_i$: with $1/h_i$ in the plane the estimate would not integrate to one.
Left, one width for all: the likelihood chooses one that is wide enough for the loneliest point of
the tail, and blurs everything else. Right, a width each. The data are log-normal, 400 points.

Try:

* `adaptive="knn"`: the distance to the $k$-th neighbour as the width.
* `model.log_prob(test).mean()` of both, on your own data.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots import density_map, new_page
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """A skewed cloud: one bandwidth by likelihood, and one per point."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).double().exp()
    test = torch.randn(4000, 2, generator=torch.Generator().manual_seed(1)).double().exp()
    page, axes = new_page(11, 4.8, 1, 2)
    rules = {"one h": None, "a width $h_i$ each": "abramson"}
    for ax, (name, adaptive) in zip(axes.flat, rules.items()):
        model = pf.KDE("likelihood", adaptive=adaptive).fit(x)
        words = f"{name}: {float(model.log_prob(test).mean()):.2f} nats per new point"
        density_map(model, x, limits=([-0.5, -0.5], [7, 7]), shares=(0.5, 0.9), title=words, ax=ax)
    return page
