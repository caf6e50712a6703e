"""The cluster of every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.experiments.opened import OpenedRun, file_names, iterate_batches, read_like
from pushforward.experiments.view import Table

__all__ = ["Clusters", "assign"]


@dataclass(frozen=True)
class Clusters:
    """The cluster of each row.

    Args:
        cluster: (n,), from 0.
        responsibilities: the probability of each cluster (n, clusters); None if not requested.
        files: the file that each row came from, where rows are files.
    """

    cluster: Tensor
    responsibilities: Tensor | None = None
    files: list[str] | None = None

    @property
    def sizes(self) -> dict[int, int]:
        """Number of rows in each non-empty cluster."""
        clusters, counts = self.cluster.unique(return_counts=True)
        return dict(zip(clusters.tolist(), counts.tolist()))

    @property
    def table(self) -> Table:
        """Columns row, file (where there are files), cluster, p0, p1, ... (where asked for)."""
        columns: dict[str, list[Any]] = {"row": list(range(len(self.cluster)))}
        if self.files is not None:
            columns["file"] = self.files
        columns["cluster"] = self.cluster.tolist()
        if self.responsibilities is not None:
            columns |= {
                f"p{k}": shares.tolist() for k, shares in enumerate(self.responsibilities.T)
            }
        return columns


@torch.no_grad()
def assign(
    run: OpenedRun,
    data: Observations,
    *,
    responsibilities: bool = False,
    table: Mapping[str, Any] | None = None,
) -> Clusters:
    """The cluster of every row.

    Args:
        run: whose model has clusters.
        data: rows in the form the model was fitted to: a path, a name, or in memory.
        responsibilities: whether to include the probability of each cluster.
        table: format of a text table, where it differs from the run's own.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.GMM(2).fit("moons:50").save(f"{place}/run")
        ...     clusters = assign(pf.experiments.open_run(f"{place}/run"), "moons:50")
        >>> list(clusters.table), sum(clusters.sizes.values())
        (['row', 'cluster'], 50)
    """
    run.need("has no clusters", "Assigns")
    source = read_like(run, data, table=table)
    blocks = [batch.x for batch in iterate_batches(source)]
    shares = [run.model.responsibilities(x).cpu() for x in blocks] if responsibilities else []
    return Clusters(
        torch.cat([run.model.assign(x).cpu() for x in blocks]),
        torch.cat(shares) if responsibilities else None,
        file_names(source),
    )
