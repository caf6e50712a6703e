"""Kernel sums against scikit-learn, SciPy, direct float64 sums,
and their own statements (reference K1).
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.densities.bandwidths import nearest
from pushforward.densities.choose import KernelSums, log_density
from pushforward.densities.cores import split_cores
from pushforward.densities.direct_sums import log_sums
from pushforward.densities.fourier_sums import FourierState
from pushforward.densities.frequency_grid import FrequencyGrid
from pushforward.densities.kernels import KERNELS
from pushforward.densities.scales import Scale
from pushforward.densities.tree_sums import TreeSums

SKLEARN = {"triangular": "linear"}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=seeded(seed))


def uniform(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, dtype=torch.float64, generator=seeded(seed)) + 1e-3


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference; equal infinities differ by nothing."""
    return float(torch.where(a == b, 0.0, (a - b).abs()).max())


def peer_cosine_excess(d: int) -> float:
    """What scikit-learn's log-normaliser of the cosine kernel has too much, in even dimensions."""
    from sklearn.neighbors import KernelDensity

    at = np.zeros((1, d))
    theirs = KernelDensity(bandwidth=1.0, kernel="cosine").fit(at).score_samples(at)[0]
    return -KERNELS["cosine"].log_normaliser(d) - float(theirs)


# ---- K1: integrates to one; equal h_i equal one h; equals scikit-learn


@pytest.mark.parametrize("kernel", KERNELS)
def test_k1_integrates_to_one_in_1d_with_random_bandwidths(kernel):
    x, h = normal(30, 1), 0.2 + uniform(30)
    at = torch.linspace(-25, 25, 40_001, dtype=torch.float64)[:, None]
    total = torch.trapezoid(log_density(x, at, 1.0, kernel=kernel, local=h).exp(), at[:, 0])
    assert abs(float(total) - 1) < 1e-3


@pytest.mark.parametrize("shape", ["radial", "product"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_k1_integrates_to_one_in_2d_with_random_bandwidths(kernel, shape):
    x, h = 0.5 * normal(9, 2), 0.4 + 0.5 * uniform(9)
    edge = 14.0 if kernel == "exponential" else 5.0
    step = 2 * edge / 500
    axis = torch.arange(500, dtype=torch.float64) * step - edge
    # bumps with edges need it
    jitter = torch.rand(250_000, 2, dtype=torch.float64, generator=seeded(0)) * step
    f = log_density(
        x, torch.cartesian_prod(axis, axis) + jitter, 1.0, kernel=kernel, local=h, shape=shape
    ).exp()
    assert abs(float(f.sum()) * step**2 - 1) < 1e-3


@pytest.mark.parametrize("method", ["direct", "tree", "fourier"])
def test_k1_equal_local_bandwidths_equal_one(method):
    x, q = normal(400, 2), normal(200, 2, 1)
    same = torch.full((400,), 0.3, dtype=torch.float64)
    one = log_density(x, q, 0.3, method=method, tolerance=1e-12)
    many = log_density(x, q, 1.0, local=same, method=method, tolerance=1e-12)
    assert gap(one, many) < 1e-12


@pytest.mark.parametrize("method", ["direct", "tree"])
@pytest.mark.parametrize("d", [1, 2, 3, 7])
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "biweight"])
def test_k1_equals_scikit_learn(kernel, d, method):
    from sklearn.neighbors import KernelDensity

    x, q, w = normal(300, d), 1.5 * normal(100, d, 1), uniform(300, 2)
    h = 0.7 * math.sqrt(d)
    peer = KernelDensity(bandwidth=h, kernel=SKLEARN.get(kernel, kernel), rtol=0, atol=0)
    expected = torch.from_numpy(peer.fit(x, sample_weight=w).score_samples(q))
    ours = log_density(x, q, h, kernel=kernel, weights=w, method=method, tolerance=1e-12)
    # scikit-learn's normaliser is wrong there: see test_kernels
    if kernel == "cosine" and d % 2 == 0:
        expected = expected + peer_cosine_excess(d)
    # scikit-learn's log sums of compact kernels are noise below
    seen = expected > expected.max() - 16
    assert gap(ours[seen], expected[seen]) < 1e-10
    assert gap(ours.exp(), expected.exp()) < 1e-10


# ---- peers over random settings


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    kernel=st.sampled_from([k for k in KERNELS if k != "biweight"]),
    d=st.integers(1, 6),
    n=st.integers(1, 60),
    h=st.floats(0.05, 20),
    seed=st.integers(0, 999),
    weighted=st.booleans(),
)
def test_agrees_with_scikit_learn_anywhere(kernel, d, n, h, seed, weighted):
    from sklearn.neighbors import KernelDensity

    d = d | 1 if kernel == "cosine" else d  # scikit-learn's is wrong or NaN in even dimensions
    x, q = normal(n, d, seed), 2 * normal(20, d, seed + 1)
    w = uniform(n, seed) if weighted else None
    peer = KernelDensity(bandwidth=h, kernel=SKLEARN.get(kernel, kernel), rtol=0, atol=0).fit(
        x, sample_weight=w
    )
    expected = torch.from_numpy(peer.score_samples(q))
    for method in ("direct", "tree"):
        ours = log_density(x, q, h, kernel=kernel, weights=w, method=method, tolerance=1e-12)
        assert gap(ours.exp(), expected.exp()) < 1e-10 * max(1.0, float(expected.max().exp()))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(d=st.integers(1, 4), n=st.integers(12, 80), seed=st.integers(0, 999), weighted=st.booleans())
def test_full_matrix_agrees_with_scipy(d, n, seed, weighted):
    from scipy.stats import gaussian_kde

    x, q = normal(n, d, seed) @ normal(d, d, seed + 5), normal(25, d, seed + 1)
    w = uniform(n, seed) if weighted else None
    peer = gaussian_kde(x.T.numpy(), weights=None if w is None else w.numpy())
    expected = torch.from_numpy(peer.logpdf(q.T.numpy()))
    ours = log_density(x, q, torch.from_numpy(np.atleast_2d(peer.covariance)), weights=w)
    near = expected > -300  # beyond, SciPy's own whitening loses digits
    assert gap(ours[near], expected[near]) < 1e-8


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    d=st.integers(1, 3),
    n=st.integers(1, 400),
    log_h=st.floats(-2.5, 1),
    spread=st.sampled_from([1.0, 1.5, 7.0, 40.0]),
    seed=st.integers(0, 999),
    far=st.floats(0.5, 6),
)
def test_fourier_sums_agree_with_direct_sums_anywhere(d, n, log_h, spread, seed, far):
    if d == 3:
        log_h = max(log_h, -1.0)
    x, q, w = normal(n, d, seed), far * normal(60, d, seed + 1), uniform(n, seed)
    local = spread ** (uniform(n, seed + 2) - 0.5)
    options = {"weights": w, "local": local}
    ours = log_density(x, q, 10**log_h, method="fourier", **options)
    assert gap(ours, log_density(x, q, 10**log_h, method="direct", **options)) < 1e-6


# ---- tails


@pytest.mark.parametrize("method", ["fourier", "tree", "auto"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_tails_are_right_down_to_minus_600(d, method):
    x, local = normal(1000, d), 7 ** (uniform(1000) - 0.5)
    ray = (
        torch.linspace(0, 18, 100, dtype=torch.float64)[:, None]
        * torch.ones(1, d, dtype=torch.float64)
        / math.sqrt(d)
    )
    for chosen in (None, local):
        h = 0.35 if chosen is None else 0.15
        expected = log_density(x, ray, h, local=chosen, method="direct")
        assert float(expected.min()) < -600
        assert gap(log_density(x, ray, h, local=chosen, method=method), expected) < 1e-6


def test_the_tree_drops_far_leaves_within_its_tolerance():
    x, q = normal(6000, 2), 3 * normal(500, 2, 1)
    bumps = KernelSums(x, 0.1).bumps
    tree, rough = TreeSums(bumps), TreeSums(bumps, tolerance=1e-2)
    exact = log_sums(bumps, q)
    assert gap(tree.log_sums(q), exact) < 1e-10
    assert 1e-6 < gap(rough.log_sums(q), exact) < 1e-2
    assert tree.pairs(q) < 0.8 * 6000


def test_relative_error_wherever_the_density_exceeds_1e_12_of_its_maximum():
    x, q = normal(5000, 2), 3 * normal(600, 2, 1)
    weights, local = uniform(5000, 2), 7 ** (uniform(5000, 3) - 0.5)
    for options, bound in (({}, 1e-8), ({"weights": weights}, 1e-8), ({"local": local}, 1e-6)):
        ours = log_density(x, q, 0.2, method="fourier", **options)
        exact = log_density(x, q, 0.2, method="direct", **options)
        seen = exact > exact.max() + math.log(1e-12)
        assert gap(ours[seen], exact[seen]) < bound


# ---- the Fourier state: additive, bounded, marginal


def grid(d: int, h: float, eps: float = 1e-12, **options) -> FrequencyGrid:
    box = torch.full((d,), 6.0 if d < 3 else 2.0, dtype=torch.float64)
    return FrequencyGrid(-box, box, Scale.of(h, d), eps=eps, **options)


def test_coefficients_are_the_characteristic_function_of_the_density():
    x, w, s = normal(80, 2).clamp(-6, 6), uniform(80), 1 + uniform(80)
    state = FourierState(grid(2, 0.5, widest=2.01)).add(x, w, s)
    centre = tuple(m // 2 for m in state.grid.modes)
    for k in ((0, 0), (3, -2), (-3, 2), (0, 5)):
        omega = 2 * math.pi * torch.tensor(k, dtype=torch.float64) / state.grid.period
        damped = w * torch.exp(-0.5 * (0.5 * s) ** 2 * omega.square().sum())
        exact = (damped * torch.exp(-1j * (x @ omega))).sum()
        ours = state.coefficients[centre[0] + k[0], centre[1] + k[1]]
        assert abs(complex(exact) - complex(ours)) < 1e-9


def test_states_merge_to_the_state_of_all_the_data():
    x, w = normal(900, 2).clamp(-6, 6), uniform(900)
    whole = FourierState(grid(2, 0.3)).add(x, w)
    parts = [FourierState(grid(2, 0.3)).add(x[i::3], w[i::3]) for i in range(3)]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    streamed = FourierState(grid(2, 0.3))
    for block in torch.arange(900).split(200):
        streamed.add(x[block], w[block])
    for other in (merged, streamed):
        assert other.count == 900
        assert float(np.abs(other.coefficients - whole.coefficients).max()) < 1e-10 * whole.mass
    q = normal(50, 2, 1)
    assert gap(merged.density(q), whole.density(q)) < 1e-12


def test_merging_unlike_grids_is_refused():
    one = FourierState(grid(1, 0.3)).add(normal(5, 1))
    with pytest.raises(ValueError, match="share one frequency grid"):
        one.merge(FourierState(grid(1, 0.2)).add(normal(5, 1)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    d=st.integers(1, 3),
    n=st.integers(1, 300),
    h=st.floats(0.3, 3),
    eps=st.sampled_from([1e-6, 1e-9, 1e-10, 1e-12, 1e-14]),
    spread=st.sampled_from([1.0, 1.2, 7.0]),
    clump=st.sampled_from([1.0, 0.05, 0.0]),
    seed=st.integers(0, 999),
)
def test_the_stated_error_bounds_the_error_and_is_not_idle(d, n, h, eps, spread, clump, seed):
    edge = 6 if d < 3 else 2
    spread, h = (min(spread, 2.0), max(h, 0.6)) if d == 3 else (spread, h)
    x = (normal(1, d, seed + 9) + clump * normal(n, d, seed)).clamp(-edge, edge)
    local = None if spread == 1 else spread ** uniform(n, seed).clamp(0, 1)
    state = FourierState(grid(d, h, eps, widest=spread)).add(x, local=local)
    q = torch.cat([x[:50], 3 * normal(100, d, seed + 1), 40 * normal(5, d, seed + 2)])
    exact = log_density(x, q, h, local=local, method="direct").exp()
    assert gap(state.density(q), exact) <= state.absolute_error
    assert state.absolute_error <= 30 * max(eps, 1e-13) * state.largest + 1e-12 * state.grid.peak
    assert 0.95 * float(exact.max()) <= state.largest


def test_marginals_of_the_state():
    matrix = torch.tensor(
        [[0.3, 0.1, 0.05], [0.1, 0.2, 0.0], [0.05, 0.0, 0.4]], dtype=torch.float64
    )
    x = normal(200, 3).clamp(-6, 6)
    box = torch.full((3,), 6.0, dtype=torch.float64)
    state = FourierState(FrequencyGrid(-box, box, Scale.of(matrix, 3), eps=1e-9)).add(x)
    for axes in ([0], [1, 2], [2, 0]):
        part, q = state.marginal(axes), normal(40, len(axes), 1)
        exact = log_density(x[:, axes], q, matrix[axes][:, axes], method="direct").exp()
        assert gap(part.density(q), exact) <= part.absolute_error < 1e-7


@pytest.mark.parametrize("matrix", [False, True])
def test_conditionals_of_the_state(matrix):
    h = torch.tensor([[0.3, 0.1], [0.1, 0.2]], dtype=torch.float64) if matrix else 0.4
    x, w = normal(200, 2).clamp(-6, 6), uniform(200)
    box = torch.full((2,), 6.0, dtype=torch.float64)
    state = FourierState(FrequencyGrid(-box, box, Scale.of(h, 2))).add(x, w)
    for axis, value in ((0, 0.7), (1, -1.2)):
        part, q = state.condition([axis], [value]), normal(30, 1, 1)
        joint = torch.cat([q, q], 1)
        joint[:, axis] = value
        other = state.grid.scale.covariance[axis, axis].sqrt()
        below = log_density(
            x[:, [axis]], torch.tensor([[value]], dtype=torch.float64), float(other), weights=w
        )
        exact = (log_density(x, joint, h, weights=w) - below).exp()
        assert gap(part.density(q), exact) <= part.absolute_error < 1e-8
    with pytest.raises(ValueError, match="condition closer to the data"):
        state.condition([0], [5.9])


# ---- hard data


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 3), (2, 5)])
def test_few_points(kernel, n, d):
    x = normal(n, d)
    peak = -KERNELS[kernel].log_normaliser(d) - d * math.log(0.01)
    assert abs(float(log_density(x, x, 0.01, kernel=kernel)[0]) - (peak - math.log(n))) < 1e-10


@pytest.mark.parametrize("method", ["direct", "tree", "fourier"])
def test_duplicates_and_constant_columns(method):
    x = torch.cat(
        [normal(300, 1).repeat(2, 1), torch.full((600, 1), 3.0, dtype=torch.float64)], dim=1
    )
    q = torch.cat([x[:50], x[:50] + 0.1])
    expected = log_density(x[:300], q, 0.2, method="direct")
    assert gap(log_density(x, q, 0.2, method=method), expected) < 1e-6


@pytest.mark.parametrize("method", ["direct", "tree", "fourier"])
def test_an_offset_of_1e8_changes_nothing(method):
    x, q = (normal(2000, 2) * 2**16).round() / 2**16, (normal(300, 2, 1) * 2**16).round() / 2**16
    here = log_density(x, q, 0.2, method=method)
    assert gap(log_density(x + 1e8, q + 1e8, 0.2, method=method), here) < 1e-7
    axes = torch.tensor([0.21, 0.19], dtype=torch.float64)
    here = log_density(x, q, axes, method=method)
    assert gap(log_density(x + 1e8, q + 1e8, axes, method=method), here) < 1e-8


@pytest.mark.parametrize("h", [1e-7, 0.01, 0.3])
@pytest.mark.parametrize("local", [False, True])
def test_outliers_and_tiny_bandwidths_cost_neither_accuracy_nor_memory(h, local):
    x = normal(2000, 2)
    x[0], x[1] = torch.tensor([1e7, -1e9]), torch.tensor([-3e4, 0.0])
    s = 7 ** (uniform(2000) - 0.5) if local else None
    if s is not None:
        s[5:9] = 1e-6
    q = torch.cat([x[:200], x[:100] + h, normal(100, 2, 1) * 10])
    sums = KernelSums(x, h, local=s, method="fourier")
    ours, exact = sums.log_density(q), log_density(x, q, h, local=s, method="direct")
    # log f = -1e16 has 16 digits too
    assert float(((ours - exact) / exact.abs().clamp_min(1)).abs().max()) < 1e-6
    assert sums.plan(400).bytes < 2e8


def test_clusters_far_apart_get_grids_of_their_own():
    x = torch.cat([normal(5000, 2), normal(5000, 2, 1) + 1e6])
    sums = KernelSums(x, 0.2)
    cores, groups = split_cores(sums.bumps, 1000, 1e-12, 5e8)
    held = [len(core.bumps.points) for core in cores]
    assert len(held) == 2
    assert min(held) > 4000
    assert max(core.grid.size for core in cores) < 1e6
    assert sum(held) + sum(len(group.bumps.points) for group in groups) == 10_000
    q = x[::100]
    assert (
        gap(
            KernelSums(x, 0.2, method="fourier").log_density(q),
            log_density(x, q, 0.2, method="direct"),
        )
        < 1e-6
    )


def test_nearest_neighbour_bandwidths_of_heavy_tails():
    x = torch.distributions.StudentT(torch.tensor(1.5, dtype=torch.float64))
    torch.manual_seed(0)
    x = x.sample((2000, 2))
    local = nearest(x, 10)
    exact = log_density(x, x[:200], 1.0, local=local, method="direct")
    assert gap(log_density(x, x[:200], 1.0, local=local, method="fourier"), exact) < 1e-6


@pytest.mark.parametrize("kernel", KERNELS)
def test_whole_weights_equal_repetition(kernel):
    x, times = normal(60, 2), torch.randint(0, 4, (60,), generator=seeded(0))
    q = normal(40, 2, 1)
    repeated = log_density(x.repeat_interleave(times, 0), q, 0.8, kernel=kernel)
    assert gap(log_density(x, q, 0.8, kernel=kernel, weights=times), repeated) < 1e-12


def test_rotation_translation_and_scale():
    x, q, shift = normal(500, 3), normal(50, 3, 1), normal(1, 3, 2)
    turn, _ = torch.linalg.qr(normal(3, 3, 3))
    plain = log_density(x, q, 0.5)
    assert gap(log_density(x @ turn, q @ turn, 0.5), plain) < 1e-12
    assert gap(log_density(x + shift, q + shift, 0.5), plain) < 1e-12
    assert gap(log_density(8 * x, 8 * q, 4.0) + 3 * math.log(8), plain) < 1e-12
    change = normal(3, 3, 4)
    mapped = log_density(x @ change.T, q @ change.T, 0.25 * change @ change.T)
    assert gap(mapped + float(torch.linalg.slogdet(change)[1]), plain) < 1e-9


def test_per_axis_bandwidths():
    x, q, h = normal(200, 3), normal(40, 3, 1), torch.tensor([0.3, 2.0, 0.7], dtype=torch.float64)
    for kernel in ("gaussian", "cosine"):
        for shape in ("radial", "product"):
            by_axes = log_density(x, q, h, kernel=kernel, shape=shape)
            scaled = log_density(x / h, q / h, 1.0, kernel=kernel, shape=shape) - h.log().sum()
            assert gap(by_axes, scaled) < 1e-12
    assert gap(log_density(x, q, h), log_density(x, q, torch.diag(h**2))) < 1e-12


def test_product_kernels_are_products():
    x, q = normal(1, 2), 0.3 * normal(50, 2, 1)
    for kernel in KERNELS:
        parts = [log_density(x[:, [a]], q[:, [a]], 0.9, kernel=kernel) for a in (0, 1)]
        for method in ("direct", "tree"):
            assert (
                gap(
                    log_density(x, q, 0.9, kernel=kernel, shape="product", method=method),
                    sum(parts),
                )
                < 1e-12
            )


# ---- leave one out


@pytest.mark.parametrize("method", ["direct", "tree", "fourier"])
@pytest.mark.parametrize("h", [0.02, 0.3])
def test_leave_one_out(method, h):
    x, w = normal(300, 2), uniform(300)
    x[7] = x[8]
    x[9] = 30.0
    w[20] = 0.0
    ours = KernelSums(x, h, weights=w, method=method).leave_one_out()
    for i in (0, 1, 7, 8, 9, 250):
        others = torch.arange(300) != i
        assert (
            gap(ours[[i]], log_density(x[others], x[[i]], h, weights=w[others], method="direct"))
            < 1e-6
        )
    assert math.isnan(float(ours[20]))


# ---- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bandwidth": -0.1}, "bandwidth must be positive and finite, got -0.1"),
        ({"bandwidth": torch.ones(3)}, "pass per-point bandwidths as local="),
        ({"bandwidth": torch.ones(2, 2)}, "positive definite"),
        ({"kernel": "box"}, "kernel must be one of 'gaussian'"),
        ({"shape": "round"}, "shape must be 'radial' or 'product'"),
        ({"method": "fast"}, "method must be one of 'auto'"),
        ({"method": "fourier", "kernel": "tophat"}, "serves the Gaussian kernel in 1 to 3"),
        ({"weights": -torch.ones(5)}, "weights must be finite and not negative"),
        ({"weights": torch.ones(4)}, r"weights must have shape \(5,\), got \(4,\)"),
        ({"local": torch.zeros(5)}, "local must be finite and positive"),
        (
            {"kernel": "tophat", "shape": "product", "bandwidth": torch.eye(2)},
            "takes one bandwidth per axis",
        ),
        ({"queries": torch.zeros(3, 3)}, r"queries must have shape \(m, 2\), got \(3, 3\)"),
        ({"queries": torch.full((1, 2), math.nan)}, "queries must be finite"),
        ({"points": torch.zeros(0, 2)}, "at least one row"),
        ({"tolerance": 0.0}, "tolerance must lie between 0 and 1"),
    ],
)
def test_errors_name_the_cure(options, message):
    given_ = {"points": normal(5, 2), "queries": torch.zeros(1, 2), "bandwidth": 1.0, **options}
    with pytest.raises(ValueError, match=message):
        log_density(given_.pop("points"), given_.pop("queries"), given_.pop("bandwidth"), **given_)
