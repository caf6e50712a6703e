r"""Reconstructions and samples

With more codes, a VAE restores more of each digit. A *sample* is decoded from $z \sim
\mathcal N(0, I)$, without any digit to start from:

$$z \sim p(z), \qquad x = f_\theta(z) .$$

Above, held-out digits and what 16 codes keep of them; below, samples. Means of pixels are shown,
without the observation noise.

Try:

* `latent=2` and `latent=64`: does the held-out bound improve, `model.elbo(test).mean()`?
* `model.sample(20)` without `using="mean"`: with the noise of the likelihood.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.image_rows import image_rows
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels


def figure() -> Figure:
    """Held-out digits, their reconstructions, and samples of a VAE."""
    train, test = pf.split(pf.read("digits"), held_out=0.2, seed=0)
    model = pf.VAE(latent=16, hidden=(256,), likelihood="bernoulli")
    model.fit(train, epochs=80, batch=64)
    x = test.take(torch.arange(12)).x
    samples = model.sample(24, rng=0, using="mean")
    rows = {"held out": x, "restored": model.decode(model.encode(x))}
    rows |= {"samples": samples[:12], "more samples": samples[12:]}
    title = f"Held-out bound: {float(model.elbo(test).mean()):.0f} nats a digit"
    return panels(image_rows(rows, model.space, title), side=8, height=3.2)
