r"""A curved surface: the auto-encoder

Two networks, one that compresses and one that restores, trained together:

$$\min_{f,\,g} \sum_i \lVert x_i - g(f(x_i)) \rVert^2 .$$

With linear networks the best surface is PCA's plane. With curved ones, two numbers tell digits
apart that PCA's two numbers confuse.

Try:

* `latent=10`: lower error, but no map to look at.
* `noise="gaussian(sigma=0.3)"`: a denoising auto-encoder.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots import embedding, new_page
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """Codes of digits by PCA and by an auto-encoder, coloured by digit."""
    digits = pf.read("digits")
    batch = digits.take(torch.arange(len(digits)))
    plane = pf.PCA(2).fit(digits)
    curved = pf.Autoencoder(latent=2, hidden=(128, 64)).fit(digits, epochs=40)
    page, axes = new_page(11, 4.8, 1, 2)
    for ax, name, model in zip(axes.flat, ("PCA", "auto-encoder"), (plane, curved)):
        z = model.encode(batch.x)
        error = (batch.x - model.decode(z)).square().flatten(1).sum(1).mean()
        embedding(z, batch.y, title=f"{name}: squared error {float(error):.0f} per digit", ax=ax)
    return page
