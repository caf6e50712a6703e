"""The 17 hacks for training GANs as values that can be switched on one by one.

Each value overrides the one place where it acts and leaves all others as they are; a GAN asks all
of its hacks in turn. Four of the list are no switches, and say why (`NOT_SWITCHES`).

Reference:
    Chintala, Denton, Arjovsky & Mathieu (2016), How to train a GAN? Tips and tricks to make GANs
    work. https://github.com/soumith/ganhacks
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.phase import Optimizer, Step, sgd
from pushforward.core.random import normal
from pushforward.core.registry import read
from pushforward.core.space import Space
from pushforward.models.deep.hack import Hack
from pushforward.nets.critics import BatchDiscrimination
from pushforward.nets.surgery import put_batch_norm, put_dropout, put_leaky
from pushforward.objectives.games import FGAN, Game, Labelled, Minimax, NonSaturating, SoftLabelled

__all__ = ["Hack", "NOT_SWITCHES", "list_hacks", "read_hacks"]


@dataclass(frozen=True)
class Normalise(Hack, name="normalise"):
    """Data in [-1, 1], tanh as the generator's last layer."""

    number: ClassVar[int] = 1
    does: ClassVar[str] = "data scaled to [-1, 1], tanh as the generator's last layer"

    def scaling(self, kind: str) -> str:
        """Signed."""
        return "signed"

    def squash(self, u: Tensor) -> Tensor:
        """tanh."""
        return u.tanh()


@dataclass(frozen=True)
class ModifiedLoss(Hack, name="modified_loss"):
    """The generator maximises log D(g) in place of minimising log(1 - D(g))."""

    number: ClassVar[int] = 2
    does: ClassVar[str] = (
        "the generator maximises log D, which has a slope where it loses, instead of minimising"
        " log(1 - D)"
    )
    applies: ClassVar[str] = "minimax and f-GAN games (the default game has it already)"

    def game(self, game: Game) -> Game:
        """The non-saturating form of the game; InvalidValue where there is none."""
        if isinstance(game, SoftLabelled):
            return replace(game, game=self.game(game.game))  # type: ignore[arg-type]
        if isinstance(game, FGAN):
            return replace(game, non_saturating=True)
        if isinstance(game, Minimax):
            return NonSaturating()
        if isinstance(game, NonSaturating):
            return game
        raise InvalidValue(
            f"modified_loss changes game='minimax' or 'fgan', got {str(game)!r}; leave this"
            " hack out"
        )


@dataclass(frozen=True)
class SphericalCodes(Hack, name="spherical_z"):
    """Codes on the sphere of radius √latent, on which straight paths are great circles."""

    number: ClassVar[int] = 3
    does: ClassVar[str] = (
        "noise on the sphere of radius √latent; paths between codes are great circles"
    )
    applies: ClassVar[str] = "latent ≥ 2"

    def codes(self, z: Tensor) -> Tensor:
        """√d z/‖z‖."""
        length: Tensor = z.norm(dim=1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
        scale: Tensor = z.shape[1] ** 0.5 / length
        return z * scale


@dataclass(frozen=True)
class BatchNorm(Hack, name="batch_norm"):
    """Batch norm in both players; real and generated samples are always in separate batches."""

    number: ClassVar[int] = 4
    does: ClassVar[str] = (
        "batch norm in both players, real and generated samples in separate batches"
    )
    applies: ClassVar[str] = "network='mlp' (dcgan has it, r3gan does without)"

    def generator(self, network: nn.Module) -> None:
        """Between layers."""
        put_batch_norm(network, critic=False)

    def critic(self, network: nn.Module) -> None:
        """Between layers, not at the input."""
        put_batch_norm(network, critic=True)


@dataclass(frozen=True)
class NoSparseGradients(Hack, name="no_sparse_gradients"):
    """Leaky ReLU in place of ReLU, and means in place of maxima when pooling.

    Arguments:
        slope: below zero.
    """

    number: ClassVar[int] = 5
    does: ClassVar[str] = (
        "leaky ReLU instead of ReLU in both players, strides or means instead of max-pooling"
    )
    applies: ClassVar[str] = "networks with ReLU"
    slope: float = 0.2

    def generator(self, network: nn.Module) -> None:
        """Every ReLU."""
        put_leaky(network, self.slope)

    def critic(self, network: nn.Module) -> None:
        """Every ReLU."""
        put_leaky(network, self.slope)


@dataclass(frozen=True)
class SoftLabels(Hack, name="soft_labels"):
    """The critic's labels are soft, and now and then exchanged.

    Arguments:
        real: range of the labels of real samples.
        fake: range of the labels of generated ones.
        flip: share of samples whose label is the other kind's.
    """

    number: ClassVar[int] = 6
    does: ClassVar[str] = (
        "the critic's labels are U[.7, 1.2] for real and U[0, .3] for generated, a few exchanged"
    )
    applies: ClassVar[str] = "games with labels: non_saturating, minimax, least_squares"
    real: tuple[float, float] = (0.7, 1.2)
    fake: tuple[float, float] = (0.0, 0.3)
    flip: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.flip < 0.5:
            raise InvalidValue(
                f"flip is the share of labels exchanged, from 0 to below 0.5, got {self.flip}"
            )

    def game(self, game: Game) -> Game:
        """The game with one label a sample; InvalidValue where it has no labels."""
        if not isinstance(game, Labelled):
            able = [name for name, kind in Game.members.items() if issubclass(kind, Labelled)]
            raise InvalidValue(
                f"game={str(game)!r} has no labels to soften; games that have: {', '.join(able)}"
            )
        return SoftLabelled(game, tuple(self.real), tuple(self.fake), self.flip)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Replay(Hack, name="replay"):
    """A share of the generated samples the critic sees are old ones.

    Arguments:
        capacity: samples kept.
        share: of the batch.
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
class SGDCritic(Hack, name="sgd_critic"):
    """Adam for the generator, plain SGD for the critic.

    Arguments:
        rate: of the critic.
        momentum: of the critic.
    """

    number: ClassVar[int] = 9
    does: ClassVar[str] = "Adam for the generator, SGD for the critic"
    rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require_positive(rate=self.rate)

    def critic_optimizer(self, optimizer: Optimizer) -> Optimizer:
        """SGD."""
        return sgd(self.rate, self.momentum)


@dataclass(frozen=True)
class Labels(Hack, name="labels"):
    """Known labels are learnt too: the critic classifies, the generator is asked for a class."""

    number: ClassVar[int] = 12
    does: ClassVar[str] = "labels are used: conditioning='auxiliary', a critic that also classifies"
    applies: ClassVar[str] = "data fitted with labels y"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """There must be labels."""
        if condition_space is None or not condition_space.is_label:
            raise InvalidValue(
                "the hack 'labels' needs data with labels; fit with y, or leave it out"
            )

    def conditioning(self, mode: str) -> str:
        """An auxiliary classifier."""
        return "auxiliary"


@dataclass(frozen=True)
class InputNoise(Hack, name="input_noise"):
    """Normal noise on what the critic sees, falling to zero over the budget.

    Arguments:
        sigma: at the start, in the players' coordinates.
    """

    number: ClassVar[int] = 13
    does: ClassVar[str] = (
        "noise on the critic's inputs, real and generated, falling to zero over the budget"
    )
    sigma: float = 0.1

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)

    def show(self, x: Tensor, step: Step) -> Tensor:
        """x + sigma (1 - share of the budget used) ε."""
        return x + self.sigma * max(0.0, 1 - step.fraction) * normal(*x.shape, rng=step.rng, like=x)


@dataclass(frozen=True)
class MoreCriticSteps(Hack, name="more_critic_steps"):
    """Several moves of the critic to one of the generator.

    Arguments:
        steps: how many.
    """

    number: ClassVar[int] = 14
    does: ClassVar[str] = "the critic is trained more: five moves to one of the generator"
    steps: int = 5

    def __post_init__(self) -> None:
        require_positive(steps=self.steps)

    def critic_steps(self, steps: int) -> int:
        """At least as many."""
        return max(steps, self.steps)


@dataclass(frozen=True)
class BatchDiscriminator(Hack, name="batch_discrimination"):
    """The critic sees how close each sample is to the others of its batch.

    Arguments:
        kernels: numbers added to the features.
        size: numbers compared for each.

    Reference:
        Salimans et al. (2016), Improved techniques for training GANs, §3.2.
        https://arxiv.org/abs/1606.03498
    """

    number: ClassVar[int] = 15
    does: ClassVar[str] = "the critic sees how alike the samples of a batch are"
    kernels: int = 16
    size: int = 8

    def __post_init__(self) -> None:
        require_positive(kernels=self.kernels, size=self.size)

    def trunk(self, width: int) -> tuple[list[nn.Module], int]:
        """One more layer."""
        return [BatchDiscrimination(width, self.kernels, self.size)], width + self.kernels


@dataclass(frozen=True)
class EmbeddedConditions(Hack, name="embedded_conditions"):
    """Discrete conditions are embedded, and enter the critic as channels of the image."""

    number: ClassVar[int] = 16
    does: ClassVar[str] = (
        "discrete conditions are embedded and enter as channels: conditioning='embedding'"
    )
    applies: ClassVar[str] = "images fitted with labels y; n/a on points, which have no channels"

    def check(self, space: Space, condition_space: Space | None) -> None:
        """Images with labels."""
        if space.kind != "images":
            raise InvalidValue(
                f"the hack 'embedded_conditions' is n/a on {space.kind}: no channels; use"
                " conditioning='embedding'"
            )
        if condition_space is None or not condition_space.is_label:
            raise InvalidValue(
                "the hack 'embedded_conditions' needs data with labels; fit with y, or leave it out"
            )

    def conditioning(self, mode: str) -> str:
        """Embedded."""
        return "embedding"


@dataclass(frozen=True)
class Dropout(Hack, name="dropout"):
    """Dropout in the generator, when sampling too: noise beside the code.

    Arguments:
        share: of units dropped.
    """

    number: ClassVar[int] = 17
    does: ClassVar[str] = "dropout in the generator's layers, in training and when sampling"
    applies: ClassVar[str] = "network='mlp' or 'dcgan'"
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidValue(f"share is that of units dropped, between 0 and 1, got {self.share}")

    def generator(self, network: nn.Module) -> None:
        """After every activation."""
        put_dropout(network, self.share)


NOT_SWITCHES: dict[int, tuple[str, str, str]] = {
    7: (
        "dcgan",
        "use DCGAN, or a hybrid with a likelihood",
        "n/a: another model, not a switch: pf.DCGAN, or network='dcgan'",
    ),
    10: (
        "track_failures",
        "watch losses and gradients for early signs of failure",
        "n/a: always on: the watchdog, vitals and symptoms",
    ),
    11: (
        "no_balancing",
        "do not balance the players by their losses",
        "n/a: nothing here does; critic_steps is fixed in advance",
    ),
}
"""Of the list, what is not a switch: number -> (name, what it does, why not)."""


def read_hacks(hacks: Sequence[Hack | str]) -> tuple[Hack, ...]:
    """The hacks that are named.

    InvalidValue for one that is no switch, is named twice, or contradicts another.
    """
    for hack in hacks:
        for number, (name, _, why) in NOT_SWITCHES.items():
            if str(hack) == name:
                raise InvalidValue(f"hack {number}, {name!r}, cannot be switched on ({why})")
    switches = tuple(read(Hack, hack) for hack in hacks)
    names = [hack.name for hack in switches]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise InvalidValue(f"the hack {twice!r} is given twice; give it once")
    if {"labels", "embedded_conditions"} <= set(names):
        raise InvalidValue(
            "the hacks 'labels' and 'embedded_conditions' both say how conditions enter; choose one"
        )
    return switches


def list_hacks() -> list[tuple[int, str, str, str]]:
    """All 17 in order: number, name, what it does, applies to what."""
    switches = [(h.number, h.name, h.does, h.applies) for h in Hack.members.values()]  # type: ignore[attr-defined]
    return sorted([*switches, *((number, *text) for number, text in NOT_SWITCHES.items())])
