"""Integrals of kernel densities, their effective number of points, and bandwidths that functions
choose: against SciPy, against quadrature, and in closed form.
"""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde, multivariate_normal

import pushforward as pf
from pushforward.models.classical.kde import KDE


def rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=stream) @ torch.randn(
        d, d, dtype=torch.float64, generator=stream
    )


def as_scipy(
    x: torch.Tensor, weights: np.ndarray | None = None, method: object = None
) -> tuple[gaussian_kde, KDE]:
    """SciPy's density, and ours with its bandwidth matrix."""
    theirs = gaussian_kde(x.numpy().T, bw_method=method, weights=weights)
    return theirs, KDE(theirs.covariance).fit(x, weights=weights)


WEIGHTS = {"equal": None, "unequal": np.random.default_rng(0).uniform(0, 3, 40)}


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_what_scipy_gives_in_one_dimension(weights, scale):
    theirs, ours = as_scipy(rows(40, 1) * scale, WEIGHTS[weights])
    assert ours.neff == pytest.approx(theirs.neff, rel=1e-12)
    for low, high in [
        (-1, 1),
        (0.3, 0.4),
        (-50, 50),
        (2, 3),
        (-math.inf, 0.2),
        (0.1, math.inf),
        (1, 1),
    ]:
        low, high = low * scale, high * scale
        assert ours.integrate_box(low, high) == pytest.approx(
            theirs.integrate_box_1d(low, high), rel=1e-9, abs=1e-300
        )


@pytest.mark.filterwarnings("ignore:An integral in _mvn")  # SciPy's own, before 1.16
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_what_scipy_gives(d, weights):
    x = rows(40, d)
    theirs, ours = as_scipy(x, WEIGHTS[weights])
    assert np.allclose(ours.log_prob(x), theirs.logpdf(x.numpy().T), rtol=1e-9)
    low, high = np.full(d, -0.7), np.linspace(0.3, 1.5, d)
    box = theirs.integrate_box_1d(low[0], high[0]) if d == 1 else theirs.integrate_box(low, high)
    assert ours.integrate_box(low, high) == pytest.approx(box, rel=1e-4 if d > 2 else 1e-7)
    mean, spread = np.linspace(-0.5, 0.5, d), np.eye(d) + 0.3
    assert ours.integrate_gaussian(mean, spread) == pytest.approx(
        theirs.integrate_gaussian(mean, spread), rel=1e-10
    )
    other, mine = as_scipy(rows(25, d, 1))
    assert ours.integrate_kde(mine) == pytest.approx(theirs.integrate_kde(other), rel=1e-10)
    assert mine.integrate_kde(ours) == pytest.approx(ours.integrate_kde(mine), rel=1e-12)


KERNELS = ("gaussian", "epanechnikov", "tophat", "triangular", "biweight", "exponential", "cosine")
BOXES = {
    "open": {},
    "reflect": {"boundary": "reflect", "bounds": [(0, -3, 3), (1, -4, None)]},
    "renormalise": {"boundary": "renormalise", "bounds": [(0, -3, 3), (1, -4, None)]},
    "periodic": {"boundary": "periodic", "bounds": [(0, -1, 1.5)]},
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ends", BOXES)
@pytest.mark.parametrize("h", [(0.3, 0.5), (2.5, 1.5)], ids=str)
def test_boxes_against_sums_over_a_grid(kernel, ends, h):
    x = rows(12, 2).clamp(-2.9, 2.9)
    local = torch.linspace(0.5, 1.5, 12, dtype=torch.float64)
    model = KDE.of(x, h, local=local, kernel=kernel, shape="product", **BOXES[ends])
    low, high = torch.tensor([-0.8, -2.0]), torch.tensor([1.2, 1.1])
    count = 250
    a, b = (low[i] + (torch.arange(count) + 0.5) / count * (high[i] - low[i]) for i in (0, 1))
    density = model.log_prob(torch.cartesian_prod(a, b)).exp()
    assert model.integrate_box(low, high) == pytest.approx(
        float(density.sum() * (high - low).prod() / count**2),
        abs=5e-3 if kernel == "tophat" else 2e-4,
    )
    assert model.integrate_box(-math.inf, math.inf) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ends", ["open", "reflect", "periodic"])
def test_boxes_of_bumps_with_a_matrix(ends):
    matrix = [[0.5, 0.3], [0.3, 0.4]]
    model = KDE.of(rows(6, 2), matrix, local=torch.linspace(0.6, 1.4, 6), **BOXES[ends])
    low, high = torch.tensor([-0.8, -2.0]), torch.tensor([1.2, 1.1])
    a, b = (low[i] + (torch.arange(300) + 0.5) / 300 * (high[i] - low[i]) for i in (0, 1))
    density = model.log_prob(torch.cartesian_prod(a, b)).exp()
    assert model.integrate_box(low, high) == pytest.approx(
        float(density.sum() * (high - low).prod() / 9e4), abs=1e-4
    )
    assert model.integrate_box(-math.inf, math.inf) == pytest.approx(1, abs=1e-7)


def test_tails_keep_their_digits():
    model = KDE.of(torch.zeros(1, 1), 1.0)
    assert model.integrate_box(20, 21) == pytest.approx(
        model.integrate_box(-21, -20), rel=1e-12, abs=0
    )
    assert model.integrate_box(20, math.inf) == pytest.approx(
        2.7536241186062337e-89, rel=1e-9, abs=0
    )


def test_products_with_factors_of_each_point():
    x, y = rows(7, 2), rows(5, 2, 1)
    s, t = torch.linspace(0.5, 2, 7).double(), torch.linspace(0.4, 1, 5).double()
    first, second = (
        torch.tensor([[0.5, 0.3], [0.3, 0.4]]).double(),
        torch.tensor([0.6, 0.2]).double(),
    )
    one, two = KDE.of(x, first, local=s), KDE.of(y, second, local=t, weights=torch.arange(1.0, 6))
    expected = sum(
        float(w)
        / 7
        * multivariate_normal(
            b, s_ * s_ * first.numpy() + t_ * t_ * np.diag(second.numpy() ** 2)
        ).pdf(a)
        for a, s_ in zip(x.numpy(), s.tolist())
        for b, t_, w in zip(y.numpy(), t.tolist(), two.weights_)
    )
    assert one.integrate_kde(two) == pytest.approx(expected, rel=1e-12)
    point = one.integrate_gaussian([0.3, -0.2], 1e-14 * np.eye(2))
    assert point == pytest.approx(
        float(one.log_prob(torch.tensor([[0.3, -0.2]], dtype=torch.float64)).exp()), rel=1e-9
    )


# --------------------------------------------------------------------------------------- bandwidths


def twice_scott(model: KDE) -> torch.Tensor:
    return 2 * model.neff ** (-1 / (model.points_.shape[1] + 4)) * model.points_.std(0)


def test_a_function_chooses_the_bandwidth(tmp_path):
    x, w = rows(50, 2), torch.linspace(1, 3, 50)
    model = KDE(twice_scott).fit(x, weights=w)
    factor = 2 * float(w.sum() ** 2 / w.square().sum()) ** (-1 / 6)
    assert torch.allclose(model.bandwidth_, factor * x.std(0))
    model.save(tmp_path / "kept")
    again = pf.load(tmp_path / "kept")
    assert torch.equal(again.log_prob(x), model.log_prob(x))
    assert torch.equal(pickle.loads(pickle.dumps(model)).log_prob(x), model.log_prob(x))
    local = KDE(lambda m: torch.eye(2) * 0.5 / m.neff).fit(x)
    assert local.bandwidth_.shape == (2, 2)


@pytest.mark.parametrize(
    "given",
    [0.3, (0.2, 0.4), [[0.3, 0.1], [0.1, 0.2]], "crossvalidation", "likelihood", twice_scott],
)
@pytest.mark.parametrize("adaptive", [None, "abramson"])
def test_a_bandwidth_that_is_set_is_that_of_a_fit(given, adaptive):
    x, w = rows(50, 2), torch.linspace(1, 3, 50)
    model = KDE("scott", adaptive=adaptive).fit(x, weights=w)
    before = model.log_prob(x)
    assert model.set_bandwidth(given) is model
    fitted = KDE(given, adaptive=adaptive).fit(x, weights=w)
    assert torch.allclose(model.log_prob(x), fitted.log_prob(x), rtol=1e-12)
    assert not torch.allclose(model.log_prob(x), before, rtol=1e-3)
    assert torch.allclose(model.set_bandwidth("scott").log_prob(x), before, rtol=1e-12)


def test_scipys_factor_is_a_function_of_ours():
    x = rows(60, 2)
    theirs = gaussian_kde(x.numpy().T, bw_method=lambda k: 0.4 * k.neff**-0.1)
    ours = KDE(lambda model: (0.4 * model.neff**-0.1) ** 2 * torch.cov(model.points_.T)).fit(x)
    assert np.allclose(ours.log_prob(x), theirs.logpdf(x.numpy().T), rtol=1e-9)


@pytest.mark.parametrize(
    "given", [0.0, -1.0, float("nan"), (1.0, 2.0, 3.0), [[1.0, 2.0], [2.0, 1.0]], "best", None]
)
def test_bandwidths_that_do_not_fit_change_nothing(given):
    x = rows(30, 2)
    model = KDE(0.4).fit(x)
    before = model.log_prob(x)
    with pytest.raises((ValueError, TypeError), match="bandwidth"):
        model.set_bandwidth(given)
    assert model.bandwidth == 0.4
    assert torch.equal(model.log_prob(x), before)
    if given is not None and not isinstance(given, str):
        with pytest.raises(ValueError, match="bandwidth"):
            KDE(lambda m: given).fit(x)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m: m.integrate_box([0, 1], [1, 0]), "low must not be above high"),
        (
            lambda m: m.integrate_box([0, 1, 2], [1, 2, 3]),
            r"low must be a number or have shape \(2,\)",
        ),
        (lambda m: m.integrate_box(float("nan"), 1), "low must not be NaN"),
        (lambda m: m.integrate_gaussian([0, 0], np.eye(3)), r"covariance must have shape \(2, 2\)"),
        (
            lambda m: m.integrate_gaussian([0, 0], -np.eye(2)),
            "covariance must be symmetric and positive",
        ),
        (lambda m: m.integrate_kde(KDE.of(torch.zeros(1, 3), 1.0)), "as many axes, got 2 and 3"),
        (lambda m: m.integrate_kde(pf.PCA(1)), "takes a KDE, got PCA"),
        (
            lambda m: m.integrate_kde(KDE.of(torch.zeros(1, 2), 1.0, kernel="tophat")),
            "has a tophat kernel",
        ),
        (
            lambda m: KDE.of(torch.zeros(1, 2), 1.0, kernel="tophat").integrate_box(0, 1),
            "closed for the Gaussian and for shape='product'",
        ),
        (lambda m: KDE().integrate_box(0, 1), "fit"),
    ],
)
def test_refusals(ask, said):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=said):
        ask(KDE(0.4).fit(rows(20, 2)))
