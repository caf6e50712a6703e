r"""The generative idea: push noise through a function

A distribution you can sample from, pushed through a function, is another distribution:

$$z \sim p(z), \quad x = f(z) \quad\Longrightarrow\quad p(x) = p(z)\,
\left|\frac{\mathrm dz}{\mathrm dx}\right| .$$

Where $f$ is steep, it thins the samples out; where it is flat, it piles them up. In one dimension
some $f$ reaches *any* density: $f = F^{-1}\circ\Phi$. The models of this lecture differ in how they
find $f$.

Try:

* `f = torch.exp`: the log-normal distribution.
* A function with a step: a gap in the density.
"""

from __future__ import annotations

import torch

from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """Normal noise, a function, and the density of what comes out."""

    def f(z: torch.Tensor) -> torch.Tensor:
        return z / 2 + 2 * torch.tanh(3 * z)

    z = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    at = torch.linspace(-3, 3, 600)
    p = torch.exp(-at.square() / 2) / (2 * torch.pi) ** 0.5
    slope = torch.gradient(f(at), spacing=(at,))[0]
    return panels(
        curves(at, {"p(z)": p}, "Noise", x="z", y="density", fill=z, fill_name="20 000 draws"),
        curves(at, {"f": f(at)}, "x = f(z)", x="z", y="x"),
        curves(f(at), {"p(z) / f'(z)": p / slope}, "What comes out", y="density", fill=f(z),
               fill_name="f of the draws"),
    )  # fmt: skip
