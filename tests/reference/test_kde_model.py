"""The kernel density model: K2, K3, K4, conditionals, marginals,
bounds, choice of bandwidth, streaming, storage.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.densities.bandwidths import abramson
from pushforward.densities.choose import log_density
from pushforward.densities.kernels import KERNELS
from pushforward.models.classical.kde import KDE


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=seeded(seed))


def trapezoid(model: KDE, low: float, high: float, points: int = 4001) -> float:
    at = torch.linspace(low, high, points, dtype=torch.float64)[:, None]
    return float(torch.trapezoid(model.log_prob(at).exp(), at[:, 0]))


# ---- K2, K3, K4


@pytest.mark.parametrize("shape", ["radial", "product"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_k2_samples_have_the_covariance_of_the_data_plus_that_of_the_bumps(
    kernel: str, shape: str
) -> None:
    x = normal(50, 2) * torch.tensor([1.0, 2.0])
    h = 0.3 + torch.rand(50, dtype=torch.float64, generator=seeded(1))
    model = KDE.of(x, 1.0, local=h, kernel=kernel, shape=shape)
    drawn = model.sample(60_000, rng=0)
    expected = torch.cov(x.T, correction=0) + KERNELS[kernel].variance(
        2, shape
    ) * h.square().mean() * torch.eye(2)
    assert torch.allclose(
        torch.cov(drawn.T), expected, rtol=0.03, atol=0.03 * float(expected.diagonal().min())
    )


def test_k2_with_weights_and_a_full_matrix() -> None:
    x, w = normal(50, 2), torch.rand(50, dtype=torch.float64, generator=seeded(1))
    h = torch.tensor([[0.5, 0.3], [0.3, 0.8]], dtype=torch.float64)
    local = 0.5 + torch.rand(50, dtype=torch.float64, generator=seeded(2))
    drawn = KDE.of(x, h, local=local, weights=w).sample(60_000, rng=0)
    w = w / w.sum()
    expected = torch.cov(x.T, correction=0, aweights=w) + (w @ local.square()) * h
    assert torch.allclose(torch.cov(drawn.T), expected, rtol=0.03, atol=0.02)
    assert torch.allclose(drawn.mean(0), w @ x, atol=0.02)


def test_k3_abramson_beats_the_best_fixed_bandwidth_on_a_peaked_density() -> None:
    """Marron & Wand's density 4: 2/3 N(0, 1) + 1/3 N(0, .1²).
    Mean integrated squared errors, each at its best h.
    """
    at = torch.linspace(-4, 4, 801, dtype=torch.float64)[:, None]

    def bump(sigma: float) -> torch.Tensor:
        return torch.exp(-0.5 * (at[:, 0] / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))

    truth = (2 * bump(1.0) + bump(0.1)) / 3
    widths = torch.logspace(-1.5, -0.2, 14).tolist()
    errors = torch.zeros(2, len(widths), dtype=torch.float64)
    for seed in range(12):
        stream = seeded(seed)
        narrow = torch.rand(500, 1, generator=stream) < 1 / 3
        x = torch.randn(500, 1, dtype=torch.float64, generator=stream) * torch.where(
            narrow, 0.1, 1.0
        )
        for j, h in enumerate(widths):
            for i, local in enumerate((None, abramson(log_density(x, x, h)))):
                f = log_density(x, at, h, local=local).exp()
                errors[i, j] += torch.trapezoid((f - truth).square(), at[:, 0])
    fixed, adaptive = errors.min(1).values
    assert 0.6 < float(adaptive / fixed) < 0.8  # .72


@pytest.mark.slow
def test_k4_parzen_windows_on_mnist(data_folder: Path) -> None:
    folder = data_folder / "mnist"
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        pytest.skip("needs ../shared/data/mnist")

    def images(name: str) -> torch.Tensor:
        with gzip.open(folder / name) as file:
            return (
                torch.from_numpy(
                    np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784).copy()
                ).double()
                / 255
            )

    train, test = images("train-images-idx3-ubyte.gz"), images("t10k-images-idx3-ubyte.gz")
    chosen = torch.randperm(len(train), generator=seeded(0))[:10_000]
    value = float(KDE(0.1668).fit(train[chosen]).log_prob(test).mean())
    assert 242.2 < value < 243.5


# ---- conditionals and marginals


CLOSED = [
    {"bandwidth": 0.5},
    {"bandwidth": (0.5, 0.3, 0.8)},
    {"bandwidth": ((0.4, 0.1, 0.05), (0.1, 0.3, 0.1), (0.05, 0.1, 0.5))},
    {"bandwidth": 1.5, "kernel": "biweight", "shape": "product"},
    {"bandwidth": 0.5, "boundary": "reflect", "bounds": ((0, -3.0, 3.0), (2, -3.5, None))},
    {"bandwidth": 0.5, "boundary": "renormalise", "bounds": ((0, -3.0, 3.0), (2, -3.5, None))},
]


@pytest.mark.parametrize("options", CLOSED)
def test_conditional_times_marginal_is_joint(options: dict) -> None:
    x = normal(40, 3).clamp(-2.9, 2.9)
    local = 0.5 + torch.rand(40, dtype=torch.float64, generator=seeded(1))
    w = torch.rand(40, dtype=torch.float64, generator=seeded(2))
    model = KDE.of(x, local=local, weights=w, **options)
    q = 0.6 * normal(20, 3, 3)
    for known in ([0], [2, 0]):
        free = [i for i in range(3) if i not in known]
        other = model.marginal(known)
        for row in q[:6]:
            distribution = model.condition({k: float(row[k]) for k in known})
            joint = distribution.log_prob(row[None, free]) + other.log_prob(row[None, known])
            assert float((joint - model.log_prob(row[None])).abs()) < 1e-9


@pytest.mark.parametrize("options", CLOSED)
def test_marginals_are_integrals_of_the_joint(options: dict) -> None:
    pick = options["bandwidth"]
    if isinstance(pick, tuple):
        pick = tuple(row[:2] for row in pick[:2]) if isinstance(pick[0], tuple) else pick[:2]
    options = {**options, "bandwidth": pick}
    options["bounds"] = tuple(b for b in options.get("bounds", ()) if b[0] < 2)
    model = KDE.of(normal(20, 2).clamp(-2.9, 2.9), **options)
    axis = torch.linspace(-7, 7, 2801, dtype=torch.float64)
    for at in (-1.0, 0.3):
        line = torch.stack([axis, torch.full_like(axis, at)], 1)
        integral = torch.trapezoid(model.log_prob(line).exp(), axis)
        marginal = model.marginal([1]).log_prob(torch.tensor([[at]], dtype=torch.float64)).exp()
        assert float(integral) == pytest.approx(float(marginal), rel=3e-3)


def test_conditioning_far_out_and_by_name() -> None:
    import pandas as pd

    frame = pd.DataFrame(normal(60, 2).numpy(), columns=["height", "weight"])
    model = KDE(0.3).fit(frame)
    assert model.condition({"height": 0.0}).space.names == ("weight",)
    far = model.condition({"height": 500.0})  # every bump underflows there
    assert math.isfinite(float(far.log_prob(torch.zeros(1, 1))))
    with pytest.raises(pf.InvalidValue, match="no bump reaches"):
        KDE(0.3, "tophat", "product").fit(frame).condition({"height": 500.0})
    with pytest.raises(pf.InvalidValue, match="closed for the Gaussian and for shape='product'"):
        KDE(0.3, "tophat").fit(frame).condition({"height": 0.0})


# ---- bounds


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "exponential"])
@pytest.mark.parametrize("boundary", ["reflect", "renormalise"])
@pytest.mark.parametrize("h", [0.05, 0.3, 2.0])
def test_bounded_densities_integrate_to_one_over_the_box(
    kernel: str, boundary: str, h: float
) -> None:
    x = torch.rand(40, 1, dtype=torch.float64, generator=seeded(0)) ** 2
    local = 0.5 + torch.rand(40, dtype=torch.float64, generator=seeded(1))
    model = KDE.of(
        x,
        h,
        local=local,
        kernel=kernel,
        shape="product",
        boundary=boundary,
        bounds=((0, 0.0, 1.0),),
    )
    assert trapezoid(model, 0, 1) == pytest.approx(1, abs=2e-4)
    assert float(model.log_prob(torch.tensor([[-0.01]]))) == -math.inf
    one_end = KDE.of(
        x,
        h,
        local=local,
        kernel=kernel,
        shape="product",
        boundary=boundary,
        bounds=((0, 0.0, None),),
    )
    assert trapezoid(one_end, 0, 1 + 40 * h, 20_001) == pytest.approx(1, abs=5e-4)


def test_a_radial_kernel_folds_in_two_dimensions() -> None:
    x = torch.rand(10, 2, dtype=torch.float64, generator=seeded(0))
    model = KDE.of(
        x, 0.4, kernel="epanechnikov", boundary="reflect", bounds=((0, 0.0, 1.0), (1, None, 1.0))
    )
    across, down = (
        torch.linspace(0, 1, 401, dtype=torch.float64),
        torch.linspace(-1, 1, 801, dtype=torch.float64),
    )
    f = model.log_prob(torch.cartesian_prod(across, down)).exp().reshape(401, 801)
    assert float(torch.trapezoid(torch.trapezoid(f, down), across)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("boundary", ["reflect", "renormalise"])
def test_samples_inside_bounds_follow_the_density(boundary: str) -> None:
    from scipy import stats

    x = torch.rand(30, 1, dtype=torch.float64, generator=seeded(0)) ** 3
    model = KDE(0.2, boundary=boundary, bounds=((0, 0.0, 1.0),)).fit(x)
    drawn = model.sample(20_000, rng=0)[:, 0]
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) <= 1
    at = torch.linspace(0, 1, 2001, dtype=torch.float64)
    cdf = torch.cumulative_trapezoid(model.log_prob(at[:, None]).exp(), at)
    test = stats.kstest(drawn.numpy(), lambda u: np.interp(u, at.numpy()[1:], cdf.numpy()))
    assert test.pvalue > 1e-3


def test_data_outside_their_bounds_are_refused() -> None:
    with pytest.raises(pf.BadSource, match="coordinate 0 leaves its bounds"):
        KDE(0.2, boundary="reflect", bounds=((0, 0.0, None),)).fit(normal(20, 1))


def test_bounds_that_the_space_knows_are_used() -> None:
    x = torch.rand(50, 1, dtype=torch.float64, generator=seeded(0))
    space = pf.Space.infer(x)
    known = pf.Space(
        space.kind, space.shape, (pf.Column("distance", lower=0.0),), space.low, space.high
    )
    assert trapezoid(KDE.of(x, 0.3, space=known, boundary="reflect"), 0, 4) == pytest.approx(
        1, abs=1e-4
    )
    assert trapezoid(KDE.of(x, 0.3, space=known), 0, 4) < 0.95


# ---- bandwidths, fitting, storage


def test_rules_in_the_users_units() -> None:
    x = normal(300, 2) * torch.tensor([1.0, 50.0])
    fitted = {
        form: KDE("scott", form=form).fit(x).bandwidth_ for form in ("number", "axes", "matrix")
    }
    assert [h.ndim for h in fitted.values()] == [0, 1, 2]
    assert torch.allclose(fitted["axes"], x.std(0) * 300 ** (-1 / 6))
    assert torch.allclose(fitted["matrix"].diagonal().sqrt(), fitted["axes"])
    scaled = KDE().fit(x / 50).log_prob(x[:5] / 50) - 2 * math.log(50)
    assert torch.allclose(scaled, KDE().fit(x).log_prob(x[:5]))


@pytest.mark.parametrize("rule", ["likelihood", "crossvalidation"])
def test_chosen_bandwidths_are_likelier_on_fresh_data(rule: str) -> None:
    modes = torch.tensor([-4.0, 4.0], dtype=torch.float64)
    x, fresh = (modes[torch.arange(400) % 2, None] + 0.3 * normal(400, 1, s) for s in (0, 1))
    chosen, scott = KDE(rule).fit(x), KDE().fit(x)
    assert chosen.choice is not None
    assert not chosen.choice.at_edge
    assert float(chosen.log_prob(fresh).mean()) > float(scott.log_prob(fresh).mean()) + 0.3


def test_likelihood_scales_a_matrix_by_the_square() -> None:
    x = normal(200, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.3]], dtype=torch.float64)
    model = KDE("likelihood", form="matrix").fit(x)
    assert model.choice is not None
    assert torch.allclose(
        model.bandwidth_, KDE(form="matrix").fit(x).bandwidth_ * model.choice.factor**2
    )
    assert float(KDE.of(x, model.bandwidth_).sums().leave_one_out().mean()) == pytest.approx(
        model.choice.log_likelihood
    )


@pytest.mark.parametrize("adaptive", ["abramson", "knn"])
def test_adaptive_bandwidths_are_wide_in_the_tails_and_integrate_to_one(adaptive: str) -> None:
    x = torch.cat([normal(200, 1) * 0.2, normal(40, 1, 1) * 3])
    model = KDE(adaptive=adaptive).fit(x)
    assert float(model.local_.log().mean()) == pytest.approx(0, abs=1e-9)
    outer = x[:, 0].abs() > 2
    assert float(model.local_[outer].mean()) > 3 * float(model.local_[~outer].mean())
    assert trapezoid(model, -400, 400, 40_001) == pytest.approx(1, abs=1e-4)


def test_streaming_blocks_gives_the_same_model() -> None:
    x, w = normal(500, 2), torch.rand(500, dtype=torch.float64, generator=seeded(1))
    whole, blocks = (
        KDE("silverman").fit(x, weights=w),
        KDE("silverman").fit(x, weights=w, by=pf.EM(block=64)),
    )
    assert torch.equal(whole.log_prob(x[:9]), blocks.log_prob(x[:9]))
    twice = KDE(0.3).fit(x, weights=torch.full((500,), 2.0, dtype=torch.float64))
    assert torch.allclose(twice.log_prob(x[:9]), KDE(0.3).fit(x).log_prob(x[:9]))


@pytest.mark.parametrize(
    "made",
    [
        KDE(),
        KDE(0.4, "cosine", "product"),
        KDE(adaptive="abramson", form="matrix"),
        KDE((0.3, 0.4), boundary="reflect", bounds=((0, -9.0, None),)),
    ],
)
def test_saved_and_loaded(made: KDE, tmp_path: Path) -> None:
    x = normal(80, 2)
    made.fit(x).save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert repr(again) == repr(made)
    assert torch.equal(again.log_prob(x), made.log_prob(x))
    assert torch.equal(again.sample(4, rng=2), made.sample(4, rng=2))


def test_restored_into_a_used_model() -> None:
    x = normal(40, 2)
    one, two = KDE().fit(x), KDE().fit(x + 3)
    one.log_prob(x)
    one.restore(two.tensors())
    assert torch.equal(one.log_prob(x), two.log_prob(x))


def test_hard_data() -> None:
    flat = torch.cat([normal(30, 1), torch.full((30, 1), 2.0, dtype=torch.float64)], 1)
    assert bool(KDE(0.3).fit(flat).log_prob(flat).isfinite().all())
    with pytest.raises(pf.BadSource, match="constant"):
        KDE().fit(flat)
    one = KDE(1.0).fit(torch.zeros(1, 3, dtype=torch.float64))
    assert float(one.log_prob(torch.zeros(1, 3))) == pytest.approx(-1.5 * math.log(2 * math.pi))
    assert bool(KDE().fit(normal(4, 9)).log_prob(normal(3, 9, 1)).isfinite().all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"bandwidth": -0.1},
            "bandwidth must be positive, got -0.1; pass a number or one of 'scott', 'silverman'",
        ),
        ({"bandwidth": "wide"}, "bandwidth must be one of 'scott', 'silverman'"),
        ({"kernel": "box"}, "kernel must be 'gaussian', .* or 'cosine', got 'box'"),
        ({"adaptive": "yes"}, "adaptive must be 'abramson', 'knn' or None"),
        ({"kernel": "tophat", "boundary": "renormalise"}, "needs independent axes"),
    ],
)
def test_errors_name_the_cure(options: dict, message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        KDE(**options)
