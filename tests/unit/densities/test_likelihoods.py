"""Likelihoods as values: their heads, what they learn,
the distributions they give, the data they refuse, and the user's units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.moments import Moments
from pushforward.core.registry import read
from pushforward.core.scaling import Scaling
from pushforward.core.space import Column, Space
from pushforward.densities.likelihoods import Likelihood, bound_log_scale

ALL = [
    "gaussian",
    "gaussian(sigma=0.4)",
    "gaussian(per_dimension=True)",
    "gaussian(predicted=True)",
    "bernoulli",
    "continuous_bernoulli",
    "discretised_logistic",
    "discretised_logistic(predicted=False)",
    "columns",
]
LEVELS = Space("images", (1, 2, 2), low=0.0, high=255.0, integer=True)
POINTS = Space(
    "points", (2,), (Column("a", low=0.0, high=1.0), Column("b", low=0.0, high=1.0)), 0.0, 1.0
)
TABLE = Space(
    "points",
    (4,),
    (
        Column("height", low=1.5, high=2.1),
        Column("caps", "integer", 0, 9),
        Column("side", "categorical", 0, 2, categories=("left", "right", "both")),
        Column("age", low=18, high=40),
    ),
)


def scaling(kind: str, space: Space) -> Scaling:
    d = space.size
    moments = Moments(
        torch.tensor(9.0, dtype=torch.float64),
        torch.arange(d, dtype=torch.float64),
        torch.full((d,), 36.0, dtype=torch.float64),
    )
    return Scaling.choose(kind, space, moments)


def outputs(value: Likelihood, at: Scaling, n: int = 3, seed: int = 0) -> list[Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=stream) for shape in value.heads(at)] + list(
        value.free(at)
    )


def home(value: Likelihood) -> Space:
    return {"gaussian": POINTS, "columns": TABLE, "continuous_bernoulli": POINTS}.get(
        value.name, LEVELS
    )


@pytest.mark.parametrize("text", ALL)
def test_values_round_trip_through_text(text: str) -> None:
    value = read(Likelihood, text)
    assert str(value) == text
    assert read(Likelihood, str(value)) == value


@pytest.mark.parametrize("text", ALL)
def test_distributions_have_the_shape_of_an_observation(text: str) -> None:
    value = read(Likelihood, text)
    at = scaling(value.scaling, home(value))
    value.refuse(home(value))
    distribution = value.distribution(outputs(value, at), at)
    draws = distribution.rsample(rng=0)
    assert draws.shape == distribution.mean.shape == (3, *at.shape)
    assert distribution.log_prob(draws).shape == (3,)
    assert distribution.log_prob(draws[:1]).shape == (3,)
    again = at(at.inverse(draws))
    assert torch.allclose(again, draws.to(again), atol=1e-4)
    sigma = value.fitted_sigma(outputs(value, at))
    assert sigma is None or float(sigma) > 0


def test_what_is_learnt() -> None:
    at = scaling("standardised", POINTS)
    shapes = {
        t: (read(Likelihood, t).heads(at), [tuple(f.shape) for f in read(Likelihood, t).free(at)])
        for t in ALL[:4]
    }
    assert shapes["gaussian"] == (((2,),), [(1,)])
    assert shapes["gaussian(sigma=0.4)"] == (((2,),), [])
    assert shapes["gaussian(per_dimension=True)"] == (((2,),), [(1, 2)])
    assert shapes["gaussian(predicted=True)"] == (((2,), (2,)), [])
    table = scaling("standardised", TABLE)
    assert [tuple(f.shape) for f in read(Likelihood, "columns").free(table)] == [(1, 3)]
    assert read(Likelihood, "columns").heads(table) == ((6,),)


@pytest.mark.parametrize("text", ALL[:4])
def test_a_gaussian_integrates_to_one(text: str) -> None:
    value, line = read(Likelihood, text), Space("points", (1,), (Column(),))
    at = scaling("standardised", line)
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    parts = [torch.zeros(1, 1, dtype=torch.float64)] + [
        torch.full((1, 1), -0.7, dtype=torch.float64)
    ] * (value.sigma is None)  # type: ignore[attr-defined]
    assert float(
        torch.trapezoid(value.distribution(parts, at).log_prob(x).exp(), x[:, 0])
    ) == pytest.approx(1, abs=1e-9)


def test_a_table_keeps_the_order_of_its_columns() -> None:
    value = read(Likelihood, "columns")
    at = scaling("standardised", TABLE)
    x = torch.tensor([[1.8, 3.0, 2.0, 30.0]])
    distribution = value.distribution([at(x), torch.tensor([[0.1, 0.2, 0.3]])], at)
    assert torch.equal(at.inverse(distribution.mean), x)
    assert [type(b).__name__ for b in distribution.blocks] == ["Normal", "OneHot", "Normal"]
    assert torch.allclose(distribution.blocks[2].log_scale, torch.tensor([[0.3]]))
    exact = (
        -sum((0.1, 0.2, 0.3))
        - 1.5 * math.log(2 * math.pi)
        + float(torch.log_softmax(torch.tensor([0.0, 0.0, 1.0]), 0)[2])
    )
    assert float(distribution.log_prob(at(x))) == pytest.approx(exact, abs=1e-5)


def test_units_come_back_by_the_jacobian() -> None:
    at = scaling("standardised", TABLE)
    u = at(torch.zeros(2, 4))
    assert read(Likelihood, "columns").log_jacobian(at, u) == pytest.approx(-3 * math.log(2))
    plain = scaling("standardised", POINTS)
    assert read(Likelihood, "gaussian").log_jacobian(plain, torch.zeros(2, 2)) == pytest.approx(
        -2 * math.log(2)
    )
    unit = scaling("unit", LEVELS)
    assert read(Likelihood, "continuous_bernoulli").log_jacobian(
        unit, torch.zeros(2, 1, 2, 2)
    ) == pytest.approx(-4 * math.log(256))
    for text in ("bernoulli", "discretised_logistic"):
        assert read(Likelihood, text).log_jacobian(unit, torch.zeros(2, 1, 2, 2)) == 0


def test_levels_sit_where_the_signed_scaling_puts_them() -> None:
    value = read(Likelihood, "discretised_logistic")
    at = scaling("signed", Space("images", (1, 1, 1), low=0.0, high=16.0, integer=True))
    distribution = value.distribution([torch.tensor([[[[0.2]]]]), torch.tensor([[[[0.0]]]])], at)
    assert distribution.levels == 17
    every = at(torch.arange(17.0).reshape(-1, 1, 1, 1))
    assert float(distribution.log_prob(every).exp().sum()) == pytest.approx(1, abs=1e-5)
    drawn = at.inverse(distribution.rsample(rng=0))
    assert torch.allclose(drawn, drawn.round(), atol=1e-5)


@pytest.mark.parametrize("high", [1.0, 255.0])
def test_binary_levels_are_coins_whatever_the_scaling_of_cells(high: float) -> None:
    """Levels 0 and 255 sit at 1/512 and 511/512 of the unit scaling;
    they are 0 and 1 to the coin.
    """
    value, space = (
        read(Likelihood, "bernoulli"),
        Space("images", (1, 2, 2), low=0.0, high=high, integer=True),
    )
    at, logits = (
        scaling("unit", space),
        torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(0)),
    )
    every = torch.cartesian_prod(*[torch.tensor([0.0, high])] * 4).reshape(16, 1, 2, 2)
    distribution = value.distribution([logits], at)
    assert float(distribution.log_prob(at(every)).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert set(at.inverse(distribution.rsample(rng=0)).round(decimals=3).flatten().tolist()) <= {
        0.0,
        high,
    }
    assert torch.allclose(at.inverse(distribution.mean), high * logits.sigmoid(), atol=1e-4)


def test_a_constant_column_costs_a_coin_nothing() -> None:
    space = Space(
        "points", (2,), (Column("a", low=0.0, high=1.0), Column("b", low=0.0, high=0.0)), 0.0, 1.0
    )
    at = scaling("unit", space)
    distribution = read(Likelihood, "bernoulli").distribution([torch.tensor([[0.0, -40.0]])], at)
    assert float(distribution.log_prob(at(torch.tensor([[1.0, 0.0]])))) == pytest.approx(
        -math.log(2)
    )
    assert torch.allclose(at.inverse(distribution.mean), torch.tensor([[0.5, 0.0]]))


def test_scales_are_bounded_and_exact_between() -> None:
    scales = torch.tensor(
        [-1e4, -9.0, -4.9, -0.3, 0.0, 4.9, 9.0, 1e4], dtype=torch.float64, requires_grad=True
    )
    held = bound_log_scale(scales)
    assert torch.allclose(held[2:6], scales[2:6], atol=1e-14)
    assert float(held.detach().min()) >= -7
    assert float(held.detach().max()) <= 7 + 1e-9
    (slope,) = torch.autograd.grad(held.sum(), scales)
    assert bool((slope[[1, 6]] > 0).all())
    assert torch.allclose(slope[2:6], torch.ones(4, dtype=torch.float64), atol=1e-8)


REFUSED: list[tuple[str, Space, str]] = [
    ("gaussian", TABLE, r"column 'side' is categorical; use likelihood='columns', or drop"),
    ("bernoulli", TABLE, r"column 'side' is categorical"),
    (
        "continuous_bernoulli",
        Space("points", (1,), (Column("shots", low=3, high=9),)),
        r"column 'shots' \(3..9 observed\) has none; scale the data",
    ),
    ("bernoulli", Space("images", (1, 8, 8)), "needs data with a known range"),
    (
        "discretised_logistic",
        Space("images", (1, 8, 8), low=0.0, high=1.0),
        "needs integer levels of one range, got images of 1×8×8",
    ),
    (
        "discretised_logistic",
        Space("points", (2,), (Column("a", "integer", 0, 3), Column("b", "integer", 0, 4))),
        "integer levels of one range",
    ),
    ("columns", LEVELS, "takes tables and points, got images.*use likelihood='gaussian'"),
]


@pytest.mark.parametrize(("text", "space", "said"), REFUSED)
def test_data_outside_the_range_are_refused_with_a_cure(text: str, space: Space, said: str) -> None:
    with pytest.raises(pf.BadSource, match=said):
        read(Likelihood, text).refuse(space)


ACCEPTED: list[tuple[str, Any]] = [
    ("gaussian", np.zeros((5, 3))),
    ("bernoulli", np.eye(4)),
    ("bernoulli", np.zeros((5, 1, 8, 8), np.uint8)),
    ("continuous_bernoulli", np.random.default_rng(0).random((5, 3, 8, 8))),
    ("discretised_logistic", np.zeros((5, 3, 8, 8), np.uint8)),
    ("discretised_logistic", np.arange(4)[:, None].repeat(2, 1)),
    ("columns", np.zeros((5, 3))),
]


@pytest.mark.parametrize(("text", "x"), ACCEPTED)
def test_data_within_the_range_are_accepted(text: str, x: Any) -> None:
    read(Likelihood, text).refuse(Space.infer(x))


def test_likelihoods_state_their_measure_and_range() -> None:
    measures = {
        t: read(Likelihood, t).measure
        for t in (
            "bernoulli",
            "gaussian",
            "continuous_bernoulli",
            "discretised_logistic",
            "columns",
        )
    }
    assert measures == {
        "bernoulli": "binary mass",
        "gaussian": "density per unit",
        "continuous_bernoulli": "density per unit",
        "discretised_logistic": "mass on levels",
        "columns": "density per unit and mass on categories",
    }
    assert "read as probabilities" in read(Likelihood, "bernoulli").note(LEVELS)
    assert (
        read(Likelihood, "bernoulli").note(
            Space("images", (1, 2, 2), low=0.0, high=1.0, integer=True)
        )
        == ""
    )
    with pytest.raises(pf.InvalidValue, match="sigma must be above 0"):
        read(Likelihood, "gaussian(sigma=-1)")
    for text in (
        "gaussian(sigma=1.0, per_dimension=True)",
        "gaussian(predicted=True, per_dimension=True)",
    ):
        with pytest.raises(pf.InvalidValue, match="pass one of sigma"):
            read(Likelihood, text)
