r"""The bound, and its proof in numbers

For every distribution $q(z)$,

$$\log p(x) = \underbrace{\mathbb E_q \log \frac{p(x, z)}{q(z)}}_{\text{ELBO}} +
\underbrace{\mathrm{KL}\big(q \,\Vert\, p(z \mid x)\big)}_{\ge\, 0} .$$

So the ELBO is a lower bound, and it is tight when $q$ is the posterior. In probabilistic PCA all
three are known in closed form, and the sum can be checked: as $q$ moves away from the posterior,
ELBO and KL change, and their sum does not (the largest error is in the title).

Try:

* A shift of $q$ in place of the factor of its width.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_iris

import pushforward as pf
from pushforward.densities.normals import Normal, kl_divergence
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """ELBO, KL and log p(x) of an iris against the width of q."""
    x = torch.as_tensor(load_iris().data)
    model, x = pf.PCA(2).fit(x), x[:1]
    width = torch.logspace(-1, 0.6, 33, 10, dtype=torch.float64)
    exact = model.posterior(x.expand(33, 4))
    q = Normal(exact.mean, exact.log_scale + width.log()[:, None])
    spread = (2 * q.log_scale).exp().sum(1) / (
        2 * model.noise_variance_
    )  # E over q, beyond its mean
    elbo = model.likelihood(q.mean).log_prob(x) - spread - kl_divergence(q, model.prior(33))
    kl, total = kl_divergence(q, exact), model.log_prob(x).expand(33)
    lines = {"log p(x)": total, "ELBO + KL": elbo + kl, "ELBO": elbo, "KL": kl}
    title = f"|ELBO + KL - log p(x)| < {float((elbo + kl - total).abs().max()):.0e}"
    look = {"x": "width of q / width of the posterior", "y": "nats", "log": "x"}
    return panels(curves(width, lines, title, dashed=["ELBO + KL"], **look), side=5.4)
