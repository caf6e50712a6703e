"""Active units and the aggregate posterior on models made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.densities.normals import FullNormal, Normal
from pushforward.metrics.latents import active_units, aggregate
from tests.linear_gaussian import LinearGaussian


class ByHand:
    """Codes of four units: x0, x1/20, x0/8 and a constant, each with the same spread."""

    device = torch.device("cpu")

    def __init__(self, full: bool = False, log_scale: float = -1.0) -> None:
        self.full, self.log_scale = full, log_scale

    def to_model(self, x: Tensor) -> Tensor:
        return x

    def log_jacobian(self, u: Tensor) -> float:
        return 0.0

    def prior(self, n: int = 1) -> Normal:
        return Normal.standard(n, 4, like=torch.zeros((), dtype=torch.float64))

    def likelihood(self, z: Tensor) -> Normal:
        return Normal(z[:, :2], torch.zeros(1, dtype=torch.float64))

    def posterior(self, u: Tensor) -> Any:
        mean = torch.stack([u[:, 0], u[:, 1] / 20, u[:, 0] / 8, torch.full_like(u[:, 0], 7.0)], 1)
        q = Normal(mean, torch.full_like(mean, self.log_scale))
        return FullNormal(mean, torch.diag_embed(q.scale)) if self.full else q


X = torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("full", [False, True])
def test_units_that_move_with_the_data_are_active(full: bool) -> None:
    record = active_units(ByHand(full), X)
    # variances 1, .0025, .0156, 0
    assert (record.value, record.n, record.details["units"]) == (2.0, 500, 4)
    expected = [float(X[:, 0].var()), float(X[:, 1].var()) / 400, float(X[:, 0].var()) / 64, 0.0]
    assert record.details["variances"] == pytest.approx(expected, abs=1e-12)
    assert active_units(ByHand(full), X, above=0.001).value == 3.0


def test_every_posterior_gives_the_same_aggregate() -> None:
    diagonal, full = (aggregate(ByHand(kind), X[:60]) for kind in (False, True))
    for name in ("lower", "upper"):
        assert torch.allclose(
            getattr(diagonal.mismatch, name).values, getattr(full.mismatch, name).values, atol=1e-9
        )


def test_the_parts_make_the_rate() -> None:
    found = aggregate(ByHand(), X)
    assert found.information.lower.value + found.mismatch.upper.value == pytest.approx(
        found.rate.value, abs=1e-9
    )
    assert found.information.upper.value + found.mismatch.lower.value == pytest.approx(
        found.rate.value, abs=1e-9
    )


def test_information_cannot_be_seen_beyond_the_log_of_the_rows() -> None:
    """Codes so narrow that no two overlap: the lower bound is log n,
    and the mismatch's lower bound tells nothing.
    """
    found = aggregate(ByHand(log_scale=-8.0), X[:50])
    assert found.information.lower.value == pytest.approx(math.log(50), abs=1e-4)
    assert found.information.upper.value > 1000


def test_what_cannot_be_measured() -> None:
    with pytest.raises(pf.InvalidValue, match="at least 2"):
        aggregate(ByHand(), X[:1])
    gan = pf.GAN(latent=2, hidden=(4,)).fit(X.float(), by=pf.Trainer(steps=1, batch=32))
    with pytest.raises(pf.InvalidKind, match="no posterior"):
        active_units(pf.Observed(gan, 0.1), X.float())
    with pytest.raises(pf.InvalidKind, match="latent-variable"):
        active_units(pf.KMeans(2).fit(X), X)


def test_a_wide_linear_model_agrees_with_its_own_rate() -> None:
    model = LinearGaussian.random(2, 6, 0.6)
    found = aggregate(model, model.sample(300, rng=1))
    assert abs(found.mismatch.upper.value) < 0.3
