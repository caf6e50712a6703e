"""The Dirac-GAN (Mescheder, Geiger & Nowozin 2018, §2):
data at 0, one sample at θ, a critic c(x) = ψ x.

Simultaneous descent on an unpenalised game multiplies θ² + ψ² by 1 + h² f'(θψ)² at every step: it
spirals outwards. With R1 it spirals in. Played by the package's own games, penalties, phases and
trainer.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.recipes.dirac import DiracGAN

RATE = 0.1


def play(
    game: str, penalties: tuple[str, ...] = (), steps: int = 60, single_step: bool = True
) -> list[tuple[float, float]]:
    by = pf.Trainer(
        steps=steps,
        batch=4,
        precision="64-true",
        optimizers={"critic": f"sgd(rate={RATE})", "generator": f"sgd(rate={RATE})"},
    )
    model = DiracGAN(latent=1, game=game, penalties=penalties, single_step=single_step)
    model.fit(torch.zeros(8, 1, dtype=torch.float64), by=by)
    return model.path


def squared(point: tuple[float, float]) -> float:
    return point[0] ** 2 + point[1] ** 2


@pytest.mark.parametrize(
    ("game", "slope"),
    [
        ("minimax", lambda t: 1 / (1 + math.exp(-t))),
        ("wasserstein", lambda t: 1.0),
        ("fgan(divergence='gan')", lambda t: 1 / (1 + math.exp(-t))),
    ],
    ids=["minimax", "wasserstein", "fgan"],
)
def test_unpenalised_the_players_spiral_outwards_at_the_known_rate(game: str, slope: Any) -> None:
    path = play(game)
    for one, two in pairwise(path):
        assert squared(two) / squared(one) == pytest.approx(
            1 + (RATE * slope(one[0] * one[1])) ** 2, rel=1e-9
        )
    assert squared(path[-1]) > 1.1 * squared(path[0])


def test_near_the_equilibrium_the_rate_is_one_plus_a_quarter_of_h_squared() -> None:
    """f'(0) = ½."""
    path = play("minimax", steps=2)
    start = squared(path[0])
    assert squared(path[1]) / start == pytest.approx(
        1 + RATE**2 / (1 + math.exp(-0.5)) ** 2, rel=1e-9
    )


@pytest.mark.parametrize("game", ["minimax", "wasserstein"])
def test_with_r1_they_converge(game: str) -> None:
    path = play(game, ("r1(gamma=1.0)",), steps=300)
    assert squared(path[-1]) < 1e-4 * squared(path[0])


def test_in_turn_they_neither_grow_nor_shrink_as_fast() -> None:
    """Single-step play is what spirals:
    in turn, descent on the bilinear game keeps the modulus within bounds.
    """
    path = play("wasserstein", single_step=False, steps=300)
    assert max(map(squared, path)) < 1.3 * squared(path[0])
    assert min(map(squared, path)) > 0.7 * squared(path[0])
