"""What passes ask of a model: three ways to be fitted, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.fitting.protocols import Iterative, MiniBatched, OnePass, PassModel

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@dataclass
class Sum:
    """Sum and count of rows."""

    total: Tensor
    count: int

    def merge(self, other: Sum) -> Sum:
        """Of both."""
        return Sum(self.total + other.total, self.count + other.count)


class Mean(pf.Model):
    """The mean; never says that it is done."""

    dtype = torch.float64
    passes = 0

    def statistics(self, batch: Any) -> Sum:
        return Sum(batch.x.sum(0), len(batch.x))

    def update(self, statistics: Sum) -> bool:
        self.mean_ = statistics.total / statistics.count
        self.passes += 1
        return False


class Repeated(Mean):
    """The same in passes, of which the objective is the number, up to three."""

    def begin(self, source: Any, rng: torch.Generator) -> None:
        self.passes = 0

    def objective(self, statistics: Sum) -> float:
        return float(min(self.passes, 3))


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (pf.PCA(1), OnePass),
        (pf.Gaussian(), OnePass),
        (pf.KDE(), OnePass),
        (pf.FourierKDE(), OnePass),
        (pf.GMM(2), Iterative),
        (pf.KMeans(2), MiniBatched),
        (Mean(), OnePass),
        (Repeated(), Iterative),
    ],
)
def test_the_protocol_says_how_a_model_is_fitted(model: Any, kind: type) -> None:
    assert isinstance(model, OnePass)
    assert isinstance(model, Iterative) == (kind is not OnePass)
    assert isinstance(model, MiniBatched) == (kind is MiniBatched)
    assert PassModel(model).single == (kind is OnePass)


def test_what_begins_nowhere_takes_one_pass_and_the_others_as_many_as_raise_the_objective() -> None:
    assert Mean().fit(X, by=pf.EM(block=7)).passes == 1
    assert Repeated().fit(X, by=pf.EM()).passes == 4
    assert Repeated().fit(X, by=pf.EM(steps=2)).passes == 2


def test_a_model_without_statistics_is_refused_and_told_what_to_define() -> None:
    class Nothing(pf.Model):
        pass

    with pytest.raises(
        pf.InvalidValue, match=r"define statistics\(batch\) and update\(statistics\)"
    ):
        Nothing().fit(X, by=pf.EM())
