r"""The decoder: a network for f

Nobody writes down $f$ for handwritten digits. A network can learn it: the decoder $f_\theta$ of a
VAE, here for the ring.

$$x \mid z \sim \mathcal N(f_\theta(z), \sigma^2 I).$$

The middle panel is a grid of codes, the right one the same grid after $f_\theta$. The network is
continuous and the plane has no hole, so it tears: a few lines run across the ring, where the true
density is nearly 0.

Try:

* `hidden=(8,)`: too small a network for a ring.
* More `steps`: the crossing lines become fewer, never none.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, points


def figure() -> Figure:
    """The ring, a grid of codes, and what a trained decoder makes of it."""
    ring = pf.read("ring:10000")
    model = pf.VAE(latent=2, hidden=(64, 64, 64), likelihood="gaussian(sigma=0.1)")
    model.fit(ring, steps=1500, batch=256, optimizers={"vae": "adam(rate=0.003)"})
    fine, lines = torch.linspace(-2.5, 2.5, 200), torch.linspace(-2.5, 2.5, 11)
    one = torch.cartesian_prod(lines, fine)
    z = torch.cat([one, one.flip(1)])
    look = {"colour": torch.atan2(z[:, 1], z[:, 0]), "angles": True, "size": 1.6}
    return panels(
        points(ring.take(torch.arange(2000)).x, "The data", limit=1.7),
        points(z, "Codes on a grid", limit=2.8, names=("z0", "z1"), **look),
        points(model.decode(z), "The grid, decoded", limit=1.7, **look),
    )
