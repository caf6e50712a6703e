"""Observations reconstructed from their codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.experiments.images import PAIRS
from pushforward.experiments.opened import OpenedRun, iterate_batches, labels_of, read_under
from pushforward.metrics.reconstruction import reconstruct as reconstruct_block
from pushforward.metrics.reconstruction import squared_distances, unit_of_distances

__all__ = ["Reconstructions", "reconstruct"]


@dataclass(frozen=True)
class Reconstructions:
    """Reconstructed observations.

    Args:
        x: (n, *shape), user's units.
        error: squared error of each row (n,); see `metrics.reconstruction.squared_distances`.
        unit: its unit.
        originals: the first rows, to show beside their reconstructions.
    """

    x: Tensor
    error: Tensor
    unit: str
    originals: Tensor


def reconstruct(
    run: OpenedRun,
    data: Observations,
    y: Conditioning = None,
    *,
    table: Mapping[str, Any] | None = None,
) -> Reconstructions:
    """Encode and decode every row.

    Args:
        run: whose model encodes and decodes.
        data: rows in the form the model was fitted to: a path, a name, or in memory.
        y: conditions: a column, a file, or 'auto'; those the run was fitted with if None.
        table: format of a text table, where it differs from the run's own.
    """
    run.need("cannot both encode and decode", "Encodes", "Decodes")
    space = run.model.fitted_space()
    parts, errors, originals = [], [], torch.zeros(0)
    points = []  # columns of different units are compared by their spread over all rows
    for batch in iterate_batches(read_under(run, data, y, table)):
        parts.append(reconstruct_block(run.model, batch.x, labels_of(run.model, batch)).cpu())
        if space.mixes_units:
            points.append(batch.x)
        else:
            errors.append(squared_distances(batch.x, parts[-1], space))
        originals = originals if len(originals) else batch.x[:PAIRS]
    x = torch.cat(parts)
    error = squared_distances(torch.cat(points), x, space) if points else torch.cat(errors)
    return Reconstructions(x, error, unit_of_distances(space), originals)
