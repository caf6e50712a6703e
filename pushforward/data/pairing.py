"""What a pairing is: how images are divided into what is modelled and its condition."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from pushforward.core.registry import Value
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.core.space.facts import Kind

__all__ = ["Pairing"]


class Pairing(Value, family="pairing"):
    """How images (n, c, h, w) are divided into what is modelled and its condition."""

    kind: ClassVar[Kind] = "images"
    halves: ClassVar[bool] = False
    local: ClassVar[bool] = True
    """Whether the condition of a part of an image is a part of the image's condition."""

    def settled(self, source: Source) -> Pairing:
        """The pairing with what it takes from the images themselves, such as a palette.

        Raises:
            BadSource: For images that it does not suit.
        """
        return self

    def remarks(self, source: Source) -> tuple[str, ...]:
        """Sentences for a report on the pairs, once settled."""
        return ()

    def observed(self, x: Tensor, space: Space) -> Tensor:
        """What is modelled: the images, unless part of them is the condition."""
        return x

    @abstractmethod
    def condition(self, x: Tensor, space: Space, rows: Tensor) -> Tensor:
        """The conditions (n, …) of images (n, c, h, w) with these row numbers (n,)."""

    @abstractmethod
    def shape(self, image: tuple[int, ...]) -> tuple[int, int, int]:
        """The shape (channels, height, width) of the condition of an image."""

    def spaces(self, space: Space) -> tuple[Space, Space]:
        """The spaces of what is modelled, and of its condition.

        Raises:
            BadSource: For images that cannot be divided so.
        """
        image = tuple(side or 0 for side in space.shape)
        condition = self.shape(image)
        return space, replace(space, shape=condition, preparation=str(self), extra={})
