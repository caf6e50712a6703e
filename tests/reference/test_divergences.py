"""The nine f-divergences against maximisation, derivatives and quadrature,
none of which know the closed forms (F1, G1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.objectives.divergences import Divergence
from pushforward.objectives.games import FGAN

# Written out once more, in u alone, and independently of the package.
F: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": lambda u: u * u.log(),
    "reverse_kl": lambda u: -u.log(),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (1 - u) ** 2 / u,
    "hellinger": lambda u: (u**0.5 - 1) ** 2,
    "jeffrey": lambda u: (u - 1) * u.log(),
    "js": lambda u: u * u.log() - (u + 1) * ((1 + u) / 2).log(),
    "gan": lambda u: u * u.log() - (u + 1) * (u + 1).log(),
    "total_variation": lambda u: 0.5 * abs(u - 1),
}
# Values of T, the far side of the corners of Pearson's and total variation's conjugates among them.
AT = {
    "kl": [-4, -1, 0, 1, 2, 5],
    "reverse_kl": [-20, -3, -1, -0.5, -0.01],
    "pearson": [-7, -3, -2, -1, 0, 1, 5, 30],
    "neyman": [-50, -3, -1, 0, 0.5, 0.99],
    "hellinger": [-20, -3, -1, 0, 0.5, 0.9],
    "jeffrey": [-50, -5, -1, 0, 1, 3, 6],
    "js": [-5, -2, -0.5, 0, 0.3, 0.69],
    "gan": [-5, -2, -math.log(2), -0.1, -0.01],
    "total_variation": [-3, -0.7, -0.5, -0.2, 0, 0.3, 0.5],
}
BOUND = {
    "kl": 0.5,
    "reverse_kl": 0.5,
    "pearson": 1.718282,
    "neyman": 1.718282,
    "hellinger": 0.235006,
    "jeffrey": 1.0,
    "js": 0.222843,
    "gan": -1.163451,
    "total_variation": 0.382925,
}


def a(name: str) -> Divergence:
    return read(Divergence, name)


def number(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def log_normal(x: Tensor, mean: float, sd: float) -> Tensor:
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(sd) - 0.5 * math.log(2 * math.pi)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.linspace(-18, 19, 370_001, dtype=torch.float64)


def test_there_are_nine() -> None:
    assert set(Divergence.members) == set(F) == set(AT) == set(BOUND)


@pytest.mark.parametrize("name", F)
def test_f_by_its_definition(name: str) -> None:
    u = torch.logspace(-4, 4, 401, dtype=torch.float64)
    torch.testing.assert_close(a(name).f(u), F[name](u), rtol=1e-11, atol=1e-11)
    assert float(a(name).f(number(1.0))) == pytest.approx(a(name).at_one, abs=1e-15)


@pytest.mark.parametrize(("name", "t"), [(name, t) for name in AT for t in AT[name]])
def test_the_conjugate_is_the_maximum(name: str, t: float) -> None:
    found = minimize_scalar(
        lambda s: float(F[name](number(math.exp(s)))) - t * math.exp(s),
        bounds=(-25, 9),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert float(a(name).conjugate(number(t))) == pytest.approx(-found.fun, abs=1e-6)


@pytest.mark.parametrize("name", F)
def test_the_best_critic_is_the_derivative(name: str) -> None:
    log_ratio = torch.linspace(-6, 6, 120, dtype=torch.float64)
    u = log_ratio.exp().requires_grad_()
    (slope,) = torch.autograd.grad(F[name](u).sum(), u)
    torch.testing.assert_close(a(name).best(log_ratio), slope, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        a(name).best_conjugate(log_ratio), (u * slope - F[name](u)).detach(), rtol=1e-9, atol=1e-9
    )
    if name != "total_variation":
        assert float(a(name).best(number(0.0))) == pytest.approx(a(name).threshold, abs=1e-15)
    assert float(a(name).activation(number(a(name).boundary))) == pytest.approx(
        a(name).threshold, abs=1e-15
    )


@pytest.mark.parametrize("name", F)
def test_the_bound_at_the_best_critic(name: str, x: Tensor) -> None:
    """N(0,1)‖N(1,1), by quadrature: the table's numbers."""
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, 1, 1)
    gain, cost = a(name).best(log_p - log_q), a(name).best_conjugate(log_p - log_q)
    assert float(torch.trapezoid(log_p.exp() * gain - log_q.exp() * cost, x)) == pytest.approx(
        BOUND[name], abs=1e-6
    )


@pytest.mark.parametrize("name", F)
def test_an_asymmetric_pair(name: str, x: Tensor) -> None:
    """N(0,1)‖N(.5,2²) by the integral of q f(p/q);
    Neyman's is infinite there and taken with the distributions exchanged.
    """
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, 0.5, 2)
    log_p, log_q = (log_q, log_p) if name == "neyman" else (log_p, log_q)
    direct = float(torch.trapezoid(log_q.exp() * F[name]((log_p - log_q).exp()), x))
    gain, cost = a(name).best(log_p - log_q), a(name).best_conjugate(log_p - log_q)
    assert float(torch.trapezoid(log_p.exp() * gain - log_q.exp() * cost, x)) == pytest.approx(
        direct, abs=1e-7
    )
    assert float(
        torch.trapezoid(log_q.exp() * a(name).f((log_p - log_q).exp()), x)
    ) == pytest.approx(direct, abs=1e-9)


def test_pearson_divides_by_q(x: Tensor) -> None:
    """∫ (p-q)²/q = .611 for N(0,1)‖N(.5,2²); the printed ∫ (p-q)²/p does not even exist."""
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, 0.5, 2)
    # ∫ p²/q - 1 for variances 1 and 4 and means ½ apart
    closed = 4 / math.sqrt(7) * math.exp(0.25 / 7) - 1
    direct = float(torch.trapezoid((log_p.exp() - log_q.exp()) ** 2 / log_q.exp(), x))
    ours = torch.trapezoid(log_q.exp() * a("pearson").f((log_p - log_q).exp()), x)
    assert direct == pytest.approx(closed, abs=1e-9)
    assert float(ours) == pytest.approx(closed, abs=1e-9)


@pytest.mark.parametrize(("mean", "value"), [(0.5, -1.325672), (1.0, -1.163451), (2.0, -0.712633)])
def test_the_original_game_as_a_divergence(mean: float, value: float, x: Tensor) -> None:
    """V(D*) = -ln 4 + 2 JSD with the logit ½mean² - mean x (½ - x for N(1,1))."""
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, mean, 1)
    logit = 0.5 * mean**2 - mean * x
    loss = log_p.exp() * -a("gan").activation(logit) + log_q.exp() * a("gan").composed(logit)
    assert -float(torch.trapezoid(loss, x)) == pytest.approx(value, abs=1e-6)
    half = torch.trapezoid(log_q.exp() * a("js").f((log_p - log_q).exp()), x)
    assert float(half) - math.log(4) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", [n for n in F if n != "total_variation"])
def test_gradient_ascent_on_the_game_finds_the_best_critic(name: str, x: Tensor) -> None:
    """The game's critic, free at every point of a grid, ends at v with g(v) = f'(p/q)."""
    x = x[100_000:260_000:4000]
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, 0.5, 1)
    v = torch.zeros_like(x, requires_grad=True)
    solver, game = (
        torch.optim.LBFGS(
            [v],
            max_iter=500,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-12,
            tolerance_change=0,
        ),
        FGAN(name),
    )

    def loss() -> Tensor:
        solver.zero_grad()
        # Both distributions at each point, in shares of their sum:
        # game.critic takes one output per real and per generated sample.
        share = torch.sigmoid(log_p - log_q)
        real, fake = game.critic(v, torch.zeros_like(v)), game.critic(torch.zeros_like(v), v)
        value = (share * real + (1 - share) * fake).sum()
        value.backward()
        return value

    solver.step(loss)
    torch.testing.assert_close(
        a(name).activation(v.detach()), a(name).best(log_p - log_q), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", [n for n in F if n != "total_variation"])
def test_an_output_that_is_the_log_ratio(name: str, x: Tensor) -> None:
    """Under log_ratio one output, ln p/q, is best for all:
    minus the loss is the table's number, and no neighbour is better.
    """
    game = FGAN(name, log_ratio=True)
    log_p, log_q = log_normal(x, 0, 1), log_normal(x, 1, 1)

    def loss(output: Tensor) -> float:
        fake, real = (
            game.critic(torch.zeros_like(x), output),
            game.critic(output, torch.zeros_like(x)),
        )
        # T and f*(T) of equal distributions, in each of the two
        nothing = game.critic(torch.zeros_like(x), torch.zeros_like(x))
        return float(torch.trapezoid(log_p.exp() * (real - nothing) + log_q.exp() * fake, x))

    assert -loss(log_p - log_q) == pytest.approx(BOUND[name], abs=1e-6)
    assert all(loss(log_p - log_q) < loss(log_p - log_q + shift) for shift in (-0.1, 0.1))
    assert game.boundary == 0.0
    assert float(
        game.generator(number(0.7), number(0.0))
        - FGAN(name, True, True).generator(number(0.7), number(0.0))
    ) == pytest.approx(
        float(a(name).best(number(0.7)) - a(name).best_conjugate(number(0.7))), abs=1e-12
    )


def test_total_variation_has_no_slope_in_the_log_ratio() -> None:
    with pytest.raises(InvalidValue, match="leave log_ratio out"):
        FGAN("total_variation", log_ratio=True)
