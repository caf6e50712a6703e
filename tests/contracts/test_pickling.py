"""Every fitted model, used or not, goes through pickle, joblib,
torch.save and deepcopy, and says the same afterwards.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import pytest
import torch

import pushforward as pf
from tests.small_models import NAMES, data, fitted, rows, same, sampled


def through_pickle(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def through_joblib(model: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def through_torch(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": through_pickle,
    "joblib": through_joblib,
    "torch": through_torch,
    "deepcopy": copy.deepcopy,
}


def use(model: Any, x: Any) -> None:
    """Whatever a model prepares on first use is prepared."""
    for verb in ("log_prob", "density", "encode", "assign"):
        if hasattr(model, verb):
            getattr(model, verb)(x)
    if hasattr(model, "sample"):
        sampled(model, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_used_model_is_copied_by_every_way(name: str) -> None:
    model, x = fitted(name), data(name)
    use(model, x)
    for way, copied in WAYS.items():
        again = copied(model)
        assert repr(again) == repr(model), way
        same(model, again, x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ({}, 1000),  # summed by Fourier transforms
        ({"kernel": "epanechnikov"}, 1000),  # by a tree
        ({"kernel": "exponential", "shape": "product"}, 50),  # term by term
        ({"adaptive": "knn"}, 1000),
        ({"bandwidth": "likelihood"}, 100),
    ],
)
def test_a_used_kernel_density_is_copied(settings: dict[str, Any], n: int, way: str) -> None:
    x = rows(n, 2)
    model = pf.KDE(**settings).fit(x)
    before = model.log_prob(x)
    again = WAYS[way](model)
    assert torch.equal(again.log_prob(x), before)
    assert torch.equal(again.sample(3, rng=0), model.sample(3, rng=0))


def test_a_used_fourier_kernel_density_is_copied() -> None:
    x = rows(100, 2)
    model = pf.FourierKDE().fit(x)
    before = model.density(x)
    for copied in WAYS.values():
        assert torch.equal(copied(model).density(x), before)
