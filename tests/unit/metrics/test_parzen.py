"""Parzen windows: the definition, the ceiling beside it, and the known number on MNIST."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.records import require_comparable
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.parzen import choose_width, parzen

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def test_the_definition_and_its_ceiling() -> None:
    train, test, made = normal(40, 3), normal(30, 3, seed=1), normal(40, 3, seed=2)

    def windows(samples: Tensor) -> float:
        terms = -(test[:, None] - samples).square().sum(2) / (2 * 0.7**2)
        return float(
            (
                terms.logsumexp(1) - math.log(len(samples)) - 1.5 * math.log(2 * math.pi * 0.7**2)
            ).mean()
        )

    value, ceiling = parzen(train, test, made, sigma=0.7)
    assert value.value == pytest.approx(windows(made), abs=1e-9)
    assert ceiling.value == pytest.approx(windows(train), abs=1e-9)
    assert value.details["ideal"] == ceiling.value
    assert (value.quantity, ceiling.quantity, value.unit) == ("parzen", "parzen_ceiling", "nats")
    assert not value.measure  # it stands in no column of log-likelihoods
    with pytest.raises(InvalidValue, match="quantity"):
        require_comparable(value, ceiling)
    with pytest.raises(InvalidValue, match="sigma"):
        require_comparable(value, parzen(train, test, made, sigma=0.6)[0])


def test_the_width_is_chosen_on_rows_left_over() -> None:
    """For m windows at N(0, 1) draws the best width is near that
    of the density estimate with most likelihood.
    """
    samples, x = normal(300, 1), normal(1000, 1, seed=1)
    width = choose_width(samples, x)
    grid = torch.linspace(0.1, 1.0, 91, dtype=torch.float64)
    by_hand = [
        float(((-(x - samples.T).square() / (2 * h * h)).logsumexp(1) - h.log()).mean())
        for h in grid
    ]
    assert width == pytest.approx(float(grid[torch.tensor(by_hand).argmax()]), rel=0.1)
    value, _ = parzen(normal(500, 1, seed=2), x, samples)
    assert 0.1 < value.details["sigma"] < 0.6
    with pytest.raises(InvalidValue, match="more training rows"):
        parzen(samples, x, samples)
    with pytest.raises(InvalidValue, match="same row"):
        choose_width(torch.ones(5, 2), normal(5, 2))


def on_mnist(tests: int) -> tuple[pf.Record, pf.Record]:
    train, test = (pf.read(name, label=False).x for name in ("mnist", "mnist:test"))
    space = scaled(train[:10], low=0.0, high=255.0)
    value, ceiling = parzen(
        train, test[:tests], train[:10_000], sigma=0.1668, features=space, rng=0
    )
    return value, ceiling


def test_real_digits_on_a_few(data_folder: Path) -> None:
    """K4 on so few that its error bar is twelve nats."""
    value, ceiling = on_mnist(300)
    assert abs(ceiling.value - 242.8) < 3 * ceiling.error
    assert value.details["ideal"] == ceiling.value


@pytest.mark.slow
def test_real_digits_as_samples_are_the_ceiling(data_folder: Path) -> None:
    """K4: 10 000 random training digits reach 242.2-243.5 nats; the first 10 000, 241.2."""
    value, ceiling = on_mnist(10_000)
    assert 242.2 < ceiling.value < 243.5
    assert value.value == pytest.approx(241.2, abs=0.1)
