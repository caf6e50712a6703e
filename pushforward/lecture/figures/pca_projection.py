r"""A plane through the data: PCA

PCA finds the plane (line, space) that loses least:

$$\min_{W^\top W = I} \sum_i \lVert (x_i - \bar x) - W W^\top (x_i - \bar x)\rVert^2 .$$

Its axes are the eigenvectors of the covariance with the largest eigenvalues. Codes are
$z = W^\top(x - \bar x)$. Arrows show how the columns of the table lie in the plane: 178 wines, by
13 chemical measurements in standard deviations. The three cultivars were not shown to PCA.

Try:

* Leave the standardisation out: one column with large numbers takes the whole first axis.
* `components=(1, 2)`.
"""

from __future__ import annotations

from sklearn.datasets import load_wine

import pushforward as pf
from pushforward.plots import biplot
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """Wines in the plane of two components, with columns as arrows."""
    table = load_wine(as_frame=True).data
    table = (table - table.mean()) / table.std()
    model = pf.PCA(2).fit(table)
    kept = float(model.explained_variance_ratio_.sum())
    return biplot(
        model, table, arrows=8, title=f"178 wines; the plane has {kept:.0%} of the variance"
    )
