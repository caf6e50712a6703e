r"""Which belong together? Clusters

A mixture explains the data by $K$ groups, each with a mean, a covariance and a share:

$$p(x) = \sum_{k=1}^K \pi_k\, \mathcal N(x;\, \mu_k, \Sigma_k).$$

EM finds them: it computes how much each group is responsible for each point, then the mean,
covariance and share of each group from the points weighted by that. The likelihood never falls.
The data are Fisher's irises; the species were not shown to the model.

Try:

* `pf.GMM(2)` and `pf.GMM(5)`; `pf.choose_components(x)` compares numbers of components.
* `pf.KMeans(3)`: clusters without shapes.
"""

from __future__ import annotations

from sklearn.datasets import load_iris

import pushforward as pf
from pushforward.plots import clusters
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """Three components of a Gaussian mixture of Fisher's irises."""
    flowers = load_iris(as_frame=True).data
    model = pf.GMM(3).fit(flowers)
    return clusters(model, flowers, title="150 irises in three groups; ellipses hold 50 and 95%")
