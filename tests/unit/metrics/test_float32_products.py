"""Metrics of large sets multiply in float32 where that is certain; their results are float64's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from pushforward.core.random import permutation
from pushforward.metrics import kernel_distances, manifold, neighbours, rounded_neighbours
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
    monkeypatch.setattr(kernel_distances, "ROWS", 70)
    monkeypatch.setattr(kernel_distances, "COLUMNS", 90)
    found = mmd(x, y, permutations=50)
    assert found.value == pytest.approx(exact.value, rel=1e-6, abs=1e-6 * exact.error)
    assert found.error == pytest.approx(exact.error, rel=1e-6)
    assert found.details["p"] == exact.details["p"]


def test_tiles_add_up_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(103, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    members = torch.stack([(permutation(103, rng=i) < 40).to(torch.float64) for i in range(3)], 1)
    kernel = torch.exp(-torch.cdist(x, x).square() / 8)
    sizes(monkeypatch, 1)
    monkeypatch.setattr(kernel_distances, "_squared_distances", None)  # no matrix is made at once
    for rows, columns in ((1, 1), (10, 7), (7, 30), (64, 200), (200, 3)):
        monkeypatch.setattr(kernel_distances, "ROWS", rows)
        monkeypatch.setattr(kernel_distances, "COLUMNS", columns)
        sums, total = kernel_distances._kernel_sums(x, members, 2.0)
        assert torch.allclose(sums, kernel @ members, atol=1e-5)
        assert torch.allclose(total, kernel.sum(1), atol=1e-5)


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
