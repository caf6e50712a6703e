r"""DCGAN: the two players with convolutions

The recipe that made GANs of images work: strided convolutions in place of pooling, batch
normalisation, ReLU in the generator and leaky ReLU in the critic, Adam with $\beta_1 = 0.5$, images
in $[-1, 1]$.

$$z \in \mathbb R^{100} \to 4^2 \times 512 \to 8^2 \times 256 \to 16^2 \times 128 \to 32^2 \times 64
\to 64^2 \times 3 .$$

This is a small one of a short fit: width 16 in place of 64, on digits of 8 × 8 pixels, with the
digit as a condition, one row each. [The recipe](../recipes.md#images) has MNIST.

Try:

* More `steps`, and `hacks=["input_noise(sigma=0.1)"]`.
* `pushforward fit dcgan FOLDER`: your own images.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import images, panels


def figure() -> Figure:
    """Digits of a small conditional DCGAN beside real ones."""
    digits = pf.read("digits")
    model = pf.DCGAN(latent=32, width=16)
    model.fit(digits, y=True, steps=2000, batch=64, ema=0.99)
    batch = digits.take(torch.arange(len(digits)))
    real = torch.cat([batch.x[batch.y == i][:10] for i in range(10)])
    made = torch.cat([model.sample(10, y=i, rng=i) for i in range(10)])
    return panels(
        images(real, digits.space, "Digits", columns=10),
        images(made, digits.space, "Samples, given the digit", columns=10),
        side=4.6,
    )
