"""Models trained by gradients: named networks, phases, and quantities monitored during training."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import FunctionType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.blocks import map_blocks
from pushforward.core.errors import ShapeMismatch
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.model import Model
from pushforward.core.modes import EVALUATED, HasMode, evaluated, keep_modes_in_losses
from pushforward.core.phase import Batch, Phase
from pushforward.core.random import Rng
from pushforward.core.registry import Value
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.core.suited import Suited

__all__ = ["Learner"]


class Learner(Model, HasMode):
    """A model trained by gradients.

    Networks map tensors to tensors and are used only by calling them. Trained networks are named by
    the phases, by dotted name ('encoder', 'levels.0.generator'); every trainable tensor belongs to
    one of them. A network that is only used, such as a feature extractor, is wrapped in `Fixed`;
    any other state lives in registered buffers.

    Sampling, encoding and measuring (`EVALUATED`) run the networks in evaluation mode, even between
    two `train()` calls and during a fit, and change no state. Only inside a phase's loss do
    networks keep their mode.
    """

    evaluates_samples: ClassVar[bool] = False
    """Whether quality and vital signs are those of samples, and so cost about as much as training.

    Evaluations during a fit then take fewer rows, and are further apart in short fits.
    """

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        for name, value in list(vars(cls).items()):
            if name in EVALUATED and isinstance(value, FunctionType):
                setattr(cls, name, evaluated(torch.no_grad()(value) if name == "vitals" else value))
        if isinstance(vars(cls).get("phases"), FunctionType):
            setattr(cls, "phases", keep_modes_in_losses(vars(cls)["phases"]))  # noqa: B010

    def default_fitter(self) -> Fitter:
        """A Trainer for 20 epochs."""
        trainer: Fitter = import_module("pushforward.fitting.trainer").Trainer(epochs=20)
        return trainer

    def suited(self, space: Space, rows: int, told: Space | None = None) -> Sequence[Suited]:
        """Settings that suit the data better than the defaults; none by default.

        The command line takes those that nobody has chosen, and says so.

        Args:
            space: of one observation.
            rows: to train on.
            told: the space of conditions; None without any.
        """
        return ()

    def usual_batch(self, rows: int | None = None) -> int:
        """Rows per step if the fit does not say, or all if there are fewer: 128.

        These are enough for batch norm, and few enough for small tables.

        Args:
            rows: of the training data; None if it is unknown.
        """
        return 128

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """The phases of a training step, in order."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The trained networks by dotted name, in the order of the phases.

        All other modules (`Fixed` networks, memories,
        scalings) are neither trained nor averaged, and stay in evaluation mode.
        """
        names = dict.fromkeys(name for phase in self.phases() for name in phase.networks)
        return {name: self.get_submodule(name) for name in names}

    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation in model coordinates.

        Raises:
            ShapeMismatch: If a size is free.
        """
        if None in self.scaling.shape:
            raise ShapeMismatch(
                f"{self.space} varies in size; resize the images first ({setting('size', 64)},"
                f" {setting('fit', 'crop')})"
            )
        return tuple(n or 0 for n in self.scaling.shape)

    def blockwise(self, function: Callable[..., Tensor], *rows: Tensor | None) -> Tensor:
        """Compute function(*rows) block by block.

        Gradients are tracked only if one of `rows` requires them.
        """
        return (
            function(*rows)
            if self._in_loss
            else map_blocks(function, *rows, width=self.event_size())
        )

    def event_size(self) -> int:
        """Number of values in one observation in model coordinates."""
        return math.prod(self.event_shape())

    def augmentations(self, space: Space) -> Sequence[Value]:
        """The default augmentations of every batch, besides dequantising."""
        return ()

    def row_weights(self, source: Source) -> Tensor | None:
        """Weights (n,) by which training rows are drawn, with replacement, once prepared for them.

        None to take every row once per epoch. Streams are always read in order.
        """
        return None

    def prepared_for_fit(self, source: Source) -> Source:
        """The source unchanged: the trainer adds fresh noise to every batch."""
        return source

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Quantities to monitor, from held-out rows in model coordinates."""
        return {}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Problems diagnosed from the vitals."""
        return ()
