"""Games, penalties and distances against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.core.registry import read
from pushforward.objectives.distances import energy_distance
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import gradient_penalty, r1, r2

ONE = torch.tensor([1.0, -2.0], dtype=torch.float64)


def normal_logit(x: torch.Tensor, mean: float) -> torch.Tensor:
    """log p/q for p = N(0, 1), q = N(mean, 1)."""
    return 0.5 * mean**2 - mean * x


@pytest.mark.parametrize(("mean", "value"), [(0.5, -1.325672), (1.0, -1.163451), (2.0, -0.712633)])
def test_the_value_of_the_game_at_the_best_critic(mean: float, value: float) -> None:
    """V(D*) = -ln 4 + 2 JSD, by quadrature over both distributions."""
    x = torch.linspace(-12, 14, 200_001, dtype=torch.float64)
    p = torch.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    q = torch.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi)
    game, logit = read(Game, "non_saturating"), normal_logit(x, mean)
    none = torch.full_like(logit, -1e9)
    on_real, on_fake = game.critic(logit, none), game.critic(-none, logit)
    loss = torch.trapezoid(p * on_real + q * on_fake, x)
    assert -float(loss) == pytest.approx(value, abs=1e-6)


def test_the_non_saturating_generator_learns_where_the_minimax_one_stands_still() -> None:
    """At D = .01 the gradients in the logit are 1 : 99."""
    gradients = []
    for name in ("minimax", "non_saturating"):
        logit = torch.tensor([math.log(0.01 / 0.99)], dtype=torch.float64, requires_grad=True)
        read(Game, name).generator(logit, logit.detach()).sum().backward()
        gradients.append(float(logit.grad))  # type: ignore[arg-type]
    assert gradients[1] / gradients[0] == pytest.approx(99, rel=1e-9)
    assert gradients[0] < 0


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        ("least_squares", [0.5 * (0 + 9), 0.5 * (9 + 1)], [0.5 * 4, 0.5 * 4]),
        ("hinge", [0 + 4, 3 + 0], [-3.0, 1.0]),
        ("wasserstein", [3 - 1, -1 + 2], [-3.0, 1.0]),
    ],
)
def test_losses_by_hand(name: str, critic: list[float], generator: list[float]) -> None:
    game, fake = read(Game, name), torch.tensor([3.0, -1.0], dtype=torch.float64)
    assert game.critic(ONE, fake).tolist() == pytest.approx(critic)
    if name == "least_squares":
        generator = [0.5 * (3 - 1) ** 2, 0.5 * (-1 - 1) ** 2]
    assert game.generator(fake, ONE).tolist() == pytest.approx(generator)


def test_relativistic_players_see_only_the_difference() -> None:
    game, fake = read(Game, "relativistic"), torch.tensor([3.0, -1.0], dtype=torch.float64)
    assert torch.allclose(game.critic(ONE, fake), game.critic(ONE + 5, fake + 5))
    assert torch.allclose(game.critic(ONE, fake) - game.generator(fake, ONE), fake - ONE)


def test_penalties_on_a_quadratic_critic() -> None:
    """c(x) = ‖x‖² has the slope 2x."""
    real = torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    fake = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)

    def critic(x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(1)

    assert r1(10.0)(critic, real, fake).tolist() == pytest.approx([5 * 100, 5 * 4])
    assert r2(10.0)(critic, real, fake).tolist() == pytest.approx([5 * 4, 0])
    assert gradient_penalty(10.0)(critic, real, real, rng=0).tolist() == pytest.approx(
        [10 * 81, 10 * 1]
    )


def test_the_gradient_penalty_looks_between_the_pairs() -> None:
    real, fake = (
        torch.full((1000, 1), 2.0, dtype=torch.float64),
        torch.zeros(1000, 1, dtype=torch.float64),
    )
    penalty = gradient_penalty(1.0)(lambda x: 0.5 * x.square().sum(1), real, fake, rng=0)
    assert float(penalty.detach().mean()) == pytest.approx(1 / 3, abs=0.02)  # E (2t - 1)²


def test_the_energy_distance_of_two_normals() -> None:
    """In one dimension 2 E|X-Y| - E|X-X'| - E|Y-Y'| for N(0,1),
    N(m,1), with E|N(m,2)| in closed form.
    """
    stream = torch.Generator().manual_seed(0)
    x, y = (
        torch.randn(4000, 1, generator=stream, dtype=torch.float64),
        torch.randn(4000, 1, generator=stream, dtype=torch.float64) + 2,
    )
    m, s = 2.0, math.sqrt(2)
    folded = s * math.sqrt(2 / math.pi) * math.exp(-(m**2) / (2 * s**2)) + m * math.erf(
        m / (s * math.sqrt(2))
    )
    exact = 2 * folded - 2 * s * math.sqrt(2 / math.pi)
    assert float(energy_distance(x, y)) == pytest.approx(exact, abs=0.06)
    assert abs(float(energy_distance(x, y - 2))) < 0.01
