"""Compiled starts, M steps, factors and densities of mixtures agree with array operations."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.models.classical import looped_density
from pushforward.models.classical.covariance_kinds import factors, full_covariances
from pushforward.models.classical.looped_density import score_in_loops
from pushforward.models.classical.looped_starts import (
    assign_in_loops,
    move_in_loops,
    spread_in_loops,
    standardise_in_loops,
)
from pushforward.models.classical.maximisation import maximise, maximise_in_loops
from pushforward.models.classical.mixture_sums import Expected, pairs
from pushforward.models.classical.starts import move_centres, squared_distances

KINDS = ("full", "tied", "diagonal", "spherical")
DOUBLE = torch.float64


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def spread_of(kind: str, k: int, d: int) -> Tensor:
    factor = 0.3 * draw(k, d, d, seed=9) + torch.eye(d, dtype=DOUBLE)
    matrices = factor @ factor.mT
    return {
        "full": matrices,
        "tied": matrices[0],
        "diagonal": matrices.diagonal(dim1=1, dim2=2).clone(),
        "spherical": matrices[:, 0, 0].clone(),
    }[kind]


@pytest.mark.parametrize("given", [torch.float32, DOUBLE, torch.int64])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 100])
def test_rows_are_standardised_in_float64(n: int, dtype: torch.dtype, given: torch.dtype) -> None:
    x = (1e6 + 50 * draw(3, n)).to(given).T
    if given != torch.int64 and n:
        x[n // 2, 1] = math.nan
    shift, scale = torch.tensor([1e6, 1e6 + 3, 0.0]).to(DOUBLE), 50 * draw(3).abs()
    ours = standardise_in_loops(x, shift, scale, dtype)
    each = ((x.to(DOUBLE) - shift) / scale).to(dtype)
    assert ours is not None
    assert ours.T.is_contiguous()
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, each, rtol=eps, atol=0, equal_nan=True)


@pytest.mark.parametrize("unit", [1e-305, 1e305, math.nan])
def test_units_without_a_reciprocal_are_left_to_array_operations(unit: float) -> None:
    scale = torch.tensor([1.0, unit], dtype=DOUBLE)
    assert standardise_in_loops(draw(9, 2), torch.zeros_like(scale), scale, DOUBLE) is None


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 256, 257, 2049])
def test_clusters_are_those_of_array_operations(n: int, weighted: bool) -> None:
    x, centres = draw(n, 5), draw(3, 5, seed=1)
    centres[2] += 1e3  # without rows
    w = draw(n, seed=2).abs() if weighted else None
    each = torch.ones(n, dtype=DOUBLE) if w is None else w
    clusters = assign_in_loops(x, w, centres)
    owner = squared_distances(x, centres).argmin(1)
    assert torch.equal(clusters.owner, owner)
    member = torch.nn.functional.one_hot(owner, 3).to(DOUBLE) * each[:, None]
    torch.testing.assert_close(clusters.count, member.sum(0))
    torch.testing.assert_close(clusters.total, member.T @ x)
    squares, size = spread_in_loops(x, w, clusters)
    torch.testing.assert_close(squares, each @ (x - clusters.means()[owner]).square())
    assert torch.equal(size, x.abs().amax(0))
    torch.testing.assert_close(move_in_loops(x, w, centres), move_centres(x, each, centres))


def test_the_first_of_equally_near_centres_is_taken() -> None:
    x = torch.tensor([[0.0, 0.0], [5.0, 1.0]], dtype=DOUBLE)
    centres = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]], dtype=DOUBLE)
    assert assign_in_loops(x, None, centres).owner.tolist() == [0, 0]


@pytest.mark.parametrize("floor", [1e-6, 0.9])  # the second binds in some directions
@pytest.mark.parametrize("kind", KINDS)
def test_m_steps_are_those_of_array_operations(kind: str, floor: float) -> None:
    k, d = 3, 4
    count = torch.tensor([40.0, 1e-14, 60.0], dtype=DOUBLE)  # the second is empty
    points = draw(k, 50, d, seed=3) * torch.tensor([0.5, 1.0, 2.0, 1.0])
    origins = None if kind == "tied" else draw(k, d, seed=4)
    first = points.mean(1) * count[:, None]
    products = torch.einsum("kni,knj->kij", points, points) / 50 * count[:, None, None]
    i, j = pairs(d, count.device)
    second = {"full": products[:, i, j], "tied": products.sum(0)}.get(
        kind, products.diagonal(dim1=1, dim2=2).clone()
    )
    zero = count.new_zeros(())
    sums = Expected(count, first, second, zero, zero)
    state = torch.full((d,), floor, dtype=DOUBLE), draw(k, d, seed=5), spread_of(kind, k, d)
    ours = maximise_in_loops(sums, kind, *state, origins)  # type: ignore[arg-type]
    each = maximise(sums, kind, *state, origins)  # type: ignore[arg-type]
    for one, two in zip(ours, each):
        assert one.shape == two.shape
        torch.testing.assert_close(one, two, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("correlation", [0.0, 0.9, 1 - 1e-9])  # the last needs eigenvectors
def test_factors_are_those_of_array_operations(kind: str, correlation: float) -> None:
    scales = torch.tensor([1e-30, 1.0, 1e30], dtype=DOUBLE)
    matrix = torch.full((3, 3), correlation, dtype=DOUBLE).fill_diagonal_(1)
    matrix = matrix * scales * scales[:, None]
    spread = matrix if kind == "tied" else torch.stack([matrix, 2 * matrix])
    ours, each = (factors(kind, spread, 3, looped=looped) for looped in (True, False))  # type: ignore[arg-type]
    assert ours.white is not None
    assert each.white is not None
    for name in ("deviations", "least", "log_determinants", "white"):
        torch.testing.assert_close(getattr(ours, name), getattr(each, name), rtol=1e-10, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 256, 1500])
def test_densities_are_those_of_array_operations(
    kind: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looped_density, "LEAST_WORK", 1)
    k, d = 3, 6
    x, means, spread = 3 * draw(n, d), draw(k, d, seed=1), spread_of(kind, k, d)
    x[-1] = 1e200  # whose square overflows
    ours = score_in_loops(kind, x, means, spread)  # type: ignore[arg-type]
    assert ours is not None
    assert bool((ours[:, -1] == -math.inf).all())
    matrices = full_covariances(kind, means, spread)  # type: ignore[arg-type]
    if n == 1:
        return  # PyTorch has no densities of no rows
    each = torch.distributions.MultivariateNormal(means, matrices).log_prob(x[:-1, None])
    torch.testing.assert_close(ours[:, :-1], each.T, rtol=1e-12, atol=1e-12)


def test_queries_of_many_rows_are_those_of_few() -> None:
    x = torch.cat([draw(30_000, 2), draw(30_000, 2, seed=1) + 4])
    model = pf.GMM(5, "tied").fit(x[::20], steps=3, quiet=True)
    assert len(x) * 5 >= looped_density.LEAST_WORK
    some = slice(100, 200)
    torch.testing.assert_close(model.log_prob(x)[some], model.log_prob(x[some]))
    torch.testing.assert_close(model.responsibilities(x)[some], model.responsibilities(x[some]))
    assert torch.equal(model.assign(x)[some], model.assign(x[some]))
