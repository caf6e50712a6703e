"""Derived values are computed once, and again after any change of their tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.models.classical.derived import Derived


def test_a_value_is_computed_again_after_replacement_and_writing() -> None:
    derived: Derived[float] = Derived()
    calls = []

    def value(t: torch.Tensor) -> float:
        def compute() -> float:
            calls.append(1)
            return float(t.sum())

        return derived.of((t,), compute)

    one = torch.ones(3)
    assert [value(one), value(one), len(calls)] == [3.0, 3.0, 1]
    one += 1  # in place
    assert [value(one), len(calls)] == [6.0, 2]
    assert [value(one.clone()), len(calls)] == [6.0, 3]
    with torch.inference_mode():
        other = torch.zeros(2)
        assert [value(other), value(other), len(calls)] == [0.0, 0.0, 5]
    assert copy.deepcopy(derived)._value is None
    assert pickle.loads(pickle.dumps(derived))._value is None


@pytest.mark.parametrize("model", [pf.GMM(2), pf.PCA(2), pf.Gaussian(), pf.KMeans(3)])
def test_queries_follow_the_parameters(model: pf.Model) -> None:
    """A second fit, a write to a buffer and a copy all change what queries return."""
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((200, 3)), 3 * rng.standard_normal((200, 3)) + 1
    query = model.assign if isinstance(model, pf.KMeans) else model.log_prob
    fresh = type(model)(**model.hyperparameters()).fit(z, quiet=True)
    model.fit(x, quiet=True)
    query(z)
    model.fit(z, quiet=True)
    expected = fresh.assign(z) if isinstance(fresh, pf.KMeans) else fresh.log_prob(z)
    assert torch.equal(query(z), expected)
    twin = copy.deepcopy(model)
    buffer = {pf.GMM: "location_", pf.KMeans: "centres_"}.get(type(model), "mean_")
    getattr(model, buffer).mul_(-2)
    assert not torch.equal(query(z), expected)
    again = twin.assign(z) if isinstance(twin, pf.KMeans) else twin.log_prob(z)
    assert torch.equal(again, expected)


def test_a_mixture_asks_few_rows_and_many_alike() -> None:
    """One row, a block, several blocks, and rows with gaps beside them."""
    rng = np.random.default_rng(1)
    for covariance in ("full", "tied", "diagonal", "spherical"):
        x = rng.standard_normal((20_000, 3)) * [1, 1e-3, 1e3] + [0, 5, -1e4]
        model = pf.GMM(3, covariance).fit(x[:2000], steps=3, quiet=True)
        whole = model.log_prob(x)
        single = torch.cat([model.log_prob(x[i : i + 1]) for i in range(20)])
        torch.testing.assert_close(single, whole[:20], rtol=1e-12, atol=1e-11)
        gaps = x.copy()
        gaps[5, 1] = np.nan
        with_gaps = model.log_prob(gaps)
        keep = torch.arange(len(x)) != 5
        torch.testing.assert_close(with_gaps[keep], whole[keep], rtol=1e-12, atol=1e-11)
        assert bool(with_gaps[5].isfinite())
        assert torch.equal(model.assign(gaps)[keep], model.assign(x)[keep])


def test_bad_rows_are_named_whatever_their_size() -> None:
    """Finite values whose sum overflows pass; NaN and infinity do not."""
    x = np.random.default_rng(0).standard_normal((50, 2))
    model = pf.PCA(1).fit(x, quiet=True)
    far = np.array([[1e308, 1e308], [0.0, 0.0]])
    assert model.log_prob(far).tolist()[0] == -np.inf
    for bad, word in ((np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite")):
        rows = x.copy()
        rows[7, 1] = bad
        with pytest.raises(pf.BadSource, match=f"row 7, column 'x1' is {word}"):
            model.log_prob(rows)
    rows[8, 0] = np.inf  # the two infinities cancel to NaN in a sum
    with pytest.raises(pf.BadSource, match="row 7, column 'x1' is infinite"):
        model.log_prob(rows)
