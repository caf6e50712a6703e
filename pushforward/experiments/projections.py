"""The codes that best reconstruct observations, with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind
from pushforward.core.model import Model
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.experiments.codes import code_space, with_columns
from pushforward.experiments.images import PAIRS
from pushforward.experiments.opened import (
    OpenedRun,
    file_names,
    iterate_batches,
    labels_of,
    read_under,
    rows_of,
)
from pushforward.latent import CodeDistribution, infer_code_distribution
from pushforward.latent import project as project_block
from pushforward.latent.projection import Start

__all__ = ["Projections", "Start", "project"]

BLOCK = 1024
"""Rows per block: each stores ten gradients of its code, and is decoded many times."""


@dataclass(frozen=True)
class Projections:
    """Codes of observations, with reconstruction errors.

    Args:
        z: codes (n, latent).
        error: squared error of each row (n,), squared user's units.
        first_error: the same at the start (n,).
        restored: the decoded codes (n, *shape), user's units.
        originals: the first rows, to show beside their reconstructions.
        files: the file that each row came from, where rows are files.
    """

    z: Tensor
    error: Tensor
    first_error: Tensor
    restored: Tensor
    originals: Tensor
    files: list[str] | None = None

    @property
    def with_errors(self) -> tuple[Tensor, Space]:
        """Codes with their errors (n, latent + 1), and their space: z0, z1, ..., error."""
        space = with_columns(code_space(self.z.shape[1]), "error")
        return torch.cat([self.z, self.error[:, None]], 1), space


def project(
    run: OpenedRun,
    data: Observations,
    y: Conditioning = None,
    *,
    start: Start | None = None,
    steps: int = 50,
    prior_weight: float = 0.0,
    candidates: int = 32,
    seed: int = 0,
    table: Mapping[str, Any] | None = None,
) -> Projections:
    """The code of every row by optimisation.

    Args:
        run: whose model decodes.
        data: rows in the form the model was fitted to: a path, a name, or in memory.
        y: conditions: a column, a file, or 'auto'; those the run was fitted with if None.
        start: 'encoder', 'prior', or 'hybrid' (both, keeping the better);
            the encoder's by default if there is one.
        steps: the most steps per row; 0 returns the start.
        prior_weight: weight of a code's squared distance from the centre.
        candidates: samples of the prior; each row starts at its best one.
        seed: of these samples.
        table: format of a text table, where it differs from the run's own.
    """
    run.need("does not decode codes", "Decodes")
    model, source = run.model, read_under(run, data, y, table)
    from_prior = start in ("prior", "hybrid") or prior_weight > 0
    distribution = _distribution(model, source) if from_prior else None
    parts, originals = [], torch.zeros(0)
    for batch in iterate_batches(source, BLOCK):
        part = project_block(
            model,
            batch.x,
            labels_of(model, batch),
            start=start,
            steps=steps,
            prior_weight=prior_weight,
            candidates=candidates,
            distribution=distribution,
            rng=seed,
        )
        parts.append(part)
        originals = originals if len(originals) else batch.x[:PAIRS]
    return Projections(
        torch.cat([part.codes for part in parts]).cpu(),
        torch.cat([part.error for part in parts]).cpu(),
        torch.cat([part.first_error for part in parts]).cpu(),
        torch.cat([part.restored for part in parts]).cpu(),
        originals,
        file_names(source),
    )


def _distribution(model: Model, source: Source) -> CodeDistribution:
    """The distribution of codes: the prior, or for a model without one the codes of the rows."""
    try:
        return infer_code_distribution(model)
    except InvalidKind:
        if isinstance(model, Encodes):
            batch = rows_of(source)
            y = labels_of(model, batch)
            return infer_code_distribution(model, batch.x, y)
        raise
