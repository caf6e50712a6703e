"""Scaling: invertible, with the right log-Jacobian, and whole cells for whole numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.moments import Moments
from pushforward.core.scaling import KINDS


def scaled(kind: str, x: torch.Tensor) -> pf.Scaling:
    return pf.Scaling.choose(kind, pf.Space.infer(x), Moments.of(x.flatten(1)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(50, 3), (50, 3, 4, 5)])
def test_there_and_back(kind: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 7
    scaling = scaled(kind, x)
    assert torch.allclose(scaling.inverse(scaling(x)), x, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_log_jacobian_is_that_of_autograd(kind: str) -> None:
    x = torch.randn(
        50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ) * torch.tensor([1.0, 2, 3, 4])
    scaling = scaled(kind, x)
    jacobian = torch.autograd.functional.jacobian(lambda row: scaling(row[None])[0], x[0])
    assert scaling.log_jacobian(x) == pytest.approx(
        float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-12
    )


def test_standardised_data_have_mean_zero_and_variance_one() -> None:
    x = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5 + 3
    u = scaled("standardised", x)(x)
    assert torch.allclose(u.mean(0), torch.zeros(2, dtype=u.dtype), atol=1e-12)
    assert torch.allclose(u.var(0, correction=0), torch.ones(2, dtype=u.dtype), atol=1e-12)


def test_images_are_standardised_by_channel_not_by_pixel() -> None:
    x = (
        torch.randn(200, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        + torch.tensor([0.0, 5.0, -2.0])[:, None, None]
    )
    scaling = scaled("standardised", x)
    assert scaling.scale.shape == (3, 1, 1)
    u = scaling(x)
    assert torch.allclose(u.mean((0, 2, 3)), torch.zeros(3, dtype=u.dtype), atol=1e-12)
    assert torch.allclose(u.square().mean((0, 2, 3)), torch.ones(3, dtype=u.dtype), atol=1e-12)


def test_levels_count_as_whole_cells() -> None:
    space = pf.Space.infer(np.zeros((2, 1, 2, 2), np.uint8))
    unit = pf.Scaling.choose("unit", space)
    ends = unit(torch.tensor([-0.5, 255.5], dtype=torch.float64))
    assert ends.tolist() == [0.0, 1.0]
    assert unit.log_jacobian(torch.zeros(1, 1, 2, 2)) == pytest.approx(-4 * math.log(256))


def test_a_constant_column_stays_finite() -> None:
    x = torch.full((10, 2), 1e8, dtype=torch.float64)
    x[:, 1] += torch.arange(10)
    u = scaled("standardised", x)(x)
    assert torch.isfinite(u).all()
    assert u[:, 0].abs().max() == 0


def test_categories_become_one_hot_and_come_back() -> None:
    columns = (
        pf.Column("size", low=0, high=10),
        pf.Column("colour", "categorical", categories=("red", "green", "blue")),
    )
    space = pf.Space("points", (2,), columns, form="frame")
    scaling = pf.Scaling.choose("unit", space)
    x = space.conform(pd.DataFrame({"size": [5.0, 10.0], "colour": ["blue", "red"]}))
    u = scaling(x)
    assert u.tolist() == [[0.5, 0, 0, 1], [1.0, 1, 0, 0]]
    assert torch.equal(scaling.inverse(u), x)
    with pytest.raises(pf.InvalidValue, match="no density"):
        scaling.log_jacobian(x)


@pytest.mark.parametrize(
    "x", [np.zeros((4, 3)), np.zeros(4), np.zeros((4, 3, 5, 5)), np.zeros((4, 1, 2, 5, 5))]
)
def test_without_numbers_a_scaling_has_the_same_shapes(x: np.ndarray) -> None:
    """Opening a run builds its model on the device 'meta' first."""
    space = pf.Space.infer(x)
    moments = Moments.of(torch.zeros(2, space.size, dtype=torch.float64))
    for kind in KINDS:
        whole = pf.Scaling.choose(kind, space, moments)
        with torch.device("meta"):
            empty = pf.Scaling.choose(kind, space, moments)
        assert empty.shift.device.type == "meta"
        assert (empty.shift.shape, empty.scale.shape) == (whole.shift.shape, whole.scale.shape)
