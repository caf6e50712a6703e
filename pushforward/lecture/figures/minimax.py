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

from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """The best critic, the value of the game, and gradients of two losses."""
    x = torch.linspace(-12, 18, 4000).double()
    p = Normal(0.0, 1.0).log_prob(x)
    best, value, shifts = {}, [], torch.linspace(0, 6, 61)
    for m in shifts.tolist():
        q = Normal(m, 1.0).log_prob(x)
        logit = p - q
        critic, other = torch.sigmoid(logit), torch.sigmoid(-logit)
        gain = p.exp() * critic.clamp_min(1e-300).log() + q.exp() * other.clamp_min(1e-300).log()
        value.append(torch.trapezoid(gain, x))
        if m in (0, 1, 2, 4):
            best[f"m = {m:g}"] = critic
    d = torch.linspace(0.001, 0.999, 500)
    slopes = {"log(1 - D)": d, "-log D": 1 - d}
    game = {"V(D*)": torch.stack(value), "-log 4": torch.full((61,), -torch.tensor(4.0).log())}
    return panels(
        curves(x[1000:2600], {n: c[1000:2600] for n, c in best.items()}, "Best critic", y="D*(x)"),
        curves(shifts, game, "Value of the game", x="distance m", y="nats"),
        curves(d, slopes, "Size of G's gradient", x="D(G(z))", y="per unit of the critic's logit"),
        side=4,
    )
