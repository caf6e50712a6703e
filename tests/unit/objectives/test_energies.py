"""The margin game and the pull-away term, by hand."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.core.registry import read
from pushforward.objectives.games import Game, Margin
from pushforward.objectives.pull_away import pull_away


def rows(*given: list[float]) -> torch.Tensor:
    return torch.tensor(given, dtype=torch.float64)


def test_the_pull_away_term_of_known_codes() -> None:
    assert float(pull_away(rows([3, 0], [0, 0.1]))) == 0
    assert float(pull_away(rows([1, 2], [-1, -2]))) == pytest.approx(1, abs=1e-14)
    assert float(pull_away(rows([1, 0], [1, 1]))) == pytest.approx(0.5)  # cos² of 45°, not its root
    assert float(pull_away(rows([1, 2]))) == 0


@pytest.mark.parametrize("shape", [(5, 9), (9, 4)])
def test_the_pull_away_term_is_the_mean_over_pairs(shape: tuple[int, int]) -> None:
    s = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [
        float(torch.cosine_similarity(s[i], s[j], 0)) ** 2
        for i in range(len(s))
        for j in range(len(s))
        if i != j
    ]
    assert float(pull_away(s)) == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)


def test_the_hinge_is_of_each_sample() -> None:
    """Energies 0 and 2m lose m/2 in the mean; the hinge of their mean would lose nothing."""
    m = 3.0
    losses = Margin(m).critic(torch.zeros(2), -torch.tensor([0.0, 2 * m]))
    assert losses.tolist() == [m, 0]
    assert float(losses.mean()) == m / 2


def test_the_players_losses_by_hand() -> None:
    real, fake = -torch.tensor([0.5, 2.0]), -torch.tensor([0.25, 5.0])
    assert Margin(1.0).critic(real, fake).tolist() == [0.5 + 0.75, 2.0]
    assert Margin(1.0).generator(fake, real).tolist() == [0.25, 5.0]
    assert Margin(1.0).right(real, fake).tolist() == [0, 1]


def test_at_the_equilibrium_the_critics_loss_is_the_margin_whatever_the_energy_below_it() -> None:
    energy = 2.0 * torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert Margin(2.0).critic(-energy, -energy).tolist() == pytest.approx([2.0] * 50)


def test_the_best_energy_is_zero_where_data_are_likelier_and_the_margin_elsewhere() -> None:
    """p D + q [m - D]₊ over D (Zhao et al. 2017, proof of Theorem 1)."""
    d = torch.linspace(0, 3, 301, dtype=torch.float64)
    game, m = Margin(1.5), 1.5
    for p, q, best in ((0.6, 0.4, 0.0), (0.3, 0.7, m)):
        nothing = torch.full_like(d, -m)  # a sample at the margin costs nothing
        value = p * game.critic(-d, nothing) + q * game.critic(torch.zeros_like(d), -d)
        assert float(d[value.argmin()]) == pytest.approx(best)


def test_the_margin_game_is_for_energies_alone() -> None:
    with pytest.raises(pf.InvalidValue, match="unknown game 'margin'"):
        read(Game, "margin(margin=2.0)")
    with pytest.raises(pf.InvalidValue, match="margin must be above 0"):
        Margin(0.0)
