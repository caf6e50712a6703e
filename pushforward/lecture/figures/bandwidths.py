r"""How wide? The bandwidth

Too narrow, and the estimate repeats the sample; too wide, and it hides the structure. Rules of
thumb assume a normal distribution:

$$h_{\text{Scott}} = \sigma\, n^{-1/(d+4)} .$$

Better: choose $h$ by the likelihood of each point under the estimate from all *others*,
$\sum_i \log \hat p_{-i}(x_i)$. The data are 60 draws from two normal distributions.

Try:

* More data, `n = 2000`: rules and likelihood come closer to the truth.
* `bandwidth="silverman"`.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """Estimates of three widths and by likelihood, beside the true density."""
    n, stream = 60, torch.Generator().manual_seed(1)
    mean = torch.where(torch.rand(n, 1, generator=stream) < 0.4, -2.0, 2.0)
    x = (mean + 0.7 * torch.randn(n, 1, generator=stream)).double()
    at = torch.linspace(-6, 6, 400)[:, None].double()
    truth = sum(p * torch.exp(-(((at - m) / 0.7) ** 2) / 2) for p, m in ((0.4, -2), (0.6, 2)))
    lines = {"truth": truth / (0.7 * (2 * torch.pi) ** 0.5)}
    for name in (0.1, "scott", "likelihood"):
        lines[f"h: {name}"] = pf.KDE(name).fit(x).log_prob(at).exp()
    return panels(curves(at, lines, f"{n} points", y="density", fill=x), side=6.2)
