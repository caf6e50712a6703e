"""Categories of tables: their log-probabilities in each component, side by side for all columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.random import uniform
from pushforward.core.space import Column, Space

__all__ = [
    "add_log_tables",
    "as_codes",
    "check_codes",
    "count_codes",
    "draw_codes",
    "frequencies",
    "pool",
    "smooth",
    "split_tables",
]


def split_tables(tables: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """The columns' parts (k, K_j) of tables (k, C)."""
    parts: tuple[Tensor, ...] = tables.split(list(sizes), dim=1)
    return parts


def add_log_tables(logits: Tensor, codes: Tensor, tables: Tensor, sizes: Sequence[int]) -> Tensor:
    """Logits (n, k) plus the log-probabilities of codes (n, c), NaN where missing, in place."""
    for j, part in enumerate(split_tables(tables, sizes)):
        code = codes[:, j]
        known = ~torch.isnan(code)
        logits[known] += part.T[code[known].to(torch.int64)]
    return logits


def count_codes(codes: Tensor, r: Tensor, sizes: Sequence[int]) -> Tensor:
    """Weighted counts (k, C) of codes (n, c), NaN where missing, with weights r (n, k)."""
    parts = []
    for j, size in enumerate(sizes):
        known = ~torch.isnan(codes[:, j])
        part = r.new_zeros(size, r.shape[1])
        part.index_add_(0, codes[known, j].to(torch.int64), r[known])
        parts.append(part.T)
    return torch.cat(parts, 1) if parts else r.new_zeros(r.shape[1], 0)


def smooth(counts: Tensor, base: Tensor, strength: float, sizes: Sequence[int]) -> Tensor:
    """Log-probabilities (k, C): counts plus `strength` rows distributed as base (C,)."""
    parts = []
    for count, share in zip(split_tables(counts, sizes), base.split(list(sizes))):
        total = count.sum(1, keepdim=True) + strength
        parts.append(((count + strength * share) / total).log())
    return torch.cat(parts, 1) if parts else counts


def frequencies(counts: Tensor, sizes: Sequence[int]) -> Tensor:
    """Frequencies (C,) from counts (C,) with half a row more for each category."""
    parts = [(part + 0.5) / (part + 0.5).sum() for part in counts.split(list(sizes))]
    return torch.cat(parts) if parts else counts


def pool(counts: Tensor, base: Tensor, rare: Tensor, sizes: Sequence[int]) -> Tensor:
    """Counts (k, C) where the rare categories (C,) of each column share theirs as in base (C,)."""
    parts = []
    columns = zip(*(v.split(list(sizes), -1) for v in (counts, base, rare)))
    for count, share, few in columns:
        pooled = (
            count[:, few].sum(1, keepdim=True) * share[few] / share[few].sum().clamp_min(1e-300)
        )
        part = count.clone()
        part[:, few] = pooled
        parts.append(part)
    return torch.cat(parts, 1) if parts else counts


def draw_codes(
    component: Tensor, tables: Tensor, sizes: Sequence[int], rng: torch.Generator
) -> Tensor:
    """Codes (n, c) in the components (n,) of rows."""
    columns = []
    for part in split_tables(tables, sizes):
        total = part.exp().cumsum(1)
        u = uniform(len(component), rng=rng, like=total) * total[component, -1]
        code = torch.searchsorted(total[component], u[:, None], right=True)[:, 0]
        columns.append(code.clamp_max(part.shape[1] - 1).to(total))
    return torch.stack(columns, 1) if columns else tables.new_zeros(len(component), 0)


def as_codes(known: Mapping[Any, Any], columns: Sequence[Column], space: Space) -> dict[Any, Any]:
    """Known values {axis: value} with codes for the names of categories.

    Raises:
        InvalidValue: For a name that is no category of its column.
    """
    out = {}
    for axis, value in known.items():
        place = space.axis(axis) if space.kind == "points" else None
        names = columns[place].categories if place is not None else ()
        if names and isinstance(value, (str, bool)):
            if str(value) not in names:
                raise InvalidValue(
                    f"{value!r} is no category of column {axis!r}; {suggest(str(value), names)}"
                )
            value = names.index(str(value))
        out[axis] = value
    return out


def check_codes(row: Tensor, columns: Sequence[Column]) -> None:
    """Raise InvalidValue for a number in a row (d,) that is no code of its categorical column."""
    for code, column in zip(row.tolist(), columns):
        count = len(column.categories)
        if column.kind == "categorical" and code == code and code not in range(count):
            raise InvalidValue(
                f"column {column.name!r} has categories 0..{count - 1}, got {code:g}; pass the name"
                " of one"
            )
