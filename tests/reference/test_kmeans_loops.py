"""Each way of a pass of k-means against plain NumPy passes: same centres, same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.phase import Batch
from pushforward.models.classical.lloyd_tiles import Tables, Tiles
from pushforward.models.classical.nearest_centres import Plan

WAYS = [
    pytest.param(900, 1, 5, id="two columns"),
    pytest.param(900, 2, 70, id="boxes"),
    pytest.param(900, 3, 40, id="boxes, four columns"),
    pytest.param(900, 7, 40, id="boxes, eight columns"),
    pytest.param(900, 13, 20, id="sixteen columns"),
    pytest.param(1500, 12, 150, id="bounds"),
    pytest.param(1500, 40, 150, id="bounds, many columns"),
    pytest.param(2000, 12, 400, id="bounds, many centres"),
    pytest.param(900, 40, 9, id="products"),
    pytest.param(63, 2, 63, id="a centre for each row"),
    pytest.param(1, 2, 1, id="one row"),
]


def plain(x: Any, centres: Any, w: Any, steps: int) -> tuple[Any, Any, float]:
    """Centres, owners and inertia after plain passes; empty centres stay."""
    for _ in range(steps):
        owner = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
        weight = np.bincount(owner, w, len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, w[:, None] * x)
        kept = np.where(weight > 0, weight, 1)[:, None]
        centres = np.where(weight[:, None] > 0, sums / kept, centres)
    squared = ((x[:, None] - centres) ** 2).sum(2)
    return centres, squared.argmin(1), float(w @ squared.min(1))


def rows(n: int, d: int, seed: int = 0) -> Any:
    """Twelve overlapping clusters, in numbers that float32 represents about any origin."""
    rng = np.random.default_rng(seed)
    x = 2 * rng.standard_normal((12, d))[rng.integers(0, 12, n)] + rng.standard_normal((n, d))
    return np.round(x * 2**10) / 2**10


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d", "k"), WAYS)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_way_is_a_plain_pass(n: int, d: int, k: int, precision: Any, weighted: bool) -> None:
    x = rows(n, d)
    w = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else np.ones(n)
    start = x[np.random.default_rng(2).choice(n, k, replace=False)]
    centres, owner, inertia = plain(x, start, w, 12)
    model = pf.KMeans(k, start=start, tolerance=0, precision=precision)
    model.fit(x, weights=w if weighted else None, by=pf.EM(steps=12, tolerance=0))
    np.testing.assert_allclose(model.centres_.numpy(), centres, rtol=0, atol=1e-5)
    assert float(model.inertia_) == pytest.approx(inertia, rel=1e-5, abs=1e-9)
    assert np.mean(model.assign(x).numpy() == owner) > 0.999


@pytest.mark.parametrize(("n", "d", "k"), WAYS)
def test_ties_go_to_the_first_centre(n: int, d: int, k: int) -> None:
    """Rows and centres on a lattice, each centre twice: every decision is a tie."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (n, d)).astype(np.float64)
    half = x[rng.choice(n, (k + 1) // 2, replace=False)]
    centres = np.concatenate([half, half])[:k]
    expected = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
    memory, batch = Tiles(), Batch(torch.from_numpy(x))
    tables = Tables.of(torch.from_numpy(centres), torch.float64, torch.from_numpy(centres))
    for _ in range(4):  # all compared, then by boxes or by bounds
        memory.sums = memory.advance(batch, tables)
        np.testing.assert_array_equal(memory.owners(n).numpy(), expected)


@pytest.mark.parametrize(("n", "d", "k"), WAYS)
def test_an_offset_changes_nothing(n: int, d: int, k: int) -> None:
    x, offset = rows(n, d), float(2**27)
    start = x[np.random.default_rng(2).choice(n, k, replace=False)]
    one, two = (
        pf.KMeans(k, start=start + b, tolerance=0).fit(x + b, by=pf.EM(steps=8, tolerance=0))
        for b in (0.0, offset)
    )
    np.testing.assert_array_equal(one.assign(x), two.assign(x + offset))
    torch.testing.assert_close(two.centres_ - offset, one.centres_, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("n", "d", "k"), [(40_000, 2, 70), (20_000, 12, 150), (20_000, 40, 9)])
def test_the_number_of_threads_changes_no_bit(n: int, d: int, k: int) -> None:
    x, threads = rows(n, d).astype(np.float32), torch.get_num_threads()
    centres = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            model = pf.KMeans(k, start=x[:k], tolerance=0)
            centres.append(model.fit(x, by=pf.EM(steps=6, tolerance=0)).centres_)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*centres)


def test_bounds_follow_centres_that_jump_after_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of a settled fit hold for later movements, large or small."""
    monkeypatch.setattr("pushforward.models.classical.lloyd_tiles.SETTLED", 100.0)
    x = rows(3000, 12)
    rng = np.random.default_rng(3)
    centres = x[rng.choice(len(x), 200, replace=False)]
    memory, batch, before, bounded = Tiles(), Batch(torch.from_numpy(x)), None, 0
    for size in (0.0, 0.0, 1e-3, 0.0, 0.3, 1e-2, 5.0, 1e-2, 1e-3):
        centres = centres + size * rng.standard_normal(centres.shape)
        table = torch.from_numpy(centres)
        memory.plain = 0  # bounds that excluded little are not suspended
        memory.sums = memory.advance(batch, Tables.of(table, torch.float64, before))
        before, bounded = table, bounded + memory.bounded
        expected = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
        np.testing.assert_array_equal(memory.owners(len(x)).numpy(), expected)
    assert bounded >= 7


def test_bounds_that_exclude_little_are_suspended() -> None:
    """After a pass in which most rows were compared with most groups, some pass without bounds."""
    x = np.random.default_rng(0).standard_normal((3000, 12))  # no clusters
    centres, memory, batch = x[:200], Tiles(), Batch(torch.from_numpy(x))
    tables = Tables.of(torch.from_numpy(centres), torch.float64, torch.from_numpy(centres))
    for _ in range(4):
        memory.sums = memory.advance(batch, tables)
    assert memory.bounded
    assert not memory.plain  # nothing moved: all was excluded
    far = torch.from_numpy(centres + 1.0)
    moved = Tables.of(torch.from_numpy(centres), torch.float64, far)
    memory.sums = memory.advance(batch, moved)
    assert memory.plain == memory.rest // 2
    waited = memory.plain
    for _ in range(waited):
        memory.sums = memory.advance(batch, tables)
        assert not memory.bounded
    memory.sums = memory.advance(batch, tables)
    assert memory.bounded


@pytest.mark.parametrize(("n", "d", "k"), [(3000, 3, 40), (3000, 30, 40)])
def test_rows_are_assigned_the_same_with_and_without_loops(
    n: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ties included: the rows and centres are on a lattice."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(-2, 3, (n, d)).astype(np.float64))
    plan = Plan.of(x[:k].clone(), None, torch.float32)
    expected = torch.cdist(x, x[:k], compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
    for by_loops in (True, False):
        monkeypatch.setattr(Plan, "_by_loops", lambda self, rows, by=by_loops: by)
        assert torch.equal(plan.owners_of(x, torch.float32), expected)
