r"""The computation graph, and why noise is an input

The ELBO is an expectation over $z \sim q_\varphi$, and $\varphi$ is to be trained. Draw the noise
apart from the parameters:

$$z = \mu_\varphi(x) + s_\varphi(x)\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, I),$$

and the gradient flows through $z$ (above; orange boxes are random). The alternative multiplies the
loss by $\nabla_\varphi \log q_\varphi(z)$. Both are right on average; below, the standard deviation
of both gradients for $\mathbb E\,(z - 3)^2$, $z \sim \mathcal N(\mu, 1)$, at $\mu = 0$.

Try:

* Other losses, such as `(mu + noise).sin()`.
"""

from __future__ import annotations

import torch

from pushforward.plots.diagrams import diagram
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels

GRAPH = """x -> encoder φ -> μ, s -> z = μ + s ε -> decoder θ -> log p(x|z) -> ELBO
ε ~ N(0, I) -> z = μ + s ε
μ, s -> KL(q ‖ p(z)) -> ELBO"""


def figure() -> Figure:
    """The graph of a VAE's loss, and the noise of two estimates of its gradient."""
    mu = torch.zeros(600_000, requires_grad=True)
    noise = torch.randn(600_000, generator=torch.Generator().manual_seed(0))
    loss = (mu + noise - 3).square()
    through = torch.autograd.grad(loss.sum(), mu)[0]
    score = (loss * noise).detach()  # (z - 3)² · d/dμ log q(z)
    draws, both = [1, 3, 10, 30, 100, 300], {"through z": through, "by log q": score}
    lines = {k: [g.reshape(-1, n).mean(1).std() for n in draws] for k, g in both.items()}
    graph = diagram(GRAPH, "A VAE's loss", bright=["ε ~ N(0, I)", "z = μ + s ε"])
    look = {"x": "draws", "y": "standard deviation", "log": "xy"}
    return panels(
        graph, curves(draws, lines, "Noise of the gradient", **look), columns=1, side=9, height=3
    )
