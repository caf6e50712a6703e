r"""How many components? The variance that is left

The eigenvalues $\lambda_1 \ge \lambda_2 \ge \dots$ of the covariance are the variances along the
components. What $K$ of them leave out is the error of the reconstruction:

$$\frac1n \sum_i \lVert x_i - \hat x_i \rVert^2 = \sum_{k > K} \lambda_k .$$

With a normal distribution in the plane and noise around it, this becomes a density, and held-out
rows can choose $K$. The digits below are 8 × 8 pixels, so 64 numbers.

Try:

* `pf.PCA(k).fit(train).log_prob(test).mean()` for several $k$: which one predicts best?
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.image_rows import image_rows
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import curves, panels


def figure() -> Figure:
    """The running total of the variance, and digits from 1 to 32 components."""
    digits = pf.read("digits")
    rows = {"digits": digits.take(torch.arange(10)).x}
    for k in (1, 4, 16, 32):
        model = pf.PCA(k).fit(digits)
        rows[f"K = {k}"] = model.decode(model.encode(rows["digits"])).clamp(0, 16)
    total = {"share": pf.PCA(64).fit(digits).explained_variance_ratio_.cumsum(0)}
    look = {"x": "components K", "y": "share of the variance", "marks": [1, 4, 16, 32], "low": 0}
    return panels(
        curves(range(1, 65), total, "Running total", **look), image_rows(rows, digits.space), side=5
    )
