"""Tables as sources: one coordinate per column, by name,
with categories as codes and dates as numbers.

Column j of row i is x_ij; a categorical column holds the code k of its category c_k, where c_0 <
c_1 < … in sorted order (or the order declared by a pandas categorical). Text columns are never
guessed at: they are declared, dropped, or an error naming the column (and the offending cell, if
most others are numbers). Tables are read twice in chunks: to survey the columns, and to encode
them.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.counting import count_rows
from pushforward.core.data_types import Series
from pushforward.core.errors import BadSource, DataWarning, ShapeMismatch, suggest
from pushforward.core.frames import as_frame, is_frame
from pushforward.core.space import Column, Space, column_numbers, frame_numbers
from pushforward.core.space.export import column_fields
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import labels_of, refuse_infinity
from pushforward.data.sources.spool import Spool
from pushforward.data.tables.columns import ColumnSurvey
from pushforward.data.tables.markers import is_word
from pushforward.data.tables.relations import (
    parse_relations,
    relations_of,
    violating_rows,
    violation_notes,
)
from pushforward.data.tables.remarks import remarks
from pushforward.data.tables.selection import condition_names, special_columns
from pushforward.data.tables.surveys import Survey, survey_table
from pushforward.data.tables.table import Table
from pushforward.data.tables.typed_rows import meant_in
from pushforward.data.tables.types import as_column

__all__ = ["Table", "from_frame", "frame_table", "from_chunks", "survey_table"]


@register_reader(name="frame", claims=is_frame, tabular=True)
def from_frame(frame: object, options: Options) -> Arrays:
    """Data frames: pandas, Polars, Arrow."""
    return from_chunks(frame_table(frame), options)


def frame_table(frame: object) -> Table:
    """A frame as a table with one chunk."""
    held = as_frame(frame)
    return Table(lambda: iter([held]))


def from_chunks(table: Table, options: Options) -> Arrays:
    """A source over a table read in chunks.

    Beyond the memory budget it is spooled to a memory map.
    """
    name = options.name or table.name
    survey = survey_table(table, options)
    options = survey.options
    if survey.rows == 0:
        names = ", ".join(list(survey.columns)[:20])
        raise BadSource(
            f"{name}: the table has no rows; expected at least one below the"
            f" header{f' ({names})' if names else ''}"
        )
    if options.lenient:
        text = {c.name for c in survey.text}
        survey.columns = {n: c for n, c in survey.columns.items() if n not in text}
    elif survey.types and options.like is None:
        for remark in remarks(survey):
            warnings.warn(f"{name}: {remark}", DataWarning, stacklevel=2)
    special = special_columns(options)
    carried = survey.carried if options.like is None else _carried_like(survey, options.like)
    _check_named(survey, special, options, name)
    space = _space(survey, options, name, table)
    space = _related(space, options)
    x, aside = _encode_all(table, survey, space, (*special, *carried), options)
    y, condition_space = _conditions(aside, options, survey)
    weights: Any = options.weights
    if isinstance(weights, str):
        weights = column_numbers(aside[weights], Column(weights), name)
    source = Arrays(x, y, weights, space=space, condition_space=condition_space, name=name)
    source.notes = (*notes_of(table, survey), *_relation_notes(x, space, options))
    source.carried = {n: aside[n].to_numpy(dtype=object, na_value=None) for n in carried}
    if source.resident and not (options.lenient or options.scanned_later):
        refuse_infinity(source.x, space, name)
    return source


def _check_named(survey: Survey, special: Sequence[str], options: Options, name: str) -> None:
    """Raise BadSource for a named column that does not exist; a target space checks its own."""
    names = [*special, *((*options.drop, *options.categorical) if options.like is not None else ())]
    absent = next((n for n in names if n not in survey.places), None)
    if absent is not None:
        raise BadSource(
            f"{name}: there is no column {absent!r}; {suggest(absent, list(survey.places)[:20])}"
        )


def notes_of(table: Table, survey: Survey) -> list[str]:
    """The decisions made while reading, in sentences."""
    return [*table.notes, *(table.cells.notes() if table.cells is not None else ()), *survey.notes]


def _space(survey: Survey, options: Options, name: str, table: Table) -> Space:
    if options.like is not None and options.like.kind == "points":
        if len(survey.columns) != len(options.like.columns):
            raise ShapeMismatch(
                f"{name}: expected {len(options.like.columns)} columns ({options.like}), got"
                f" {len(survey.columns)}"
            )
        return options.like
    text = survey.text
    if text:
        raise BadSource(_text_error(name, text))
    if not survey.columns:
        raise BadSource(_nothing_left(name, survey))
    percents = table.cells.percents if table.cells is not None else {}
    columns = tuple(
        as_column(c, survey.types[n], n in percents)
        if n in survey.types
        else c.column(n in percents)
        for n, c in survey.columns.items()
    )
    if table.unnamed:
        columns = tuple(replace(c, name="") for c in columns)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    return Space(
        "points",
        (len(columns),),
        columns,
        low,
        high,
        all(c.kind == "integer" for c in columns),
        "frame",
        extra={"carried": _carried(survey, percents)} if survey.types else {},
    )


def _nothing_left(name: str, survey: Survey) -> str:
    kinds = [f"{n} ({survey.types[n].type})" for n in survey.aside]
    if not kinds:
        return f"{name}: no columns are left; drop fewer of them"
    some = ", ".join(kinds[:10]) + (", …" if len(kinds) > 10 else "")
    declared = setting("types", [f"{next(iter(survey.aside))}=categorical"])
    return (
        f"{name}: no column is left to model: identifiers, constants and free text are carried"
        f" along ({some}); declare another type, such as {declared}"
    )


def _related(space: Space, options: Options) -> Space:
    """The space with the relations that its columns are declared to have."""
    if not options.relation:
        return space
    texts = [relation.text for relation in parse_relations(options.relation, space)]
    return replace(space, extra={**space.extra, "relations": texts})


def _relation_notes(x: Any, space: Space, options: Options) -> list[str]:
    """How many rows violate each of the declared relations, and which."""
    if not options.relation:
        return []
    relations = relations_of(space)
    return violation_notes(relations, violating_rows(relations, x, space), len(x))


def _carried(survey: Survey, percents: Collection[str]) -> list[dict[str, Any]]:
    """The columns that are kept out of models, with their place in the table; constants with their
    value, and those that are numbers with the column of a space that they would be.
    """
    found = []
    for place, name in enumerate(sorted(survey.types, key=lambda name: survey.places[name])):
        if (column := survey.aside.get(name)) is not None:
            kind = survey.types[name]
            facts = {"name": name, "type": kind.type, "reason": kind.reason, "place": place}
            if kind.type == "constant":
                facts["value"] = column.constant
                if not column.categories and column.low <= column.high:
                    alike = column.column(name in percents)
                    facts["column"] = column_fields(replace(alike, format=column.date_format))
            found.append(facts)
    return found


def _carried_like(survey: Survey, like: Space) -> tuple[str, ...]:
    """Those of a fitted model's carried columns that a table has."""
    columns = like.extra.get("carried", ())
    names = [column["name"] for column in columns if column["type"] != "constant"]
    return tuple(name for name in names if name in survey.places)


def _text_error(name: str, text: list[ColumnSurvey]) -> str:
    first, others = text[0], [c.name for c in text[1:]]
    if first.bad is not None:
        row, cell = first.bad
        return (
            f"{name}: column {first.name!r} holds {cell!r} in row {row} (the first is row 0) where"
            f" most others are numbers; fix it, mark it as missing with"
            f" {setting('na', [cell])}, or declare the column with"
            f" {setting('categorical', [first.name])}"
        )
    examples = ", ".join(repr(str(v)[:40]) for v in list(first.categories)[:3])
    listed = [c.name for c in text[:20]]
    also = (
        f" (and so do {', '.join(others[:10])}{', …' if len(others) > 10 else ''})"
        if others
        else ""
    )
    content = "dates" if first.kind == "date" else "text"
    return (
        f"{name}: column {first.name!r} holds {content}"
        f" ({examples}{', …' if len(first.categories) > 3 else ''}){also}; declare it with"
        f" {setting('categorical', [first.name])}, or leave it out with {setting('drop', listed)}"
    )


def _encode_all(
    table: Table, survey: Survey, space: Space, special: Sequence[str], options: Options
) -> tuple[Any, dict[str, Any]]:
    """The encoded table (n, d), resident or spooled, and the columns set aside."""
    import pandas

    aside: dict[str, list[Any]] = {n: [] for n in special}
    places = [survey.places[n] for n in survey.columns]
    columns = dict(zip(places, space.columns))
    with Spool(options.memory) as spool:
        row = 0
        for chunk in table.frames(options):
            spool.add(
                frame_numbers(
                    chunk,
                    places,
                    space.columns,
                    options.name or table.name,
                    start=row,
                    series=lambda chunk, place: table.series(
                        chunk, place, meant_in(columns[place])
                    ),
                )
            )
            row += len(chunk)
            count_rows("read", row, survey.rows)
            for n in special:
                aside[n].append(table.series(chunk, survey.places[n], is_word))
        return spool.finish(), {
            n: pandas.concat(parts, ignore_index=True) for n, parts in aside.items()
        }


def _conditions(
    aside: dict[str, Any], options: Options, survey: Survey
) -> tuple[Any, Space | None]:
    names = condition_names(options)
    if options.label_name is not None and options.y is None:
        return labels_of(_label_values(aside[options.label_name]), options, survey.rows)
    if not names:
        return labels_of(None, options, survey.rows)
    import pandas

    frame = pandas.DataFrame({n: aside[n] for n in names})
    choices = Options(
        categorical=options.categorical, name="y", like=options.like_condition, table=options.table
    )
    inner = from_frame(frame, choices)
    return inner.all().x, inner.space


def _label_values(series: Series) -> NDArray[Any]:
    """Labels as whole numbers if they are, else unchanged.

    Raises:
        BadSource: If one is missing.
    """
    missing = series.isna()
    missing = missing | (series == "") if series.dtype.kind not in "biufM" else missing
    if bool(missing.any()):
        count = int(missing.sum())
        raise BadSource(
            f"label {series.name!r} is missing in {count} of {len(series)} rows; fill it in or drop"
            " those rows"
        )
    if series.dtype.kind in "iub":
        return np.asarray(
            series.to_numpy(dtype={"b": bool, "u": np.uint64}.get(series.dtype.kind, np.int64))
        )
    return np.asarray(series.to_numpy(dtype=object))
