"""Steps of rounded data, and values that repeat."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.densities.steps import Lattice, find_lattice, find_repeats

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "integer", "step"),
    [
        (np.round(RNG.normal(size=500), 2), False, 0.01),
        (np.round(RNG.normal(size=500) * 20) / 20, False, 0.05),
        (np.round(RNG.normal(size=500) * 8) / 8, False, 0.125),
        (np.round(1e9 + 1e5 * RNG.normal(size=500)), False, 1.0),
        (1000.0 * RNG.integers(0, 10**4, 500), True, 1000.0),
        (10.0 * RNG.integers(0, 3, 500), True, 1.0),
        (RNG.integers(0, 10**6, 500).astype(float), True, 1.0),
        (RNG.normal(size=500), False, 0.0),
        (RNG.normal(size=500).astype(np.float32).astype(float), False, 0.0),
        (1e-20 * np.round(RNG.normal(size=500), 2), False, 1e-22),
        (np.array([1.0, 2.0]), False, 0.0),
    ],
)
def test_the_step_of_rounded_data(values: np.ndarray, integer: bool, step: float) -> None:
    found = find_lattice(np.unique(values), integer=integer)
    assert found.step == pytest.approx(step, rel=1e-12)
    if step:
        assert found.snap(values) == pytest.approx(values, rel=1e-14)


def test_cents_are_written_as_cents() -> None:
    snapped = Lattice(0.01).snap(np.array([0.2999, 0.0701, 1.1049]))
    assert snapped.tolist() == [0.3, 0.07, 1.1]


def test_repeated_values_have_cells_that_hold_nothing_else() -> None:
    values = np.array([0.0, 1e-5, 1.0, 1.5, 2.0])
    cells = find_repeats(values, np.array([40.0, 1.0, 30.0, 1.0, 1.0]), 1.0)
    assert [value for value, _, _ in cells] == [0.0, 1.0]
    for value, low, high in cells:
        assert values[(values >= low) & (values < high)].tolist() == [value]
