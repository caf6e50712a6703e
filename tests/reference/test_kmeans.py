"""k-means against scikit-learn and plain Lloyd, and what the mathematics says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.metrics import silhouette_score
from torch import Tensor

import pushforward as pf
from pushforward.metrics.clusters import elbow, silhouette
from pushforward.models.classical.lloyd import ClusterSums
from pushforward.models.classical.starts import (
    choose_at_random,
    choose_plus_plus,
    squared_distances,
)


def blobs(n: int = 400, d: int = 3, k: int = 4, seed: int = 0, spread: float = 6.0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    centres = spread * torch.randn(k, d, generator=stream, dtype=torch.float64)
    return centres[torch.arange(n) % k] + torch.randn(n, d, generator=stream, dtype=torch.float64)


def lloyd(x: Tensor, centres: Tensor, steps: int) -> tuple[Tensor, Tensor, int]:
    """Plain, in float64, without any trick: centres, owners, passes. Empty clusters take the
    farthest rows, as in scikit-learn.
    """
    owner = torch.full((len(x),), -1)
    for step in range(steps):
        now = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        if torch.equal(now, owner):
            return centres, owner, step
        owner = now
        squares, given = (x - centres[owner]).square().sum(1), owner.clone()
        empty = [k for k in range(len(centres)) if not bool((owner == k).any())]
        for k, row in zip(empty, squares.argsort(descending=True, stable=True).tolist()):
            given[row] = k if float(squares[row]) > 0 else given[row]
        centres = torch.stack(
            [
                x[given == k].mean(0) if bool((given == k).any()) else centres[k]
                for k in range(len(centres))
            ]
        )
    return centres, owner, steps


# -------------------------------------------------------------------------- one answer, only sooner


@pytest.mark.parametrize("precision", ["float32", "float64"])
@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(70, 400),
    d=st.integers(1, 6),
    k=st.integers(1, 20),
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 1.0, 8.0]),
)
@example(n=142, d=4, k=6, seed=637, spread=8.0)  # a centre loses all its rows
def test_pruning_changes_nothing(
    precision: str, n: int, d: int, k: int, seed: int, spread: float
) -> None:
    x = blobs(n, d, 5, seed, spread).float().double()
    start = x[torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:k]]
    centres, owner, _ = lloyd(x, start, 100)
    model = pf.KMeans(k, start=start, tolerance=0, precision=precision).fit(
        x, by=pf.EM(steps=100, tolerance=0, block=64)
    )
    near = torch.cdist(x, centres).topk(min(2, k), largest=False).values
    tie = bool((near[:, -1] - near[:, 0] < 1e-6).any()) and k > 1
    if not tie:
        assert torch.equal(model.assign(x), owner)
        torch.testing.assert_close(model.centres_, centres, rtol=1e-5, atol=1e-5)
    expected = float((x - centres[owner]).square().sum())
    assert float(model.inertia_) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("left", [0.0, 3e-17, -3e-17])
def test_a_centre_that_lost_its_rows_stays_where_it_was(left: float) -> None:
    """Of what was added to it and taken away again, rounding is left, in sums and in weights."""
    model = pf.KMeans(3, start=blobs(3, 2), precision="float64").fit(
        blobs(40, 2), by=pf.EM(steps=1)
    )
    before, centres = model.centres_.clone(), model._plan.centres
    count = torch.tensor([3.0, 5.0, left], dtype=torch.float64)
    sums = count[:, None] * centres
    sums[2] = torch.tensor([4e-15, -2e-15], dtype=torch.float64)
    given = ClusterSums(
        count, sums, torch.tensor(1e3, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    )
    model.update(given)
    torch.testing.assert_close(model.centres_, before, rtol=0, atol=1e-12)
    assert math.isfinite(model.objective(given))


@settings(max_examples=15, deadline=None)
@given(d=st.integers(1, 6), k=st.integers(1, 10), seed=st.integers(0, 10**6))
def test_agrees_with_scikit_learn(d: int, k: int, seed: int) -> None:
    x = blobs(200, d, 4, seed, 2.0)
    start = choose_plus_plus(x, k, torch.Generator().manual_seed(seed))
    theirs = SklearnKMeans(k, init=start.numpy(), n_init=1, tol=0, max_iter=200).fit(x.numpy())
    ours = pf.KMeans(k, start=start, tolerance=0, precision="float64").fit(x)
    assert float(ours.inertia_) == pytest.approx(theirs.inertia_, rel=1e-9)
    assert np.array_equal(ours.assign(x).numpy(), theirs.labels_)
    defaults = SklearnKMeans(k, init=start.numpy(), n_init=1).fit(x.numpy())
    assert float(pf.KMeans(k, start=start, precision="float64").fit(x).inertia_) == pytest.approx(
        defaults.inertia_, rel=1e-3
    )


def test_close_decisions_are_made_in_float64() -> None:
    """Rows all but midway between centres far from the origin:
    float32 products alone get many of these wrong.
    """
    centres = 2 * torch.arange(64, dtype=torch.float64)[:, None]
    middle = centres[:-1] + 1
    x = torch.cat([middle - 1e-4, middle + 1e-4])
    model = pf.KMeans(64, start=centres, tolerance=0).fit(
        torch.cat([centres, centres]), by=pf.EM(steps=1)
    )
    assert model.assign(x).tolist() == [*range(63), *range(1, 64)]


def test_the_inertia_is_that_of_its_own_assignment() -> None:
    x = blobs(500, 3, 6, 2, 2.0)
    model = pf.KMeans(6, tolerance=0, precision="float64").fit(x)
    assert float((x - model.centres_[model.assign(x)]).square().sum()) == pytest.approx(
        float(model.inertia_), rel=1e-12
    )
    assert float(model.distances(x).amin(1).square().sum()) == pytest.approx(
        float(model.inertia_), rel=1e-12
    )
    assert model.count_.tolist() == model.assign(x).bincount(minlength=6).tolist()


def test_streaming_from_a_memory_map_is_the_same(tmp_path: Path) -> None:
    x = blobs(1000)
    np.save(tmp_path / "x.npy", x.numpy())
    start = x[:4]
    one = pf.KMeans(4, start=start).fit(x)
    two = pf.KMeans(4, start=start).fit(
        np.load(tmp_path / "x.npy", mmap_mode="r"), by=pf.EM(steps=300, tolerance=0, block=91)
    )
    torch.testing.assert_close(one.centres_, two.centres_, rtol=1e-9, atol=1e-9)


def test_integer_weights_are_repetition() -> None:
    x, w = blobs(100), torch.arange(100) % 3
    one = pf.KMeans(4, start=x[:4]).fit(x, weights=w)
    two = pf.KMeans(4, start=x[:4]).fit(x.repeat_interleave(w, 0))
    torch.testing.assert_close(one.centres_, two.centres_, rtol=1e-6, atol=1e-6)
    assert float(one.inertia_) == pytest.approx(float(two.inertia_), rel=1e-6)


def test_an_offset_of_1e8() -> None:
    x = blobs()
    one, two = pf.KMeans(4, start=x[:4]).fit(x), pf.KMeans(4, start=x[:4] + 1e8).fit(x + 1e8)
    assert torch.equal(one.assign(x), two.assign(x + 1e8))
    torch.testing.assert_close(one.centres_, two.centres_ - 1e8, rtol=0, atol=1e-6)


# ------------------------------------------------------------------------------------------- starts


def test_plus_plus_finds_separate_clusters() -> None:
    x = blobs(400, 2, 8, 1, 40.0)
    hits = [
        len(
            squared_distances(x, choose_plus_plus(x, 8, torch.Generator().manual_seed(s)))
            .argmin(1)
            .unique()
        )
        == 8
        for s in range(5)
    ]
    assert all(hits)
    inertia = [
        float(pf.KMeans(8).fit(x, by=pf.EM(steps=300, tolerance=0, seed=s)).inertia_)
        for s in range(5)
    ]
    assert max(inertia) / min(inertia) < 1.2


def test_starts_respect_weights() -> None:
    x, w = blobs(100), torch.zeros(100, dtype=torch.float64)
    w[::10] = 1
    for choose in (choose_plus_plus, choose_at_random):
        centres = choose(x, 5, torch.Generator().manual_seed(0), w)
        assert bool((torch.cdist(centres, x[::10]).amin(1) < 1e-12).all())


def test_more_starts_are_never_worse() -> None:
    x = blobs(300, 2, 12, 3, 3.0)
    values = [float(pf.KMeans(12, start="random", starts=n).fit(x).inertia_) for n in (1, 4, 12)]
    assert values[0] >= values[1] >= values[2]


def test_mini_batches_come_close() -> None:
    x = blobs(4000, 3, 4)
    full, small = pf.KMeans(4).fit(x), pf.KMeans(4, batch=256).fit(x)
    inertia = float(small.distances(x).amin(1).square().sum())
    assert inertia < 1.02 * float(full.inertia_)


# ------------------------------------------------------------------------------------------ metrics


def test_silhouette_agrees_with_scikit_learn() -> None:
    x = blobs(300)
    labels = pf.KMeans(4).fit(x).assign(x)
    record = silhouette(x, labels)
    assert record.value == pytest.approx(silhouette_score(x.numpy(), labels.numpy()), abs=1e-10)
    labels[0] = 9  # a cluster of one row counts 0
    assert silhouette(x, labels).value == pytest.approx(
        silhouette_score(x.numpy(), labels.numpy()), abs=1e-10
    )
    with pytest.raises(pf.InvalidValue, match="two clusters"):
        silhouette(x, torch.zeros(300, dtype=torch.int64))


def test_elbow_finds_the_number_of_clusters() -> None:
    x = blobs(800, 2, 4, 11, 12.0)
    values = {k: float(pf.KMeans(k, starts=4).fit(x).inertia_) for k in range(1, 10)}
    assert elbow(values) == 4


# ---------------------------------------------------------------------------------- degenerate data


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([[1.0, 2.0]]),
        torch.ones(20, 2) * 1e8,
        torch.cat([torch.ones(6, 2), torch.zeros(6, 2)]),
        torch.randn(3, 10),
    ],
    ids=["one row", "constant", "duplicates", "few rows"],
)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_degenerate_data_stay_right(x: Tensor, k: int) -> None:
    x = x.double()
    model = pf.KMeans(k).fit(x)
    assert bool(torch.isfinite(model.centres_).all())
    if k >= len(x.unique(dim=0)):
        assert float(model.inertia_) == pytest.approx(0, abs=1e-9)
        torch.testing.assert_close(model.centres_[model.assign(x)], x, rtol=0, atol=1e-6)


def test_errors_say_what_to_do() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"clusters": 0}, "at least 1"),
        ({"start": "best"}, r"'kmeans\+\+'"),
        ({"tolerance": -1.0}, "pass 0"),
        ({"precision": "half"}, "float32"),
    ]
    for how, text in wrong:
        with pytest.raises(pf.InvalidValue, match=text):
            pf.KMeans(**how)
    with pytest.raises(pf.InvalidValue, match="3 columns"):
        pf.KMeans(2, start=[[0.0, 1.0], [1.0, 2.0]]).fit(blobs())
    holed = blobs()
    holed[7, 1] = torch.nan
    with pytest.raises(pf.BadSource, match="missing values"):
        pf.KMeans(2).fit(holed)
    with pytest.raises(pf.BadSource, match="drop those rows"):
        pf.KMeans(2).fit(blobs()).assign(holed)
