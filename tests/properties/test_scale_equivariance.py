"""Everything is equivariant under x -> a x + b:
densities shift by -d log |a|, draws and centres move along, clusters stay.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import pushforward as pf
from pushforward.core.learner import Learner
from pushforward.models.classical.dimensionality import log_evidence
from tests.small_models import IMAGES, MODELS, NAMES, SMALL

CLASSICAL: dict[str, Callable[[], Any]] = {
    "gaussian": pf.Gaussian,
    "pca": pf.PCA,
    "pca(1)": lambda: pf.PCA(1),
    "pca(minka)": lambda: pf.PCA("minka"),
    "gmm": lambda: pf.GMM(2),
    "gmm(tied)": lambda: pf.GMM(2, "tied"),
    "gmm(diagonal)": lambda: pf.GMM(2, "diagonal"),
    "gmm(spherical)": lambda: pf.GMM(2, "spherical"),
    "gmm(random)": lambda: pf.GMM(2, start="random", starts=2),
    "kde": pf.KDE,
    "kde(matrix)": lambda: pf.KDE(form="matrix"),
    "kde(number)": lambda: pf.KDE(form="number"),
    "kde(silverman)": lambda: pf.KDE("silverman"),
    "kde(likelihood)": lambda: pf.KDE("likelihood", kernel="exponential"),
    "kde(abramson)": lambda: pf.KDE(adaptive="abramson"),
    "kde(knn)": lambda: pf.KDE(adaptive="knn", kernel="biweight"),
    "fourier_kde": pf.FourierKDE,
    "kmeans": lambda: pf.KMeans(2),
    "kmeans(float64)": lambda: pf.KMeans(2, start="random", precision="float64"),
}
AT_THE_ENDS: dict[str, Callable[[], Any]] = {
    "pca(heldout)": lambda: pf.PCA("heldout"),
    "pca(.9)": lambda: pf.PCA(0.9),
    "kde(reflect)": lambda: pf.KDE(boundary="reflect"),
}
BY_COLUMN = [
    "gaussian",
    "gmm",
    "gmm(tied)",
    "gmm(diagonal)",
    "kde",
    "kde(matrix)",
    "kde(silverman)",
    "kde(knn)",
]
"""Those for which the unit of each column may change by itself."""


def rows() -> Tensor:
    """Two overlapping clusters of correlated columns,
    on a grid that powers of two and offsets leave exact.
    """
    x = torch.randn(120, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 1] += 0.5 * x[:, 0]
    x[::2] += 4
    return (x * 2**18).round() / 2**18


X = rows()
FITTED: dict[str, Any] = {}


def learnt(name: str, x: Tensor) -> Any:
    """A model of rows x; mixtures by few passes."""
    return {**CLASSICAL, **AT_THE_ENDS}[name]().fit(
        x, by=pf.EM(steps=8, tolerance=0) if name.startswith("gmm") else None
    )


def fitted(name: str) -> Any:
    """The model of the rows as they are, learnt once."""
    if name not in FITTED:
        FITTED[name] = learnt(name, X)
    return FITTED[name]


def compare(name: str, a: Tensor, b: Tensor) -> None:
    """The model of a x + b against that of x."""
    one, moved = fitted(name), X * a + b
    two = learnt(name, moved)
    # What float64 keeps of a deviation at that offset:
    # it is divided by the narrowest bump or component.
    lost = 1e-6 + 1e-13 * float((b / a).abs().max())
    shift = float(a.abs().log().expand(2).sum())
    if hasattr(one, "log_prob"):
        torch.testing.assert_close(
            two.log_prob(moved) + shift, one.log_prob(X), rtol=1e-6, atol=10 * lost
        )
    if hasattr(one, "density"):
        torch.testing.assert_close(
            two.density(moved).log() + shift, one.density(X).log(), rtol=1e-6, atol=10 * lost
        )
    if hasattr(one, "assign"):
        assert torch.equal(two.assign(moved), one.assign(X))
    if hasattr(one, "sample"):
        own, theirs = one.sample(30, rng=1), (two.sample(30, rng=1) - b) / a
        torch.testing.assert_close(theirs, own, rtol=1e-6, atol=10 * lost)
    if hasattr(one, "centres_"):
        torch.testing.assert_close((two.centres_ - b) / a, one.centres_, rtol=1e-6, atol=lost)
        assert float(two.inertia_) / float(a.max()) ** 2 == pytest.approx(
            float(one.inertia_), rel=1e-6
        )


@pytest.mark.parametrize("name", CLASSICAL)
@settings(max_examples=3, deadline=None)
@example(power=-100, offset=0)
@example(power=100, offset=0)
@example(power=-63, offset=27)
@given(power=st.integers(-100, 100), offset=st.integers(-27, 27))
def test_one_unit_and_one_offset_for_all(name: str, power: int, offset: int) -> None:
    """a from 1e-30 to 1e30, offsets of up to 1e8 spreads."""
    a = 2.0**power
    b = math.copysign(a * 2.0 ** abs(offset), offset) if offset else 0.0
    compare(name, torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))


@pytest.mark.parametrize("name", [*CLASSICAL, *AT_THE_ENDS])
@pytest.mark.parametrize("power", [-498, 494])
def test_the_ends_of_what_float64_can_square(name: str, power: int) -> None:
    """a of 1e-150 and 1e149: no floor is a number of its own, whatever the unit."""
    compare(
        name, torch.tensor([2.0**power], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    )


@pytest.mark.parametrize("power", [-996, 0, 988])
def test_the_evidence_of_a_number_of_components_shifts_with_the_unit(power: int) -> None:
    spectrum = torch.tensor([9.0, 4.0, 1.0, 1e-3, 1e-13], dtype=torch.float64)
    moved = log_evidence(spectrum * 2.0**power, 5, 100.0) + 100 / 2 * 5 * power * math.log(2)
    torch.testing.assert_close(moved, log_evidence(spectrum, 5, 100.0), rtol=1e-9, atol=0)


@pytest.mark.parametrize("power", [-498, 0, 494])
def test_a_distribution_made_of_its_parameters_has_no_floor_either(power: int) -> None:
    a, weights = 2.0**power, torch.tensor([[1.0], [0.5]], dtype=torch.float64)
    one, two = (
        pf.PCA.of(torch.zeros(2), weights, 0.1),
        pf.PCA.of(torch.zeros(2), weights * a, 0.1 * a),
    )
    torch.testing.assert_close(
        two.log_prob(X * a) + 2 * math.log(a), one.log_prob(X), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(
    ("sigma", "size"), [(1e-170, 1.0), (1e170, 1.0), (math.inf, 1.0), (1.0, 1e170)]
)
def test_a_distribution_whose_squares_leave_float64_is_refused(sigma: float, size: float) -> None:
    with pytest.raises(
        pf.InvalidValue, match="must have squares that float64 can hold; choose another unit"
    ):
        pf.PCA.of(torch.zeros(2), size * torch.ones(2, 1, dtype=torch.float64), sigma)


@pytest.mark.parametrize("name", BY_COLUMN)
@settings(max_examples=3, deadline=None)
@example(powers=(-100, 100), offsets=(0, 0))
@example(powers=(0, 27), offsets=(27, 0))
@given(
    powers=st.tuples(*[st.integers(-100, 100)] * 2), offsets=st.tuples(*[st.integers(0, 27)] * 2)
)
def test_a_unit_and_an_offset_for_each_column(
    name: str, powers: tuple[int, int], offsets: tuple[int, int]
) -> None:
    a = torch.tensor([2.0**p for p in powers], dtype=torch.float64)
    compare(name, a, a * torch.tensor([2.0**o if o else 0.0 for o in offsets], dtype=torch.float64))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in IMAGES])
@pytest.mark.parametrize("power", [-100, -33, 33, 100])
def test_every_registered_model(name: str, power: int) -> None:
    """Learners too, which see standardised rows: one seed, one draw, in any unit."""
    options = {} if name == "pca" else SMALL.get(name, {})
    cls = MODELS[name]
    a = 2.0**power
    by = pf.Trainer(steps=3, batch=32, seed=0) if issubclass(cls, Learner) else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pf.FitWarning)  # few steps: what the fit says is right
        one, two = cls(**options).fit(X, by=by), cls(**options).fit(X * a, by=by)
    for verb in ("log_prob", "elbo"):
        if hasattr(one, verb):
            how = {"rng": 0} if verb == "elbo" else {}
            left, right = (
                getattr(two, verb)(X * a, **how).double() + 2 * math.log(a),
                getattr(one, verb)(X, **how).double(),
            )
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)
    if hasattr(one, "sample"):
        own, theirs = one.sample(20, rng=0).double(), two.sample(20, rng=0).double() / a
        torch.testing.assert_close(theirs, own, rtol=1e-4, atol=1e-4)
    if hasattr(one, "assign"):
        assert torch.equal(one.assign(X), two.assign(X * a))
