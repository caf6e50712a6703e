"""Models that learn by gradients: named networks, phases, and what is watched while they learn."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

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

__all__ = ["Learner"]


class Learner(Model, HasMode):
    """A model that learns by gradients.

    Networks take tensors and return tensors, and are only ever called. Those that learn are named
    by the phases, by dotted name ('encoder', 'levels.0.generator'); every learnable tensor lives in
    one of them. A network that is only used, a feature extractor say, is wrapped in `Fixed`;
    everything else to be remembered lives in registered buffers.

    Sampling, encoding and measuring (`EVALUATED`) use the networks in evaluation mode, also between
    two `train()` and while a fit goes on, and so change no state. Only within a phase's loss do
    networks keep the mode they are in.
    """

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        for name, value in list(vars(cls).items()):
            if name in EVALUATED and isinstance(value, FunctionType):
                setattr(cls, name, evaluated(torch.no_grad()(value) if name == "vitals" else value))
        if isinstance(vars(cls).get("phases"), FunctionType):
            setattr(cls, "phases", keep_modes_in_losses(vars(cls)["phases"]))  # noqa: B010

    def default_fitter(self) -> Fitter:
        """20 epochs of the Trainer."""
        trainer: Fitter = import_module("pushforward.fitting.trainer").Trainer(epochs=20)
        return trainer

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Who plays, in which order."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks that learn, by dotted name, in the order in which the phases name them.

        All other modules (what is `Fixed`, memories,
        scalings) are neither trained nor averaged, and are in evaluation mode.
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
                f"{self.space} has a free size; give the images one size first (size=64,"
                " fit='crop')"
            )
        return tuple(n or 0 for n in self.scaling.shape)

    def blockwise(self, function: Callable[..., Tensor], *rows: Tensor | None) -> Tensor:
        """function(*rows), a block of rows at a time;
        followed by gradients only if one of `rows` asks for them.
        """
        return (
            function(*rows)
            if self._in_loss
            else map_blocks(function, *rows, width=self.event_size())
        )

    def event_size(self) -> int:
        """How many numbers one observation is in model coordinates."""
        return math.prod(self.event_shape())

    def augmentations(self, space: Space) -> Sequence[Value]:
        """What the trainer does to every batch unless told otherwise, besides dequantising."""
        return ()

    def prepared_for_fit(self, source: Source) -> Source:
        """The source itself: the trainer draws fresh noise for every batch."""
        return source

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Numbers worth watching, on held-out rows in model coordinates."""
        return {}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """What is wrong, judged by the vitals."""
        return ()
