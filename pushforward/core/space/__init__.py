"""The space of one observation: its shape, and the kinds, names and ranges of its coordinates.

A `Space` holds facts about the data, in the user's units. It is inferred once, printed, stored with
the model, and refuses data that do not fit it, naming the difference. `Scaling` converts data to a
network's inputs.

Integer data keep their values: the level v stands for the cell [v - ½, v + ½), so that dequantising
adds U(-½, ½) and `export` rounds. Images are (channels, height, width), clips (channels, time,
height, width); None is a free size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core import labels
from pushforward.core.columns import Column
from pushforward.core.data_types import ArrayOrTensor, Frame, Observations
from pushforward.core.frames import is_frame
from pushforward.core.space import conform, export, infer
from pushforward.core.space.conform import column_numbers, frame_numbers
from pushforward.core.space.facts import Form, Kind, SpaceFacts
from pushforward.core.space.infer import as_array

__all__ = [
    "Column",
    "Form",
    "Kind",
    "Space",
    "is_frame",
    "as_array",
    "column_numbers",
    "frame_numbers",
]


class Space(SpaceFacts):
    __doc__ = SpaceFacts.__doc__

    @classmethod
    def infer(cls, x: Observations, **facts: Any) -> Self:
        """The space of in-memory data x with leading length n: array, tensor or data frame.

        Two axes are points, four images (channels first: 1, 3 or 4), five clips; one axis is read
        as n numbers. Ranges are the observed ones. `facts` override inferred ones. Raises
        InvalidKind or ShapeMismatch.
        """
        return cls(**{**infer.infer_facts(x), **facts})

    @classmethod
    def labels(cls, categories: Sequence[str], name: str = "label") -> Self:
        """The space of one categorical label, stored as codes 0..K-1 of shape ()."""
        column = Column(
            name,
            "categorical",
            0,
            len(categories) - 1,
            categories=tuple(str(c) for c in categories),
        )
        return cls("points", (), (column,), 0, len(categories) - 1, True)

    # -------------------------------------------------------------------------------------- data in

    def conform(
        self,
        x: object,
        *,
        what: str = "the data",
        dtype: torch.dtype | None = None,
        missing: bool = True,
        total: int | None = None,
    ) -> Tensor:
        """Convert data of this space to a float tensor (n, *shape) in the user's units.

        Data frames are matched by column name, categories become codes, a single image without its
        leading axis is accepted as n = 1. If x is the first of `total` rows, errors give the shape
        of all. Labels become codes (int64): see `labels.to_codes` for
        the meaning of numbers. Whole numbers that float32 cannot hold become float64.

        Raises:
            ShapeMismatch: Names what differs, and without `missing`
                BadSource naming the first row and column that hold NaN.
        """
        return conform.conform(self, x, what=what, dtype=dtype, missing=missing, total=total)

    def refuse_infinite(self, array: Tensor, what: str = "the data", *, first: int = 0) -> None:
        """Raise BadSource naming the first infinity in rows (n, *shape), numbered from `first`."""
        conform.refuse_infinite(self, array, what, first=first)

    def refuse_missing(self, array: Tensor, what: str = "the data", *, first: int = 0) -> None:
        """Raise BadSource naming the first NaN in rows (n, *shape), numbered from `first`."""
        conform.refuse_missing(self, array, what, first=first)

    def as_given(self, codes: ArrayOrTensor | None) -> ArrayOrTensor | None:
        """Label codes (a source's y) in the form `conform` takes: values of numeric labels."""
        return (
            labels.to_values(codes, self.columns[0].categories)
            if self.is_label and codes is not None
            else codes
        )

    def _from_frame(self, frame: Frame, what: str) -> NDArray[Any]:
        return conform.from_frame(self, frame, what)

    # ------------------------------------------------------------------------------------- data out

    def export(self, x: Tensor) -> Frame | ArrayOrTensor:
        """Convert a tensor (n, *shape) in the user's units to the original form of the data.

        A data frame, an array, uint8 images, or a tensor.
        """
        return export.export(self, x)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON content; `from_json` reads it back."""
        return export.to_json(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**export.fields_of(content))
