"""Measures of samples against rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.metrics.grid_divergences import grid_divergences
from pushforward.objectives.distances import energy_distance
from pushforward.studio.comparison import Comparison, spread_rows


class Fixed:
    """Gives the same rows."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x = x

    def sample(self, n: int, y: Any = None, rng: Any = None, using: Any = None) -> torch.Tensor:
        return self.x[:n]


def test_rows_are_evenly_spaced() -> None:
    source = pf.read(torch.arange(10.0)[:, None])
    assert spread_rows(source, 4)[:, 0].tolist() == [0, 3, 6, 9]
    assert spread_rows(source, 4, 1)[:, 0].tolist() == [1, 4, 7]
    assert len(spread_rows(source, 10)) == 10


def test_measures_are_those_of_the_library_on_standardised_rows() -> None:
    source = pf.read("eight_gaussians")
    comparison = Comparison(source, "eight_gaussians")
    samples = pf.read("eight_gaussians:1000", seed=5).take(torch.arange(1000)).x + 0.1
    rows = spread_rows(source, 1000).double()
    found = comparison.measure(Fixed(samples))
    expected = energy_distance(samples.double() / rows.std(0), rows / rows.std(0))
    assert found["energy"] == pytest.approx(float(expected), abs=1e-5)
    low, high = comparison.plane.low, comparison.plane.high
    assert (found["kl"], found["js"]) == grid_divergences(rows, samples, low, high)
    assert (found["modes"], found["of"], found["good"]) == (0, 8, 0)
    assert comparison.measure(Fixed(samples - 0.1))["modes"] == 8


def test_units_do_not_matter_to_the_energy_distance() -> None:
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    y = torch.randn(400, 2, generator=torch.Generator().manual_seed(1)) + 0.5
    units = torch.tensor([1000.0, 0.001])
    plain, scaled = (Comparison(pf.read(x * u)).measure(Fixed(y * u)) for u in (1, units))
    assert scaled["energy"] == pytest.approx(plain["energy"], rel=1e-4)
    assert scaled["js"] == pytest.approx(plain["js"], rel=1e-6)


def test_the_floor_is_what_other_rows_have() -> None:
    comparison = Comparison(pf.read("moons"))
    other = spread_rows(pf.read("moons"), 1000, 1)
    found = comparison.measure(Fixed(other))
    assert comparison.floor == {"kl": found["kl"], "js": found["js"]}
    assert 0 < comparison.floor["js"] < 0.1
    assert Comparison(pf.read("moons:300")).floor == {}  # no others are left


def test_samples_that_are_not_finite_have_no_measures() -> None:
    assert Comparison(pf.read("moons")).measure(Fixed(torch.full((1000, 2), torch.nan))) == {}
