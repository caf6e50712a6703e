r"""f-GAN: the game for any divergence

Every convex $f$ has a divergence and a game, through its conjugate $f^*$:

$$D_f(p \Vert q) = \int q\, f\!\left(\tfrac pq\right) \ \ge\ \mathbb E_p\, T - \mathbb E_q\,
f^*(T), \qquad T^* = f'\!\left(\tfrac pq\right).$$

Which $f$ matters when the model cannot be right. One normal distribution is fitted to two modes by
each divergence, on a grid: KL covers both, reverse KL and Neyman choose one, and Jensen-Shannon
covers, a little narrower than KL.
Right: at $T^*$ the bound *is* the divergence, here of $\mathcal N(0, 1)$ and $\mathcal N(1, 1)$.

Try:

* Modes closer together, -1.5 and 1.5: all divergences agree.
* `pf.GAN(game="fgan(reverse_kl)")`: the same by a game between networks.
"""

from __future__ import annotations

import torch
from torch.distributions import Normal

from pushforward.objectives.divergences import Divergence
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import bars, curves, panels


def figure() -> Figure:
    """A normal distribution fitted to two modes by each divergence, and bounds at T*."""
    x = torch.linspace(-12, 12, 2401).double()
    p = (0.35 * Normal(-2.5, 0.8).log_prob(x).exp() + 0.65 * Normal(2, 0.8).log_prob(x).exp()).log()
    grid = torch.cartesian_prod(torch.linspace(-3, 3, 61), torch.linspace(0.5, 3, 51)).double()
    q = Normal(grid[:, :1], grid[:, 1:]).log_prob(x)
    fitted, bounds = {"data": p.exp()}, {}
    for name in ("kl", "reverse_kl", "pearson", "neyman", "hellinger", "js"):
        f = Divergence.members[name]()
        mean, sd = grid[f.between(p, q, x).nan_to_num(torch.inf).argmin()]
        fitted[f"{name}: {mean:.1f} ± {sd:.1f}"] = Normal(mean, sd).log_prob(x).exp()
        bounds[name] = float(f.best_bound(Normal(0, 1).log_prob(x), Normal(1, 1).log_prob(x), x))
    lines = curves(x, fitted, "One bump for two", y="density")
    return panels(
        lines, bars(bounds, "Bound at T*, N(0, 1) against N(1, 1)", x="divergence"), side=5
    )
