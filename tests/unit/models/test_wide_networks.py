"""Networks that read many numbers: default rates at which fits of large images do not explode."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.core.events import Progress
from pushforward.core.phase import usual_adam


@pytest.mark.parametrize(
    ("numbers", "rate"), [(0, 1e-3), (784, 1e-3), (2048, 1e-3), (4096, 5e-4), (16_384, 1.25e-4)]
)
def test_rates_fall_with_the_numbers_read(numbers: int, rate: float) -> None:
    assert math.isclose(usual_adam(numbers).rate, rate)


@pytest.mark.parametrize("model", [pf.VAE, pf.Autoencoder])
def test_convolutions_keep_the_usual_rate(model: type[pf.VAE]) -> None:
    x = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8)
    rates = []
    for network in (None, "conv"):
        fitted = model(4, network=network)
        fitted.fit(x, steps=1, batch=16, quiet=True)
        (phase,) = fitted.phases()
        rates.append(phase.optimizer.rate)  # type: ignore[attr-defined]
    assert rates[0] == pytest.approx(1e-3 * 2048 / 3072)
    assert rates[1] == 1e-3


def stickers(count: int) -> torch.Tensor:
    """Discs of one colour on a transparent ground: corners hardly ever vary."""
    rng = torch.Generator().manual_seed(0)
    at = torch.arange(64) - 31.5
    size = 12 + 20 * torch.rand(count, 1, 1, 1, generator=rng)
    inside = (at.square()[:, None] + at.square() < size.square()).expand(-1, 1, -1, -1)
    colour = 255 * torch.rand(count, 4, 1, 1, generator=rng)
    colour[:, 3] = 255
    return torch.where(inside, colour, 0.0).to(torch.uint8)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_vae_of_large_images_does_not_explode(seed: int) -> None:
    losses: list[float] = []

    def keep(event: object) -> None:
        if isinstance(event, Progress):
            losses.append(event.terms["distortion"])

    pf.VAE().fit(stickers(256), steps=20, batch=64, seed=seed, quiet=True, listeners=[keep])
    assert max(losses) < 1.5 * losses[0]
    assert losses[-1] < losses[0]
