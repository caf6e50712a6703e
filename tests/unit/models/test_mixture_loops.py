"""Compiled E steps agree with array operations, at the borders of panels, blocks and of floats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.compiled import loop
from pushforward.core.elementary_loops import exponential, logarithm
from pushforward.models.classical.expectation import NormalComponents
from pushforward.models.classical.looped_expectation import prefers_loops
from pushforward.models.classical.mixture_sums import Expected

KINDS = ("full", "tied", "diagonal", "spherical")
MANY = 1 << 20


@loop
def elementwise(x, exp, log):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        exp[i], log[i] = exponential(x[i]), logarithm(-x[i])


@pytest.mark.parametrize(("dtype", "least"), [(np.float64, -708), (np.float32, -87)])
def test_exp_and_log_are_right_to_the_last_places(dtype: type, least: float) -> None:
    x = -np.concatenate([np.geomspace(1e-12, -least, 5000), 0.5 * np.log(2) * np.arange(1, 99)])
    x = x[x >= least].astype(dtype)
    exp, log = np.empty_like(x), np.empty_like(x)
    elementwise(x, exp, log)
    wide, eps = x.astype(np.float64), np.finfo(dtype).eps
    # the product x log2(e) is rounded, which moves exp by x ulps
    assert (np.abs(exp / np.exp(wide) - 1) <= eps * (2 - wide)).all()
    assert (np.abs(log - np.log(-wide)) <= 2 * eps * (1 + np.abs(np.log(-wide)))).all()


def test_exp_and_log_of_special_values() -> None:
    x = np.array([-0.0, -709.0, -1e300, -np.inf, np.nan, -1.0])
    exp, log = np.empty_like(x), np.empty_like(x)
    elementwise(x, exp, log)
    np.testing.assert_array_equal(exp[:4], [1, 0, 0, 0])
    assert math.isnan(exp[4])
    assert math.isnan(log[4])
    assert log[5] == 0


def mixture(kind: str, k: int, d: int, dtype: torch.dtype, rows: int) -> NormalComponents:
    rng = torch.Generator().manual_seed(k)
    double = {"dtype": torch.float64, "generator": rng}
    means, factor = torch.randn(k, d, **double), torch.randn(k, d, d, **double)
    matrices = 0.05 * factor @ factor.mT + 0.5 * torch.eye(d, dtype=torch.float64)
    spread = {
        "full": matrices,
        "tied": matrices[0],
        "diagonal": matrices.diagonal(dim1=1, dim2=2).clone(),
        "spherical": matrices[:, 0, 0].clone(),
    }[kind]
    weights = torch.rand(k, **double)
    jacobian = torch.ones(d, dtype=torch.float64)
    return NormalComponents(
        kind,  # type: ignore[arg-type]
        weights / weights.sum(),
        means,
        spread,
        jacobian,
        dtype,
        rows,
    )


def about(sums: Expected, origins: Tensor | None) -> Tensor:
    """The first sums about 0."""
    return sums.first if origins is None else sums.first + sums.count[:, None] * origins


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 2048, 2049, 5000])
def test_loops_agree_with_array_operations(kind: str, n: int, dtype: torch.dtype) -> None:
    k, d = 3, 5
    x = 2 * torch.randn(n, d, dtype=dtype, generator=torch.Generator().manual_seed(n))
    w = torch.rand(n, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 3
    w[: n // 3] = 0
    one, two = (mixture(kind, k, d, dtype, rows) for rows in (0, MANY))
    assert (one.looped, two.looped) == (False, True)
    tolerance = 1e-11 if dtype == torch.float64 else 2e-5
    for weights in (None, w):
        each, ours = (c.expect(x, weights, gaps=False) for c in (one, two))
        close = {"rtol": tolerance, "atol": tolerance * max(n, 1)}
        torch.testing.assert_close(ours.count, each.count, **close)
        torch.testing.assert_close(about(ours, two.origins), about(each, one.origins), **close)
        torch.testing.assert_close(ours.log_likelihood, each.log_likelihood, **close)
        torch.testing.assert_close(ours.weight, each.weight, **close)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_do_not_change_a_bit(kind: str) -> None:
    x = torch.randn(20_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    components, before, sums = mixture(kind, 4, 3, torch.float64, MANY), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            sums.append(components.expect(x, None, gaps=False))
    finally:
        torch.set_num_threads(before)
    for name in ("count", "first", "second", "log_likelihood"):
        assert torch.equal(getattr(sums[0], name), getattr(sums[1], name))


@pytest.mark.parametrize("kind", KINDS)
def test_far_rows_and_ties_keep_their_likelihood(kind: str) -> None:
    components = mixture(kind, 3, 2, torch.float64, MANY)
    far = torch.tensor([[1e3, -1e3], [1e8, 0.0], [0.0, 1e150]], dtype=torch.float64)
    ours = components.expect(far, None, gaps=False)
    components.looped = False
    components.origins = components.means
    each = components._expect_carefully(far, None)  # by differences, in array operations
    torch.testing.assert_close(ours.log_likelihood, each.log_likelihood, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.count.sum(), each.count.sum())

    same = mixture(kind, 2, 2, torch.float64, MANY)
    tied = NormalComponents(
        same.kind,
        torch.tensor([0.5, 0.5], dtype=torch.float64),
        same.means[:1].repeat(2, 1),
        same.spread if kind == "tied" else same.spread[:1].repeat(2, *[1] * (same.spread.ndim - 1)),
        same.jacobian,
        rows=MANY,
    )
    counts = tied.expect(far[:1].repeat(300, 1), None, gaps=False).count
    assert counts.tolist() == [150, 150]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_fits_are_those_of_array_operations(
    kind: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6000, 3)) * [1, 2, 0.1] + 4 * rng.integers(0, 3, (6000, 1))
    x[::17, 1] = np.nan
    w = rng.random(len(x))
    tolerance = 1e-12 if precision == "float64" else 1e-4
    for rows, weights in ((x, w), (x[~np.isnan(x).any(1)], None)):
        quality = []
        for least in (1, 1 << 60):
            monkeypatch.setattr("pushforward.models.classical.looped_expectation.LEAST_WORK", least)
            model = pf.GMM(3, kind, precision=precision)  # type: ignore[arg-type]
            model.fit(rows, weights=weights, steps=8, tolerance=0, quiet=True)
            assert model._current().looped == (least == 1)
            quality.append(model.fit_result.quality)  # type: ignore[union-attr]
        assert quality[0] == pytest.approx(quality[1], rel=tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_units_and_offsets_shift_the_likelihood(kind: str, scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5000, 2)) + 5 * rng.integers(0, 2, (5000, 1))
    fits = []
    for rows in (x, scale * (x + offset)):
        model = pf.GMM(2, kind).fit(rows, steps=5, tolerance=0, quiet=True)  # type: ignore[arg-type]
        assert model._current().looped
        fits.append(model.fit_result.quality)  # type: ignore[union-attr]
    assert fits[1] == pytest.approx(fits[0] - 2 * math.log(scale), abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-36, 1e30])
def test_the_scale_of_weights_changes_nothing_in_float32(kind: str, scale: float) -> None:
    """No row is left out because all weights are small."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6000, 8)), rng.random(6000) + 0.5
    x += 3 * rng.integers(0, 3, (6000, 1))
    means = [
        pf.GMM(3, kind, start=x[:3], precision="float32")
        .fit(x, weights=w * s, by=pf.EM(steps=3, tolerance=0))
        .means_
        for s in (1.0, scale)
    ]
    torch.testing.assert_close(*means, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["full", "tied", "diagonal"])
def test_distant_components_lose_no_digits_in_float32(kind: str) -> None:
    """Differences from the means are squared, rather than expanded into products."""
    rng = np.random.default_rng(0)
    centres = 30 * rng.standard_normal((6, 8))
    x = centres[rng.integers(0, 6, 6000)] + rng.standard_normal((6000, 8))
    wide, narrow = (
        pf.GMM(6, kind, start=centres + 0.3, precision=precision)
        .fit(x, by=pf.EM(steps=4, tolerance=0))
        .fit_result
        for precision in ("float64", "float32")
    )
    assert narrow.quality == pytest.approx(wide.quality, abs=2e-6)


def test_small_fits_load_no_loops() -> None:
    assert not prefers_loops("full", 50, 2, 10)
    assert prefers_loops("full", 10_000, 2, 2)
    assert prefers_loops("full", 10_000, 2, 64)  # components whitened one by one
    assert prefers_loops("full", 10_000, 64, 64)
    assert not prefers_loops("full", 10_000, 64, 16)  # products of features
    assert not prefers_loops("diagonal", 10_000, 4, 1000)
