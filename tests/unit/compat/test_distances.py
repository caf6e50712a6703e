"""Kernel densities by other distances: sums against brute force,
each bump's mass, and draws from the distribution.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import dblquad
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn import neighbors

from pushforward.compat.distances import Norm, Sphere
from pushforward.compat.sklearn import KernelDensity
from pushforward.densities.kernels import find_kernel

KERNELS = ("gaussian", "tophat", "epanechnikov", "exponential", "linear", "cosine")
NORMS = [
    ("manhattan", None, 1.0),
    ("chebyshev", None, np.inf),
    ("minkowski", {"p": 3}, 3.0),
    ("minkowski", {"p": np.inf}, np.inf),
]


@pytest.mark.parametrize(("metric", "params", "p"), NORMS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_bump_integrates_to_one(metric, params, p, kernel):
    h = 0.7
    distribution = KernelDensity(
        metric=metric, metric_params=params, kernel=kernel, bandwidth=h
    ).fit(np.zeros((1, 2)))
    reach = {"gaussian": 9, "exponential": 25}.get(kernel, 1) * h
    middle = (np.arange(800) + 0.5) / 800 * 2 * reach - reach
    grid = np.stack(np.meshgrid(middle, middle), -1).reshape(-1, 2)
    assert np.exp(distribution.score_samples(grid)).sum() * (2 * reach / 800) ** 2 == pytest.approx(
        1, abs=3e-3
    )


@pytest.mark.parametrize(("metric", "params", "p"), NORMS)
@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "linear"])
def test_shape_is_scikit_learns_and_the_constant_is_right(metric, params, p, kernel):
    rng = np.random.default_rng(0)
    x, new, w = rng.normal(size=(200, 3)), rng.normal(size=(50, 3)), rng.uniform(0, 2, 200)
    settings = {"metric": metric, "metric_params": params, "kernel": kernel, "bandwidth": 1.3}
    ours, theirs = (
        K(**settings).fit(x, sample_weight=w).score_samples(new)
        for K in (KernelDensity, neighbors.KernelDensity)
    )
    with np.errstate(divide="ignore"):
        r = cdist(new, x, "minkowski", p=p) if np.isfinite(p) else cdist(new, x, "chebyshev")
        profile = {
            "gaussian": -0.5 * (r / 1.3) ** 2,
            "tophat": np.log(r < 1.3),
            "linear": np.log(np.clip(1 - r / 1.3, 0, None)),
        }[kernel]
        ball = {1.0: 4 / 3, 3.0: (2 * 0.8929795115692493) ** 3, np.inf: 8}[p]  # Γ(4/3)³ for p = 3
        mass = (
            {"gaussian": np.sqrt(np.pi / 2) * 3, "tophat": 1.0, "linear": 1 / 4}[kernel]
            * ball
            * 1.3**3
        )
        exact = logsumexp(profile, b=w / w.sum(), axis=1) - np.log(mass)
    assert_allclose(ours, exact, atol=1e-10)
    seen = np.isfinite(exact)
    assert_allclose(np.diff(ours[seen] - theirs[seen]), 0, atol=1e-6)


@pytest.mark.parametrize("h", [0.05, 0.6, 4.0])
@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "exponential", "cosine"])
def test_densities_on_the_sphere_are_per_steradian(h, kernel):
    # at the pole
    distribution = KernelDensity(metric="haversine", kernel=kernel, bandwidth=h).fit(
        [[np.pi / 2, 0.0]]
    )
    mass = dblquad(
        lambda angle, _: np.sin(angle)
        * float(np.exp(distribution.score_samples([[np.pi / 2 - angle, 0.3]])[0])),
        0, 1, 0,
        min(np.pi, h * {"gaussian": 9, "exponential": 40}.get(kernel, 1)), epsabs=1e-4,
    )[0]  # fmt: skip
    assert 2 * np.pi * mass == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("metric", "params", "p"), NORMS)
def test_draws_have_the_norms_bumps(metric, params, p):
    distribution = KernelDensity(
        metric=metric, metric_params=params, kernel="tophat", bandwidth=2.0
    ).fit(np.zeros((1, 3)))
    drawn = distribution.sample(20_000, random_state=0)
    size = np.linalg.norm(drawn, ord=p, axis=1) / 2
    assert size.max() <= 1
    assert_allclose(np.mean(size[:, None] < [0.5, 0.8], axis=0), [0.125, 0.512], atol=0.01)
    rng = np.random.default_rng(1)
    cube = rng.uniform(-2, 2, size=(200_000, 3))
    uniform = cube[np.linalg.norm(cube, ord=p, axis=1) <= 2]  # rows of the same ball by rejection
    assert_allclose(drawn.var(0), uniform.var(0), rtol=0.05)
    assert np.mean(np.abs(drawn) ** 4) == pytest.approx(np.mean(uniform**4), rel=0.05)


@pytest.mark.parametrize("h", [0.2, 3.0])
@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
def test_draws_on_the_sphere_lie_as_far_as_they_should(h, kernel):
    centre = torch.tensor([[0.4, 3.0]], dtype=torch.float64)
    drawn = Sphere().move(
        centre.expand(20_000, 2), find_kernel(kernel), h, np.random.default_rng(0)
    )
    angle = Sphere().between(centre, drawn)[0].numpy()
    grid = np.linspace(0, min(np.pi, h * (9 if kernel == "gaussian" else 1)), 4001)
    density = (
        np.exp(-0.5 * (grid / h) ** 2) if kernel == "gaussian" else np.ones_like(grid)
    ) * np.sin(grid)
    assert angle.mean() == pytest.approx((grid * density).sum() / density.sum(), rel=0.02)
    assert (drawn[:, 1].abs() <= np.pi).all()
    assert (drawn[:, 0].abs() <= np.pi / 2).all()


def test_the_euclidean_norm_agrees_with_the_fast_sums():
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(100, 4)), rng.normal(size=(20, 4))
    plain = KernelDensity(metric="minkowski", metric_params={"p": 2}, bandwidth=0.8).fit(x)
    from pushforward.compat.distances import DistanceKDE

    direct = DistanceKDE(torch.from_numpy(x), None, 0.8, "gaussian", Norm(2.0)).log_prob(
        torch.from_numpy(new)
    )
    assert_allclose(plain.score_samples(new), direct.numpy(), atol=1e-6)
