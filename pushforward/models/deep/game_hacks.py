"""Hacks of the game: the loss, labels, conditions, and the critic's inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.phase import Step
from pushforward.core.random import normal
from pushforward.core.space import Space
from pushforward.models.deep.hack import ConditioningMode, Hack
from pushforward.objectives.games import FGAN, Game, Labelled, Minimax, NonSaturating, SoftLabelled

__all__ = []


@dataclass(frozen=True)
class ModifiedLoss(Hack, name="modified_loss"):
    """The generator maximises log D(g) instead of minimising log(1 - D(g))."""

    number: ClassVar[int] = 2
    does: ClassVar[str] = (
        "the generator maximises log D, which has a gradient where it loses, instead of minimising"
        " log(1 - D)"
    )
    applies: ClassVar[str] = "minimax and f-GAN games (the default game has it already)"

    def game(self, game: Game) -> Game:
        """The non-saturating form of the game.

        Raises:
            InvalidValue: If the game has none.
        """
        if isinstance(game, SoftLabelled):
            return replace(game, game=self.game(game.game))  # type: ignore[arg-type]
        if isinstance(game, FGAN):
            return replace(game, non_saturating=True)
        if isinstance(game, Minimax):
            return NonSaturating()
        if isinstance(game, NonSaturating):
            return game
        raise InvalidValue(
            f"modified_loss changes {setting('game', 'minimax')} or 'fgan', got {str(game)!r};"
            " leave this"
            " hack out"
        )


@dataclass(frozen=True)
class SoftLabels(Hack, name="soft_labels"):
    """The critic's labels are soft and occasionally flipped.

    Args:
        real: range of the labels of real samples.
        fake: range of the labels of generated ones.
        flip: share of samples with the opposite label.
    """

    number: ClassVar[int] = 6
    does: ClassVar[str] = (
        "the critic's labels are U[.7, 1.2] for real and U[0, .3] for generated, a few flipped"
    )
    applies: ClassVar[str] = "games with labels: non_saturating, minimax, least_squares"
    real: tuple[float, float] = (0.7, 1.2)
    fake: tuple[float, float] = (0.0, 0.3)
    flip: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.flip < 0.5:
            raise InvalidValue(
                f"flip is the share of flipped labels, from 0 to below 0.5, got {self.flip}"
            )

    def game(self, game: Game) -> Game:
        """The game with a random label per sample.

        Raises:
            InvalidValue: If the game has no labels.
        """
        if not isinstance(game, Labelled):
            able = [name for name, kind in Game.members.items() if issubclass(kind, Labelled)]
            raise InvalidValue(
                f"{setting('game', str(game))} has no labels to soften; games that have:"
                f" {', '.join(able)}"
            )
        return SoftLabelled(game, tuple(self.real), tuple(self.fake), self.flip)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Replay(Hack, name="replay"):
    """A share of the generated samples shown to the critic are old ones.

    Args:
        capacity: samples kept.
        share: share of old samples in the batch.
    """

    number: ClassVar[int] = 8
    does: ClassVar[str] = (
        "half of the generated samples the critic sees come from a buffer of old ones"
    )
    capacity: int = 1024
    share: float = 0.5

    def __post_init__(self) -> None:
        require_positive(capacity=self.capacity)
        if not 0 < self.share < 1:
            raise InvalidValue(
                f"share is that of old samples in a batch, between 0 and 1, got {self.share}"
            )

    def old(self) -> tuple[int, float]:
        """As given."""
        return self.capacity, self.share


@dataclass(frozen=True)
class Labels(Hack, name="labels"):
    """Labels are used for training: the critic classifies them, the generator receives one."""

    number: ClassVar[int] = 12
    does: ClassVar[str] = "labels are used: conditioning='auxiliary', a critic that also classifies"
    applies: ClassVar[str] = "data fitted with labels y"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """Require labels."""
        if condition_space is None or not condition_space.is_label:
            raise InvalidValue(
                "the hack 'labels' needs data with labels: pass"
                f" {setting('label', 'auto')} where they are read, or leave it out"
            )

    def conditioning(self, mode: ConditioningMode) -> ConditioningMode:
        """An auxiliary classifier."""
        return "auxiliary"


@dataclass(frozen=True)
class InputNoise(Hack, name="input_noise"):
    """Normal noise on the critic's inputs, decreasing to zero over the budget.

    Args:
        sigma: at the start, in the players' coordinates.
    """

    number: ClassVar[int] = 13
    does: ClassVar[str] = (
        "noise on the critic's inputs, real and generated, decreasing to zero over the budget"
    )
    sigma: float = 0.1

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)

    def show(self, x: Tensor, step: Step) -> Tensor:
        """x + sigma (1 - share of the budget used) ε."""
        return x + self.sigma * max(0.0, 1 - step.fraction) * normal(*x.shape, rng=step.rng, like=x)


@dataclass(frozen=True)
class EmbeddedConditions(Hack, name="embedded_conditions"):
    """Discrete conditions are embedded, and enter the critic as channels of the image."""

    number: ClassVar[int] = 16
    does: ClassVar[str] = (
        "discrete conditions are embedded and enter as channels: conditioning='embedding'"
    )
    applies: ClassVar[str] = "images fitted with labels y; n/a on points, which have no channels"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """Require images with labels."""
        if space.kind != "images":
            raise InvalidValue(
                f"the hack 'embedded_conditions' is n/a on {space.kind}: no channels; use"
                f" {setting('conditioning', 'embedding')}"
            )
        if condition_space is None or not condition_space.is_label:
            raise InvalidValue(
                "the hack 'embedded_conditions' needs data with labels: pass"
                f" {setting('label', 'auto')} where they are read, or leave it out"
            )

    def conditioning(self, mode: ConditioningMode) -> ConditioningMode:
        """Embedded."""
        return "embedding"
