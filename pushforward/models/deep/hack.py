"""The base class of hacks for training GANs: the places where one can act."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from torch import Tensor, nn

from pushforward.core.phase import Optimizer, Step
from pushforward.core.registry import Value
from pushforward.core.scaling import ScalingKind
from pushforward.core.space import Space
from pushforward.objectives.games import Game

__all__ = ["ConditioningMode", "Hack"]

ConditioningMode: TypeAlias = Literal["concatenation", "embedding", "projection", "auxiliary"]
"""How a condition enters the networks."""


class Hack(Value, family="hack"):
    """One switch.

    Every method is one place where a hack can act; what is not overridden changes nothing.

    Attributes:
        number: in the original list.
        does: one line.
        applies: to what.
    """

    number: ClassVar[int] = 0
    does: ClassVar[str] = ""
    applies: ClassVar[str] = "anything"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidValue where the data leave it nothing to act on."""

    def scaling(self, kind: ScalingKind) -> ScalingKind:
        """The coordinates the players work in."""
        return kind

    def squash(self, u: Tensor) -> Tensor:
        """What is done to the generator's output."""
        return u

    def game(self, game: Game) -> Game:
        """The game."""
        return game

    def codes(self, z: Tensor) -> Tensor:
        """What is done to noise vectors before the generator sees them."""
        return z

    def generator(self, network: nn.Module) -> None:
        """What is done to the generator's network when it is built."""

    def trunk(self, width: int) -> tuple[list[nn.Module], int]:
        """Layers added at the end of the critic's features, and the features' width then."""
        return [], width

    def critic(self, network: nn.Module) -> None:
        """What is done to the critic's network when it is built."""

    def old(self) -> tuple[int, float] | None:
        """How many old samples are kept, and their share of the critic's batch; None for none."""
        return None

    def show(self, x: Tensor, step: Step) -> Tensor:
        """What the critic sees of samples, real and generated, while the players learn."""
        return x

    def critic_optimizer(self, optimizer: Optimizer) -> Optimizer:
        """What moves the critic."""
        return optimizer

    def critic_steps(self, steps: int) -> int:
        """Moves of the critic to one of the generator."""
        return steps

    def conditioning(self, mode: ConditioningMode) -> ConditioningMode:
        """How the condition enters."""
        return mode
