r"""A network that answers: the posterior

Which codes may have made this $x$? The exact answer, Bayes' rule, needs the integral $p(x)$. A
network learns to answer at once, for every $x$:

$$q_\varphi(z \mid x) = \mathcal N\big(\mu_\varphi(x), \operatorname{diag} s_\varphi^2(x)\big),
\qquad \max_\varphi \text{ELBO}.$$

Background: $p(x, z)$ of a trained decoder for three points $x$ of the ring; as a function of $z$
it is proportional to the exact posterior. Ellipses: the network's answers, at one and two standard
deviations. With `posterior="full"` they may turn.

Try:

* `posterior="diagonal"`: ellipses along the axes, and a decoder that adapts to them.
"""

from __future__ import annotations

from functools import partial

import torch

import pushforward as pf
from pushforward.plots.ellipses import normal_ellipses
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import field, panels


def figure() -> Figure:
    """Exact posteriors of three points on the ring, and the network's ellipses."""
    model = pf.VAE(2, hidden=(64, 64, 64), likelihood="gaussian(sigma=0.15)", posterior="full")
    model.fit("ring:10000", steps=1500, batch=256, optimizers={"vae": "adam(rate=0.003)"})

    def joint(u: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        z = z.float()
        return (model.prior(len(z)).log_prob(z) + model.likelihood(z).log_prob(u)).exp()

    drawn, box, names = [], (-2.5, 2.5, -2.5, 2.5), ("z0", "z1")
    for x in torch.tensor([[1.1, 0.0], [-0.6, 0.95], [0.0, -1.15]]):
        u = model.to_model(x[None])
        look = {"over": normal_ellipses(model.posterior(u).rsample((4000,), rng=0)[:, 0])}
        title = f"x = ({x[0]:.2g}, {x[1]:.2g})"
        drawn.append(field(partial(joint, u), box, title, names=names, unit="p(x, z)", **look))
    return panels(*drawn, side=4)
