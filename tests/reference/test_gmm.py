"""Mixtures against the exact answer (A7), scikit-learn, direct sums,
and what the mathematics says.
"""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture
from torch import Tensor

import pushforward as pf
from pushforward.core.events import Event, Progress
from pushforward.models.classical.mixture_sums import features, normalise, pairs

IRIS = torch.from_numpy(load_iris().data)
KINDS = ("full", "diagonal", "spherical", "tied")
THEIR_KIND = {"full": "full", "diagonal": "diag", "spherical": "spherical", "tied": "tied"}


def clusters(n: int = 300, d: int = 3, k: int = 3, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(k, d, generator=stream, dtype=torch.float64)
    mixing = torch.randn(k, d, d, generator=stream, dtype=torch.float64)
    which = torch.randint(k, (n,), generator=stream)
    noise = torch.randn(n, d, generator=stream, dtype=torch.float64)
    return centres[which] + torch.einsum("nij,nj->ni", mixing[which], noise)


def gappy(x: Tensor, share: float = 0.2, seed: int = 0) -> Tensor:
    gone = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < share
    return torch.where(gone, torch.nan, x)


def traced(model: pf.GMM, x: Any, **how: Any) -> tuple[pf.GMM, list[float]]:
    trace: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            trace.append(event.terms["log_likelihood"])

    weights = how.pop("weights", None)
    return model.fit(x, weights=weights, by=pf.EM(listeners=[listen], **how)), trace


def direct(model: pf.GMM, x: Tensor) -> Tensor:
    """The density by torch's own normal distributions, coordinate sets by coordinate sets."""
    values = []
    for row in x:
        seen = ~torch.isnan(row)
        if not bool(seen.any()):
            values.append(torch.zeros((), dtype=torch.float64))
            continue
        distribution = torch.distributions.MultivariateNormal(
            model.means_[:, seen], model.covariances_[:, seen][:, :, seen]
        )
        values.append((distribution.log_prob(row[seen]) + model.weights_.log()).logsumexp(0))
    return torch.stack(values)


# ------------------------------------------------------------------------------------ exact answers


def test_a7_iris() -> None:
    model = pf.GMM(3, starts=12).fit(IRIS)
    assert float(model.log_prob(IRIS).sum()) == pytest.approx(-180.1855, abs=5e-4)


def test_one_component_is_the_normal_distribution() -> None:
    model, distribution = pf.GMM(1).fit(IRIS), pf.Gaussian().fit(IRIS)
    torch.testing.assert_close(model.log_prob(IRIS), distribution.log_prob(IRIS), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        pf.GMM(1, "tied").fit(IRIS).log_prob(IRIS), distribution.log_prob(IRIS), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [False, True])
def test_log_prob_is_the_mixture_of_normal_densities(kind: str, missing: bool) -> None:
    x = gappy(clusters()) if missing else clusters()
    model = pf.GMM(3, kind).fit(x, by=pf.EM(steps=5))
    torch.testing.assert_close(model.log_prob(x), direct(model, x), rtol=0, atol=1e-9)


# ------------------------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(d=st.integers(1, 5), k=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_every_pass_agrees_with_scikit_learn(kind: str, d: int, k: int, seed: int) -> None:
    x = clusters(200, d, k, seed)
    means = x[torch.randperm(200, generator=torch.Generator().manual_seed(seed))[:k]]
    variance = x.var(0, correction=0)
    precisions = {
        "full": np.tile(np.diag((1 / variance).numpy()), (k, 1, 1)),
        "tied": np.diag((1 / variance).numpy()),
        "diagonal": np.tile((1 / variance).numpy(), (k, 1)),
        "spherical": np.full(k, float(1 / variance.mean())),
    }[kind]
    theirs = GaussianMixture(
        k, covariance_type=THEIR_KIND[kind], max_iter=6, tol=0, reg_covar=0,
        weights_init=np.full(k, 1 / k), means_init=means.numpy(), precisions_init=precisions,
    )  # fmt: skip
    with warnings.catch_warnings():
        # it has not converged after six passes, and is not meant to
        warnings.simplefilter("ignore")
        try:
            theirs.fit(x.numpy())
        except ValueError:
            reject()  # a component of theirs collapsed: without its added floor it cannot go on
    ours, trace = traced(pf.GMM(k, kind, start=means, floor=1e-12), x, steps=6, tolerance=0)
    bounds = getattr(theirs, "lower_bounds_", [theirs.lower_bound_])  # of each pass, since 1.7
    assert trace[-len(bounds) :] == pytest.approx(bounds, rel=1e-7, abs=1e-7)
    assert ours.log_prob(x).numpy() == pytest.approx(
        theirs.score_samples(x.numpy()), rel=1e-5, abs=1e-5
    )
    assert ours.bic(x) == pytest.approx(theirs.bic(x.numpy()), rel=1e-6)
    assert ours.aic(x) == pytest.approx(theirs.aic(x.numpy()), rel=1e-6)


# ------------------------------------------------------------------------ expectation, maximisation


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("floor", [1e-6, 0.3])
def test_the_likelihood_never_falls(kind: str, missing: bool, floor: float) -> None:
    x = gappy(clusters(seed=4), 0.3) if missing else clusters(seed=4)
    model, trace = traced(pf.GMM(5, kind, start="random", floor=floor), x, steps=60, tolerance=0)
    assert min(np.diff(trace)) > -1e-11
    assert float(model.log_prob(x).mean()) >= trace[-1] - 1e-11


def test_the_floor_is_reached_and_not_added() -> None:
    x = torch.cat([clusters(100, 2, 1), torch.zeros(30, 2, dtype=torch.float64)])
    model = pf.GMM(2, start=[[5.0, 5.0], [0.0, 0.0]], floor=1e-4).fit(x)
    start = torch.tensor([[5.0, 5.0], [0.0, 0.0]], dtype=torch.float64)
    owner = torch.cdist(model.scaling(x), model.scaling(start)).argmin(1)
    within = sum((x[owner == k] - x[owner == k].mean(0)).square().sum(0) for k in (0, 1)) / len(x)
    # a share of the variance that the start leaves inside its clusters
    unit = (1e-4 * within).sqrt()
    values = torch.linalg.eigvalsh(model.covariances_ / torch.outer(unit, unit))
    assert float(values.min()) == pytest.approx(1, rel=1e-9)
    plain = pf.GMM(1, floor=1e-4).fit(x)
    torch.testing.assert_close(
        plain.covariances_[0], torch.cov(x.T, correction=0), rtol=1e-10, atol=1e-12
    )


def test_missing_values_maximise_the_observed_likelihood() -> None:
    """At the end, the gradient of the observed log-likelihood in the means vanishes."""
    x = gappy(clusters(120, 3, 2, 7), 0.25)
    model = pf.GMM(2).fit(x, by=pf.EM(steps=3000, tolerance=1e-14))
    means = model.means_.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for row in x:
        seen = ~torch.isnan(row)
        if bool(seen.any()):
            distribution = torch.distributions.MultivariateNormal(
                means[:, seen], model.covariances_[:, seen][:, :, seen]
            )
            total = total + (distribution.log_prob(row[seen]) + model.weights_.log()).logsumexp(0)
    total.backward()
    assert means.grad is not None
    assert float(means.grad.abs().max()) < 1e-3


def test_without_gaps_missing_value_code_gives_the_same_statistics() -> None:
    x = clusters(100, 3, 2)
    model = pf.GMM(2).fit(x, by=pf.EM(steps=3))
    u = model.coordinates(x)
    plain = model.statistics(pf.Batch(u))
    assert model._components is not None
    general = model._components.expect_incomplete(u, None, torch.zeros(3, dtype=torch.bool))
    for name in ("count", "first", "second", "log_likelihood"):
        torch.testing.assert_close(
            getattr(plain, name), getattr(general, name), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
def test_every_pair_of_coordinates_is_built_once(d: int) -> None:
    x = clusters(20, d, 2)
    i, j = pairs(d, x.device)
    assert sorted({(int(max(a, b)), int(min(a, b))) for a, b in zip(i, j)}) == [
        (a, b) for a in range(d) for b in range(a + 1)
    ]
    phi = features(x, "full")
    assert torch.equal(
        phi, torch.cat([(x[:, i] * x[:, j]).T, x.T, torch.ones(1, 20, dtype=x.dtype)])
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_responsibilities_far_below_the_least_number(dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.0, -1e4, 3.0], [-95.0, -1e4, 3.0], [-1e5, -2e4, 3.0]], dtype=dtype)
    r, value = normalise(logits)
    torch.testing.assert_close(r.sum(0), torch.ones(3, dtype=dtype))
    torch.testing.assert_close(value, logits.logsumexp(0))
    assert normalise(logits[:, :0])[1].shape == (0,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [False, True])
def test_integer_weights_are_repetition(kind: str, missing: bool) -> None:
    x = gappy(clusters(80, 2, 2)) if missing else clusters(80, 2, 2)
    w, start = torch.arange(80) % 3, [[1.0, 1.0], [-1.0, 0.0]]
    one = pf.GMM(2, kind, start=start).fit(x, weights=w, by=pf.EM(steps=8, tolerance=0))
    two = pf.GMM(2, kind, start=start).fit(
        x.repeat_interleave(w, 0), by=pf.EM(steps=8, tolerance=0)
    )
    torch.testing.assert_close(one.log_prob(x), two.log_prob(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_offset_and_scale(kind: str) -> None:
    x = clusters(200, 3, 3)
    plain = pf.GMM(3, kind).fit(x)
    moved = pf.GMM(3, kind).fit(1e8 + x)
    torch.testing.assert_close(moved.log_prob(1e8 + x), plain.log_prob(x), rtol=0, atol=1e-4)
    scaled = pf.GMM(3, kind).fit(10 * x)
    torch.testing.assert_close(
        scaled.log_prob(10 * x), plain.log_prob(x) - 3 * math.log(10), rtol=0, atol=1e-6
    )


def test_blocks_and_float32_change_little() -> None:
    stream = torch.Generator().manual_seed(0)
    start = 3 * torch.randn(3, 4, generator=stream, dtype=torch.float64)
    x = (
        torch.randn(3000, 4, generator=stream, dtype=torch.float64)
        + start[torch.arange(3000) % 3]
        + 1
    )
    one, first = traced(pf.GMM(3, start=start), x, steps=10, tolerance=0)
    two, second = traced(pf.GMM(3, start=start), x, steps=10, tolerance=0, block=77)
    three, third = traced(pf.GMM(3, start=start, precision="float32"), x, steps=10, tolerance=0)
    assert second == pytest.approx(first, abs=1e-11)
    assert third == pytest.approx(first, abs=1e-4)
    torch.testing.assert_close(one.means_, two.means_, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one.means_, three.means_, rtol=1e-2, atol=1e-2)


# ---------------------------------------------------------------------------------------------- use


@pytest.mark.parametrize("kind", KINDS)
def test_conditional_times_marginal_is_joint(kind: str) -> None:
    model = pf.GMM(3, kind).fit(IRIS)
    rest = torch.tensor([[3.2, 0.3], [2.0, 1.0]], dtype=torch.float64)
    joint = model.log_prob(
        torch.stack([torch.tensor([5.0, r[0], 1.5, r[1]], dtype=torch.float64) for r in rest])
    )
    marginal = model.marginal([0, 2]).log_prob(torch.tensor([[5.0, 1.5]], dtype=torch.float64))
    torch.testing.assert_close(
        joint, model.condition({0: 5.0, 2: 1.5}).log_prob(rest) + marginal, rtol=0, atol=1e-8
    )


def test_a_gap_is_a_marginal() -> None:
    model = pf.GMM(3).fit(IRIS)
    row = IRIS[:5].clone()
    row[:, 1] = torch.nan
    torch.testing.assert_close(
        model.log_prob(row),
        model.marginal([0, 2, 3]).log_prob(IRIS[:5][:, [0, 2, 3]]),
        rtol=0,
        atol=1e-9,
    )
    assert model.responsibilities(row).sum(1).numpy() == pytest.approx(np.ones(5))


def test_samples_have_the_mixtures_moments() -> None:
    model = pf.GMM(3).fit(IRIS)
    drawn = model.sample(100_000, rng=0)
    torch.testing.assert_close(drawn.mean(0), IRIS.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(IRIS.T), rtol=0, atol=0.05)


def test_assignment_follows_the_responsibilities() -> None:
    model = pf.GMM(3, starts=5).fit(IRIS)
    r = model.responsibilities(IRIS)
    assert torch.equal(r.argmax(1), model.assign(IRIS))
    assert r.sum(1).numpy() == pytest.approx(np.ones(150))
    assert sorted(model.assign(IRIS).bincount().tolist()) == [45, 50, 55]


def test_choice_of_the_number_of_components() -> None:
    model, values = pf.choose_components(clusters(600, 2, 3, seed=1), range(1, 6), starts=3)
    assert model.components == 3
    assert min(values, key=lambda k: values[k]) == 3


# ---------------------------------------------------------------------------------- degenerate data


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([[1.0, 2.0]]),
        torch.ones(20, 2) * 1e8,
        torch.cat([torch.randn(1, 2)] * 6 + [torch.randn(1, 2)] * 6),
        torch.cat([torch.randn(40, 2), torch.full((40, 1), 7.0)], 1),
        torch.randn(3, 10),
        torch.cat([torch.full((5, 2), torch.nan), torch.randn(30, 2)]),
    ],
    ids=["one row", "constant", "duplicates", "constant column", "few rows", "empty rows"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_degenerate_data_stay_finite(x: Tensor, kind: str) -> None:
    x = x.double()
    model = pf.GMM(3, kind).fit(x)
    for value in (
        model.log_prob(x),
        model.responsibilities(x),
        model.sample(5, rng=0),
        model.log_prob(x + 1),
    ):
        assert bool(torch.isfinite(value).all())


def test_errors_say_what_to_do() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"covariance": "diag"}, "did you mean"),
        ({"floor": 0.0}, "1e-6"),
        ({"start": "zeros"}, "'kmeans'"),
        ({"components": 0}, "at least 1"),
    ]
    for how, text in wrong:
        with pytest.raises(pf.InvalidValue, match=text):
            pf.GMM(**how)
    empty = IRIS.clone()
    empty[:, 2] = torch.nan
    with pytest.raises(pf.BadSource, match="no value at all"):
        pf.GMM(2).fit(empty)
    with pytest.raises(pf.InvalidValue, match="leave y out"):
        pf.GMM(2).fit(IRIS, torch.arange(150) % 3)
    with pytest.raises(pf.InvalidValue, match="every axis is known"):
        pf.GMM(2).fit(IRIS).condition(dict.fromkeys(range(4), 1.0))


@pytest.mark.parametrize(
    ("rows", "columns", "components", "cure"),
    [
        (300, 3000, 400, "there are more components (400) than rows: ask for fewer"),
        (300, 3000, 200, "ask for fewer components, or covariance='diagonal'"),
    ],
)
def test_covariances_too_many_for_memory_are_answered_with_fewer_components(
    monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, components: int, cure: str
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1 << 15)  # 1 GB of memory
    with pytest.raises(pf.BadSource, match=re.escape(cure)):
        pf.GMM(components).fit(
            torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
        )
