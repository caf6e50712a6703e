r"""EBGAN: a critic that is an energy

The critic is an auto-encoder; its reconstruction error is an energy, low on data, and pushed up to
a margin $m$ on samples:

$$L_D = E(x) + \max\big(0,\ m - E(G(z))\big), \qquad L_G = E(G(z)),\qquad E(x) = \lVert x -
\mathrm{dec}(\mathrm{enc}(x)) \rVert .$$

It is an energy, not a density: nobody knows its integral. But it can be drawn, and it is low where
the data are.

Try:

* `pull_away=0`: samples may gather in fewer places.
* `code=16`: an auto-encoder that restores everything has the same energy everywhere.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import field, panels, points


def figure() -> Figure:
    """Data and samples of an EBGAN, and its energy."""
    data = pf.read("moons:5000")
    model = pf.EBGAN(latent=4, code=2, hidden=(64, 64)).fit(data, steps=2000, batch=128)
    x, look = data.take(torch.arange(1500)).x, {"unit": "reconstruction error", "high": 1}
    return panels(
        points(model.sample(1500, rng=0), "Samples over the data", over=x),
        field(lambda at: model.energy(at.float()), (-2, 3, -1.6, 2.1), "Energy", **look),
        side=4.4,
    )
