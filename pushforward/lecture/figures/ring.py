r"""The ring: an image of x = f(z)

A normal distribution in the plane, pushed through one short formula, is a ring:

$$f(z) = \frac{z}{10} + \frac{z}{\lVert z\rVert}, \qquad z \sim \mathcal N(0, I).$$

The radius is $R = 1 + \lVert z\rVert/10$, so the density is known:
$p(x) = \frac{50\,(R-1)}{\pi R}\, e^{-50 (R-1)^2}$ for $R > 1$. `ring` is a built-in data set.

Try:

* `pf.VAE(latent=2).fit("ring")`: can a network find this function?
* `pushforward recipe ring` measures how well one does.
"""

from __future__ import annotations

import torch

from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import field, panels, points


def figure() -> Figure:
    """Noise in the plane, the ring it becomes, and the ring's exact density."""
    z = torch.randn(3000, 2, generator=torch.Generator().manual_seed(0))
    x = z / 10 + z / z.norm(dim=1, keepdim=True)
    angle = torch.atan2(z[:, 1], z[:, 0])

    def density(at: torch.Tensor) -> torch.Tensor:
        r = at.norm(dim=1)
        return 50 * (r - 1).clamp_min(0) * torch.exp(-50 * (r - 1).square()) / (torch.pi * r)

    return panels(
        points(z, "z, coloured by angle", colour=angle, angles=True, limit=3.8, names=("z0", "z1")),
        points(x, "x = z/10 + z/|z|", colour=angle, angles=True, limit=1.6),
        field(
            density, (-1.6, 1.6, -1.6, 1.6), "p(x), exact", cells=300, unit="density per unit area"
        ),
    )
