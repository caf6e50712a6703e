"""Settings of GANs for few images, chosen by experiment (docs/architecture.md, decisions).

The papers' settings are for tens of thousands of images and a graphics card: 25 passes over 300
images in batches of 128 are 75 steps, after which samples are noise. What helps a small set most is
more steps, of smaller batches and through smaller networks, so that they take minutes without a
card, with R1 on the critic and samples from an average of the weights. Augmentation is left out:
within such budgets it slows the generator more than the critic's overfitting does.
"""

from __future__ import annotations

from typing import Any

from pushforward.core.space import Space
from pushforward.core.suited import Suited

__all__ = ["FEW", "NETWORK", "WIDTH", "suited_to_images"]

FEW = 5000
"""Images below which a GAN's own defaults are replaced; above, 25 epochs are a thousand steps."""
STEPS, BATCH, EMA = 3000, 32, 0.998
"""A minute or two without a card; the average is over the last 500 steps."""
WIDTH, LATENT = 16, 64
"""A sixteenth of the parameters of the paper's networks."""
NETWORK = f"dcgan(width={WIDTH})"
R1 = "r1(gamma=1.0)"
OF_NETWORKS = ("network", "hidden", "activation", "width", "hacks")


def suited_to_images(
    space: Space, rows: int, told: Space | None, **networks: Any
) -> tuple[Suited, ...]:
    """What suits a GAN of few images; nothing for other data.

    Args:
        rows: to train on.
        told: the space of conditions; with images, these networks cannot be used.
        networks: settings of the networks, for those who choose none.
    """
    sides = [int(side or 0) for side in space.shape[1:]]
    if told is not None and told.kind != "points":
        return ()
    if space.kind != "images" or rows >= FEW or min(sides) < 8:
        return ()
    reason = f"{rows:,} images are few for a GAN"
    return (
        Suited({**networks, "latent": LATENT, "penalties": (R1,)}, reason, OF_NETWORKS),
        Suited({"steps": STEPS, "batch": min(BATCH, rows), "ema": EMA}, reason),
    )
