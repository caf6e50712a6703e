r"""GANs against VAEs

A VAE maximises a bound on the likelihood: it must cover all data, and blurs. A GAN fools a critic:
it may leave data out, and is sharp. So measure both sides:

$$\text{precision} = \text{share of samples near data}, \qquad \text{recall} = \text{share of data
near samples}.$$

One short fit each, of points on a spiral. A plain VAE adds observation noise to its samples; its
*means*, in the middle, are sharp. [The recipe](../recipes.md#gans-against-vaes) compares both on
images, with likelihoods measured by annealing.

Try:

* `likelihood="gaussian(sigma=0.5)"`, and `0.02`: a VAE's blur is a choice.
* `penalties=()`: a GAN that may lose parts of the spiral.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.metrics.manifold import prdc
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels, points


def figure() -> Figure:
    """Samples of a VAE and a GAN of a spiral, with precision and recall."""
    data, drawn = pf.read("swissroll:10000"), []
    x = data.take(torch.arange(2000)).x.float()
    vae = pf.VAE(latent=2, hidden=(128, 128), likelihood="gaussian(sigma=0.1)")
    vae.fit(data, steps=2000, batch=256, optimizers={"vae": "adam(rate=0.002)"})
    gan = pf.GAN(latent=2, hidden=(128, 128)).fit(data, steps=2000, batch=256, ema=0.99)
    means = vae.sample(2000, rng=0, using="mean")
    sets = {"VAE": vae.sample(2000, rng=0), "VAE, means": means, "GAN": gan.sample(2000, rng=0)}
    for name, sample in sets.items():
        precision, recall, *_ = prdc(x, sample.float())
        title = f"{name}: precision {precision.value:.2f}, recall {recall.value:.2f}"
        drawn.append(points(sample, title, over=x, limit=2.2))
    return panels(*drawn, side=4)
