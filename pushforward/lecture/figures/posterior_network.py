r"""A network that answers: the posterior

Which codes may have made this $x$? The exact answer, Bayes' rule, needs the integral $p(x)$. A
network learns to answer at once, for every $x$:

$$q_\varphi(z \mid x) = \mathcal N\big(\mu_\varphi(x), \operatorname{diag} s_\varphi^2(x)\big),
\qquad \max_\varphi \text{ELBO}.$$

Background: the exact posterior of a trained decoder, computed on a grid, for three points of the
ring. Ellipses: the network's answers, at one and two standard deviations. With
`posterior="full"` they may turn.

Try:

* `posterior="diagonal"`: ellipses along the axes, and a decoder that adapts to them.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.ellipses import ellipse
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import heat, panels


def figure() -> Figure:
    """Exact posteriors of three points on the ring, and the network's ellipses."""
    model = pf.VAE(
        latent=2, hidden=(64, 64, 64), likelihood="gaussian(sigma=0.15)", posterior="full"
    )
    model.fit("ring:10000", steps=1500, batch=256, optimizers={"vae": "adam(rate=0.003)"})
    x = torch.tensor([[1.1, 0.0], [-0.6, 0.95], [0.0, -1.15]])
    axis = torch.linspace(-3, 3, 160)
    z = torch.cartesian_prod(axis, axis).flip(1)
    with torch.no_grad():
        u, q = model.to_model(x), model.posterior(model.to_model(x))
        joint = model.prior(len(z)).log_prob(z) + model.likelihood(z).log_prob(u[:, None])
    exact = torch.softmax(joint, 1).reshape(3, 160, 160) / (axis[1] - axis[0]) ** 2
    draws = q.rsample((4000,), rng=0)
    names = [f"z given x = ({a:.2g}, {b:.2g})" for a, b in x.tolist()]
    drawn = [heat(p, (-3, 3, -3, 3), n, names=("z0", "z1")) for p, n in zip(exact, names)]
    picture = panels(*drawn, side=4)
    for ax, codes in zip(picture.axes, draws.unbind(1)):
        for share in (0.39, 0.86):  # one and two standard deviations in the plane
            ax.add_patch(ellipse(codes.mean(0).numpy(), codes.T.cov().numpy(), share, "#0072B2"))
    return picture
