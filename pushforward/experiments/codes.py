"""The codes of observations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.source import Source
from pushforward.core.space import Column, Space
from pushforward.experiments.opened import OpenedRun, file_names, in_blocks, labels_of

__all__ = ["Codes", "code_space", "codes_of", "encode", "with_columns"]


@dataclass(frozen=True)
class Codes:
    """Codes z (n, latent), and the file that each row came from where rows are files."""

    z: Tensor
    files: list[str] | None = None

    @property
    def space(self) -> Space:
        """Columns z0, z1, ..."""
        return code_space(self.z.shape[1])


@torch.no_grad()
def encode(run: OpenedRun, source: Source) -> Codes:
    """The code of every row.

    Args:
        run: whose model encodes.
        source: rows in its space, from `read_like(run, ...)`, with conditions where it has some.
    """
    run.need("has no codes for observations", "Encodes")
    parts = [codes_of(run.model, batch) for batch in in_blocks(source)]
    return Codes(torch.cat(parts), file_names(source))


def codes_of(model: Any, batch: Any) -> Tensor:
    """Codes (n, latent) of some rows, on the CPU."""
    y = labels_of(model, batch)
    z = model.encode(batch.x) if y is None else model.encode(batch.x, y)
    codes: Tensor = z.flatten(1).cpu()
    return codes


def code_space(width: int) -> Space:
    """The space of codes: columns z0, z1, ..."""
    return Space("points", (width,), tuple(Column(f"z{i}") for i in range(width)), form="array")


def with_columns(space: Space, *names: str) -> Space:
    """A space of points with further columns of numbers."""
    columns = (*space.columns, *(Column(name) for name in names))
    return replace(space, shape=(len(columns),), columns=columns)
