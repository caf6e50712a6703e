"""Bounds against a model whose likelihood is known:
probabilistic PCA as a latent-variable model (V5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.space import Column
from pushforward.densities.normals import Normal
from pushforward.metrics.likelihood import best_known, elbo, iwae, log_prob
from pushforward.metrics.reconstruction import squared_error

SIGMA = 0.5
W = torch.tensor([[1.0, 0.2], [0.0, 0.7], [-0.5, 0.3]], dtype=torch.float64)


class LinearGaussian:
    """x = W z + sigma eps in the model's coordinates,
    x in the user's being three times that; q is exact, or too wide.
    """

    def __init__(self, widen: float = 0.0) -> None:
        self.widen = widen
        self.device = torch.device("cpu")
        precision = W.T @ W / SIGMA**2 + torch.eye(2, dtype=torch.float64)
        self.covariance = precision.inverse()
        self.rotation = torch.linalg.eigh(self.covariance).eigenvectors
        self.spread = torch.linalg.eigh(self.covariance).eigenvalues.sqrt()

    def to_model(self, x: Tensor) -> Tensor:
        return x / 3

    def to_condition(self, y: Any, n: int) -> None:
        return None

    def log_jacobian(self, u: Tensor) -> float:
        return -3 * float(torch.tensor(3.0, dtype=torch.float64).log())

    def prior(self) -> Normal:
        return Normal.standard(1, 2, like=W)

    def likelihood(self, z: Tensor) -> Normal:
        """z is given in the axes in which the posterior is diagonal;
        the prior does not change under rotation.
        """
        return Normal(z @ self.rotation.T @ W.T, torch.full((1,), SIGMA, dtype=torch.float64).log())

    def posterior(self, u: Tensor) -> Normal:
        mean = u @ W @ self.covariance.T / SIGMA**2 @ self.rotation
        return Normal(mean, (self.spread.log() + self.widen).expand_as(mean))

    def elbo(self, x: Tensor, y: Any = None, *, rng: Any = None) -> Tensor:
        u = self.to_model(x)
        q = self.posterior(u)
        z = q.rsample(rng=rng)
        return (
            self.likelihood(z).log_prob(u)
            + self.prior().log_prob(z)
            - q.log_prob(z)
            + self.log_jacobian(u)
        )

    def exact(self, x: Tensor) -> Tensor:
        covariance = 9 * (W @ W.T + SIGMA**2 * torch.eye(3, dtype=torch.float64))
        return torch.distributions.MultivariateNormal(
            torch.zeros(3, dtype=torch.float64), covariance
        ).log_prob(x)


X = 3 * torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("k", [1, 7, 50])
def test_with_the_exact_posterior_every_bound_is_the_likelihood(k: int) -> None:
    model = LinearGaussian()
    assert torch.allclose(iwae(model, X, k=k).values, model.exact(X), atol=1e-9)  # type: ignore[arg-type]


def test_the_bound_at_one_draw_is_the_elbo() -> None:
    model = LinearGaussian(widen=0.4)
    assert torch.allclose(
        iwae(model, X, k=1, rng=5).values, elbo(model, X, rng=5).values, atol=1e-12
    )  # type: ignore[arg-type]


def test_bounds_rise_with_the_draws_towards_the_likelihood() -> None:
    model = LinearGaussian(widen=0.8)
    many = X.repeat(50, 1)
    bounds = [iwae(model, many, k=k, rng=1).value for k in (1, 3, 10, 300)]  # type: ignore[arg-type]
    exact = float(model.exact(X).mean())
    assert bounds == sorted(bounds)
    assert bounds[0] < exact - 0.3
    assert bounds[-1] == pytest.approx(exact, abs=0.01)


def test_blocks_do_not_change_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from pushforward.metrics import estimates

    model = LinearGaussian()
    monkeypatch.setattr(estimates, "BLOCK_NUMBERS", 100)
    assert torch.allclose(iwae(model, X, k=7).values, model.exact(X), atol=1e-9)  # type: ignore[arg-type]


def test_records_say_what_they_are() -> None:
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pca = pf.PCA(2).fit(x)
    record = log_prob(pca, x, data="mine")
    assert (record.bound, record.measure, record.unit, record.n, record.data) == (
        "exact",
        "density per unit",
        "nats",
        200,
        "mine",
    )
    assert best_known(pca, x).quantity == "log_prob"
    with pytest.raises(pf.InvalidKind, match="log_prob"):
        elbo(pca, x)
    gan = pf.GAN(latent=2, hidden=(4,)).fit(x, by=pf.Trainer(steps=1, batch=32))
    with pytest.raises(pf.InvalidKind, match="no exact density"):
        log_prob(gan, x)
    with pytest.raises(pf.InvalidKind, match="cannot reconstruct"):
        squared_error(gan, x)


def test_the_units_of_a_vae_are_the_users() -> None:
    """The same data in other units: log-densities differ by the
    log of the units, to the seed's own noise.
    """
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by = {"epochs": 3, "batch": 50, "precision": "64-true"}
    one = pf.VAE(latent=2, hidden=(8,)).fit(x, by=pf.Trainer(**by))
    two = pf.VAE(latent=2, hidden=(8,)).fit(x * 100 + 7, by=pf.Trainer(**by))
    shift = iwae(one, x, k=5).value - iwae(two, x * 100 + 7, k=5).value
    assert shift == pytest.approx(2 * float(torch.tensor(100.0).log()), abs=1e-6)


def test_squared_error_is_what_the_discarded_components_hold() -> None:
    x = torch.randn(
        300, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ) * torch.tensor([4.0, 3, 2, 1])
    eigenvalues = torch.linalg.eigvalsh(x.T.cov(correction=0))
    assert squared_error(pf.PCA(2).fit(x), x).value == pytest.approx(
        float(eigenvalues[:2].sum()), rel=1e-9
    )


class Restored:
    """A model of a table that restores every row by a fixed one."""

    def __init__(self, rows: torch.Tensor, space: pf.Space) -> None:
        self.rows, self.space = rows, space

    def fitted_space(self) -> pf.Space:
        return self.space

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return torch.arange(len(x))[:, None]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.rows


def test_errors_of_columns_of_other_units_are_in_their_standard_deviations() -> None:
    metres, pounds = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1e4, 1e4, 5e4, 5e4])
    job, constant = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.full((4,), 7.0)
    columns = (
        Column("height", low=1.0, high=4.0),
        Column("pay", low=1e4, high=5e4),
        Column("job", "categorical", 0, 1, categories=("a", "b")),
        Column("age", low=5.0, high=9.0),
    )
    space = pf.Space("points", (4,), columns)
    x = torch.stack([metres, pounds, job, constant], 1)
    means = torch.tensor([2.5, 3e4, 0.0, 11.0]).expand(4, 4)
    record = squared_error(Restored(means, space), x)
    # 1 of each column of numbers, 2 · 1/2 changed jobs / (1 - 1/2), (4 / 4)² of a constant column
    assert record.value == pytest.approx(1 + 1 + 2 + 1)
    assert record.unit == "squared standard deviations"
    assert squared_error(Restored(x, space), x).value == 0
    shuffled = squared_error(Restored(x, space), x.roll(1, 0)).value
    assert shuffled == pytest.approx((1 + 1 + 1 + 9) / 4 / 1.25 + 2 + 2)
    in_miles = x * torch.tensor([1 / 1609, 1 / 1000, 1, 1])
    rescaled = pf.Space("points", (4,), (replace(columns[0], high=9.0), *columns[1:]))
    other = squared_error(Restored(in_miles, rescaled), in_miles.roll(1, 0)).value
    assert other == pytest.approx(shuffled)
