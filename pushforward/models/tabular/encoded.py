"""Learners of encoded tables: how rows are encoded, and how samples with gaps are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import BadSource
from pushforward.core.learner import Learner
from pushforward.core.moments import Moments
from pushforward.core.preparation import dequantise
from pushforward.core.random import Rng
from pushforward.core.sampler import Sampler
from pushforward.core.scan import Facts
from pushforward.core.source import Sequential, Source
from pushforward.core.space import Space
from pushforward.fitting.trainer import Trainer
from pushforward.models.tabular import samplers  # noqa: F401 - registers them
from pushforward.models.tabular.mode_encoding import ModeEncoding

__all__ = ["EncodedTable"]


class EncodedTable(Learner):
    """A learner whose coordinates are those of a `ModeEncoding`, fitted to the training rows."""

    accepts: ClassVar[frozenset[str]] = frozenset({"categorical", "missing", "constant"})
    scaling_kind: str = "modes"  # type: ignore[assignment]  # stored with the number of modes
    scaling: ModeEncoding
    modes: int

    def prepare(self, source: Source, facts: Facts) -> None:
        """Also find the modes of the training rows, dequantised if they are."""
        self.refuse(source, facts)
        rows = source
        if self.dequantises(source.space) and not isinstance(source, Sequential):
            rows = dequantise(source)
        encoding = ModeEncoding.fit(rows, self.modes, facts.missing > 0)
        self.scaling_kind = encoding.kind
        self.assemble(source.space, source.condition_space)
        self.scaling.load_state_dict(encoding.state_dict())

    def choose_scaling(self, space: Space, moments: Moments | None = None) -> ModeEncoding:
        """An encoding of the sizes that `scaling_kind` says."""
        return ModeEncoding.of_kind(space, self.scaling_kind)

    def refuse(self, source: Source, facts: Facts) -> None:
        """Also refuse what is no table."""
        name = type(self).__name__
        if source.space.kind != "points":
            raise BadSource(
                f"{name} takes tables and points, got {source.space}; use 'vae' or 'gan' for images"
            )
        super().refuse(source, facts)

    def default_fitter(self) -> Trainer:
        """300 epochs, as published."""
        return Trainer(epochs=300)

    def usual_batch(self, rows: int | None = None) -> int:
        """500 rows as published, or fewer for an epoch of 20 steps; at least 20, in whole tens."""
        return 500 if rows is None else max(20, min(500, rows // 200 * 10))

    def least_rows(self, space: Space) -> int:
        """Two, for batch norm, and so that samples can differ."""
        return 2

    @torch.no_grad()
    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n new rows (n, d), user's units, without gaps: whole numbers are whole, and declared
        bounds are kept. `using='gaps'` leaves as many gaps as the data have.
        """
        return self.draw(n, y, rng)

    @abstractmethod
    def draw(
        self, n: int, y: Conditioning = None, rng: Rng = None, *, gaps: bool = False
    ) -> Tensor:
        """n new rows (n, d), user's units; with `gaps`, NaN where values would be missing."""
