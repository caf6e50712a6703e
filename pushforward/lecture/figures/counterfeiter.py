r"""The counterfeiter and the teller

Two players. The generator $G$ turns noise into numbers, the critic $D$ says how likely a number is
real; each learns from the other:

$$\min_G \max_D\ \mathbb E_{x \sim p} \log D(x) + \mathbb E_{z} \log\big(1 - D(G(z))\big).$$

Real numbers come from $\mathcal N(-1, 1)$. Each panel shows both densities, the critic's $D(x)$ and
the best possible critic, $p/(p+q)$. At the end the critic is at ½ wherever there are numbers: it
can no longer tell. `pushforward recipe one-dimension` makes the long version with measures.

Try:

* `penalties=("r1(gamma=1)",)`: a calmer game.
* `ema=None`: the last weights in place of their average. The game circles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

import pushforward as pf
from pushforward.fitting.film import Film
from pushforward.plots.critics import critic_on_line
from pushforward.plots.films import choose_frames, film, strip
from pushforward.plots.matplotlib_types import Figure
from pushforward.recipes.one_dimension import curves, look, places


def figure() -> tuple[Figure, Iterable[Any]]:
    """Densities and critic at eight times of a short fit, and the film of it."""
    x = -1 + torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0))
    watched = Film(look, most=40)
    rates = {"critic": "adam(rate=0.003, beta1=0.5)", "generator": "adam(rate=0.001, beta1=0.5)"}
    model = pf.GAN(latent=1, hidden=(32, 32), penalties=())
    model.fit(x, steps=1500, batch=256, schedule="cosine", ema=0.99, optimizers=rates, film=watched)
    frames = watched.frames()
    steps = [frame.samples // 256 for frame in frames]
    times = [f"step {step}" for step in steps]
    drawn = {"": critic_on_line(places()[:, 0], [curves(frame) for frame in frames])}
    return strip(drawn, times, choose_frames(steps), side=2.5), film(drawn, times, side=4.2)
