"""Metrics of large sets multiply in float32 where that is certain; their results are float64's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pushforward.core.random import permutation
from pushforward.metrics import (
    kernel_distances,
    kernel_tiles,
    manifold,
    neighbours,
    rounded_neighbours,
)
from pushforward.metrics.kernel_distances import kid, mmd
from pushforward.metrics.manifold import prdc
from pushforward.metrics.neighbours import squared_radii

NEVER = 1 << 62
DATA = ["near", "far", "tiny", "huge", "outlier", "equal", "single"]


def sets(kind: str, n: int = 400, d: int = 64) -> tuple[Tensor, Tensor]:
    """Real and generated rows, float64."""
    stream = torch.Generator().manual_seed(len(kind))
    x, y = (torch.randn(n, d, generator=stream, dtype=torch.float64) for _ in range(2))
    y = y + (0.0 if kind == "equal" else 0.2)
    if kind == "far":
        return x + 1e6, y + 1e6
    if kind == "outlier":
        x[0], y[1] = 1e5, -1e5
    if kind == "single":
        return x.float(), y.float()
    scale = {"tiny": 1e-30, "huge": 1e9}.get(kind, 1.0)
    return x * scale, y * scale


def sizes(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    """Round products of at least this many numbers."""
    monkeypatch.setattr(kernel_distances, "LARGE", least)
    monkeypatch.setattr(rounded_neighbours, "LARGE", least)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", DATA)
def test_kid_is_that_of_float64(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets(kind)
    sizes(monkeypatch, NEVER)
    exact = kid(x, y)
    sizes(monkeypatch, 1)
    found = kid(x, y)
    assert found.values is not None
    assert exact.values is not None
    assert not torch.equal(found.values, exact.values), "nothing was rounded"
    assert found.value == pytest.approx(exact.value, rel=1e-6, abs=1e-6 * exact.error)
    assert found.error == pytest.approx(exact.error, rel=1e-6)


@pytest.mark.parametrize("kind", ["near", "far", "huge", "outlier", "equal", "single"])
def test_mmd_is_that_of_float64(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets(kind)
    sizes(monkeypatch, NEVER)
    exact = mmd(x, y, permutations=50)
    sizes(monkeypatch, 1)
    monkeypatch.setattr(kernel_tiles, "ROWS", 70)
    monkeypatch.setattr(kernel_tiles, "COLUMNS", 90)
    found = mmd(x, y, permutations=50)
    assert found.value == pytest.approx(exact.value, rel=1e-6, abs=1e-6 * exact.error)
    assert found.error == pytest.approx(exact.error, rel=1e-6)
    assert found.details["p"] == exact.details["p"]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (10, 7), (7, 30), (64, 200), (200, 3)])
def test_tiles_add_up_to_the_kernel(
    rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(103, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:3] = torch.tensor([9.0, 0, 0, 0, 0]) + x[:3] / 100  # near one another, far from the others
    members = torch.stack([(permutation(103, rng=i) < 40).to(torch.float64) for i in range(3)], 1)
    monkeypatch.setattr(kernel_tiles, "ROWS", rows)
    monkeypatch.setattr(kernel_tiles, "COLUMNS", columns)
    rounded, squares = x.to(torch.float32).numpy(), x.square().sum(1).numpy()
    sums = kernel_tiles.gaussian_sums(rounded, squares, members.numpy())
    kernel = torch.exp(-(torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / 2)
    inside = (members * (kernel @ members)).sum(0)
    for found, exact in zip(sums, (inside, kernel @ members[:, 0], kernel.sum(1)), strict=True):
        assert torch.from_numpy(found).allclose(exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("rows", [1, 7, 20, 64])
@pytest.mark.parametrize(("s", "higher"), [(1.3, 1.0), (0.4, 0.01)])
def test_tiles_add_up_to_the_cubes(
    rows: int, s: float, higher: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """a³ h² + 3 a² h r + 3 a r² + 3 p q h (r + s) over pairs of rows, the first 20 of them real."""
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(53, 4, generator=stream)
    p = torch.randn(53, generator=stream, dtype=torch.float64)
    monkeypatch.setattr(kernel_tiles, "ROWS", rows)
    monkeypatch.setattr(kernel_tiles, "CACHED", 100)
    found = kernel_tiles.cubic_sums(x.numpy(), p.numpy(), 20, s, higher)
    a, r = x.double() @ x.double().T / 4, (p[:, None] + p) * higher + s
    cubes = a**3 * higher**2 + 3 * a**2 * higher * r + 3 * a * r**2
    cubes += 3 * higher * p[:, None] * p * (r + s)
    pairs = cubes.triu(1)
    sums = [pairs[:20, :20].sum(), pairs[:20, 20:].sum(), pairs[20:, 20:].sum()]
    assert found == pytest.approx([float(each) for each in sums], rel=1e-5)


def test_long_rows_beside_the_bandwidth_stay_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distances of a thousandth of |x| would be lost in float32."""
    x, y = (1e-3 * each for each in sets("near"))
    x[::2, 0], y[::2, 0] = x[::2, 0] + 30, y[::2, 0] + 30
    sizes(monkeypatch, NEVER)
    exact = mmd(x, y, bandwidth=8e-3, permutations=20).value
    sizes(monkeypatch, 1)
    assert mmd(x, y, bandwidth=8e-3, permutations=20).value == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("kind", [*DATA, "copies", "lattice", "ties"])
def test_balls_are_those_of_float64(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets("near" if kind in ("copies", "lattice", "ties") else kind)
    if kind == "copies":
        x[:30], y[5:12], y[40:45] = x[0], y[5], x[:5]
    if kind == "lattice":
        x, y = (each.round() / 10 for each in (x[:, :3], y[:, :3]))
    if kind == "ties":  # at distances equal but for rounding from 0
        y[:, 0] = x.square().sum(1).sqrt()
        y[:, 1:] = 0
    sizes(monkeypatch, NEVER)
    radii, exact = squared_radii(x.double(), 5), prdc(x, y)
    sizes(monkeypatch, 1)
    for tile in (1 << 23, 97 * 400):
        monkeypatch.setattr(rounded_neighbours, "TILE", tile)
        assert torch.allclose(squared_radii(x.double(), 5), radii, rtol=1e-13, atol=0)
        for one, two in zip(prdc(x, y), exact, strict=True):
            assert one.value == two.value
            assert torch.equal(one.values, two.values)


def test_float32_decides_most_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """On ordinary rows no float64 product is made."""
    x, y = sets("near")
    sizes(monkeypatch, 1)

    def refuse(*_: object) -> None:
        raise AssertionError("distances were computed in float64")

    monkeypatch.setattr(neighbours, "squared_distances", refuse)
    monkeypatch.setattr(manifold, "squared_distances", refuse)
    assert len(prdc(x, y)) == 4


def test_doubtful_comparisons_are_settled_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows just inside and just outside of a ball, by less than float32 resolves."""
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(300, 20, generator=stream, dtype=torch.float64)
    radius = squared_radii(x, 3).sqrt()
    way = torch.nn.functional.normalize(
        torch.randn(300, 20, generator=stream, dtype=torch.float64), dim=1
    )
    share = torch.where(torch.arange(300) % 2 == 0, 1 - 1e-9, 1 + 1e-9)
    y = x + way * (radius * share)[:, None]
    sizes(monkeypatch, NEVER)
    exact = prdc(x, y, k=3)
    sizes(monkeypatch, 1)
    monkeypatch.setattr(rounded_neighbours, "DOUBT", 1.0)
    for one, two in zip(prdc(x, y, k=3), exact, strict=True):
        assert torch.equal(one.values, two.values)


def test_threads_do_not_change_results(monkeypatch: pytest.MonkeyPatch, threads: None) -> None:
    x, y = sets("single", 700)
    sizes(monkeypatch, 1)
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append([kid(x, y).values, *(r.values for r in prdc(x, y))])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
