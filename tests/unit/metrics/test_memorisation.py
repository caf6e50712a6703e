"""Memorising: ½ and q for new samples, 1 for copies, and the copies named."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.memorisation import memorisation

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def test_new_samples_are_as_near_as_held_out_rows() -> None:
    found = [
        memorisation(
            normal(500, 3, seed=3 * i),
            normal(100, 3, seed=3 * i + 1),
            normal(400, 3, seed=3 * i + 2),
        )
        for i in range(40)
    ]
    closer = torch.tensor([r[0].value for r in found], dtype=torch.float64)
    assert abs(float(closer.mean()) - 0.5) < 3 * float(closer.std()) / math.sqrt(40)
    assert 0.7 < float(closer.std()) / (sum(r[0].error for r in found) / 40) < 1.4
    near = sum(r[1].value for r in found) / 40
    assert near == pytest.approx(0.015, abs=0.01)  # the quantile of so few rows lies inside them


def test_copies_are_found_and_named() -> None:
    train, held_out = normal(300, 4), normal(300, 4, seed=1)
    made = normal(200, 4, seed=2)
    made[[7, 90]] = train[[13, 250]]
    closer, suspicious = memorisation(train, held_out, made, pairs=2)
    assert sorted(suspicious.details["pairs"]) == [(7, 13, 0.0), (90, 250, 0.0)]
    assert suspicious.value >= 0.01
    assert suspicious.details["ideal"] == 0.01
    closer, suspicious = memorisation(train, held_out, train + 1e-6)
    assert closer.value == 1
    assert suspicious.value == 1
    assert closer.details["median"] < 1e-5 < closer.details["median_held_out"]


def test_ties_count_half_and_blur_counts_below() -> None:
    train, held_out = normal(50, 2), normal(40, 2, seed=1)
    assert memorisation(train, held_out, held_out)[0].value == 0.5
    assert memorisation(train, held_out, held_out + 100)[0].value == 0
    same = memorisation(train, train, train)
    assert same[0].value == 0.5
    assert same[1].value == 0


def test_features_apply_to_all_three() -> None:
    train, held_out, made = normal(50, 2), normal(40, 2, seed=1), normal(30, 2, seed=2)
    units = torch.tensor([1.0, 1000.0])
    plain = memorisation(train, held_out, made, features=scaled(train))
    other = memorisation(
        train * units, held_out * units, made * units, features=scaled(train * units)
    )
    assert [r.value for r in plain] == [r.value for r in other]
    with pytest.raises(ShapeMismatch, match="3 features"):
        memorisation(train, normal(5, 3), made)
    with pytest.raises(InvalidValue, match="quantile"):
        memorisation(train, held_out, made, quantile=1.0)
