"""Models that push codes z ~ p(z) through a generator: sampling, decoding and quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.capabilities import HasMean
from pushforward.core.data_types import Conditioning
from pushforward.core.first_parameter import first_parameter
from pushforward.core.global_random import seeded
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, integers
from pushforward.core.samplers import Sampler
from pushforward.core.space import Space
from pushforward.densities.normals import Normal
from pushforward.fitting.trainer import Trainer
from pushforward.objectives.distances import energy_distance

__all__ = ["CodeModel", "active_dropout"]


class CodeModel(Learner):
    """A learner with a network `generator` and `latent` numbers of noise.

    The network maps z (n, code_width), y (n, …) to (n, *event).

    A subclass may override `prior` (the codes), `transform_codes`
    (before the generator) and `squash` (after it).
    """

    evaluates_samples: ClassVar[bool] = True
    latent: int
    generator: nn.Module

    def default_fitter(self) -> Trainer:
        """100 epochs, sampling from an average of the weights."""
        return Trainer(epochs=100, ema=0.999)

    def least_rows(self, space: Space) -> int:
        """Two, so that samples can differ."""
        return 2

    @property
    def code_width(self) -> int:
        """Numbers in a code, which `decode` takes: the noise, and nothing else."""
        return self.latent

    def prior(self, n: int = 1) -> HasMean:
        """p(z) = N(0, I), n rows."""
        return Normal.standard(n, self.latent, like=first_parameter(self.generator))

    def transform_codes(self, z: Tensor) -> Tensor:
        """Transform codes before the generator."""
        return z

    def squash(self, u: Tensor) -> Tensor:
        """Transform the generator's numeric outputs; categories go through a softmax instead."""
        return u

    def push(self, z: Tensor, y: Tensor | None = None, *, rng: Rng = None) -> Tensor:
        """Codes, conditions -> samples, in model coordinates.

        `rng` for randomness besides the code (dropout).
        """
        with active_dropout(self.generator, rng):
            u = self.generator(self.transform_codes(z), y)
        columns = _columns(self.fitted_space())
        if not columns:
            return self.squash(u)
        parts = zip(u.split([width for width, _ in columns], 1), columns)
        return torch.cat(
            [
                part.softmax(1) if categories else self.squash(part)
                for part, (_, categories) in parts
            ],
            1,
        )

    def generate(self, batch: Batch, rng: Rng) -> Tensor:
        """A sample for every row of a batch, under its conditions, in model coordinates."""
        stream = generator(rng, batch.x.device)
        z = self.prior(len(batch.x)).rsample(rng=stream).to(batch.x)
        return self.push(z, batch.y, rng=stream)

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the energy distance between as many samples and the held-out rows (a scalar)."""
        return -energy_distance(self.generate(batch, rng), batch.x)

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) for codes z (n, code_width), user's units, differentiable in z.

        With `rng`, randomness besides the code is included (the hack 'dropout').
        """
        stream = None if rng is None else generator(rng, z.device)
        return self.blockwise(
            lambda z, y: self.to_user(self.push(z, y, rng=stream)),
            z,
            self.to_condition(y, z.shape[0]),
        )

    @torch.no_grad()
    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n new observations (n, *shape), user's units."""
        stream = generator(rng, self.device)
        return self.decode(self.prior(n).rsample(rng=stream), y, rng=stream)


def _columns(space: Space) -> tuple[tuple[int, bool], ...]:
    """Widths of the columns in model coordinates, and which are categories; empty if none is."""
    if not space.categorical:
        return ()
    return tuple(
        (len(c.categories), True) if c.kind == "categorical" else (1, False) for c in space.columns
    )


@contextmanager
def active_dropout(network: nn.Module, rng: Rng) -> Iterator[None]:
    """Context manager: activate dropout, from `rng`, in a network in evaluation mode.

    No effect if `rng` is None.
    """
    dropped = (
        []
        if rng is None or network.training
        else [m for m in network.modules() if isinstance(m, nn.Dropout)]
    )
    if not dropped:
        yield
        return
    seed = int(integers(2**62, (), rng=rng))
    device = next(network.parameters()).device
    with seeded(seed, device):
        for layer in dropped:
            layer.train()
        try:
            yield
        finally:
            for layer in dropped:
                layer.eval()
