"""The rows of a comparison of tables: real, synthetic, trained on and held out, as numbers alike.

The real table says what its columns are (`data.tables.types`); the others are read like it, with
the categories that only they have added behind its own.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.array_source import Arrays
from pushforward.core.columns import Column
from pushforward.core.data_types import Observations
from pushforward.core.errors import BadSource, DataWarning, InvalidKind, PushforwardError
from pushforward.core.random import derive
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read
from pushforward.data.tables.files import is_table
from pushforward.experiments.measure import describe_data
from pushforward.experiments.opened import OpenedRun, at_source, open_run, table_settings
from pushforward.experiments.sample import sample_run
from pushforward.experiments.table_models import open_file
from pushforward.metrics.tables.pair import Floats
from pushforward.tabular.wording import listed

__all__ = ["TableRows", "TableSet", "are_tables", "read_tables"]


@dataclass(frozen=True)
class TableRows:
    """Rows of a table as numbers (n, d), with their name and description."""

    name: str
    x: Floats
    description: str
    carried: Mapping[str, Any]


@dataclass(frozen=True)
class TableSet:
    """Tables to compare, with the same columns.

    Args:
        columns: what they are compared in.
        real: the rows that likeness is measured to.
        synthetic: the rows that are judged.
        train: the rows that they were made from.
        held_out: real rows that they were not made from, if known.
        notes: what was left out or decided, in sentences.
    """

    columns: tuple[Column, ...]
    real: TableRows
    synthetic: TableRows
    train: TableRows
    held_out: TableRows | None
    notes: tuple[str, ...]
    copied: Mapping[str, int]
    """Synthetic values that are real ones, of columns that tell rows apart or are free text."""


def is_run(source: object) -> bool:
    """Whether a path is a run folder."""
    return isinstance(source, (str, os.PathLike)) and (Path(source) / "model.json").is_file()


def is_table_file(source: object) -> bool:
    """Whether a path is a table."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = Path(source).expanduser()
    return path.exists() and is_table(path)


def are_tables(real: str, generated: Sequence[str]) -> bool:
    """Whether all that is compared are tables, or runs beside one."""
    return is_table_file(real) and all(is_table_file(g) or is_run(g) for g in generated)


def read_tables(
    real: Observations,
    synthetic: Observations,
    *,
    held_out: Observations | None = None,
    train: Observations | None = None,
    types: Mapping[str, str] | Sequence[str] | str = "auto",
    reading: Mapping[str, Any] | None = None,
    table: Mapping[str, Any] | None = None,
    most: int | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> TableSet:
    """Read the tables of a comparison.

    Args:
        real: the rows that the synthetic table was made from; with `train`, others.
        synthetic: a table, or a run, which is sampled as often as `real` has rows; of a run that
            was fitted to `real`, the rows that it held out are known.
        held_out: real rows that the synthetic table was not made from.
        train: the rows that it was made from; `real` are then held-out ones.
        types: what columns are, if not as inferred.
        reading: further arguments of `read` for the real rows.
        table: how text tables are written.
        most: samples of a run at most.
        seed: of samples.
        device: where a run computes.
    """
    run = open_run(str(synthetic), device) if is_run(synthetic) else None
    like = {"types": types} if run is None else {"like": _space_of_run(run)}
    settings = table_settings(real, table=table)
    source = _read(real, **{**settings, **(reading or {}), **like})
    if source.space.kind != "points":
        raise InvalidKind(f"tables are compared here, got {source.space}")
    space, others = source.space, [x for x in (held_out, train) if x is not None]
    read_before: Source | None = None
    if run is None:
        for other in (*others, synthetic):
            space, read_before = _with_unseen(other, space, table)
    notes = _left_out(space)
    for other in (*others, *(() if run is not None else (synthetic,))):
        notes += _unknown(other, real, table)
    rows = _rows(real, source, "the real table")
    if run is not None:
        made = _sample(run, str(synthetic), len(rows.x), most, seed)
    else:
        assert read_before is not None
        made = _rows(synthetic, read_before, "the synthetic table")
    first, second = rows, None
    if held_out is not None:
        second = _read_like(held_out, space, table, "held-out rows")
    elif train is not None:
        first, second = _read_like(train, space, table, "training rows"), rows
    elif run is not None and _is_fitted_to(run, real):
        first, second = _parts(run, rows)
        notes.append(f"the rows that {run.folder} held out are the held-out rows")
    notes += _nothing_in_common(space, rows.x, made.x)
    copied = _copied(space, first, made)
    return TableSet(tuple(space.columns), rows, made, first, second, tuple(notes), copied)


def _read(source: Observations, **settings: Any) -> Source:
    """Rows, without the warning that a category was never seen: such are counted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*has never seen", DataWarning)
        return read(source, label=False, **settings)


def _rows(given: Observations, source: Source, what: str) -> TableRows:
    x = _numbers(source).to(torch.float64).numpy()
    name = Path(given).name if isinstance(given, (str, os.PathLike)) else what
    carried = getattr(source, "carried", {})
    description = describe_data(source)
    if not isinstance(given, (str, os.PathLike)):
        description = f"{what} {description.partition(' ')[2]}"
    return TableRows(name, np.asarray(x), description, carried)


def _read_like(
    given: Observations, space: Space, table: Mapping[str, Any] | None, what: str
) -> TableRows:
    source = _read(given, like=space, **table_settings(given, table=table))
    return _rows(given, source, what)


def _numbers(source: Source) -> Tensor:
    """All rows; those in memory are not copied."""
    if isinstance(source, Arrays):
        return source.x
    return source.take(torch.arange(len(source))).x


def _with_unseen(
    given: Observations, space: Space, table: Mapping[str, Any] | None
) -> tuple[Space, Source]:
    """The space with a table's own categories behind the known ones, and the rows in it.

    Read like the space such values are missing, so a table without missing ones has none.
    """
    settings = table_settings(given, table=table)
    source = _read(given, like=space, **settings)
    wider = _wider(given, source, space, settings)
    return wider, source if wider is space else _read(given, like=wider, **settings)


def _wider(given: Observations, source: Source, space: Space, settings: Mapping[str, Any]) -> Space:
    """The space with the categories that are missing in rows read like it."""
    x = _numbers(source)
    places = [i for i, c in enumerate(space.columns) if c.kind == "categorical"]
    gaps = [i for i in places if bool(x[:, i].isnan().any())]
    if not gaps:
        return space
    names = {space.names[i]: "categorical" for i in gaps}
    try:
        own = _read(given, types=names, **settings).space
    except PushforwardError:  # other columns do not matter here
        return space
    columns = list(space.columns)
    for i in gaps:
        there = next((c for c in own.columns if c.name == space.names[i]), None)
        known = columns[i].categories
        new = tuple(c for c in (there.categories if there else ()) if c not in known)
        if new:
            both = (*known, *new)
            columns[i] = replace(columns[i], categories=both, high=len(both) - 1)
    return replace(space, columns=tuple(columns))


def _space_of_run(run: OpenedRun) -> Space:
    run.need("has no samples", "Samples")
    space: Space = run.model.fitted_space()
    if run.conditional:
        raise BadSource(
            f"{run.folder} was fitted with conditions; sample it into a table, and compare that"
        )
    return space


def _sample(run: OpenedRun, name: str, n: int, most: int | None, seed: int) -> TableRows:
    count = n if most is None else min(n, most)
    x = sample_run(run, count, None, derive(seed, "draws", 1)).to(torch.float64)
    whole = torch.tensor([c.kind == "integer" for c in run.model.fitted_space().columns])
    x = torch.where(whole, x.round(), x)
    return TableRows(Path(name).name, x.numpy(), f"{count} draws of {name}, seed {seed}", {})


def _is_fitted_to(run: OpenedRun, real: Observations) -> bool:
    """Whether a run was fitted to a part of the rows of a file."""
    source = at_source(run.provenance, None).source
    if source is None or not isinstance(real, (str, os.PathLike)):
        return False
    return Path(source).resolve() == Path(real).expanduser().resolve()


def _parts(run: OpenedRun, rows: TableRows) -> tuple[TableRows, TableRows | None]:
    """The rows that a run was trained on, and those that it held out."""
    parts = run.parts()
    held_out = parts.held_out
    second = None if held_out is None else _rows("", held_out, "held-out rows")
    first = rows if held_out is None else _rows("", parts.train, "training rows")
    return first, second


def _left_out(space: Space) -> list[str]:
    """Which columns are not compared, and why."""
    return [
        f"{facts['name']} is left out: {facts['type']} ({facts['reason']})"
        for facts in space.extra.get("carried", ())
    ]


def _nothing_in_common(space: Space, real: Floats, made: Floats) -> list[str]:
    """Which columns of categories share none: they are rather written in two ways."""
    notes = []
    for i, column in enumerate(space.columns):
        if column.kind != "categorical":
            continue
        sets = [np.unique(x[~np.isnan(x[:, i]), i]).astype(int) for x in (real, made)]
        if min(map(len, sets)) and not set(sets[0]) & set(sets[1]):
            one, two = (column.categories[codes[0]] for codes in sets)
            notes.append(
                f"{space.names[i]} has no value in common, such as {one!r} and {two!r}: if these"
                f" are numbers, say what stands for missing ones ({argument('na')})"
            )
    return notes


def _unknown(given: Observations, real: Observations, table: Mapping[str, Any] | None) -> list[str]:
    """Which columns of a table the real one lacks, in a sentence."""
    names, known = (_column_names(each, table) for each in (given, real))
    more = [name for name in names if name not in known]
    if not more or not known:
        return []
    what = Path(given).name if isinstance(given, (str, os.PathLike)) else "the other table"
    return [f"{listed(more)} of {what} is left out: the real table has no such column"]


def _column_names(given: Observations, table: Mapping[str, Any] | None) -> list[str]:
    """The names of a table's columns; none of other data."""
    file = open_file(given, table_settings(given, table=table))
    if file is None or file.table.unnamed:
        return []
    return [str(name) for name in next(iter(file.table.frames(file.options))).columns]


def _copied(space: Space, train: TableRows, made: TableRows) -> dict[str, int]:
    """How many values of identifiers and free texts the synthetic table repeats.

    Row numbers are left out: any table has the same.
    """
    found = {}
    for facts in space.extra.get("carried", ()):
        name = facts["name"]
        if name not in train.carried or name not in made.carried or "numbers" in facts["reason"]:
            continue
        known = {str(v) for v in train.carried[name] if v is not None}
        found[name] = sum(v is not None and str(v) in known for v in made.carried[name])
    return found
