"""Mixtures of clusters far apart and beside outliers: variances,
floors, and what is said of them.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.compat.sklearn import GaussianMixture

KINDS = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}


def pair(apart: float, d: int = 1, n: int = 1000) -> tuple[Tensor, Tensor]:
    """Two clusters of unit spread, and which row is whose;
    on a grid that the distance leaves exact.
    """
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    which = torch.arange(n) % 2
    grid = 2.0 ** (max(0, math.frexp(apart)[1]) - 51)
    return (x / grid).round() * grid + which[:, None] * apart, which


def separate(x: Tensor, which: Tensor, kind: str) -> tuple[Tensor, float]:
    """Covariances (2, d, d) and mean log-density where every row surely belongs to its cluster."""
    parts = [x[which == k] for k in (0, 1)]
    each = torch.stack([torch.cov(p.T, correction=0).reshape(x.shape[1], -1) for p in parts])
    if kind == "tied":
        each = each.mean(0).expand(2, -1, -1)
    elif kind != "full":
        diagonal = each.diagonal(dim1=1, dim2=2)
        each = torch.diag_embed(
            diagonal if kind == "diagonal" else diagonal.mean(1, keepdim=True).expand_as(diagonal)
        )
    distributions = [
        torch.distributions.MultivariateNormal(p.mean(0), c) for p, c in zip(parts, each)
    ]
    return each, float(
        torch.cat(
            [distribution.log_prob(p) for distribution, p in zip(distributions, parts)]
        ).mean()
    ) - math.log(2)


@pytest.mark.parametrize("apart", [1e3, 1e7, 1e9, 1e12])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3])
def test_clusters_far_apart_keep_their_own_variance(apart: float, kind: str, d: int) -> None:
    """Two clusters 1e7 apart had variances of 2500."""
    x, which = pair(apart, d)
    covariances, score = separate(x, which, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does any floor bind
        ours = pf.GMM(2, kind).fit(x)
        theirs = GaussianMixture(2, covariance_type=KINDS[kind], random_state=0).fit(x.numpy())
    order = ours.means_[:, 0].argsort()
    rounding = 1e-6 + 1e-17 * apart  # centring rounds as float64 does at that distance
    torch.testing.assert_close(ours.covariances_[order], covariances, rtol=rounding, atol=rounding)
    assert float(ours.log_prob(x).mean()) == pytest.approx(score, abs=rounding)
    assert theirs.score(x.numpy()) == pytest.approx(score, abs=rounding)


def test_far_apart_in_float32_and_with_gaps() -> None:
    x, which = pair(1e7, 2)
    covariances, score = separate(x, which, "full")
    ours = pf.GMM(2, precision="float32").fit(x)
    torch.testing.assert_close(
        ours.covariances_[ours.means_[:, 0].argsort()], covariances, rtol=1e-5, atol=1e-5
    )
    x[::7, 1] = math.nan
    gappy = pf.GMM(2).fit(x)
    whole = ~x.isnan().any(1)
    assert float(gappy.log_prob(x[whole]).mean()) == pytest.approx(score, abs=0.05)
    order = gappy.means_[:, 0].argsort()
    seen = torch.stack([torch.cov(x[whole & (which == k)].T, correction=0) for k in (0, 1)])
    torch.testing.assert_close(gappy.covariances_[order], seen, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e-8, 1e8), (1e-30, 1e30)])
@pytest.mark.parametrize("least", [1e-3, 4.0])
@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_reg_covar_is_in_squared_units_of_the_data(
    kind: str, least: float, units: tuple[float, float]
) -> None:
    """Whatever the other columns' units, and whatever lies far away."""
    x = pair(50.0, 2)[0] * torch.tensor(units, dtype=torch.float64)
    mixture = GaussianMixture(2, covariance_type=kind, reg_covar=least, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pf.FitWarning)
        found = torch.from_numpy(mixture.fit(x.numpy()).model_.covariances_.numpy())
    variances = found.diagonal(dim1=1, dim2=2)
    assert bool((variances >= least * (1 - 1e-9)).all())
    own = torch.tensor(units, dtype=torch.float64).square()
    for column in range(2):
        if own[column] > 100 * least:
            torch.testing.assert_close(
                variances[:, column] / own[column], torch.ones(2).double(), rtol=0.2, atol=0
            )
        elif own[column] < least / 100:
            torch.testing.assert_close(
                variances[:, column], torch.full((2,), least).double(), rtol=1e-3, atol=0
            )


# ------------------------------------------------------------------------------------- what is said


def spoilt(which: str) -> Tensor:
    x = torch.cat([pair(8.0, 2, 400)[0]])
    if which == "outlier":
        x = torch.cat([x, torch.tensor([[1e6, 1e6]], dtype=torch.float64)])
    elif which == "repeated rows":
        x = torch.cat([x, torch.full((100, 2), 100.0, dtype=torch.float64)])
    elif which == "constant column":
        x[:, 1] = 3.0
    return x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("which", ["outlier", "repeated rows", "constant column"])
@pytest.mark.parametrize("a", [1e-30, 1.0, 1e30])
def test_a_floor_that_binds_is_said_once_with_what_to_do(kind: str, which: str, a: float) -> None:
    if kind in ("tied", "spherical") and which != "outlier":
        pytest.skip("the shared variance is far from its floor")
    events: list[Any] = []
    with pytest.warns(pf.FitWarning, match="outliers") as said:
        pf.GMM(3, kind).fit(spoilt(which) * a, by=pf.EM(steps=100, listeners=[events.append]))
    assert len(said) == 1
    (warned,) = [e for e in events if type(e).__name__ == "Warned"]
    assert warned.advice in str(said[0].message)
    assert said[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
def test_with_an_outlier_the_others_keep_their_clusters(kind: str) -> None:
    """One row at 1e6 moved the centres by 4: it takes a component of its own, which is said."""
    with pytest.warns(pf.FitWarning):
        model = pf.GMM(3, kind).fit(spoilt("outlier"))
    x, which = pair(8.0, 2, 400)
    expected = torch.stack([x[which == 0].mean(0), x[which == 1].mean(0)])
    torch.testing.assert_close(
        model.means_[model.means_[:, 0].argsort()][:2], expected, rtol=0, atol=0.05
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_of_ordinary_data(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.GMM(2, kind).fit(spoilt("not"))


def test_a_listener_that_shows_warnings_is_enough() -> None:
    class Shown(list[Any]):
        shows_warnings = True

        def __call__(self, event: Any) -> None:
            self.append(type(event).__name__)

    shown = Shown()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.GMM(3).fit(spoilt("outlier"), by=pf.EM(listeners=[shown]))
    assert shown.count("Warned") == 1


def test_the_adapter_says_it_once_whatever_the_number_of_starts() -> None:
    with pytest.warns(pf.FitWarning, match="outliers") as said:
        GaussianMixture(3, n_init=3, random_state=0).fit(spoilt("outlier").numpy())
    assert len(said) == 1
    assert said[0].filename == __file__


@pytest.mark.parametrize("kind", KINDS)
def test_starts_share_one_floor(kind: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 2)))
    one, many = (
        pf.GMM(3, kind, start="random").fit(x),
        pf.GMM(3, kind, start="random", starts=3).fit(x),
    )
    torch.testing.assert_close(many._least, one._least, rtol=0, atol=0)


# --------------------------------------------------------------------------- without d x d matrices


@pytest.mark.parametrize("kind", ["diagonal", "spherical"])
@pytest.mark.parametrize("units", [(1.0, 1.0, 1.0), (1e-30, 1.0, 1e30)])
def test_independent_columns_give_what_the_written_out_covariances_give(
    kind: str, units: tuple[float, ...]
) -> None:
    """Densities (of rows with gaps too), shares, draws, conditionals and marginals, against full
    covariances and against scipy.
    """
    from scipy import stats

    scale = (
        torch.tensor(units, dtype=torch.float64)
        if kind == "diagonal"
        else torch.tensor(units[0], dtype=torch.float64)
    )
    x = (
        torch.cat([pair(3.0, 3, 200)[0] * torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)])
        * scale
    )
    model = pf.GMM(2, kind).fit(x)
    full = pf.GMM.of(model.weights_, model.means_, model.covariances_)
    torch.testing.assert_close(
        model.variances_, model.covariances_.diagonal(dim1=1, dim2=2), rtol=1e-14, atol=0
    )
    x[::3, 0] = x[1::5, 2] = x[7] = math.nan
    torch.testing.assert_close(model.log_prob(x), full.log_prob(x), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        model.responsibilities(x), full.responsibilities(x), rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(model.sample(20, rng=0), full.sample(20, rng=0), rtol=1e-11, atol=0)
    row = x[~x.isnan().any(1)][:1]
    each = [
        math.log(float(w)) + stats.norm.logpdf(row.numpy(), m.numpy(), v.sqrt().numpy()).sum()
        for w, m, v in zip(model.weights_, model.means_, model.variances_)
    ]
    assert float(model.log_prob(row)) == pytest.approx(float(np.logaddexp(*each)), rel=1e-11)
    for one, other in (
        (model.condition({0: float(row[0, 0])}), full.condition({0: float(row[0, 0])})),
        (model.marginal(2), full.marginal(2)),
    ):
        for name in ("weights_", "means_", "covariances_"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-11, atol=0)


@pytest.mark.parametrize("kind", ["diagonal", "spherical"])
def test_gaps_in_independent_columns_are_filled_as_by_written_out_covariances(kind: str) -> None:
    """One E step over rows with gaps, by variances alone and by `Conditional` of d x d matrices."""
    from pushforward.models.classical.missing import Conditional, Independent

    x, variances = (
        pair(3.0, 3, 60)[0],
        torch.tensor([[1.0, 2.0, 3.0], [0.5, 1.0, 4.0]], dtype=torch.float64),
    )
    variances = variances if kind == "diagonal" else variances[:, :1].expand(2, 3)
    means, weights = x[:2].clone(), torch.tensor([0.3, 0.7], dtype=torch.float64)
    for gap in (
        [False, True, False],
        [True, True, False],
        [True, True, True],
        [False, False, False],
    ):
        lost = torch.tensor(gap)
        rows = x.masked_fill(lost, math.nan)
        one, other = Independent(lost, variances), Conditional.of(lost, torch.diag_embed(variances))
        torch.testing.assert_close(one.variances, other.variances)
        for mine, theirs in zip(one.joint(rows, weights, means), other.joint(rows, weights, means)):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    "gap", [[False, False, False], [False, True, False], [True, True, True]], ids=str
)
@pytest.mark.parametrize("size", [1e100, 1e200, 1e308])
def test_values_far_away_are_unlikely_under_what_is_seen_of_a_component(
    size: float, gap: list[bool]
) -> None:
    """Where squares, or differences between them,
    leave float64 the density is 0, not NaN; where nothing is seen it is 1.
    """
    from pushforward.models.classical.missing import Conditional, Independent

    lost, means = torch.tensor(gap), torch.zeros(1, 3, dtype=torch.float64)
    covariance = (
        torch.tensor([[[1.0, 0.9, 0.8], [0.9, 1.0, 0.9], [0.8, 0.9, 1.0]]], dtype=torch.float64)
        * 1e-6
    )
    far = torch.tensor(
        [[size, -size, size], [-size, -size, -size]], dtype=torch.float64
    ).masked_fill(lost, math.nan)
    for distribution in (
        Conditional.of(lost, covariance),
        Independent(lost, covariance.diagonal(dim1=1, dim2=2)),
    ):
        value = distribution.log_density(far, means)
        assert not bool(value.isnan().any())
        assert bool(
            (value == 0).all()
            if all(gap)
            else (value < -1e200).all()
            if size == 1e100
            else value.isneginf().all()
        )
