"""A model of a table that is worse than independent columns says so."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.core.registry import catalogue, register
from pushforward.experiments import baseline


@register("test_normal_columns")
class NormalColumns(pf.GMM):
    """Independent normal columns."""

    def __init__(self) -> None:
        super().__init__(1, covariance="diagonal")

    def hyperparameters(self) -> dict[str, Any]:
        return {}


@pytest.fixture(autouse=True)
def normal_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue, "test_normal_columns", ("tests", ""))
    monkeypatch.setattr(baseline, "BASELINE", "test_normal_columns")


def noise(n: int = 60, d: int = 6) -> pd.DataFrame:
    """Columns that have nothing to do with each other."""
    x = np.random.default_rng(0).normal(size=(n, d))
    return pd.DataFrame(x, columns=[f"c{i}" for i in range(d)])


def test_a_model_that_has_learnt_noise_is_called_worse(tmp_path: Path) -> None:
    experiment = pf.Experiment(pf.GMM(4), noise(), held_out=0.5)
    message = r"worse than independent columns: log_prob -.* try: fewer components.*fit auto"
    with pytest.warns(pf.FitWarning, match=message):
        outcome = experiment.run(tmp_path / "run")
    own, alone = outcome.records
    assert alone.quantity == "log_prob of independent columns"
    assert alone.value > own.value
    assert alone.details["gap"] == pytest.approx(alone.value - own.value)
    assert alone.details["gap"] > alone.details["gap_error"] > 0
    assert "log_prob of independent columns" in (tmp_path / "run" / "README.md").read_text()


def test_a_bound_is_compared_too(tmp_path: Path) -> None:
    experiment = pf.Experiment(
        pf.VAE(latent=4, hidden=(64,)), noise(), held_out=0.5, fitter={"epochs": 150, "batch": 10}
    )
    with pytest.warns(pf.FitWarning, match="elbo .*a smaller network"):
        experiment.run(tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (pf.GMM(1), noise(400, 2).assign(b=lambda t: t.c0 + 0.1 * t.c1)),  # better
        (NormalColumns(), noise()),  # the baseline itself
        (pf.KMeans(2), noise()),  # no likelihood
        (pf.GMM(4), noise().to_numpy()),  # no table
    ],
)
def test_others_are_not_called_worse(model: Any, x: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "worse than", pf.FitWarning)
        outcome = pf.Experiment(model, x, held_out=0.5).run(tmp_path / "run")
    assert all("independent" not in record.quantity for record in outcome.records)
