"""Two-player games: the losses of critic and generator from the critic's outputs c.

Every loss is per sample, (n,). The critic's output on real and generated samples is a logit or an
unbounded number; no sigmoid is applied anywhere.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.registry import Value, read
from pushforward.objectives.divergences import Divergence, TotalVariation

__all__ = [
    "Game",
    "Minimax",
    "NonSaturating",
    "LeastSquares",
    "Hinge",
    "Wasserstein",
    "Relativistic",
    "FGAN",
    "Margin",
    "Labelled",
    "SoftLabelled",
]


class Game(Value, family="game"):
    """The losses of both players.

    Attributes:
        paired: whether the generator's loss needs the critic's outputs on real samples.
        boundary: the output above which the critic calls a sample real;
            None if only differences of outputs are meaningful.
    """

    paired: ClassVar[bool] = True
    boundary: ClassVar[float | None] = 0.0

    @abstractmethod
    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """The critic's loss (n, …) from its outputs (n, …) on real and generated samples.

        `rng` for random games.
        """

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """The generator's loss (n, …)."""

    def right(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's accuracy on each pair (n,): 0, ½ or 1."""
        if self.boundary is None:
            return (real > fake).to(real.dtype)
        return 0.5 * ((real > self.boundary).to(real.dtype) + (fake < self.boundary).to(real.dtype))


class Labelled(Game):
    """A game with labels for the critic, which may be soft or noisy (Salimans et al. 2016, §3.4,
    https://arxiv.org/abs/1606.03498).
    """

    @abstractmethod
    def labelled(self, output: Tensor, label: Tensor) -> Tensor:
        """The critic's loss (n, …) for outputs with a label between 0 (generated) and 1 (real)."""


@dataclass(frozen=True)
class NonSaturating(Labelled, name="non_saturating"):
    """Critic: -log D(x) - log(1 - D(g)).

    Generator: -log D(g) (Goodfellow et al. 2014, §3, https://arxiv.org/abs/1406.2661).
    """

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Cross-entropy of telling real from generated."""
        return softplus(-real) + softplus(fake)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-log D(g)."""
        return softplus(-fake)

    def labelled(self, output: Tensor, label: Tensor) -> Tensor:
        """-t log D - (1-t) log(1-D) = softplus(c) - t c."""
        return softplus(output) - label * output


@dataclass(frozen=True)
class Minimax(NonSaturating, name="minimax"):
    """The same critic; generator: log(1 - D(g)) (Goodfellow et al. 2014, Eq. 1,
    https://arxiv.org/abs/1406.2661).
    """

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """log(1 - D(g))."""
        return -softplus(fake)


@dataclass(frozen=True)
class LeastSquares(Labelled, name="least_squares"):
    """Critic: ½(c(x) - 1)² + ½c(g)²; generator: ½(c(g) - 1)² (Mao et al. 2017, Eq. 9,
    https://arxiv.org/abs/1611.04076).
    """

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.5

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Real to 1, generated to 0."""
        return 0.5 * ((real - 1).square() + fake.square())

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """Generated to 1."""
        return 0.5 * (fake - 1).square()

    def labelled(self, output: Tensor, label: Tensor) -> Tensor:
        """½(c - t)²."""
        return 0.5 * (output - label).square()


@dataclass(frozen=True)
class Hinge(Game, name="hinge"):
    """Critic: [1 - c(x)]₊ + [1 + c(g)]₊.

    Generator: -c(g) (Lim & Ye 2017, https://arxiv.org/abs/1705.02894).
    """

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Margins of one on either side."""
        return relu(1 - real) + relu(1 + fake)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-c(g)."""
        return -fake


@dataclass(frozen=True)
class Wasserstein(Game, name="wasserstein"):
    """Critic: c(g) - c(x); generator: -c(g) (Arjovsky et al. 2017, Eq. 2,
    https://arxiv.org/abs/1701.07875); needs a penalty on the critic's slope.
    """

    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = None

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Minus the estimated distance."""
        return fake - real

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """-c(g)."""
        return -fake


@dataclass(frozen=True)
class Relativistic(Game, name="relativistic"):
    """Critic: softplus(c(g) - c(x)).

    Generator: softplus(c(x) - c(g)) on pairs (Jolicoeur-Martineau 2019, Eq. 5,
    https://arxiv.org/abs/1807.00734).
    """

    boundary: ClassVar[float | None] = None

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Real above generated."""
        return softplus(fake - real)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """Generated above real."""
        return softplus(real - fake)


@dataclass(frozen=True)
class FGAN(Game, name="fgan"):
    """Critic: f*(T(c(g))) - T(c(x)); generator: -f*(T(c(g))) (Nowozin et al. 2016, Eq. 6,
    https://arxiv.org/abs/1606.00709), c(·) the critic's unbounded output.

    Against the optimal critic, the generator minimises D_f(data ‖ samples);
    `divergences.py` has the nine f.

    Args:
        divergence: 'kl', 'reverse_kl', 'pearson', 'neyman',
            'hellinger', 'jeffrey', 'js', 'gan' or 'total_variation'.
        non_saturating: the generator minimises -T(c(g)) instead (§3.2),
            which has a gradient where it loses.
        log_ratio: T = f'(e^c), so that the optimal output is ln p/q under every divergence;
            otherwise the paper's T = g(c). If T itself grows like q/p, ln p/q is easier to estimate
            (Jeffrey's in the tails). Total variation has no gradient in it.
    """

    paired: ClassVar[bool] = False
    divergence: Divergence | str = "kl"
    non_saturating: bool = False
    log_ratio: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "divergence", str(read(Divergence, self.divergence)))
        if self.log_ratio and isinstance(self.rule, TotalVariation):
            raise InvalidValue(
                "log_ratio=True needs a divergence whose f' has a slope, got 'total_variation';"
                " leave log_ratio out"
            )

    @property
    def rule(self) -> Divergence:
        """The divergence itself."""
        return read(Divergence, self.divergence)

    @property
    def boundary(self) -> float:  # type: ignore[override]
        """The critic's output above which it calls an observation real: T = f'(1)."""
        return 0.0 if self.log_ratio else self.rule.boundary

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Minus the variational bound."""
        return self._conjugate(fake) - self._value(real)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """The part of the bound that depends on the samples, or -T(c(g))."""
        return -self._value(fake) if self.non_saturating else -self._conjugate(fake)

    def _value(self, output: Tensor) -> Tensor:
        """T."""
        return self.rule.best(output) if self.log_ratio else self.rule.activation(output)

    def _conjugate(self, output: Tensor) -> Tensor:
        """f*(T)."""
        return self.rule.best_conjugate(output) if self.log_ratio else self.rule.composed(output)


@dataclass(frozen=True)
class Margin(Game):
    """Critic: D(x) + [margin - D(g)]₊.

    Generator: D(g) (Zhao, Mathieu & LeCun 2017, https://arxiv.org/abs/1609.03126, Eqs. 1 and 2), D
    = -c the energy.

    Where generator and data have the same distribution, the critic's mean loss is the margin,
    whatever D is below it (Theorem 1). It is not registered by name, because it does not suit other
    critics: an output without an upper bound would diverge.

    Args:
        margin: the energy above which a sample is no longer pushed away, positive.
    """

    name: ClassVar[str] = "margin"
    paired: ClassVar[bool] = False
    boundary: ClassVar[float | None] = None
    margin: float = 1.0

    def __post_init__(self) -> None:
        require_positive(margin=self.margin)

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """Lowers the data's energy and raises each sample's up to the margin."""
        return -real + relu(self.margin + fake)

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """The samples' energy."""
        return -fake


@dataclass(frozen=True)
class SoftLabelled(Game):
    """Another game with a random label per sample for the critic, a few of them flipped (Salimans
    et al. 2016, https://arxiv.org/abs/1606.03498, §3.4).

    It is not registered by name: the hack 'soft_labels' wraps the chosen game in it.

    Args:
        game: a game whose losses take labels.
        real: range of the labels of real samples.
        fake: range of the labels of generated ones.
        flip: share of samples with the opposite label.
    """

    name: ClassVar[str] = "soft_labelled"
    game: Labelled
    real: tuple[float, float]
    fake: tuple[float, float]
    flip: float

    @property
    def paired(self) -> bool:  # type: ignore[override]
        """As in the wrapped game."""
        return self.game.paired

    @property
    def boundary(self) -> float | None:  # type: ignore[override]
        """As in the wrapped game."""
        return self.game.boundary

    def critic(self, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """With one random label per sample."""
        stream = generator(rng, real.device)
        on_real = self.game.labelled(real, self._labels(real, self.real, self.fake, stream))
        return on_real + self.game.labelled(fake, self._labels(fake, self.fake, self.real, stream))

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """As in the wrapped game."""
        return self.game.generator(fake, real)

    def _labels(
        self, output: Tensor, usual: tuple[float, float], other: tuple[float, float], rng: Rng
    ) -> Tensor:
        flipped, t = (
            uniform(len(output), rng=rng, like=output) < self.flip,
            uniform(len(output), rng=rng, like=output),
        )
        return torch.where(
            flipped, other[0] + (other[1] - other[0]) * t, usual[0] + (usual[1] - usual[0]) * t
        )
