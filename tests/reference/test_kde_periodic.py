"""Kernel densities on circles: against brute-force wrapped sums, and whole."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import kstest, vonmises

from pushforward.core.space import Column, Space
from pushforward.models.classical.kde import KDE

TURN = 2 * math.pi


def angles(n: int, seed: int = 0, d: int = 1) -> torch.Tensor:
    return torch.from_numpy(vonmises(1.5, loc=0.1).rvs((n, d), random_state=seed)) % TURN


def wrapped(
    model: KDE, plain: KDE, x: torch.Tensor, periods: dict[int, float], turns: int
) -> torch.Tensor:
    """log Σ_t f(x + t P) over many turns of each periodic axis."""
    shifts = torch.cartesian_prod(
        *[torch.arange(-turns, turns + 1).double() * p for p in periods.values()]
    ).reshape(-1, len(periods))
    terms = []
    for shift in shifts:
        moved = x.clone()
        moved[:, list(periods)] += shift
        terms.append(plain.log_prob(moved))
    return torch.stack(terms).logsumexp(0)


KERNELS = ("gaussian", "epanechnikov", "tophat", "triangular", "biweight", "exponential", "cosine")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("h", [0.05, 0.8, 5.0])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_one_circle(kernel, h, unit):
    x, local = angles(40) * unit, torch.linspace(0.5, 1.5, 40).double()
    model = KDE.of(
        x, h * unit, local=local, kernel=kernel, boundary="periodic", bounds=[(0, 0, TURN * unit)]
    )
    plain = KDE.of(x, h * unit, local=local, kernel=kernel)
    at = torch.linspace(0, TURN, 101)[:-1, None].double() * unit
    brute = wrapped(
        model,
        plain,
        at,
        {0: TURN * unit},
        3 + int({"exponential": 60, "gaussian": 12}.get(kernel, 2) * h),
    )
    assert torch.allclose(
        model.log_prob(at).exp() * unit, brute.exp() * unit, rtol=1e-10, atol=1e-14
    )
    grid = (torch.arange(20_000).double()[:, None] + 0.5) / 20_000 * TURN * unit
    assert float(model.log_prob(grid).exp().mean()) * TURN * unit == pytest.approx(
        1, abs=1e-3 if kernel == "tophat" else 1e-5
    )
    assert torch.allclose(model.log_prob(at + 3 * TURN * unit), model.log_prob(at), atol=1e-9)
    assert model.integrate_box(5.5 * unit, 7.5 * unit) == pytest.approx(
        float(
            model.log_prob(5.5 * unit + (torch.arange(20_000).double()[:, None] + 0.5) / 1e4 * unit)
            .exp()
            .mean()
        )
        * 2
        * unit,
        abs=1e-3 if kernel == "tophat" else 1e-4,
    )


SHAPES = {
    "number": ({"bandwidth": 0.7}, {0: TURN, 1: 24.0}),
    "axes": ({"bandwidth": (0.4, 3.0, 0.6)}, {0: TURN, 1: 24.0}),
    "product": (
        {"bandwidth": (0.9, 5.0, 0.6), "kernel": "triangular", "shape": "product"},
        {0: TURN, 1: 24.0},
    ),
    "radial": ({"bandwidth": (0.9, 5.0, 0.6), "kernel": "epanechnikov"}, {0: TURN, 1: 24.0}),
    "matrix": (
        {"bandwidth": [[0.5, 0.9, 0.1], [0.9, 4.0, 0.2], [0.1, 0.2, 0.5]]},
        {0: TURN, 1: 24.0},
    ),
    "one axis": ({"bandwidth": (0.4, 3.0, 0.6)}, {1: 24.0}),
}


def table(n: int, seed: int = 0) -> torch.Tensor:
    """An angle, an hour and a number on a line."""
    x = angles(n, seed, 3)
    return torch.stack([x[:, 0], (x[:, 1] * 24 / TURN + x[:, 0]) % 24, x[:, 2] - x[:, 0]], 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_circles_beside_a_line(shape):
    given, periods = SHAPES[shape]
    options = {
        "boundary": "periodic",
        "bounds": [(axis, 0, period) for axis, period in periods.items()],
    }
    h = {"bandwidth": given["bandwidth"]}
    rest = {k: v for k, v in given.items() if k != "bandwidth"}
    x, at = table(25), table(60, 1)
    model, plain = KDE.of(x, **h, **rest, **options), KDE.of(x, **h, **rest)
    brute = wrapped(model, plain, at, periods, 4)
    assert torch.allclose(model.log_prob(at), brute, rtol=1e-10, atol=1e-10)
    if model.independent:
        kept = model.marginal([1, 2])
        brute = wrapped(kept, plain.marginal([1, 2]), at[:, 1:], {0: 24.0}, 4)
        assert torch.allclose(kept.log_prob(at[:, 1:]), brute, rtol=1e-10, atol=1e-10)
        line = model.marginal(2)
        assert torch.allclose(
            line.log_prob(at[:, 2:]), plain.marginal(2).log_prob(at[:, 2:]), rtol=1e-10
        )
        rest_given = model.condition({1: 25.0})  # an hour after midnight
        point = at.clone()
        point[:, 1] = 1.0
        expected = model.log_prob(point) - model.marginal(1).log_prob(torch.ones(1, 1).double())
        assert torch.allclose(rest_given.log_prob(point[:, [0, 2]]), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
def test_draws_lie_on_the_circle_and_follow_the_density(kernel):
    model = KDE(0.9, kernel, boundary="periodic", bounds=[(0, -math.pi, math.pi)]).fit(angles(30))
    drawn = model.sample(1500, rng=0)
    assert bool(((drawn >= -math.pi) & (drawn < math.pi)).all())
    cdf = np.vectorize(lambda q: model.integrate_box(-math.pi, q))
    assert kstest(drawn[:, 0].numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("h", [13.0, 1e3, 1e12])
@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
def test_a_gaussian_much_wider_than_its_axis_is_flat(h, boundary):
    at = torch.linspace(0, 6, 7)[:, None].double()
    model = KDE.of(angles(5), h, boundary=boundary, bounds=[(0, 0, TURN)])
    level = -math.log(TURN)
    assert torch.allclose(
        model.log_prob(at),
        torch.full((7,), level).double(),
        atol=1e-9 if h > 20 or boundary == "periodic" else 0.2,
    )
    assert model.integrate_box(0, TURN) == pytest.approx(1)
    assert model.integrate_box(1, 2) == pytest.approx(
        1 / TURN, rel=1e-6 if h > 20 or boundary == "periodic" else 0.2
    )


@pytest.mark.parametrize("boundary", ["periodic", "reflect"])
@pytest.mark.parametrize("kernel", ["tophat", "exponential"])
def test_a_bump_that_would_need_a_million_images_is_refused(boundary, kernel):
    model = KDE.of(angles(5), 1e12, kernel=kernel, boundary=boundary, bounds=[(0, 0, TURN)])
    for ask in (lambda: model.log_prob(angles(3)), lambda: model.integrate_box(0, 1)):
        with pytest.raises(ValueError, match="over a million images"):
            ask()
    # hundreds are no issue
    distribution = KDE.of(angles(5), 300.0, kernel=kernel, boundary=boundary, bounds=[(0, 0, TURN)])
    assert float(distribution.log_prob(torch.ones(1, 1).double())) == pytest.approx(
        -math.log(TURN), abs=0.02
    )


def test_the_bandwidth_does_not_depend_on_where_the_circle_is_cut():
    x = angles(200)
    for rule in ("scott", "silverman", "likelihood"):
        found = []
        for start in (0, -1, 3):
            model = KDE(rule, boundary="periodic", bounds=[(0, start, start + TURN)]).fit(
                (x - start) % TURN + start
            )
            found.append(model.bandwidth_)
        assert torch.allclose(found[0], found[1], rtol=1e-9)
        assert torch.allclose(found[0], found[2], rtol=1e-9)
    far = ((x + math.pi) % TURN) - math.pi  # straddles no end
    assert torch.allclose(found[0], KDE("likelihood").fit(far).bandwidth_, rtol=0.1)


@pytest.mark.parametrize("adaptive", ["abramson", "knn"])
def test_factors_do_not_depend_on_where_the_circle_is_cut(adaptive):
    x = angles(100)
    one, two = (
        KDE("scott", adaptive=adaptive, boundary="periodic", bounds=[(0, start, start + TURN)]).fit(
            x
        )
        for start in (0.0, -math.pi)
    )
    assert torch.allclose(one.local_, two.local_, rtol=1e-9)


def test_rows_on_further_turns_are_the_same_rows():
    x = angles(50)
    turned = x + TURN * torch.arange(-25, 25)[:, None].double()
    one, two = (KDE(0.4, boundary="periodic", bounds=[(0, 0, TURN)]).fit(z) for z in (x, turned))
    assert torch.allclose(one.log_prob(x), two.log_prob(x), rtol=1e-10)


def test_ends_that_the_space_knows_are_the_period():
    space = Space(
        "points", (1,), (Column("hour", "continuous", 0.0, 23.0, lower=0.0, upper=24.0),), 0.0, 23.0
    )
    x = torch.tensor([[23.5], [0.5], [1.0]]).double()
    model = KDE.of(x, 0.5, space=space, boundary="periodic")
    assert (
        float(model.log_prob(torch.tensor([[0.0]]).double()))
        > float(model.log_prob(torch.tensor([[12.0]]).double())) + 50
    )


def test_a_periodic_density_is_saved(tmp_path):
    import pushforward as pf

    model = KDE(boundary="periodic", bounds=[(0, 0, TURN)]).fit(angles(50))
    model.save(tmp_path / "kept")
    assert torch.equal(
        pf.load(tmp_path / "kept").log_prob(angles(9, 1)), model.log_prob(angles(9, 1))
    )


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((), "needs an axis with two ends"),
        ([(0, 0, None)], "joins two ends, and axis 0 has one"),
        ([(0, 2, 1)], "lower < upper"),
    ],
)
def test_refusals(bounds, said):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=said):
        KDE(0.3, boundary="periodic", bounds=bounds).fit(angles(20))


def test_products_of_periodic_densities_are_refused():
    model = KDE(0.3, boundary="periodic", bounds=[(0, 0, TURN)]).fit(angles(20))
    with pytest.raises(ValueError, match="without bounds; this density has boundary 'periodic'"):
        model.integrate_kde(model)
