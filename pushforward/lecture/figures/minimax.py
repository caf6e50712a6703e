r"""Minimax: what the game computes

For a fixed generator with density $q$, the best critic is $D^* = \frac{p}{p+q}$, and the value of
the game is then

$$V(D^*) = -\log 4 + 2\,\mathrm{JSD}(p \,\Vert\, q).$$

Left: the best critic of $\mathcal N(0, 1)$ against $\mathcal N(m, 1)$ is a sigmoid. Middle: the
value rises from $-\log 4$ to 0 as they part, and then hardly changes: a generator that is far off
learns nothing from $\log(1 - D)$. Right: the non-saturating loss $-\log D$ has its large gradient
exactly there.

Try:

* At $D = 0.01$ the gradients in the critic's output are .01 and .99: a ratio of 1 to 99.
"""

from __future__ import annotations

import torch
from torch.distributions import Normal
from torch.nn.functional import logsigmoid

from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """The best critic, the value of the game, and gradients of two losses."""
    x, m = torch.linspace(-12, 18, 4000).double(), torch.linspace(0, 6, 61).double()
    p, q = Normal(0, 1).log_prob(x), Normal(m[:, None], 1).log_prob(x)
    gain = p.exp() * logsigmoid(p - q) + q.exp() * logsigmoid(q - p)  # log D*, log(1 - D*)
    game = {"V(D*)": torch.trapezoid(gain, x), "-log 4": torch.full((61,), 0.25).log()}
    best = {f"m = {m[i]:g}": (p - q[i]).sigmoid()[1000:2600] for i in (0, 10, 20, 40)}
    d = torch.linspace(0.001, 0.999, 500)
    slopes = {"log(1 - D)": d, "-log D": 1 - d}
    return panels(
        curves(x[1000:2600], best, "Best critic", y="D*(x)"),
        curves(m, game, "Value of the game", x="distance m", y="nats"),
        curves(d, slopes, "Size of G's gradient", x="D(G(z))", y="per unit of the critic's logit"),
        side=4,
    )
