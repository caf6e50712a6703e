"""Points as columns of text, and as comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.column_values import as_texts
from pushforward.core.space import Column, Space

__all__ = ["Writable", "further_columns", "text_columns", "write_csv", "write_header"]

_BLOCK = 65536
"""Rows that are texts at a time: as texts they take many times the memory of their numbers."""


def further_columns(
    y: Tensor | None, space: Space | None, extra: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Further columns as text: labels by name, numbers in their shortest form."""
    further: dict[str, list[str]] = {}
    if y is not None:
        if space is not None and space.is_label:
            names = space.columns[0].categories
            further[space.columns[0].name or "label"] = [names[int(v)] for v in y]
        elif y.ndim <= 2:
            inner = space or Space.infer(y)
            texts = text_columns(y.reshape(len(y), -1), inner)
            further.update(
                {
                    column.name or f"y{i}": values
                    for i, (column, (_, values)) in enumerate(zip(inner.columns, texts))
                }
            )
    for name, values in extra.items():
        further[name] = _texts(np.asarray(values))
    return further


# ------------------------------------------------------------------------------------------- tables


def text_columns(x: Tensor, space: Space) -> list[tuple[str, list[str]]]:
    """The columns of points as text: categories by name,
    ISO 8601 dates, rounded integers, shortest exact floats.
    """
    columns = []
    for i, (name, column) in enumerate(zip(space.names, space.columns)):
        values = x[:, i].cpu().numpy()
        columns.append((name, as_texts(values, column) or _plain_texts(values, column)))
    return columns


def _plain_texts(values: NDArray[Any], column: Column) -> list[str]:
    if column.kind == "categorical":
        codes = (
            np.nan_to_num(values, nan=-1)
            .round()
            .clip(-1, len(column.categories) - 1)
            .astype(np.int64)
        )
        return [column.categories[c] if c >= 0 else "" for c in codes]
    if column.kind == "integer" and not np.isnan(values).any():
        return _texts(values.round().astype(np.int64))
    return _texts(values)


def _texts(values: NDArray[Any]) -> list[str]:
    texts = [str(v) for v in (values if values.dtype == np.float32 else values.tolist())]
    return ["" if t == "nan" else t for t in texts]


@runtime_checkable
class Writable(Protocol):
    """An open text file, or any other object with its `write`."""

    def write(self, text: str, /) -> object:
        """Append a text."""
        ...


def write_header(
    stream: Writable, names: Sequence[str], delimiter: str = ",", newline: str = "\n"
) -> None:
    """The line of column names; in quotes if it would otherwise be a comment."""
    quoting: Literal[0, 1] = 1 if names and names[0].startswith("#") else 0  # all, or minimal
    csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerow(names)


def write_csv(
    x: Tensor,
    space: Space,
    stream: Writable,
    *,
    extra: Mapping[str, list[str]] | None = None,
    delimiter: str = ",",
) -> None:
    """Points as comma-separated values with a header line, to an open text stream."""
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    extra = dict(extra or {})
    write_header(stream, [*space.names, *extra], delimiter)
    for start in range(0, len(x), _BLOCK):
        block = slice(start, start + _BLOCK)
        columns = [texts for _, texts in text_columns(x[block], space)] + [
            texts[block] for texts in extra.values()
        ]
        writer.writerows(zip(*columns))
