"""Log-densities of rows, and their ranking from the least likely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import capabilities
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.registry import registered_models
from pushforward.core.source import Source, iterate_blocks
from pushforward.core.source_views import Subset
from pushforward.experiments.opened import OpenedRun, file_names, labels_of, read_under
from pushforward.experiments.view import Table
from pushforward.metrics import likelihood
from pushforward.metrics.preparation import prepare_rows

__all__ = ["DRAWS", "Densities", "densities"]

DRAWS = 100
"""Posterior samples per row of a bound: enough for ranking, and seconds for most models."""
ROWS = 4096
"""Rows per block, with one seed for the block's bounds."""
LEAST = 10
"""Rows that a message suggests showing."""


@dataclass(frozen=True)
class Densities:
    """Log-densities of rows, or lower bounds on them, nats, user's units.

    Args:
        quantity: 'log_density', or 'log_density_bound'.
        values: (n,).
        incomplete: rows with a missing value (n,), whose density is that of their other values.
        files: the file that each row came from, where rows are files.
    """

    quantity: Literal["log_density", "log_density_bound"]
    values: Tensor
    incomplete: Tensor
    files: list[str] | None = None

    @property
    def exact(self) -> bool:
        """Whether these are densities, not bounds."""
        return self.quantity == "log_density"

    @cached_property
    def order(self) -> list[int]:
        """Complete rows, the least likely first; densities of fewer columns are not comparable."""
        order = self.values.argsort(stable=True)
        rows: list[int] = order[~self.incomplete[order]].tolist()
        return rows

    def table(self, top: int | None = None) -> Table:
        """Columns row, file (where there are files), the quantity, and rank.

        Rank 1 is the least likely row, and rows with a missing value have none.

        Args:
            top: number of rows, the least likely first; all, in their order, if None.
        """
        if top is not None:
            _require_one("top", top, LEAST)
        rows = list(range(len(self.values))) if top is None else self.order[:top]
        ranks = {row: place for place, row in enumerate(self.order, 1)}
        columns: dict[str, list[Any]] = {"row": rows}
        if self.files is not None:
            columns["file"] = [self.files[row] for row in rows]
        columns[self.quantity] = [float(self.values[row]) for row in rows]
        columns["rank"] = [ranks.get(row) for row in rows]
        return columns


def densities(
    run: OpenedRun,
    data: Observations,
    y: Conditioning = None,
    *,
    draws: int = DRAWS,
    table: Mapping[str, Any] | None = None,
) -> Densities:
    """The log-density of every row, or a lower bound on it.

    Values equal those of `log_prob` and `iwae` in Python: at the levels themselves if the data are
    integers; for models of binarised data, rows are binarised first.

    Args:
        run: whose model has a density, or a bound on it.
        data: rows in the form the model was fitted to: a path, a name, or in memory.
        y: conditions: a column, a file, or 'auto'; those the run was fitted with if None.
        draws: posterior samples per row, for models with a bound.
        table: format of a text table, where it differs from the run's own.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.Gaussian().fit("moons:50").save(f"{place}/run")
        ...     found = densities(pf.experiments.open_run(f"{place}/run"), "moons:50")
        >>> list(found.table(top=3)), found.table(top=3)["rank"]
        (['row', 'log_density', 'rank'], [1, 2, 3])
    """
    _require_one("draws", draws, DRAWS)
    exact = run.can("HasDensity")
    if not exact and not run.can("HasBound"):
        raise InvalidKind(
            f"the {run.name} model has neither a density nor a bound; models that do:"
            f" {', '.join(_models_with_density())}"
        )
    source = read_under(run, data, y, table)
    values, incomplete = [], []
    for i, batch in enumerate(iterate_blocks(source, ROWS)):
        _refuse_missing(run.model, batch, source, first=i * ROWS)
        incomplete.append(torch.isnan(batch.x).flatten(1).any(1))
        if run.model.preparation.binarise:
            rows = torch.arange(i * ROWS, i * ROWS + len(batch))
            batch = prepare_rows(run.model, Subset(source, rows))
        values.append(_values(run.model, batch, draws, exact, seed=i * ROWS))
    return Densities(
        "log_density" if exact else "log_density_bound",
        torch.cat(values),
        torch.cat(incomplete),
        file_names(source),
    )


def _values(model: Model, batch: Batch, draws: int, exact: bool, seed: int) -> Tensor:
    """The density or bound of each row (n,)."""
    x, y = batch.x, labels_of(model, batch)
    if exact:
        record = likelihood.log_prob(model, x, y)
    elif draws > 1:
        record = likelihood.iwae(model, x, y, k=draws, rng=seed)
    else:
        record = likelihood.elbo(model, x, y, rng=seed)
    assert record.values is not None
    return record.values


def _refuse_missing(model: Model, batch: Batch, source: Source, first: int) -> None:
    """Refuse a missing value unless the model can marginalise it."""
    if "missing" not in model.accepts:
        name = getattr(source, "name", "") or "the data"
        model.fitted_space().refuse_missing(batch.x, name, first=first)


def _require_one(name: str, value: int, example: int) -> None:
    if value < 1:
        raise InvalidValue(
            f"{argument(name)} must be at least 1, got {value}; pass"
            f" {argument(name, str(example))}, say"
        )


def _models_with_density() -> list[str]:
    """The names of models with a density, or a bound on it."""
    return [
        name
        for name, cls in registered_models()
        if {"HasDensity", "HasBound"} & set(capabilities(cls))
    ]
