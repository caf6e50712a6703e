r"""The plane of codes

A VAE with two codes puts all digits into a plane that has a distribution, $\mathcal N(0, I)$:

$$\max_{\theta, \varphi}\ \mathbb E_{q_\varphi(z|x)} \log p_\theta(x \mid z) -
\mathrm{KL}\big(q_\varphi(z \mid x)\,\Vert\,p(z)\big).$$

The first term wants codes that tell digits apart, the second codes without gaps. So every point
of the plane decodes to something like a digit. Digits are scikit-learn's, 8 × 8 pixels;
`pushforward recipe mnist` draws the plane of MNIST.

Try:

* `pushforward latent RUN` after `pushforward fit vae digits --latent 2`: the same from a shell.
* The plane of an auto-encoder has gaps: decode between its digits.
"""

from __future__ import annotations

import pushforward as pf
from pushforward import latent
from pushforward.plots import decoded_grid
from pushforward.plots.matplotlib_types import Figure


def figure() -> Figure:
    """A grid of codes of a VAE with two codes, decoded to digits."""
    model = pf.VAE(latent=2, hidden=(256, 128), likelihood="bernoulli")
    model.fit("digits", epochs=120, batch=64)
    grid = latent.grid(model, 16)
    return decoded_grid(grid, model.space, title="Digits decoded from a grid of two codes")
