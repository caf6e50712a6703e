"""Models of tables against enumeration, quadrature and textbook formulas."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import multivariate_normal

import pushforward as pf
from pushforward.densities.margins import Scores
from pushforward.models.parts.cells import log_masses
from pushforward.models.tabular import score_sums
from pushforward.models.tabular.association import hermite_coefficients, latent_correlation, shrink
from pushforward.models.tabular.score_sums import Precisions, expect
from tests.mixed_tables import read, table

NAN = math.nan


# ------------------------------------------------------------------------------------- the mixture


def enumerated(model: pf.MixedMixture, row: list[float]) -> float:
    """log p of a row (a, b, c, d): Σ_k by hand, over all values of missing categories."""
    shift, scale = model.margins_.edges[:, 0].numpy(), model.margins_.mass[:, 0].numpy()
    z = (np.array(row[:2]) - shift) / scale
    seen = np.flatnonzero(~np.isnan(z))
    total = 0.0
    for k, weight in enumerate(model.weights_.tolist()):
        mean, cov = model.location_[k].numpy(), model.covariance_of(k).numpy()
        density = 1.0
        if len(seen):
            part = multivariate_normal(mean[seen], cov[np.ix_(seen, seen)])
            density = part.pdf(z[seen]) / scale[seen].prod()
        theta = model.tables_[k].exp().split(model.sizes)
        values = [range(len(t)) if math.isnan(v) else [int(v)] for t, v in zip(theta, row[2:])]
        for c, d in itertools.product(*values):
            total += weight * density * float(theta[0][c]) * float(theta[1][d])
    return math.log(total)


@pytest.mark.parametrize("covariance", ["full", "tied"])
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_a_mixture_equals_enumeration(covariance: Any, gaps: float) -> None:
    source = read(table(gaps=gaps))
    model = pf.MixedMixture(3, covariance=covariance, margins="none").fit(source, quiet=True)
    numbers = [[0.3, -1.0], [NAN, 2.0], [4.0, NAN], [NAN, NAN]]
    categories = [[0.0, 1.0], [NAN, 0.0], [2.0, NAN], [NAN, NAN]]
    rows = [n + c for n in numbers for c in categories]
    found = model.log_prob(torch.tensor(rows, dtype=torch.float64))
    assert found.tolist() == pytest.approx([enumerated(model, row) for row in rows], abs=1e-9)


@pytest.mark.parametrize("bits", [62, 0])
def test_an_e_step_with_gaps_equals_the_textbook(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log-densities and expected sums of two rows with every pattern of gaps."""
    monkeypatch.setattr(score_sums, "BITS", bits)  # 0: no pattern is shared
    rng = np.random.default_rng(1)
    root = rng.normal(size=(2, 3, 3))
    covs = root @ root.transpose(0, 2, 1) + np.eye(3)
    means, logits = rng.normal(size=(2, 3)), np.log([0.3, 0.7])
    values = rng.normal(size=(2, 3))
    z = np.array([row for v in values for row in itertools.product(*[(NAN, x) for x in v])])
    count, first, second, value = np.zeros(2), np.zeros((2, 3)), np.zeros((2, 3, 3)), 0.0
    for row in z:
        o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
        parts, logs = [], []
        for k in range(2):
            gain = covs[k][np.ix_(m, o)] @ np.linalg.inv(covs[k][np.ix_(o, o)])
            full = row.copy()
            full[m] = means[k][m] + gain @ (row[o] - means[k][o])
            rest = np.zeros((3, 3))
            rest[np.ix_(m, m)] = covs[k][np.ix_(m, m)] - gain @ covs[k][np.ix_(o, m)]
            parts.append((full - means[k], rest))
            inner = multivariate_normal(means[k][o], covs[k][np.ix_(o, o)]) if len(o) else None
            logs.append(logits[k] + (inner.logpdf(row[o]) if inner else 0.0))
        top = np.logaddexp(*logs)
        value += top
        for k, (delta, rest) in enumerate(parts):
            r = math.exp(logs[k] - top)
            count[k] += r
            first[k] += r * delta
            second[k] += r * (np.outer(delta, delta) + rest)
    prepared = Precisions.of(torch.from_numpy(means), torch.from_numpy(covs))
    start = torch.from_numpy(logits).repeat(len(z), 1)
    _, sums = expect(torch.from_numpy(z), None, start, None, prepared)
    for got, expected in ((sums.count, count), (sums.first, first), (sums.second, second)):
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-10)
    assert float(sums.log_likelihood) == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_no_pass_of_a_mixture_lowers_its_bound(gaps: float) -> None:
    """With integers as cells, pseudo-counts and priors too small to matter."""
    frame = table(2000, gaps=gaps)
    frame["e"] = frame["a"].round().fillna(0).astype(int)
    values: list[float] = []

    def note(event: Any, model: Any) -> None:
        if "log_likelihood" in getattr(event, "terms", {}):
            values.append(event.terms["log_likelihood"])

    by = pf.EM(steps=25, tolerance=0, callbacks=[note], quiet=True)
    pf.MixedMixture(4, pseudo_count=1e-6, rare=0).fit(read(frame), by=by)
    assert len(values) == 25
    assert min(np.diff(values)) > -2e-3  # the covariances' prior has a few rows
    assert values[-1] > values[0]


def test_covariances_have_a_prior_of_pooled_and_independent_columns() -> None:
    """By hand: Σ_k = (S_k + ν (λ S/n + (1 - λ) D)) / (n_k + ν); one component has D alone."""
    scatter = torch.tensor([[[6.0, 5.0], [5.0, 8.0]], [[2.0, 1.0], [1.0, 4.0]]]).double()
    count, d, zero = torch.tensor([5.0, 3.0]).double(), torch.eye(2).double(), torch.zeros(())
    sums = score_sums.ScoreSums(count, torch.zeros(2, 2), scatter.clone(), count, zero, zero)
    means = torch.zeros(2, 2).double()
    found = score_sums.maximise(sums, means, d, 4.0, "full", 0.75)[2]
    within = torch.tensor([[8.0, 6.0], [6.0, 12.0]]).double() / 8
    for k, n in enumerate((5, 3)):
        expected = (scatter[k] + 4 * (0.75 * within + 0.25 * d)) / (n + 4)
        torch.testing.assert_close(found[k], expected)
    one = score_sums.ScoreSums(count[:1], torch.zeros(1, 2), scatter[:1], count[:1], zero, zero)
    found = score_sums.maximise(one, means[:1], d, 4.0, "full", 0.75)[2]
    torch.testing.assert_close(found[0], (scatter[0] + 4 * d) / 9)


def test_the_bound_of_a_mixture_is_below_its_density() -> None:
    frame = table(600)
    frame["e"] = frame["a"].round().astype(int)
    model = pf.MixedMixture(2).fit(read(frame), quiet=True)
    rows = model.conform(frame)
    bound = model._current().score(model._split(model.coordinates(rows), None))
    exact = float(model.log_prob(frame).mean())
    assert bound < exact < bound + 0.5


def test_rare_categories_are_pooled_and_come_back_by_their_frequencies() -> None:
    rng = np.random.default_rng(0)
    names = np.where(rng.random(4000) < 0.5, "a", "b").astype(object)
    names[:4], names[4:6] = "rare", "rarer"
    frame = pd.DataFrame({"c": names, "x": rng.normal(size=4000) + 3 * (names == "a")})
    model = pf.MixedMixture(2).fit(read(frame), quiet=True)
    where = {name: i for i, name in enumerate(model.columns[0].categories)}
    theta = model.tables_.exp()
    ratio = theta[:, where["rare"]] / theta[:, where["rarer"]]
    assert ratio.tolist() == pytest.approx([4.5 / 2.5] * 2)
    drawn = model.sample(200_000, rng=0)[:, 0]
    share = float((drawn == where["rare"]).double().mean())
    assert share == pytest.approx(4 / 4000, rel=0.4)


# --------------------------------------------------------------------------------------- the copula


def copula_rows(n: int = 500) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    u = torch.randn(n, 2, generator=stream, dtype=torch.float64)
    u[:, 1] = 0.8 * u[:, 0] + 0.6 * u[:, 1]
    return torch.stack([u[:, 0].exp(), u[:, 1]], 1)


@pytest.mark.parametrize("margins", ["kernel", "empirical"])
def test_a_copulas_density_integrates_to_one(margins: Any) -> None:
    """By quadrature over two dimensions: Gauss and Legendre between all knots, in the scores."""
    model = pf.GaussianCopula(margins=margins).fit(copula_rows(), quiet=True)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    axes, jacobians = [], []
    for j in range(2):
        z = torch.from_numpy(8.0 * nodes)[:, None]
        pair = torch.cat([z, z], 1)
        axes.append(model.margins_.inverse(pair, snap=False)[:, j])
        both = torch.stack([axes[-1]] * 2, 1)
        jacobians.append(model.margins_.scores(both).log_jacobian[:, j])
    grid = torch.cartesian_prod(*axes)
    value = model.log_prob(grid).reshape(160, 160) - jacobians[0][:, None] - jacobians[1]
    w = torch.from_numpy(8.0 * weights)
    assert float(w @ value.exp() @ w) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("make", [pf.GaussianCopula, pf.MixedMixture, pf.IndependentColumns])
def test_densities_integrate_to_one_by_importance_weights(make: Any) -> None:
    """E_q[p/q] = 1, q independent columns, over numbers, integers, categories and many zeros."""
    frame = table(500)
    frame["e"] = frame["a"].round().clip(lower=0).astype(int)
    frame["f"] = frame["b"].clip(lower=0.0)
    source = read(frame)
    model = make().fit(source, quiet=True)
    proposal = pf.IndependentColumns().fit(source, quiet=True)
    n = 60_000
    z = torch.randn(n, len(proposal.scored), generator=torch.Generator().manual_seed(0)).double()
    numbers = proposal.margins_.inverse(z, snap=False)  # anywhere in their cells
    rows = proposal.sample(n, rng=0)
    rows[:, proposal.scored] = numbers
    ratio = (model.log_prob(rows) - proposal.log_prob(rows)).exp()
    error = float(ratio.std()) / math.sqrt(n)
    assert error < 0.05
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * error + 1e-9)


def test_the_probabilities_of_scored_categories_sum_to_one() -> None:
    frame = table(500)
    model = pf.GaussianCopula().fit(read(frame), quiet=True)
    pairs = [[NAN, NAN, c, d] for c in range(3) for d in range(2)]
    given = [[2.5, 1.0, c, d] for c in range(3) for d in range(2)]
    alone = model.log_prob(torch.tensor(pairs, dtype=torch.float64))
    assert float(alone.exp().sum()) == pytest.approx(1, abs=2e-3)
    joint = model.log_prob(torch.tensor(given, dtype=torch.float64))
    numbers = model.log_prob(torch.tensor([[2.5, 1.0, NAN, NAN]], dtype=torch.float64))
    assert float(joint.logsumexp(0)) == pytest.approx(float(numbers), abs=2e-3)


def test_cells_equal_the_normal_distribution_function() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    cov, mean = root @ root.T + 0.3 * np.eye(4), rng.normal(size=4)
    z = torch.tensor([[0.3, NAN, NAN, NAN]], dtype=torch.float64)
    low = torch.tensor([[NAN, -1.0, 0.2, NAN]], dtype=torch.float64)
    high = torch.tensor([[NAN, 0.5, 40.0, NAN]], dtype=torch.float64)
    scores = Scores(z, low, high, torch.zeros_like(z))
    found = log_masses(scores, torch.from_numpy(mean), torch.from_numpy(cov))
    gain = cov[1:3, 0] / cov[0, 0]
    inner = multivariate_normal(
        mean[1:3] + gain * (0.3 - mean[0]), cov[1:3, 1:3] - np.outer(gain, cov[0, 1:3])
    )
    expected = math.log(inner.cdf([0.5, 40], lower_limit=[-1, 0.2]))
    expected += multivariate_normal(mean[0], cov[0, 0]).logpdf(0.3)
    assert float(found) == pytest.approx(expected, abs=1e-3)


def test_a_copula_with_normal_margins_is_a_gaussian() -> None:
    x = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.3, 0.0, 2.0]]).double() + 5
    copula = pf.GaussianCopula(margins="none").fit(x, quiet=True)
    gaussian = pf.Gaussian().fit(x)
    torch.testing.assert_close(copula.log_prob(x), gaussian.log_prob(x), rtol=0, atol=0.05)
    assert float((copula.log_prob(x) - gaussian.log_prob(x)).mean().abs()) < 1e-3
    deviation = gaussian.covariance_.diagonal().sqrt()
    expected = gaussian.covariance_ / deviation / deviation[:, None]
    torch.testing.assert_close(copula.correlations_, expected, rtol=0, atol=2e-3)
    known = {0: 6.0, 2: 4.0}
    torch.testing.assert_close(
        copula.condition(known).sample(20_000, rng=0).mean(0),
        gaussian.condition(known).mean_,
        rtol=0,
        atol=0.05,
    )


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.5, 0.95])
def test_correlations_of_cells_are_those_of_the_latent_scores(rho: float) -> None:
    """Mehler's series against the counts of a large sample: a binary and a count column."""
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(200_000, 2, generator=stream, dtype=torch.float64)
    z[:, 1] = rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]
    x = torch.stack([(z[:, 0] > 0.6).double(), (z[:, 1] * 1.5).exp().floor()], 1).to(torch.int64)
    model = pf.GaussianCopula().fit(x, quiet=True)
    assert float(model.correlations_[0, 1]) == pytest.approx(rho, abs=0.01)


def test_gaps_do_not_bias_a_copulas_correlations() -> None:
    """Values of one column missing where the other is high (at random given it)."""
    x = copula_rows(20_000)
    x[x[:, 0] > 1.5, 1] = NAN
    model = pf.GaussianCopula().fit(x, quiet=True)
    whole = pf.GaussianCopula().fit(copula_rows(20_000), quiet=True)
    assert float(whole.correlations_[0, 1]) == pytest.approx(0.8, abs=0.01)
    assert float(model.correlations_[0, 1]) == pytest.approx(0.8, abs=0.09)


@pytest.mark.parametrize("make", [pf.GaussianCopula, lambda: pf.MixedMixture(4)])
def test_correlations_survive_sampling_and_refitting(make: Any) -> None:
    model = make().fit(read(table(3000)), quiet=True)
    copy = pd.DataFrame(model.space.export(model.sample(20_000, rng=0)))
    real = table(3000)
    for one in ("a", "b", "c", "d"):
        for two in ("a", "b", "c", "d"):
            if one < two:
                assert _association(copy, one, two) == pytest.approx(
                    _association(real, one, two), abs=0.12
                ), (one, two)


def _association(frame: pd.DataFrame, one: str, two: str) -> float:
    parts = [
        (frame[name] == {"c": "x", "d": "yes"}[name]).astype(float)
        if name in ("c", "d")
        else frame[name].rank()
        for name in (one, two)
    ]
    return float(np.corrcoef(*parts)[0, 1])


def test_few_rows_shrink_correlations_and_many_do_not() -> None:
    noise = torch.from_numpy(np.corrcoef(np.random.default_rng(0).normal(size=(12, 10)).T))
    shrunk, share = shrink(noise, noise, 12)
    assert share > 0.5
    assert float(shrunk[0, 1]) == pytest.approx((1 - share) * float(noise[0, 1]))
    assert shrink(noise, noise, 1e6)[1] < 1e-3
    singular = torch.ones(3, 3, dtype=torch.float64)
    assert float(torch.linalg.eigvalsh(shrink(singular, singular, 1e9)[0]).min()) > 0


def test_categories_that_few_rows_let_determine_each_other_do_not_in_the_copula() -> None:
    """The latent correlation is near 1: another combination would have no probability at all."""
    group = np.arange(90) % 3
    frame = pd.DataFrame(
        {"c": np.array(["x", "y", "z"])[group], "a": group + 0.1 * np.sin(range(90))}
    )
    model = pf.GaussianCopula().fit(read(frame), quiet=True)
    rows = torch.tensor([[0.0, 0.05], [0.0, 2.0]], dtype=torch.float64)
    usual, other = model.log_prob(rows).tolist()
    assert -60 < other < usual - 4


def test_without_cells_latent_correlations_are_the_observed() -> None:
    model = pf.GaussianCopula().fit(copula_rows(), quiet=True)
    coefficients = hermite_coefficients(model.margins_)
    covariance = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
    assert float(latent_correlation(covariance, coefficients)[0, 1]) == pytest.approx(0.6)
