"""The adversary as a part: the same terms for any critic it is given,
packs, maps, displays, and what it refuses.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue
from pushforward.core.phase import Step
from pushforward.core.registry import read
from pushforward.models.parts.adversary import Adversary, Rows, surprise
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty


class Sums(nn.Module):
    """A critic that gives the weighted sum of a row's numbers,
    and the row itself as a second head.
    """

    def __init__(self, heads: bool = False) -> None:
        super().__init__()
        self.weight, self.heads = nn.Parameter(torch.tensor(2.0)), heads

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        output = self.weight * x.flatten(1).sum(1, keepdim=True)
        return (output, x.flatten(1)) if self.heads else output


REAL, FAKE = torch.arange(12.0).reshape(6, 2) / 10, -torch.arange(12.0).reshape(6, 2) / 20


def step() -> Step:
    return Step(0, 0.0, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "game", ["non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"]
)
@pytest.mark.parametrize("packing", [1, 2, 3])
def test_terms_are_those_of_the_game_for_every_sample(game: str, packing: int) -> None:
    adversary, critic = Adversary(read(Game, game), packing=packing), Sums()
    comparison = adversary.compare(critic, Rows(REAL), Rows(FAKE), step())
    packs = [2 * x.reshape(6 // packing, -1).sum(1) for x in (REAL, FAKE)]
    expected = read(Game, game).critic(*packs).repeat_interleave(packing)
    terms = adversary.critic_terms(critic, comparison, step())
    assert torch.allclose(terms["critic"], expected)
    assert len(terms["critic"]) == 6
    generator, verdict = adversary.generator_terms(critic, Rows(FAKE), step(), real=Rows(REAL))
    assert torch.allclose(
        generator["generator"],
        read(Game, game).generator(packs[1], packs[0]).repeat_interleave(packing),
    )
    assert torch.allclose(verdict.output, packs[1])


def test_the_generator_learns_through_what_the_critic_is_shown() -> None:
    adversary = Adversary(
        read(Game, "wasserstein"), display=[lambda x, step: 3 * x, lambda x, step: x + 1]
    )
    fake = FAKE.clone().requires_grad_(True)
    terms, _ = adversary.generator_terms(Sums(), Rows(fake), step())
    terms["generator"].sum().backward()
    assert torch.allclose(fake.grad, torch.full_like(fake, -6.0))  # type: ignore[arg-type]
    assert torch.allclose(adversary.show(REAL, step()), 3 * REAL + 1)


@pytest.mark.parametrize("game", ["relativistic", "fgan(divergence='js')", "hinge"])
def test_the_generator_learns_nothing_through_real_samples(game: str) -> None:
    adversary, critic, real = Adversary(read(Game, game)), Sums(), REAL.clone().requires_grad_()
    fake = FAKE.clone().requires_grad_()
    terms, _ = adversary.generator_terms(critic, Rows(fake), step(), real=Rows(real))
    terms["generator"].sum().backward()
    assert fake.grad is not None
    assert real.grad is None


def test_a_critic_whose_output_is_a_map_is_averaged_by_the_engine() -> None:
    """Nothing in the adversary takes the output for one number a row."""
    critic = nn.Conv2d(1, 1, 3, padding=1)
    patch = Adversary(read(Game, "hinge"))

    class Maps(nn.Module):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            return critic(x)

    x = torch.randn(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    comparison = patch.compare(Maps(), Rows(x), Rows(-x), step())
    assert patch.critic_terms(Maps(), comparison, step())["critic"].shape == (4, 5, 5)
    assert patch.generator_terms(Maps(), Rows(x), step())[0]["generator"].shape == (4, 5, 5)


def test_penalties_see_what_the_critic_was_shown() -> None:
    adversary = Adversary(
        read(Game, "hinge"), [read(Penalty, "r1(gamma=2.0)")], display=[lambda x, step: 5 * x]
    )
    comparison = adversary.compare(Sums(), Rows(REAL), Rows(FAKE), step())
    assert torch.equal(comparison.real_packs, 5 * REAL)
    terms = adversary.critic_terms(Sums(), comparison, step())
    assert torch.allclose(terms["r1"], torch.full((6,), 8.0))  # ½ · 2 · ‖(2, 2)‖²


def test_a_classifying_critic_is_surprised_by_labels_of_both_kinds() -> None:
    y = nn.functional.one_hot(torch.arange(6) % 2).float()
    adversary, critic = Adversary(read(Game, "hinge"), classifies=True), Sums(heads=True)
    terms = adversary.critic_terms(
        critic, adversary.compare(critic, Rows(REAL, y), Rows(FAKE, y), step()), step()
    )
    assert torch.allclose(terms["labels"], surprise(REAL, y) + surprise(FAKE, y))
    assert torch.allclose(
        adversary.generator_terms(critic, Rows(FAKE, y), step())[0]["labels"], surprise(FAKE, y)
    )


def test_rows_that_fill_no_packs_and_pairs_without_real_rows_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"6 rows cannot be split into packs of 4"):
        Adversary(read(Game, "hinge"), packing=4).pack(REAL)
    with pytest.raises(InvalidValue, match="compares with real samples; pass them"):
        Adversary(read(Game, "relativistic")).generator_terms(Sums(), Rows(FAKE), step())
