r"""A bump on every point: kernels

$$\hat p(x) = \frac1n \sum_i \frac1h\, K\!\left(\frac{x - x_i}{h}\right), \qquad \int K = 1 .$$

The shape of the bump matters little, once widths are comparable: all seven below have the
same standard deviation. Six points show how the estimate is built.

Try:

* Kernels of bounded width give density 0 between far points: look at `log_prob` there.
* One point, `x[:1]`: the estimate is the kernel itself.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.densities.kernels import find_kernel
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """Seven kernels, and the sums of six bumps of three of them."""
    x = torch.tensor([-2.1, -1.3, -0.4, 2.3, 5.1, 6.2])[:, None].double()
    at = torch.linspace(-6, 10, 400)[:, None].double()
    names = (
        "gaussian", "epanechnikov", "tophat", "triangular", "biweight", "exponential", "cosine",
    )  # fmt: skip
    h = {name: find_kernel(name).variance(1) ** -0.5 for name in names}
    zero, near = 0 * x[:1], at[50:250]
    bumps = {n: pf.KDE(h[n], kernel=n).fit(zero).log_prob(near).exp() for n in names}
    sums = {n: pf.KDE(h[n], kernel=n).fit(x).log_prob(at).exp() for n in names[:3]}
    return panels(
        curves(near, bumps, "Kernels of standard deviation 1", y="density"),
        curves(at, sums, "Sums over six points (dashed)", y="density", marks=x.flatten().tolist()),
        side=4.6,
    )
