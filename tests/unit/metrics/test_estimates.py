"""What estimators share: running means of weights, blocks, and models left as they were."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.core.events import Event, Finished, Progress, Started
from pushforward.metrics import estimates
from pushforward.metrics.annealing import ais, bdmc
from pushforward.metrics.estimates import Joint, LogMean, evaluation_mode, plan_blocks
from pushforward.metrics.hamiltonian import Point
from pushforward.metrics.likelihood import iwae, naive
from tests.linear_gaussian import LinearGaussian


def test_a_running_mean_is_the_mean() -> None:
    log_weight = (
        50 * torch.randn(37, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        - 1e4
    )
    mean = LogMean(5)
    for block in log_weight.split(10):
        mean.add(slice(1, 4), block)
    assert torch.allclose(mean.values[1:4], log_weight.logsumexp(0) - math.log(37), atol=1e-9)
    assert bool((mean.values[[0, 4]].isnan()).all())


def test_its_error_is_that_of_a_mean() -> None:
    weight = 1 + torch.rand(
        1000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    mean = LogMean(2)
    mean.add(slice(0, 2), weight.log())
    assert torch.allclose(mean.errors, weight.std(0) / weight.mean(0) / 1000**0.5, rtol=1e-9)
    assert torch.allclose(mean.effective_draws, weight.sum(0) ** 2 / weight.square().sum(0))


@pytest.mark.parametrize(
    ("n", "draws", "rows"), [(7, 3, 10), (1, 1, 1), (5, 100, 30), (3, 30, 30), (100, 1, 16)]
)
def test_groups_cover_everything_once_and_stay_small(n: int, draws: int, rows: int) -> None:
    found = list(plan_blocks(n, draws, rows))
    assert [i for part, _ in found for i in range(part.start, part.stop)] == list(range(n))
    for part, sizes in found:
        assert sum(sizes) == draws
        assert max(sizes) * (part.stop - part.start) <= rows
        assert max(sizes) - min(sizes) <= 1


def test_blocks_change_no_estimate_but_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian.random(2, 8, 0.5)
    x = model.sample(6, rng=0)
    monkeypatch.setattr(estimates, "BLOCK_NUMBERS", 8 * 100)
    assert torch.allclose(iwae(model, x, k=101).values, model.exact(x), atol=1e-9)
    for shared in (True, False):
        assert torch.allclose(
            naive(model, x, samples=20_000, shared=shared).values, model.exact(x), atol=0.3
        )
    assert torch.allclose(
        ais(model, x[:3], temperatures=30, chains=40, leapfrogs=3).values,
        model.exact(x[:3]),
        atol=0.6,
    )


def fitted(y: torch.Tensor | None = None, **options: object) -> pf.VAE:
    x = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))
    return pf.VAE(latent=2, hidden=(8,), **options).fit(x, y, by=pf.Trainer(steps=30, batch=40))  # type: ignore[arg-type]


def test_the_model_is_left_as_it_was() -> None:
    model = fitted()
    model.encoder.train()
    before = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
    modes = [m.training for m in model.modules()]
    with evaluation_mode(model):
        assert not any(p.requires_grad for p in model.parameters())
        assert not any(m.training for m in model.modules())
    with pytest.raises(pf.ShapeMismatch):
        ais(model, torch.randn(4, 5), temperatures=5)
    ais(model, torch.randn(4, 3), temperatures=5)
    assert {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()} == before
    assert [m.training for m in model.modules()] == modes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"posterior": "full"},
        {"prior": "mixture(components=3)"},
        {"prior": "vamp(components=3)"},
        {"likelihood": "gaussian(predicted=True)"},
    ],
)
def test_every_estimator_takes_every_distribution(options: dict[str, str]) -> None:
    """One number from four sides: the bounds, and what they bound, agree on an easy model."""
    model, x = fitted(**options), torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    truth = naive(model, x, samples=100_000).values
    # a narrow q has heavy weights
    for record in (iwae(model, x, k=3000), ais(model, x, temperatures=60, chains=30)):
        assert torch.allclose(record.values, truth, atol=0.4 if record.quantity == "iwae" else 0.2)
    assert abs(bdmc(model, 6, temperatures=60).gap) < 0.5


def test_conditions_are_passed_on() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(2, (200,), generator=generator)
    x = torch.randn(200, 2, generator=generator) * 0.3 + 3.0 * y[:, None]
    model = pf.VAE(latent=1, hidden=(16,)).fit(x, y, by=pf.Trainer(epochs=60, batch=50))
    for measure in (
        lambda c: naive(model, x[:8], c, samples=3000),
        lambda c: naive(model, x[:8], c, samples=3000, shared=False),
        lambda c: iwae(model, x[:8], c, k=500),
        lambda c: ais(model, x[:8], c, temperatures=50),
    ):
        assert measure(y[:8]).value > measure(1 - y[:8]).value + 3
    bracket = bdmc(model, 8, y[:8], temperatures=50)
    assert abs(bracket.gap) < 0.5
    with pytest.raises(pf.InvalidValue, match="pass y"):
        ais(model, x[:8])


def test_the_users_units() -> None:
    x = torch.randn(120, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, two = (
        pf.VAE(latent=2, hidden=(8,)).fit(
            s * x, by=pf.Trainer(steps=5, batch=40, precision="64-true")
        )
        for s in (1.0, 100.0)
    )
    for measure in (naive, lambda m, x: ais(m, x, temperatures=10), lambda m, x: iwae(m, x, k=3)):
        assert measure(one, x[:5]).value - measure(two, 100 * x[:5]).value == pytest.approx(
            3 * math.log(100), abs=1e-5
        )


def test_listeners_hear_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100_000))
    monkeypatch.setattr(estimates.time, "monotonic", lambda: float(next(clock)))
    heard: list[Event] = []
    model = LinearGaussian.random(2, 8, 0.5)
    ais(model, model.sample(4, rng=0), temperatures=100, chains=4, listeners=[heard.append])
    told = [event for event in heard if isinstance(event, Progress)]
    assert isinstance(heard[0], Started)
    assert heard[0].budget == 4
    assert isinstance(heard[-1], Finished)
    assert [event.samples for event in told] == sorted(event.samples for event in told)
    assert 0 < told[-1].terms["acceptance"] <= 1


def test_models_without_a_prior_are_told_what_to_do() -> None:
    x = torch.randn(60, 3)
    clusters = pf.KMeans(2).fit(x)
    for measure in (naive, ais, iwae):
        with pytest.raises(pf.InvalidKind, match="latent-variable model"):
            measure(clusters, x)
    with pytest.raises(pf.InvalidKind, match="Observed"):
        bdmc(clusters)
    with pytest.raises(pf.InvalidValue, match="chains"):
        ais(fitted(), x, chains=0)


def test_a_proposal_into_the_void_is_refused() -> None:
    """Far steps give NaN energies; chains stay where they were and the estimate stays finite."""
    model = LinearGaussian.random(2, 8, 1e-4)
    record = ais(model, model.sample(2, rng=0), temperatures=20, chains=3)
    assert bool(record.values.isfinite().all())


@pytest.mark.parametrize("prior", ["normal", "mixture(components=3)"])
def test_slopes_are_those_of_the_log_joint(prior: str) -> None:
    """A wrong slope would leave the estimate right and the moves poor:
    acceptance is by the energy alone.
    """
    model, x = (
        fitted(prior=prior).double(),
        torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64),
    )
    with torch.no_grad(), evaluation_mode(model):
        joint = Joint.of(model, x, None, "ais")
        z = torch.randn(4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        slope = Point.at(joint, z).slope(0.3)
        for axis in torch.eye(2, dtype=torch.float64) * 1e-5:
            ahead, behind = (
                joint.log_prior(z + s * axis) + 0.3 * joint.log_likelihood(z + s * axis)
                for s in (1, -1)
            )
            assert torch.allclose((ahead - behind) / 2e-5, (slope * axis).sum(1) * 1e5, atol=1e-6)
        assert torch.allclose(
            Point.at(joint, z).log_joint(1.0),
            joint.log_prior(z) + joint.log_likelihood(z),
            atol=1e-12,
        )
