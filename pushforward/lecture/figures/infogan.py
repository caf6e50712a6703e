r"""InfoGAN: codes with a meaning

Part of the code, $c$, is a category. A third network guesses it from the sample, and both sides
gain from a guess that is right:

$$\min_{G, Q} \max_D\ V(D, G) - \lambda\, \big(\mathbb E \log Q(c \mid G(z, c)) + H(c)\big).$$

The last term is a bound on the information that a sample has about $c$. The data are eight dots;
the categories end up as dots, without any label. Short fit: `pushforward recipe codes` has digits.

Try:

* `weight=0`: categories without meaning.
* `categories=(4,)`: two dots each.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, points


def figure() -> Figure:
    """Eight dots, and samples coloured by the category they were made from."""
    data = pf.read("eight_gaussians:10000")
    model = pf.InfoGAN(latent=4, categories=(8,), continuous=0, hidden=(64, 64))
    model.fit(data, steps=1500, batch=256)
    z = model.prior(2000).rsample(rng=0)
    group = model.parts(z)[1][0].argmax(1)
    x = data.take(torch.arange(2000)).x
    return panels(
        points(x, "Eight dots", limit=1.5),
        points(model.decode(z), "Samples by category", over=x, colour=group, limit=1.5),
        side=4.2,
    )
