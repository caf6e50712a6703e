"""k-means whatever the unit, the offset and the outliers;
empty clusters as in scikit-learn; the inertia of its own centres.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from torch import Tensor

import pushforward as pf


def blobs(n: int = 300, d: int = 2, k: int = 4, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    centres = 6 * torch.randn(k, d, generator=stream, dtype=torch.float64)
    return centres[torch.arange(n) % k] + torch.randn(n, d, generator=stream, dtype=torch.float64)


def inertia(x: Tensor, model: Any) -> float:
    """Of the model's own centres, by differences."""
    return float(
        torch.cdist(x, model.centres_, compute_mode="donot_use_mm_for_euclid_dist")
        .amin(1)
        .square()
        .sum()
    )


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("a", [1e-140, 1e-30, 1e-19, 1e19, 1e30, 1e140])
def test_units_change_nothing(a: float, precision: str) -> None:
    x = blobs()
    one = pf.KMeans(4, start=x[:4], precision=precision).fit(x)
    two = pf.KMeans(4, start=x[:4] * a, precision=precision).fit(x * a)
    assert torch.equal(one.assign(x), two.assign(x * a))
    torch.testing.assert_close(two.centres_ / a, one.centres_, rtol=1e-6, atol=1e-6)
    assert float(two.inertia_) / a / a == pytest.approx(float(one.inertia_), rel=1e-6)
    drawn = pf.KMeans(4, precision=precision).fit(x * a)
    assert torch.equal(drawn.assign(x * a), pf.KMeans(4, precision=precision).fit(x).assign(x))


@pytest.mark.parametrize("spreads", [1e3, 1e6, 1e8])
def test_offsets_change_nothing(spreads: float) -> None:
    x = (blobs() * 2**20).round() / 2**20  # so that adding the offset rounds nothing
    b = float(2 ** round(np.log2(spreads)))
    one, two = pf.KMeans(4, start=x[:4]).fit(x), pf.KMeans(4, start=x[:4] + b).fit(x + b)
    assert torch.equal(one.assign(x), two.assign(x + b))
    torch.testing.assert_close(two.centres_ - b, one.centres_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("outlier", [1e3, 1e9, 1e15, 1e30, 1e100])
@pytest.mark.parametrize("start", ["kmeans++", "given"])
def test_beside_an_outlier(outlier: float, start: str) -> None:
    """Two tight clusters at 0 and .1, the issue's case."""
    spread = 1e-3 * torch.randn(
        100, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    x = torch.cat([spread[:50], 0.1 + spread[50:], torch.tensor([[outlier]], dtype=torch.float64)])
    how = {"start": x[[0, 99, 100]]} if start == "given" else {}
    model = pf.KMeans(3, **how).fit(x)
    own = model.centres_.sort(0).values[:, 0]
    expected = torch.stack([x[:50].mean(), x[50:100].mean(), x[100, 0]])
    torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-9)
    assert float(model.inertia_) == pytest.approx(inertia(x, model), rel=1e-6)
    assert model.count_.sort().values.tolist() == [1, 50, 50]


def test_an_outlier_that_no_sample_shows() -> None:
    """Only the passes themselves see it."""
    x = torch.cat(
        [blobs(40_000, 1, 2), torch.tensor([[1e30]], dtype=torch.float64), blobs(20_000, 1, 2)]
    )
    start = torch.tensor([[float(x[0])], [float(x[1])], [1e30]], dtype=torch.float64)
    model = pf.KMeans(3, start=start).fit(x)
    rest = torch.cat([x[:40_000], x[40_001:]])
    alone = pf.KMeans(2, start=start[:2], precision="float64").fit(rest)
    torch.testing.assert_close(model.centres_[:2], alone.centres_, rtol=1e-6, atol=1e-6)
    assert float(model.inertia_) == pytest.approx(float(alone.inertia_), rel=1e-5)


@pytest.mark.parametrize("tolerance", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("steps", [1, 2, 300])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_inertia_and_the_counts_are_those_of_the_reported_centres(
    precision: str, steps: int, tolerance: float
) -> None:
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = pf.KMeans(6, start=x[:6], tolerance=tolerance, precision=precision).fit(
        x, by=pf.EM(steps=steps, tolerance=0, block=128)
    )
    assert float(model.inertia_) == pytest.approx(inertia(x, model), rel=1e-6)
    assert model.count_.tolist() == model.assign(x).bincount(minlength=6).tolist()


# ----------------------------------------------------------------------------------- empty clusters


def test_an_empty_cluster_takes_the_farthest_row() -> None:
    x = torch.tensor([[-1.0], [-0.5], [0.5], [1.0]], dtype=torch.float64)
    theirs = SklearnKMeans(2, init=np.array([[-1.0], [10.0]]), n_init=1).fit(x.numpy())
    model = pf.KMeans(2, start=[[-1.0], [10.0]]).fit(x)
    assert float(model.inertia_) == pytest.approx(0.25) == pytest.approx(theirs.inertia_)
    np.testing.assert_allclose(model.centres_.numpy(), theirs.cluster_centers_)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("streamed", [False, True])
def test_empty_clusters_as_in_scikit_learn(
    seed: int, precision: str, streamed: bool, tmp_path: Path
) -> None:
    """Two of the centres begin where no row is near."""
    stream = torch.Generator().manual_seed(seed)
    x = blobs(120, 2, 3, seed)
    start = torch.cat([x[:3], 1e3 + 10 * torch.rand(2, 2, generator=stream, dtype=torch.float64)])
    w = torch.rand(120, generator=stream, dtype=torch.float64) if seed % 2 else None
    theirs = SklearnKMeans(5, init=start.numpy(), n_init=1, tol=0, max_iter=200).fit(
        x.numpy(), sample_weight=None if w is None else w.numpy()
    )
    given: Any = x
    if streamed:
        np.save(tmp_path / "x.npy", x.numpy())
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = pf.KMeans(5, start=start, tolerance=0, precision=precision).fit(
        given, weights=w, by=pf.EM(steps=200, tolerance=0, block=32)
    )
    assert float(model.inertia_) == pytest.approx(theirs.inertia_, rel=1e-6)
    np.testing.assert_array_equal(model.assign(x).numpy(), theirs.labels_)
    assert bool((model.count_ > 0).all())


@pytest.mark.parametrize(
    ("rows", "clusters", "owning"),
    [
        ([[0.0], [0.0], [1.0], [1.0]], 3, 2),
        ([[7.0]], 2, 1),
        ([[1e-30], [1e-30], [1e-30]], 2, 1),
        ([[1e30, 0.0], [1e30, 0.0], [1e30, 1.0], [0.0, 0.0]], 4, 3),
    ],
)
@pytest.mark.parametrize("start", ["kmeans++", "random"])
def test_fewer_different_rows_than_clusters_is_said(
    rows: Any, clusters: int, owning: int, start: str
) -> None:
    with pytest.warns(pf.FitWarning, match=f"only {owning} of {clusters} centres own rows") as said:
        model = pf.KMeans(clusters, start=start).fit(torch.tensor(rows, dtype=torch.float64))
    assert len(said) == 1
    assert float(model.inertia_) == 0
    assert int((model.count_ > 0).sum()) == owning


@pytest.mark.parametrize("size", [1e50, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rows_far_away_belong_to_the_centre_on_their_side(size: float, precision: str) -> None:
    x = blobs(100, 2, 2)
    model = pf.KMeans(2, start=[[-5.0, 0.0], [5.0, 0.0]], precision=precision).fit(x)
    left, right = model.centres_[:, 0].argsort().tolist()
    assert model.assign([[-size, 0.0], [size, 0.0]]).tolist() == [left, right]
