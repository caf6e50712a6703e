"""Models that turn one image into another: what training, sampling and use have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import argument
from pushforward.core.conditions import Conditions
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read
from pushforward.core.samplers import Mean, Sampler
from pushforward.core.space import Space
from pushforward.models.parts.generator import active_dropout

__all__ = ["Translator"]


class Translator(Learner):
    """A learner with a network `generator`: images y (n, c, h, w) -> images x (n, d, k, l).

    `translate` takes images of any size that the network takes; each is translated by itself, so
    that the result does not depend on the others.
    """

    evaluates_samples: ClassVar[bool] = True
    generator: nn.Module
    example: ClassVar[str] = "edges"
    """A usual condition, in advice."""

    def require_images(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidKind unless data and conditions are images."""
        name = type(self).__name__
        if condition_space is None:
            raise InvalidKind(
                f"{name} learns from pairs of images, got images without conditions; say what they"
                " are made from: 'edges', 'grey', 'left' or 'right' (of side-by-side images), or a"
                f" folder of other images: {argument('label', self.example)}"
            )
        for what, one in (("data", space), ("conditions", condition_space)):
            if one.kind != "images":
                raise InvalidKind(
                    f"{name} turns images into images, but its {what} are {one}; pass images"
                )

    def make(self, y: Tensor, *, rng: Rng = None) -> Tensor:
        """Images for conditions, both in model coordinates; `rng` for dropout in use."""
        with active_dropout(self.generator, rng):
            made: Tensor = self.generator(y)
        return made

    @torch.no_grad()
    def translate(
        self, y: Conditioning, *, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """Images (n, *shape) for images y (n, c, h, w), one for each, in the user's units.

        A single image (c, h, w) gives a single one. Sides may differ from those trained on.
        using='mean' leaves the noise out (dropout in use).

        Raises:
            ShapeMismatch: For another number of channels than the model was fitted to.
        """
        stream = generator(rng, self.device) if self._noisy(using) else None
        return self._one_by_one(y, lambda one: self.make(one, rng=stream))

    def _one_by_one(self, y: Conditioning, make: Callable[[Tensor], Tensor]) -> Tensor:
        """What is made of each image of y in model coordinates, in the user's units."""
        given = torch.as_tensor(y)
        single, conditions = given.ndim == 3, self._free_conditions()
        given = given[None] if single else given
        rows = conditions.rows(given, len(given))
        assert rows is not None
        made = [self.to_user(make(conditions.scaled(row))) for row in rows.split(1)]
        return made[0][0] if single else torch.cat(made)

    def _free_conditions(self) -> Conditions:
        """The conversion of conditions of any height and width."""
        space = self.condition_space
        if space is None:
            raise InvalidValue(
                f"this {type(self).__name__} is not fitted yet; call fit(x, y) first"
            )
        free = replace(space, shape=(space.shape[0], None, None))
        return replace(self.conditions, space=free)

    @torch.no_grad()
    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n images (n, *shape), user's units, under conditions y (n, …), or one for all."""
        stream = generator(rng, self.device)
        u = self.conditions(y, n)
        assert u is not None
        if n == 0:
            return torch.empty(0, *self.event_shape(), dtype=self.floating())
        return torch.cat([self.to_user(self.make(one[None], rng=stream)) for one in u])

    @torch.no_grad()
    def sample_mean(self, n: int, y: Conditioning = None) -> Tensor:
        """n images (n, *shape) without noise, user's units: the sampler 'mean'."""
        u = self.conditions(y, n)
        assert u is not None
        return torch.cat([self.to_user(self.make(one[None])) for one in u])

    def _noisy(self, using: Sampler | str | None) -> bool:
        sampler = None if using is None else read(Sampler, using)
        if sampler is not None and not sampler.own and not isinstance(sampler, Mean):
            raise InvalidValue(
                f"translate takes using='ancestral' or 'mean' (without noise), got {using!r}"
            )
        return not isinstance(sampler, Mean)

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the mean absolute error of each row (n,), as a share of the range of levels."""
        assert batch.y is not None
        made = self.make(batch.y, rng=generator(rng, batch.x.device))
        return -self.distance(made, batch.x)

    def distance(self, u: Tensor, v: Tensor) -> Tensor:
        """The mean absolute difference of images (n, …) in model coordinates: (n,), as a share of
        the range of levels.
        """
        space = self.fitted_space()
        difference = self.to_user(u) - self.to_user(v)
        return difference.abs().flatten(1).mean(1) / (space.high - space.low)
