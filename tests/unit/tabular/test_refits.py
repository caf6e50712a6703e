"""Models fitted again: their spread is that of estimates, and imputations become proper."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.experiments.gaps import Refits, fill
from pushforward.experiments.table_models import FittedRows, TableReading, open_model
from pushforward.tabular.refits import Reweighted, can_be_refitted, draw_refitted, refit_reweighted


def table(n: int, seed: int = 0) -> pd.DataFrame:
    x = np.random.default_rng(seed).normal(size=(n, 2))
    return pd.DataFrame(x, columns=["a", "b"])


def test_refitted_means_spread_as_means_of_samples_do() -> None:
    source = pf.read(table(100))
    model = pf.Gaussian().fit(source)
    means = torch.stack([refit_reweighted(model, source, seed).mean_ for seed in range(200)])
    expected = model.covariance_.diagonal() / 101  # of a Bayesian bootstrap: s² (n - 1) / n (n + 1)
    assert means.var(0).tolist() == pytest.approx(expected.tolist(), rel=0.35)
    assert torch.allclose(means.mean(0), model.mean_, atol=0.02)
    closer = torch.stack([refit_reweighted(model, source, seed, 4).mean_ for seed in range(200)])
    assert (closer.var(0) / means.var(0)).tolist() == pytest.approx([0.25, 0.25], rel=0.35)


def test_weights_multiply_those_that_rows_have() -> None:
    own = pf.read(np.eye(3), weights=[1.0, 2.0, 4.0])
    batch = Reweighted(own, torch.tensor([3.0, 1.0, 0.5])).take(torch.tensor([2, 0]))
    assert batch.weights is not None
    assert batch.weights.tolist() == [2.0, 3.0]


def test_what_a_mixture_chose_stays() -> None:
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:200] += 8
    model = pf.MixedMixture().fit(x, quiet=True)
    again = refit_reweighted(model, pf.read(x.numpy()), 0)
    chosen = again.hyperparameters()
    assert chosen["components"] == len(model.weights_)
    assert chosen["covariance"] == ("full" if model.covariance_.ndim == 3 else "diagonal")
    assert chosen["prior_rows"] == float(model.prior_rows_)
    assert not torch.equal(again.location_, model.location_)


def test_imputations_vary_by_the_uncertainty_of_the_model_too() -> None:
    """Half of a normal column missing: B = s² (1/n_observed - 1/n), twice that of one model."""
    frame = table(100)
    frame.loc[np.arange(50), "b"] = np.nan
    reading = TableReading(model="gmm")  # one component, by BIC
    filled = fill(frame, imputations=120, reading=reading)
    between = np.var([f["b"].mean() for f in filled.frames], ddof=1)
    residual = frame["b"].var() * (1 - frame["a"].corr(frame["b"]) ** 2)
    assert between == pytest.approx(residual * (1 / 50 - 1 / 100), rel=0.35)


def test_draws_of_several_models_have_heavier_tails_than_those_of_one() -> None:
    """Eight values of a normal column. Under a Bayesian bootstrap the total variance stays."""
    frame = table(8, seed=1)
    subject = open_model(frame, TableReading(model="gaussian"))
    refits = Refits(subject, 0)
    x = torch.full((1, 2), torch.nan, dtype=torch.float64)
    models = [refits[m] for m in range(200)]
    wide = draw_refitted(models, x, 20_000, rng=torch.Generator().manual_seed(0))
    narrow = draw_refitted([subject.model], x, 20_000, rng=torch.Generator().manual_seed(0))
    assert len(wide) == len(narrow) == 20_000
    ratio = wide.var(0) / narrow.var(0)
    assert ratio.tolist() == pytest.approx([1.0, 1.0], rel=0.15)  # 8/9 within, 1/9 between
    tails = ((wide - wide.mean(0)) / wide.std(0)).pow(4).mean(0)
    assert float(tails.min()) > 3.15  # heavier than normal


def test_models_that_take_long_or_lost_their_rows_are_not_fitted_again() -> None:
    assert can_be_refitted(pf.Gaussian())
    assert not can_be_refitted(pf.TVAE())
    subject = open_model(table(30), TableReading(model="gaussian"))
    gone = FittedRows(None, np.arange(0), lost="it was removed")
    lost = type(subject)(subject.name, subject.model, subject.rules, lambda: gone)
    refits = Refits(lost, 0)
    assert refits[3] is subject.model
    assert "as its rows are lost" in refits.notes[0]
    assert Refits(lost, 0, wanted=False).notes == []
