"""Objectives from their pieces: values by hand, limits, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.objectives.bounds import Elbo, ImportanceWeighted, Objective, importance_bound

DISTORTION = torch.tensor([3.0, 5.0])
RATE = torch.tensor([[0.5, 0.01], [1.5, 0.03]])


def test_the_bound_is_distortion_plus_rate() -> None:
    terms = Elbo().terms(DISTORTION, RATE, 0.5)
    assert torch.equal(terms["distortion"], DISTORTION)
    assert torch.allclose(terms["rate"], torch.tensor([0.51, 1.53]))


@pytest.mark.parametrize(("fraction", "weight"), [(0.0, 0.0), (0.1, 2.0), (0.2, 4.0), (1.0, 4.0)])
def test_beta_rises_over_the_warm_up(fraction: float, weight: float) -> None:
    assert Elbo(beta=4.0, warm_up=0.2).weight(fraction) == pytest.approx(weight)


def test_free_bits_charge_only_what_exceeds_them() -> None:
    terms = Elbo(free_bits=0.1).terms(DISTORTION, RATE, 1.0)
    # mean rates 1 and .02 nat, the second raised to the .1 that is free
    assert float(terms["rate"]) == pytest.approx(1.0 + 0.1)
    assert float(terms.logged["nats"]) == pytest.approx(1.02)


def test_free_bits_need_a_rate_per_dimension() -> None:
    with pytest.raises(InvalidValue, match="free_bits are per latent dimension"):
        Elbo(free_bits=0.1).terms(DISTORTION, RATE.sum(1), 1.0)


def test_importance_bound_by_hand() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 2.0]], dtype=torch.float64).log()
    assert torch.allclose(
        importance_bound(weights), torch.tensor([2.0, 2.0], dtype=torch.float64).log()
    )


def test_one_draw_is_the_elbo_and_far_weights_stay_finite() -> None:
    weights = torch.tensor([[-1000.0, -2000.0]])
    assert torch.equal(importance_bound(weights), weights[0])
    two = torch.tensor([[-1000.0], [-1001.0]], dtype=torch.float64)
    assert float(importance_bound(two)) == pytest.approx(-1000 + math.log((1 + math.exp(-1)) / 2))


@pytest.mark.parametrize(
    "text",
    [
        "elbo",
        "elbo(beta=4.0)",
        "elbo(free_bits=0.1, warm_up=0.2)",
        "iwae(k=5)",
        "iwae(doubly=True)",
    ],
)
def test_objectives_have_a_text(text: str) -> None:
    assert str(read(Objective, text)) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Elbo(beta=0), "beta must be above 0"),
        (lambda: Elbo(warm_up=2), "warm_up a share of the budget"),
        (lambda: Elbo(free_bits=-1), "free_bits are nats"),
        (lambda: ImportanceWeighted(k=0), "k must be above 0"),
    ],
)
def test_out_of_range(make: object, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        make()  # type: ignore[operator]
