"""Kernel sums at every bandwidth, by every method, against direct sums in float64.

The expected values are plain log-sum-exp over all pairs of differences, written here.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.choose import KernelSums, log_density
from pushforward.densities.direct_sums import log_sums
from pushforward.densities.ties import find_ties
from pushforward.densities.tree_sums import TreeSums
from pushforward.densities.trees import LEAF
from pushforward.models.classical.kde import KDE

FACTORS = (5.0, 1.0, 1 / 2, 1 / 5, 1 / 10, 1 / 20, 1 / 50, 1 / 200)


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=stream)


def clusters(n: int, d: int, seed: int = 0) -> Tensor:
    """Three clusters of spreads .1, 1 and 3, ten apart."""
    which = torch.arange(n) % 3
    spread = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64)[which, None]
    return 10.0 * which[:, None] + spread * normal(n, d, seed)


def scott(x: Tensor) -> float:
    return float(len(x) ** (-1 / (x.shape[1] + 4)) * x.std(0).mean())


def plain(
    x: Tensor,
    q: Tensor,
    h: float,
    weights: Tensor | None = None,
    local: Tensor | None = None,
    exclude: Tensor | None = None,
) -> Tensor:
    """log f by all differences, Gaussian."""
    n, d = x.shape
    w = torch.ones(n, dtype=torch.float64) if weights is None else weights.double()
    s = torch.full((n,), h, dtype=torch.float64) if local is None else h * local
    out = []
    for row, at in enumerate(q):
        scaled = ((at - x) / s[:, None]).square().sum(1)
        terms = w.log() - d * (s.log() + 0.5 * math.log(2 * math.pi)) - 0.5 * scaled
        total = w.sum()
        if exclude is not None:
            terms[exclude[row]] = -math.inf
            total = total - w[exclude[row]]
        out.append(terms.logsumexp(0) - total.log())
    return torch.stack(out)


def worst(found: Tensor, expected: Tensor) -> float:
    """Largest relative error of f; equal infinities differ by nothing."""
    return float(torch.where(found == expected, 0.0, torch.expm1(found - expected).abs()).max())


def methods(d: int) -> tuple[str, ...]:
    return ("tree", "fourier", "auto") if d <= 3 else ("tree", "auto")


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_every_method_at_every_bandwidth(d: int, factor: float) -> None:
    x, q = clusters(2500, d), torch.cat([clusters(60, d, 1), 8 * normal(20, d, 2)])
    h = scott(x) * factor
    expected = plain(x, q, h)
    for method in methods(d):
        if method == "fourier" and d == 3 and factor < 0.2:
            continue  # the grid is larger than the memory: the tree again
        assert worst(log_density(x, q, h, method=method), expected) < 1e-6


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("method", ["tree", "fourier", "auto"])
def test_every_method_keeps_the_tolerance(method: str, tolerance: float) -> None:
    x, q = clusters(4000, 2), torch.cat([clusters(150, 2, 1), 20 * normal(20, 2, 2)])
    for factor in (1.0, 0.1, 0.02):
        h = scott(x) * factor
        found = log_density(x, q, h, method=method, tolerance=tolerance)
        assert worst(found, plain(x, q, h)) < tolerance


def test_a_coarse_tolerance_is_used() -> None:
    x, q = normal(6000, 2), normal(200, 2, 1)
    sums = KernelSums(x, 0.1, method="tree")
    rough, fine = TreeSums(sums.bumps, 1e-2), TreeSums(sums.bumps, 1e-10)
    u, expected = sums._reduced(q), plain(x, q, 0.1)
    assert 1e-8 < worst(rough.log_sums(u), expected) < 1e-2
    assert worst(fine.log_sums(u), expected) < 1e-10
    assert rough.pairs(u) < fine.pairs(u) < 6000


@pytest.mark.parametrize("factor", FACTORS[1:])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_weights_and_local_bandwidths(d: int, factor: float) -> None:
    x, q = clusters(2000, d), clusters(50, d, 1)
    w, s = normal(2000, 1, 3)[:, 0].square(), (0.5 * normal(2000, 1, 4)[:, 0]).exp()
    w[:100] = 0.0
    h = scott(x) * factor
    for method in ("tree", "auto"):
        found = log_density(x, q, h, weights=w, local=s, method=method)
        assert worst(found, plain(x[100:], q, h, w[100:], s[100:])) < 1e-6


@pytest.mark.parametrize("method", ["tree", "fourier", "auto"])
@pytest.mark.parametrize("factor", [1.0, 0.1, 0.01])
def test_ties_of_a_lattice(method: str, factor: float) -> None:
    x, q = (4 * normal(6000, 2)).round() / 4, (4 * normal(2000, 2, 1)).round() / 4
    h = scott(x) * factor
    sums = KernelSums(x, h, method=method)
    assert len(sums.bumps.points) < 3000
    assert worst(sums.log_density(q)[:80], plain(x, q[:80], h)) < 1e-6
    index = torch.arange(0, 6000, 97)
    expected = plain(x, x[index], h, exclude=index)
    assert worst(sums.leave_one_out()[index], expected) < 1e-6


def test_weighted_ties_leave_out_their_own_weight() -> None:
    x = (2 * normal(3000, 1)).round().repeat(1, 2)
    w = normal(3000, 1, 1)[:, 0].square() + 1e-3
    x[5] = 40.25  # a row alone
    sums = KernelSums(x, 0.01, weights=w, method="tree")
    index = torch.tensor([0, 1, 5, 2999])
    expected = plain(x, x[index], 0.01, w, exclude=index)
    found = sums.leave_one_out()[index]
    assert float(((found - expected) / expected).abs().max()) < 1e-9


@pytest.mark.parametrize("factor", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_leave_one_out_at_every_bandwidth(d: int, factor: float) -> None:
    x = clusters(2000, d)
    h = scott(x) * factor
    index = torch.arange(0, 2000, 41)
    expected = plain(x, x[index], h, exclude=index)
    for method in ("tree", "auto"):
        found = KernelSums(x, h, method=method).leave_one_out()[index]
        assert worst(found, expected) < 1e-6


@pytest.mark.parametrize("method", ["tree", "fourier", "auto"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_far_tails(d: int, method: str) -> None:
    x = clusters(3000, d)
    h = scott(x) * 0.5
    away = torch.linspace(0, 40, 30, dtype=torch.float64)[:, None]
    q = x.amax(0) + away * h * torch.ones(1, d, dtype=torch.float64)
    expected = plain(x, q, h)
    assert float(expected.min()) < -600
    assert worst(log_density(x, q, h, method=method), expected) < 1e-6


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("factor", [1.0, 0.02])
@pytest.mark.parametrize("method", ["tree", "fourier", "auto"])
def test_scales(scale: float, factor: float, method: str) -> None:
    x, q = clusters(2000, 2), clusters(50, 2, 1)
    h = scott(x) * factor
    expected = plain(x, q, h) - 2 * math.log(scale)
    assert worst(log_density(scale * x, scale * q, scale * h, method=method), expected) < 1e-6


@pytest.mark.parametrize("factor", [1.0, 0.02])
def test_an_offset_of_1e8_and_single_precision(factor: float) -> None:
    x, q = ((clusters(2000, 2, s) * 2**16).round() / 2**16 for s in (0, 1))
    h = scott(x) * factor
    expected = plain(x, q[:50], h)
    assert worst(log_density(x + 1e8, q[:50] + 1e8, h, method="tree"), expected) < 1e-6
    single = log_density(x.float(), q[:50].float(), h, method="tree")
    expected = plain(x.float().double(), q[:50].float().double(), h)
    assert single.dtype == torch.float32
    assert float((single.double() - expected).abs().max()) < 1e-6 * float(expected.abs().max())


@pytest.mark.parametrize("kernel", ["epanechnikov", "tophat", "biweight", "cosine", "exponential"])
@pytest.mark.parametrize("shape", ["radial", "product"])
@pytest.mark.parametrize("h", [8.0, 0.5, 0.05, 0.002])
def test_other_kernels_by_tree(kernel: str, shape: str, h: float) -> None:
    x = (64 * clusters(2000, 2)).round() / 64  # differences of exactly h occur
    q = torch.cat([x[:40], clusters(40, 2, 1)])
    for local in (None, (0.3 * normal(2000, 1, 2)[:, 0]).exp()):
        options = {"kernel": kernel, "shape": shape, "local": local, "tolerance": 1e-9}
        expected = log_density(x, q, h, method="direct", **options)
        found = log_density(x, q, h, method="tree", **options)
        assert bool(((found == -math.inf) == (expected == -math.inf)).all())
        assert worst(found, expected) < 1e-9


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 4097])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_leaves_hold_every_row_once(n: int, d: int) -> None:
    x = normal(n, d)
    sums = TreeSums(KernelSums(x, 0.3).bumps)
    cells, places = torch.from_numpy(sums.tree.cells), torch.from_numpy(sums.places)
    assert len(places.unique()) == n
    assert cells.shape[2] < LEAF + 8
    rows = cells.permute(0, 2, 1).reshape(-1, d)
    assert torch.equal(rows[places] * sums.unit, sums.bumps.points)
    assert int(rows.isfinite().all(1).sum()) == n
    assert int(cells[:, 0].isfinite().sum(1).min()) >= min(n, LEAF // 2)
    q = normal(20, d, 1)
    for method in ("tree", "auto"):
        assert worst(log_density(x, q, 0.3, method=method), plain(x, q, 0.3)) < 1e-6


@pytest.mark.parametrize("d", [1, 2, 3])
def test_boxes_enclose_their_leaves_tightly(d: int) -> None:
    sums = KernelSums(clusters(3000, d), 0.3, local=(0.3 * normal(3000, 1)[:, 0]).exp())
    tree = TreeSums(sums.bumps).tree
    boxes, cells = torch.from_numpy(tree.boxes), torch.from_numpy(tree.cells)
    inner = len(boxes) // 2
    below = {node: [node - inner] for node in range(inner, len(boxes))}
    for node in range(inner - 1, -1, -1):
        below[node] = below[2 * node + 1] + below[2 * node + 2]
    for node, leaves in below.items():
        rows = cells[leaves].permute(0, 2, 1).reshape(-1, d)
        rows = rows[rows.isfinite().all(1)]
        assert torch.equal(boxes[node, :, 0], rows.amin(0))
        assert torch.equal(boxes[node, :, 1], rows.amax(0))
        filled = cells[leaves, 0].isfinite().numpy()
        widest = tree.widths[leaves][filled].min()  # energies: the widest has the least
        assert tree.reach[node] == pytest.approx(widest, rel=1e-12)


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
def test_sums_do_not_depend_on_the_number_of_threads(kernel: str) -> None:
    x, q = clusters(5000, 2), clusters(3000, 2, 1)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            sums = TreeSums(KernelSums(x, 0.2, kernel=kernel).bumps, 1e-6)
            found.append((sums.log_sums(q), sums.tree.cells.tobytes()))
        finally:
            torch.set_num_threads(1)
    assert all(torch.equal(f[0], found[0][0]) and f[1] == found[0][1] for f in found)


@pytest.mark.parametrize("scale", [1e-160, 1e160])
@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov"])
def test_squares_of_extreme_scales_stay_in_range(scale: float, kernel: str) -> None:
    x, q = clusters(500, 2), clusters(50, 2, 1)
    plain_sums = TreeSums(KernelSums(x, 0.2, kernel=kernel).bumps, 1e-9)
    scaled = TreeSums(KernelSums(x * scale, 0.2 * scale, kernel=kernel).bumps, 1e-9)
    centre = KernelSums(x, 0.2).centre
    found = scaled.log_sums((q - centre) * scale) + 2 * math.log(scale)
    assert worst(found, plain_sums.log_sums(q - centre)) < 1e-6


def test_what_leaves_the_range_of_float64_is_refused_and_far_queries_are_not() -> None:
    x = clusters(500, 2)
    sums = TreeSums(KernelSums(x, 1e-100).bumps)
    assert bool((sums.log_sums(torch.full((3, 2), 1e250, dtype=torch.float64)) == -math.inf).all())
    widths = torch.ones(500, dtype=torch.float64)
    widths[7] = 1e-200
    for local, scale in ((None, 1e302), (widths, 1.0)):
        bumps = KernelSums(x * scale, 1.0, local=local).bumps
        with pytest.raises(InvalidValue, match="leaves float64's range"):
            TreeSums(bumps)


@pytest.mark.parametrize("kernel", ["tophat", "epanechnikov"])
@pytest.mark.parametrize("shape", ["radial", "product"])
def test_nodes_inside_the_supports_are_summed_whole(kernel: str, shape: str) -> None:
    x, q = clusters(5000, 2), clusters(30, 2, 1)
    sums = KernelSums(x, 3.0, kernel=kernel, shape=shape, method="tree")
    whole = kernel == "tophat" or shape == "radial"
    inside = float((torch.cdist(q, x) < 3.0).double().sum(1).mean())
    assert (sums.tree.pairs(sums._reduced(q)) < 0.7 * inside) == whole
    exact = log_sums(sums.bumps, sums._reduced(q))
    assert worst(sums.tree.log_sums(sums._reduced(q)), exact) < 1e-12
    index = torch.arange(0, 5000, 97)
    exact = log_sums(sums.bumps, sums.bumps.points[index], exclude=index)
    found = sums.tree.log_sums(sums.bumps.points[index], exclude=index)
    assert worst(found, exact) < 1e-12


def test_ties_are_found_and_rows_apart_are_not_merged() -> None:
    x = normal(5000, 3)
    assert find_ties(x) is None
    repeated = x[torch.arange(5000) % 700]
    found = find_ties(repeated)
    assert found is not None
    first, group = found
    assert len(first) == 700
    assert torch.equal(repeated[first][group], repeated)


def test_a_model_passes_its_tolerance_on() -> None:
    x = normal(500, 2)
    model = KDE(tolerance=1e-3).fit(x)
    assert model.sums().tolerance == 1e-3
    assert model.marginal([0]).tolerance == 1e-3
    assert model.hyperparameters()["tolerance"] == 1e-3
    for wrong in (0, 1.0, math.nan, "1e-3", True):
        with pytest.raises(Exception, match="tolerance must be a number"):
            KDE(tolerance=wrong)  # type: ignore[arg-type]
