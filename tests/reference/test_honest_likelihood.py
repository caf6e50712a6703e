"""Estimated likelihoods against models whose likelihood is known:
naive averages, L_k, annealing both ways (V5, V6).
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from pushforward.densities.normals import Normal
from pushforward.metrics import annealing
from pushforward.metrics.annealing import (
    WideBracket,
    ais,
    bdmc,
    rate_distortion,
    temperature_schedule,
)
from pushforward.metrics.estimates import Estimate, Joint, Reporter
from pushforward.metrics.latents import aggregate
from pushforward.metrics.likelihood import elbo, iwae, naive
from tests.linear_gaussian import LinearGaussian

# ----------------------------------------------------------------------------------------------- V5


@pytest.mark.parametrize("k", [1, 4, 100])
def test_with_the_exact_posterior_every_draw_weighs_the_same(k: int) -> None:
    model = LinearGaussian.random(3, 8, 0.4)
    x = model.sample(30, rng=1)
    record = iwae(model, x, k=k)
    residual = record.values - model.exact(x)
    assert float(residual.var()) < 1e-10
    assert float(residual.abs().max()) < 1e-9


def test_one_draw_is_the_elbo_and_more_draws_never_fall() -> None:
    model = LinearGaussian.random(3, 8, 0.4, widen=0.5)
    x = model.sample(40, rng=1)
    assert torch.allclose(
        iwae(model, x, k=1, rng=5).values, elbo(model, x, rng=5).values, atol=1e-10
    )
    exact, many = model.exact(x).mean(), x.repeat(300, 1)
    bounds = [iwae(model, many, k=k, rng=0).value for k in (1, 2, 4, 16, 64)]
    assert bounds == sorted(bounds)
    # At k = 1 the gap is KL(q ‖ posterior) of a normal exp(.5) times too wide in three dimensions.
    assert bounds[0] == pytest.approx(float(exact) - 1.5 * (math.e - 1 - 1), abs=0.08)
    assert bounds[-1] < float(exact) + 0.01


# -------------------------------------------------------------------------------- the naive average


def second_moment(model: LinearGaussian, x: Tensor) -> Tensor:
    """log E_z p(x|z)² = -d/2 log(4 pi sigma²) + log N(x; 0, W Wᵀ + sigma²/2 I)."""
    return -0.5 * x.shape[1] * math.log(4 * math.pi * model.sigma**2) + model.exact(
        x, model.sigma / math.sqrt(2)
    )


def test_draws_for_unit_relative_variance() -> None:
    """W = [I; 0]: about a hundred for two dimensions,
    3e10 for ten and 2e53 for fifty, at the centre of the prior's mass.
    """
    for k, expected in ((2, 1e2), (10, 3.2e10), (50, 1.6e53)):
        model = LinearGaussian(torch.eye(2 * k, k, dtype=torch.float64), 0.1)
        x = model.sample(4000, rng=0)
        ratio = (second_moment(model, x) - 2 * model.exact(x)).exp() - 1
        # On average over x, the relative variance is E_x E_z p(x|z)²/p(x)²;
        # its logarithm is what the table rounds.
        assert math.log10(float(ratio.median())) == pytest.approx(
            math.log10(expected), abs=0.2 * k**0.5
        )


def test_the_naive_average_has_the_variance_it_should() -> None:
    model = LinearGaussian(torch.eye(4, 2, dtype=torch.float64), 0.1)
    x = model.sample(5, rng=3)
    runs = torch.stack(
        [naive(model, x, samples=20_000, rng=seed).values - model.exact(x) for seed in range(60)]
    )
    relative = ((second_moment(model, x) - 2 * model.exact(x)).exp() - 1) / 20_000
    assert torch.allclose(runs.exp().var(0) / relative, torch.ones(5).double(), atol=0.75)
    assert float(((runs.exp().mean(0) - 1) / (relative / 60).sqrt()).abs().max()) < 4
    reported = naive(model, x, samples=20_000).errors
    assert torch.allclose(reported, relative.sqrt(), rtol=0.3)


def test_shared_and_fresh_codes_agree_and_the_record_says_what_it_is() -> None:
    model = LinearGaussian.random(2, 5, 0.5)
    x = model.sample(20, rng=1)
    one, other = (naive(model, x, samples=20_000, shared=shared) for shared in (True, False))
    for record in (one, other):
        assert isinstance(record, Estimate)
        told = ~record.errors.isnan()  # one x is too far out for its error to be told
        assert int(told.sum()) >= 19
        assert float(((record.values - model.exact(x)) / record.errors)[told].abs().max()) < 4
        assert float(record.errors[told].median()) < 0.05
        assert (record.bound, record.n, record.details["holds"]) == (
            "lower bound",
            20,
            "in expectation",
        )
        assert "errors" not in record.as_dict()
    assert not torch.equal(one.values, other.values)


def test_where_few_draws_carry_the_sum_there_is_no_error_bar() -> None:
    model = LinearGaussian.random(10, 50, 0.1)
    record = naive(model, model.sample(3, rng=0), samples=100)
    assert bool(record.errors.isnan().all())


# ----------------------------------------------------------------------------------------------- V6


@pytest.fixture(scope="module")
def ten() -> LinearGaussian:
    """The model of V6."""
    return LinearGaussian.random(10, 50, 0.3)


def test_forward_below_exact_below_backward(ten: LinearGaussian) -> None:
    """The bracket's own data: within two standard errors on either side,
    and nearer than .1 nat on average.
    """
    simulated: list[Tensor] = []
    sample = annealing._simulate
    with pytest.MonkeyPatch.context() as patch:

        def remembered(*arguments: Any) -> Any:
            joint, codes = sample(*arguments)
            simulated.append(joint.u)
            return joint, codes

        patch.setattr(annealing, "_simulate", remembered)
        bracket = bdmc(ten, 32, leapfrogs=5, rng=4)
    exact = ten.exact(simulated[0])
    below, above = exact - bracket.lower.values, bracket.upper.values - exact
    for gap in (below, above):
        assert float(gap.mean()) > -2 * float(gap.std()) / 32**0.5
        assert abs(float(gap.mean())) < 0.1
    assert bracket.gap == pytest.approx(float(bracket.gaps.mean()))


def test_one_temperature_is_the_naive_average(ten: LinearGaussian) -> None:
    x = ten.sample(7, rng=2)
    annealed = ais(ten, x, temperatures=1, chains=50, rng=3)
    assert torch.equal(annealed.values, naive(ten, x, samples=50, shared=False, rng=3).values)


def test_the_mean_weight_is_the_likelihood() -> None:
    """Unbiased whatever the temperatures:
    this is what choosing steps by a chain's own past would break (by 6 %).
    """
    model = LinearGaussian.random(3, 6, 0.4, seed=7)
    x = model.sample(8, rng=1)
    record = ais(model, x, temperatures=40, chains=4000, leapfrogs=3)
    ratio, error = (record.values - model.exact(x)).exp(), record.errors
    assert float(((ratio - 1) / error).abs().max()) < 4
    assert float(ratio.mean()) == pytest.approx(1, abs=0.03)


def test_the_mean_weight_on_the_way_back_is_the_inverse() -> None:
    """E 1/w = 1/p(x) from exact draws of the posterior,
    at few temperatures, where it matters that they are exact.
    """
    model = LinearGaussian.random(3, 6, 0.4, seed=7)
    x = model.sample(1, rng=1).expand(4000, -1)
    codes = model.posterior(x).rsample(rng=2)
    joint, stream = Joint(model, x, None, model.prior()), torch.Generator().manual_seed(3)
    report = Reporter((), len(x), "")
    found = annealing._sweep(
        joint,
        temperature_schedule(30)[::-1],
        1,
        3,
        stream,
        report,
        codes,
        torch.full((4000,), -1.0),
    )
    ratio = (found.mean.values + model.exact(x)).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 4000**0.5
    assert float(ratio.std()) / 4000**0.5 < 0.05


def test_more_temperatures_close_the_bracket(ten: LinearGaussian) -> None:
    with pytest.warns(WideBracket, match="more temperatures than 30") as caught:
        wide = bdmc(ten, 6, temperatures=30, chains=4)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WideBracket)
        narrow = bdmc(ten, 6, temperatures=200, chains=4)
    assert narrow.gap < 0.5 * wide.gap
    assert wide.lower.value < wide.upper.value


class TwoBumps:
    """x = z² + sigma ε in one dimension:
    the posterior of x = 1 has two bumps, which no short chain leaves.
    """

    device = torch.device("cpu")

    def __init__(self, sigma: float = 0.05) -> None:
        self.sigma = sigma

    def to_model(self, x: Tensor) -> Tensor:
        return x

    def log_jacobian(self, u: Tensor) -> float:
        return 0.0

    def prior(self, n: int = 1) -> Normal:
        return Normal.standard(n, 1, like=torch.zeros((), dtype=torch.float64))

    def likelihood(self, z: Tensor) -> Normal:
        return Normal(z.square(), torch.full((1,), self.sigma, dtype=torch.float64).log())

    def exact(self, x: Tensor) -> Tensor:
        """By quadrature."""
        z = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
        log_joint = torch.distributions.Normal(0.0, 1.0).log_prob(z) + torch.distributions.Normal(
            z.square(), self.sigma
        ).log_prob(x)
        return log_joint.logsumexp(1) + math.log(float(z[1] - z[0]))


def test_a_posterior_with_two_bumps() -> None:
    model, x = TwoBumps(), torch.tensor([[0.5], [1.0], [3.0]], dtype=torch.float64)
    record = ais(model, x, temperatures=200, chains=400)
    # a bump overlooked costs log 2
    assert float((record.values - model.exact(x)).abs().max()) < 0.3
    assert float(((record.values - model.exact(x)) / record.errors).abs().max()) < 4


# --------------------------------------------------------------------------------- rate, distortion


def test_the_rate_distortion_curve_of_a_linear_decoder() -> None:
    """p_β(z|x) is the posterior at noise variance sigma²/β, so both coordinates are known."""
    model = LinearGaussian.random(2, 6, 0.5)
    x = model.sample(5, rng=1)
    curve = rate_distortion(model, x, points=5, temperatures=300, chains=400, leapfrogs=5)
    assert [point.beta for point in curve] == sorted(point.beta for point in curve)
    for point in curve:
        tempered = LinearGaussian(model.weights, model.sigma / point.beta**0.5)
        q = tempered.posterior(x)
        residual = (x - q.mean @ model.weights.T).square().sum(1) + torch.trace(
            model.weights @ tempered.covariance @ model.weights.T
        )
        distortion = residual / (2 * model.sigma**2) + 3 * math.log(2 * math.pi * model.sigma**2)
        spread = torch.trace(tempered.covariance) - torch.logdet(tempered.covariance) - 2
        rate = 0.5 * (spread + q.mean.square().sum(1))
        assert torch.allclose(point.rate.values, rate, atol=0.15)
        assert torch.allclose(point.distortion.values, distortion, atol=0.6, rtol=0.03)
    last = curve[-1]
    assert torch.allclose(-(last.rate.values + last.distortion.values), model.exact(x), atol=0.1)


def test_the_schedule_is_slow_at_both_ends() -> None:
    betas = torch.tensor(temperature_schedule(1000), dtype=torch.float64)
    assert (len(betas), float(betas[0]), float(betas[-1])) == (1001, 0.0, 1.0)
    logistic = torch.sigmoid(4 * (2 * torch.arange(1001).double() / 1000 - 1))
    assert torch.allclose(
        betas, (logistic - logistic[0]) / (logistic[-1] - logistic[0]), atol=1e-12
    )


# ------------------------------------------------------------------------------------- the mismatch


@pytest.mark.parametrize("widen", [0.0, 0.3])
def test_mismatch_and_information_lie_in_their_brackets(widen: float) -> None:
    """With q the exact posterior of the model's own data, q(z) = p(z);
    too wide a q spreads q(z) by what it adds.
    """
    model = LinearGaussian.random(2, 6, 0.6, widen=widen)
    x = model.sample(1500, rng=1)
    found = aggregate(model, x)
    added = (math.exp(2 * widen) - 1) * model.covariance + torch.eye(2, dtype=torch.float64)
    mismatch = 0.5 * float(torch.trace(added) - 2 - torch.logdet(added))
    rate = 0.5 * (
        math.exp(2 * widen) * float(torch.trace(model.covariance))
        - 2 * 2 * widen
        - float(torch.logdet(model.covariance))
        - 2
    )
    rate += 0.5 * (2 - float(torch.trace(model.covariance)))
    assert found.rate.value == pytest.approx(rate, abs=4 * found.rate.error)
    for bracket, truth in ((found.mismatch, mismatch), (found.information, rate - mismatch)):
        slack = 4 * bracket.lower.error
        assert bracket.lower.value - slack < truth < bracket.upper.value + slack
        assert 0 < bracket.gap < 0.1
    assert found.mismatch.upper.value == pytest.approx(mismatch, abs=0.08)
