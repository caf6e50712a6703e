"""The codes of observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.space import Column, Space
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.opened import (
    OpenedRun,
    file_names,
    iterate_batches,
    labels_of,
    read_under,
)

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
def encode(
    run: OpenedRun,
    data: Observations,
    y: Conditioning = None,
    *,
    table: Mapping[str, Any] | None = None,
) -> Codes:
    """The code of every row.

    Args:
        run: whose model encodes.
        data: rows in the form the model was fitted to: a path, a name, or in memory.
        y: conditions: a column, a file, or 'auto'; those the run was fitted with if None.
        table: format of a text table, where it differs from the run's own.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.PCA(2).fit("swissroll:50").save(f"{place}/run")
        ...     encode(pf.experiments.open_run(f"{place}/run"), "swissroll:50").z.shape
        torch.Size([50, 2])
    """
    run.need("cannot encode observations", "Encodes")
    source = read_under(run, data, y, table)
    parts = [codes_of(run.model, batch) for batch in iterate_batches(source)]
    return Codes(torch.cat(parts), file_names(source))


def codes_of(model: Model, batch: Batch | LabelledRows) -> Tensor:
    """Codes (n, latent) of some rows, on the CPU."""
    y = labels_of(model, batch)
    assert isinstance(model, Encodes)  # checked by the callers
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
