"""Models that turn one image into another: what training, sampling and use have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, get_args, overload

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import argument
from pushforward.core.conditions import Conditions
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, InvalidValue, one_of
from pushforward.core.learner import Learner
from pushforward.core.numbers import to_python
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, derive, generator
from pushforward.core.registry import read
from pushforward.core.samplers import Mean, Sampler
from pushforward.core.space import Space
from pushforward.data.options import Fit, read_size
from pushforward.models.parts.generator import active_dropout

__all__ = ["Translator", "read_as"]


class Translator(Learner):
    """A learner with a network `generator`: images y (n, c, h, w) -> images x (n, d, k, l).

    `translate` takes images of any size that the network takes; each is translated by itself, so
    that the result does not depend on the others.
    """

    evaluates_samples: ClassVar[bool] = True
    generator: nn.Module
    example: ClassVar[str] = "edges"
    """A usual condition, in advice."""
    others: ClassVar[str] = (
        "'edges', 'lightness', 'left' or 'right' (of side-by-side images), or a folder of other"
        " images"
    )
    """All conditions that suit it, in advice."""

    def require_images(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidKind unless data and conditions are images."""
        name = type(self).__name__
        if condition_space is None:
            raise InvalidKind(
                f"{name} learns from pairs of images, got images without conditions; say what they"
                f" are made from: {self.others}: {argument('label', self.example)}"
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

    @overload
    def translate(
        self,
        y: Tensor,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
    ) -> Tensor: ...

    @overload
    def translate(
        self,
        y: Conditioning,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
    ) -> Tensor | list[Tensor]: ...

    @torch.no_grad()
    def translate(
        self,
        y: Conditioning,
        *,
        rng: Rng = None,
        using: Sampler | str | None = None,
        derive_conditions: bool = False,
        size: int | str | tuple[int, int] | None = None,
        fit: Fit = "crop",
    ) -> Tensor | list[Tensor]:
        """An image for each image y, of any size, in the user's units.

        Args:
            y: one image gives one (d, k, l): an image of Pillow, the path of a file, or an array
                (c, h, w), (h, w, c) or (h, w). Several, in a list, a folder, a glob, a zip, or an
                array (n, c, h, w), give (n, d, k, l), or a list of images if their sizes differ.
                Files and bytes are converted to the model's channels.
            rng: of the noise; with an integer each image has the noise that it would have alone.
            using: 'mean' leaves the noise out (dropout in use).
            derive_conditions: make of each image the condition that the model was fitted with
                first, such as its edges.
            size, fit: bring each image to this size first, 64 or (height, width), by 'crop', 'pad'
                or 'stretch'; otherwise it keeps its own.

        Raises:
            InvalidValue: For `derive_conditions` of a model whose conditions are images of their
                own.
            BadSource: For files that cannot be read.
            ShapeMismatch: For arrays of another number of channels, or other levels.
        """
        how = read_as(derive_conditions, size, fit)
        if not self._noisy(using):
            return self._one_by_one(y, self.make, **how)
        seed = to_python(rng)
        if isinstance(seed, int):
            noise = derive(seed, "translate")
            return self._one_by_one(y, lambda one: self.make(one, rng=noise), **how)
        stream = generator(rng, self.device)
        return self._one_by_one(y, lambda one: self.make(one, rng=stream), **how)

    def _one_by_one(
        self,
        y: Conditioning,
        make: Callable[[Tensor], Tensor],
        *,
        derive: bool = False,
        size: tuple[int, int] | None = None,
        fit: Fit = "crop",
    ) -> Tensor | list[Tensor]:
        """What is made of each image of y in model coordinates, in the user's units."""
        from pushforward.data.image_inputs import ImageInputs  # imports Pillow
        from pushforward.data.pairings import pairing_to_derive

        conditions = self._free_conditions()
        assert conditions.space is not None
        inputs = ImageInputs(conditions.space, size, fit)
        if derive:
            pairing = pairing_to_derive(conditions.space)
            inputs = ImageInputs.deriving(self.fitted_space(), pairing, size, fit)
        images, single = inputs.read(y)
        made = []
        for image in images:
            rows = conditions.rows(image[None], 1)
            assert rows is not None
            made.append(self.to_user(make(conditions.scaled(rows)))[0])
        return made[0] if single else self._joined(made)

    def _joined(self, images: list[Tensor]) -> Tensor | list[Tensor]:
        """Images of one size as a tensor; others as they are."""
        if not images:
            return torch.empty(0, *self.event_shape(), dtype=self.floating())
        alike = all(image.shape == images[0].shape for image in images)
        return torch.stack(images) if alike else images

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


def read_as(derive_conditions: bool, size: object, fit: str) -> dict[str, Any]:
    """Checked settings of how conditions are read.

    Raises:
        InvalidValue: For a size or a fit that is none.
    """
    fit = one_of("fit", fit, get_args(Fit))
    return {"derive": derive_conditions, "size": read_size(size), "fit": fit}
