r"""The computation graph, and why noise is an input

The ELBO is an expectation over $z \sim q_\varphi$, and $\varphi$ is to be trained. Draw the noise
apart from the parameters:

$$z = \mu_\varphi(x) + s_\varphi(x)\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, I),$$

and the gradient flows through $z$ (left, orange boxes are random). The alternative multiplies the
loss by $\nabla_\varphi \log q_\varphi(z)$. Both are right on average; right, the standard deviation
of both gradients for $\mathbb E\,(z - 3)^2$, $z \sim \mathcal N(\mu, 1)$, at $\mu = 0$.

Try:

* Other losses: `loss = z.sin()`.
"""

from __future__ import annotations

import torch

from pushforward.plots.diagrams import diagram
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels

BOXES = {
    "x": (0.0, 3.0), "encoder φ": (1.0, 3.0), "μ, s": (2.0, 3.0), "ε ~ N(0, I)": (0.6, 2.0),
    "z = μ + s ε": (2.0, 2.0), "decoder θ": (2.0, 1.0), "log p(x|z)": (3.4, 1.0),
    "KL(q ‖ p(z))": (3.4, 3.0), "ELBO": (3.4, 2.0),
}  # fmt: skip
ARROWS = [
    ("x", "encoder φ"), ("encoder φ", "μ, s"), ("μ, s", "z = μ + s ε"),
    ("ε ~ N(0, I)", "z = μ + s ε"), ("z = μ + s ε", "decoder θ"), ("decoder θ", "log p(x|z)"),
    ("μ, s", "KL(q ‖ p(z))"), ("KL(q ‖ p(z))", "ELBO"), ("log p(x|z)", "ELBO"),
]  # fmt: skip


def figure() -> Figure:
    """The graph of a VAE's loss, and the noise of two estimates of its gradient."""
    draws, one, two = [1, 3, 10, 30, 100, 300], [], []
    for n in draws:
        noise = torch.randn(2000, n, generator=torch.Generator().manual_seed(n))
        mu = torch.zeros(2000, 1, requires_grad=True)
        z = mu + noise
        through = torch.autograd.grad((z - 3).square().mean(1).sum(), mu)[0]
        score = ((z - 3).square() * noise).mean(1)  # (z - 3)² · d/dμ log q(z)
        one.append(through.std())
        two.append(score.detach().std())
    lines = {"through z": torch.stack(one), "by log q": torch.stack(two)}
    return panels(
        diagram(BOXES, ARROWS, "A VAE's loss", bright=["ε ~ N(0, I)", "z = μ + s ε"]),
        curves(draws, lines, "Noise of the gradient", x="draws", y="standard deviation", log="xy"),
        side=5.6,
    )
