r"""Quiz: why not just average?

The likelihood of a model $x = f(z) + \text{noise}$ is an average over codes:

$$p(x) = \mathbb E_{z \sim p(z)}\, p(x \mid z) \approx \frac1n \sum_{i=1}^n p(x \mid z_i).$$

It is unbiased. Why does nobody train with it? Below, $p(x)$ is known, and so is the answer: with
$k$ codes, nearly all of the average comes from the few $z_i$ near the one that made $x$. The number
of draws for a relative variance of one grows by a factor of about 12 for *each* code.

Try:

* `k = 10`: how many draws until the estimate is right?
* `pushforward recipe quiz` has importance sampling and annealing beside it.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.metrics.likelihood import naive
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """The error of the average against the number of draws, for 1 to 8 codes."""
    draws, lines = [10, 30, 100, 300, 1000, 3000, 10_000], {}
    for k in (1, 2, 4, 8):
        stream = torch.Generator().manual_seed(k)
        z = torch.randn(5000, k, generator=stream)
        x = torch.cat([z, 0 * z], 1) + 0.1 * torch.randn(5000, 2 * k, generator=stream)
        model = pf.PCA(k).fit(x.double())
        found = [naive(model, x[:40], samples=n, shared=False).values for n in draws]
        errors = torch.stack(found) - model.log_prob(x[:40])
        lines[f"{k} code" + "s" * (k > 1)] = errors.abs().median(1).values
    title = "Median error of log p(x)"
    return panels(curves(draws, lines, title, x="draws of z", y="nats", log="xy"), side=5.4)
