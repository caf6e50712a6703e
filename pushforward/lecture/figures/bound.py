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

import math

import torch
from sklearn.datasets import load_iris
from torch.distributions import kl_divergence

import pushforward as pf
from pushforward.densities.normals import Normal
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """ELBO, KL and log p(x) of an iris against the width of q."""
    x = torch.as_tensor(load_iris().data)
    model, x = pf.PCA(2).fit(x), x[:1]
    exact, prior = model.posterior(x), model.prior(1)
    factors = torch.logspace(-1, 0.6, 33, 10, dtype=torch.float64)
    elbo, kl = [], []
    for factor in factors:
        q = Normal(exact.mean, exact.log_scale + math.log(factor))
        noise = model.noise_variance_
        spread = ((2 * q.log_scale).exp() / (2 * noise)).sum()  # E over q, beyond its mean
        fit = model.likelihood(q.mean).log_prob(x) - spread
        elbo.append(fit - kl_divergence(q, prior))
        kl.append(kl_divergence(q, exact))
    elbo, kl, total = torch.cat(elbo), torch.cat(kl), model.log_prob(x)
    wrong = float((elbo + kl - total).abs().max())
    lines = {"log p(x)": total.expand(33), "ELBO + KL": elbo + kl, "ELBO": elbo, "KL": kl}
    title = f"|ELBO + KL - log p(x)| < {wrong:.0e}"
    return panels(
        curves(factors, lines, title, x="width of q / width of the posterior", y="nats", log="x",
               dashed=["ELBO + KL"]),
        side=5.4,
    )  # fmt: skip
