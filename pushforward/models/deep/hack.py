"""The base class of hacks for training GANs: the places where a hack can act."""

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
    """One hack.

    Every method is one place where a hack can act; by default it changes nothing.

    Attributes:
        number: in the original list.
        does: its effect, in one line.
        applies: where it applies.
    """

    number: ClassVar[int] = 0
    does: ClassVar[str] = ""
    applies: ClassVar[str] = "anything"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidValue if the hack does not apply to the data."""

    def scaling(self, kind: ScalingKind) -> ScalingKind:
        """The coordinates of the players."""
        return kind

    def squash(self, u: Tensor) -> Tensor:
        """Transform the generator's output."""
        return u

    def game(self, game: Game) -> Game:
        """The game."""
        return game

    def codes(self, z: Tensor) -> Tensor:
        """Transform noise vectors before the generator."""
        return z

    def generator(self, network: nn.Module) -> None:
        """Change the generator's network when it is built."""

    def trunk(self, width: int) -> tuple[list[nn.Module], int]:
        """Layers to add to the critic's features, and the resulting width."""
        return [], width

    def critic(self, network: nn.Module) -> None:
        """Change the critic's network when it is built."""

    def old(self) -> tuple[int, float] | None:
        """Number of old samples stored, and their share of the critic's batch; None for none."""
        return None

    def show(self, x: Tensor, step: Step) -> Tensor:
        """Transform samples, real and generated, shown to the critic during training."""
        return x

    def critic_optimizer(self, optimizer: Optimizer) -> Optimizer:
        """The critic's optimiser."""
        return optimizer

    def critic_steps(self, steps: int) -> int:
        """Critic updates per generator update."""
        return steps

    def conditioning(self, mode: ConditioningMode) -> ConditioningMode:
        """The mode of conditioning."""
        return mode
