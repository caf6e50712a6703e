"""What the columns of a table are: inferred from their values, with the reason, or declared.

Types say more than whether a value is a number: a count is never negative, a percentage never above
100, an identifier tells rows apart and has no distribution. A type decides how a column is encoded
(`as_column`), which bounds its samples keep, and whether it is modelled at all: identifiers,
constants and free text are carried along with the rows instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pushforward.core.argument_names import setting
from pushforward.core.column_numbers import category_text
from pushforward.core.columns import CARRIED, COLUMN_TYPES, Column
from pushforward.core.dates import DURATION
from pushforward.core.errors import InvalidKind, InvalidValue, suggest_listed
from pushforward.data.tables.columns import ColumnSurvey

__all__ = [
    "CARRIED",
    "CATEGORIES",
    "DECLARED",
    "ColumnType",
    "as_column",
    "check_carried",
    "infer_type",
    "parse_types",
]

CATEGORIES = ("categorical", "ordered", "boolean")
"""Types whose values are codes."""
DECLARED = "declared"
"""The reason of types that are not inferred."""
SHORT = 40
"""Characters of an identifier at most; longer texts are free text."""
MOST_CATEGORIES, REPEATED = 200, 2.0
"""Categories of a text column at most, and how often each is there on average at least; columns
with fewer than `FEW` distinct texts are always categories."""
FEW = 20
MOST_CODES = 10
"""Distinct whole numbers that might be codes."""
ALIKE = re.compile(r"(?:^|[^a-z])(id|ids|key|uuid|guid|index|identifier)$|(?:[a-z])(Id|ID)$")
"""Names of columns of whole numbers that tell rows apart."""
TRUTHS = (
    {"yes", "no"}, {"true", "false"}, {"y", "n"}, {"t", "f"}, {"0", "1"}, {"on", "off"},
    {"ja", "nein"}, {"oui", "non"}, {"si", "no"}, {"sí", "no"},
)  # fmt: skip
ORDERS = tuple(
    tuple(words.split(", "))
    for words in (
        "very low, low, medium, high, very high",
        "xs, s, m, l, xl, xxl",
        "none, mild, moderate, severe",
        "small, medium, large",
        "never, rarely, sometimes, often, always",
        "poor, fair, good, very good, excellent",
        "monday, tuesday, wednesday, thursday, friday, saturday, sunday",
        "mon, tue, wed, thu, fri, sat, sun",
        "january, february, march, april, may, june, july, august, september, october, november,"
        " december",
        "jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec",
        "strongly disagree, disagree, neutral, agree, strongly agree",
    )
)
"""Words that have an order."""


@dataclass(frozen=True)
class ColumnType:
    """The type of a column.

    Args:
        type: one of `core.columns.COLUMN_TYPES`.
        reason: why, in words.
        arguments: the two bounds of 'bounded', or the categories of 'ordered' from low to high.
    """

    type: str
    reason: str
    arguments: tuple[str, ...] = ()

    @property
    def carried(self) -> bool:
        """Whether the column is kept out of the model."""
        return self.type in CARRIED


def parse_types(given: object) -> dict[str, ColumnType] | None:
    """Declared types by column; None if types are not to be inferred.

    Args:
        given: None, 'auto', a mapping such as {'age': 'count'}, or texts 'NAME=TYPE' and 'auto'.

    Raises:
        InvalidKind, InvalidValue: If a type is not known, or its arguments do not fit.
    """
    if given is None or (not isinstance(given, (str, Mapping)) and not given):
        return None
    if isinstance(given, Mapping):
        entries = [(name, text) for name, text in given.items()]
    else:
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, Sequence) or not all(isinstance(t, str) for t in texts):
            raise InvalidKind(
                f"types must be 'auto' or types by column, got {given!r}; pass"
                " types={'age': 'count'}"
            )
        parts = [p for text in texts for p in _split(text) if p != "auto"]
        entries = [_entry(part) for part in parts]
    return {str(name): _parse(str(name), text) for name, text in entries}


def _split(text: str) -> list[str]:
    """At commas, except inside parentheses."""
    return [p.strip() for p in re.split(r",(?![^(]*\))", text) if p.strip()]


def _entry(part: str) -> tuple[str, str]:
    name, equals, text = part.rpartition("=")
    if not equals:
        raise InvalidValue(
            f"types must be 'auto' or NAME=TYPE, got {part!r}; for example"
            f" {setting('types', ['age=count'])}"
        )
    return name.strip(), text.strip()


def _parse(name: str, text: object) -> ColumnType:
    match = (
        re.fullmatch(r"([a-z]+)\s*(?:\((.*)\))?", text.strip()) if isinstance(text, str) else None
    )
    if match is None or match[1] not in COLUMN_TYPES:
        raise InvalidValue(
            f"the type of column {name!r} must be one of {', '.join(COLUMN_TYPES)}, got {text!r};"
            f" {suggest_listed(str(text), COLUMN_TYPES)}"
        )
    kind, inner = match[1], match[2]
    separator = "<" if kind == "ordered" else ","
    parts = tuple(p.strip() for p in (inner or "").split(separator) if p.strip())
    if kind == "bounded" and parts:
        _check_bounds(name, parts)
    elif parts and kind != "ordered":
        raise InvalidValue(
            f"{kind} takes no arguments, got {text!r} for column {name!r}; bounded(0, 100) and"
            " ordered(low < high) do"
        )
    return ColumnType(kind, DECLARED, parts)


def _check_bounds(name: str, parts: Sequence[str]) -> None:
    try:
        low, high = (float(p) for p in parts)
        fine = low < high
    except ValueError:
        fine = False
    if not fine:
        raise InvalidValue(
            f"bounded takes two bounds, the lower first, such as bounded(0, 100); got"
            f" ({', '.join(parts)}) for column {name!r}"
        )


# ---------------------------------------------------------------------------------------- inference


def infer_type(column: ColumnSurvey, rows: int, percent: bool) -> ColumnType:
    """The type of a surveyed column of a table with so many rows, and why."""
    present = rows - column.missing
    if present == 0:
        return ColumnType("constant", "every value is missing")
    if column.kind in ("categorical", "text") or (column.kind == "date" and not column.unit):
        return _type_of_texts(column, present)
    if column.low == column.high and present > 1:
        return ColumnType("constant", "all values are equal")
    if column.kind == "date":
        words = "durations" if column.unit == DURATION else "dates"
        return ColumnType("duration" if column.unit == DURATION else "date", f"holds {words}")
    if percent and column.low >= 0 and column.high <= 100:
        return ColumnType("bounded", "percentages between 0 and 100", ("0", "100"))
    whole = column.kind == "integer" or column.is_whole
    if whole and (column.low, column.high) == (0, 1) and column.distinct == 2:
        return ColumnType("boolean", "holds only 0 and 1")
    if column.distinct == 2 and present > FEW and not percent:
        return ColumnType("categorical", f"holds only {column.low:g} and {column.high:g}")
    return _type_of_whole(column, present) if whole else _type_of_numbers(column)


def _type_of_texts(column: ColumnSurvey, present: int) -> ColumnType:
    if column.bad is not None:
        row, cell = column.bad
        return ColumnType("text", f"most values are numbers, but row {row} holds {cell!r}")
    texts = [str(v).strip().lower() for v in column.categories]
    distinct = len(texts)
    declared = column.ordered and column.kind == "categorical"
    if declared and column.ranked:
        return ColumnType("ordered", "the data declare an order of its categories")
    if distinct == 1 and present > 1:
        return ColumnType("constant", "all values are equal")
    if set(texts) in TRUTHS:
        return ColumnType("boolean", f"holds only {' and '.join(sorted(texts))}")
    if declared:
        return ColumnType("categorical", "the data declare categories without an order")
    if order := _order_of(texts):
        return ColumnType("ordered", "its words have an order", _spelled(column, order))
    if distinct <= FEW and distinct < present:
        return ColumnType("categorical", f"{distinct} distinct texts")
    longest = max(len(text) for text in texts)
    whole = column.noted >= present
    if distinct == min(column.noted, present):
        every = "every text" if whole else f"each of the first {distinct:,} texts"
        if longest <= SHORT and not _is_prose(texts):
            return ColumnType("identifier", f"{every} is different")
        return ColumnType("text", f"{every} is different, and up to {longest} characters long")
    if (
        whole
        and (distinct <= MOST_CATEGORIES or present >= REPEATED * distinct)
        and not _is_prose(texts)
    ):
        return ColumnType("categorical", f"{distinct:,} distinct texts in {present:,} rows")
    return ColumnType("text", f"{distinct:,} distinct texts in {column.noted:,} rows")


def _is_prose(texts: Sequence[str]) -> bool:
    """Whether texts are sentences: most have four words or more."""
    some = texts[:1000]
    return sum(len(text.split()) >= 4 for text in some) > len(some) / 2


def _order_of(texts: Sequence[str]) -> tuple[str, ...]:
    found = next((order for order in ORDERS if len(texts) > 1 and set(texts) <= set(order)), ())
    return tuple(word for word in found if word in texts)


def _spelled(column: ColumnSurvey, order: Sequence[str]) -> tuple[str, ...]:
    """Words of an order as the table spells them; none if it spells one in two ways."""
    spelled = {str(v).strip().lower(): category_text(v) for v in column.categories}
    return tuple(spelled[word] for word in order) if len(column.categories) == len(spelled) else ()


def _type_of_whole(column: ColumnSurvey, present: int) -> ColumnType:
    distinct = column.distinct
    if distinct == min(column.noted, present) and present > 2:
        if ALIKE.search(column.name) or ALIKE.search(column.name.lower()):
            return ColumnType("identifier", "every number is different, and its name says so")
        if column.high - column.low == present - 1 and present > FEW:
            return ColumnType("identifier", "it numbers the rows")
    codes = setting("types", [f"{column.name}=categorical"])
    codes = f"; if they are codes, {codes}" if distinct <= MOST_CODES else ""
    if column.low >= 0:
        return ColumnType("count", f"whole numbers, none below 0{codes}")
    return ColumnType("integer", f"whole numbers{codes}")


def _type_of_numbers(column: ColumnSurvey) -> ColumnType:
    if column.low >= 0 and 0.5 < column.high <= 1:
        return ColumnType("bounded", "shares between 0 and 1", ("0", "1"))
    if column.low >= 0:
        return ColumnType("positive", "no value below 0")
    return ColumnType("continuous", "numbers above and below 0" if column.high > 0 else "numbers")


# ----------------------------------------------------------------------------------------- encoding


def check_carried(survey: ColumnSurvey, kind: ColumnType) -> None:
    """Refuse a column that is declared constant and is not: its values would be lost.

    Raises:
        InvalidValue: Names the column.
    """
    if kind.type == "constant" and (survey.low < survey.high or len(survey.categories) > 1):
        raise InvalidValue(
            f"column {survey.name!r} is declared constant, but its values differ; declare it text"
            " to carry it along, or leave it out"
        )


def as_column(survey: ColumnSurvey, kind: ColumnType, percent: bool) -> Column:
    """The column of a space for a surveyed column of a type that is modelled.

    Raises:
        InvalidValue: If its values are not of that type.
    """
    named: dict[str, Any] = {"type": kind.type, "reason": kind.reason}
    if kind.type in CATEGORIES:
        column = replace(survey.as_categories(), **named, ordered=kind.type == "ordered")
        if kind.type == "boolean" and len(column.categories) > 2:
            raise InvalidValue(
                f"column {survey.name!r} is declared boolean, but holds"
                f" {len(column.categories)} values; declare it categorical"
            )
        return _in_order(column, kind) if kind.arguments else column
    if survey.kind in ("categorical", "text"):
        raise InvalidValue(
            f"column {survey.name!r} is declared {kind.type}, but holds text; declare it"
            " categorical, identifier or text"
        )
    column = survey.column(percent)
    whole = kind.type in ("count", "integer")
    holds_whole = survey.is_whole or survey.kind == "integer"
    if whole and not holds_whole:
        raise InvalidValue(
            f"column {survey.name!r} is declared {kind.type}, but holds fractions; declare it"
            " positive or continuous"
        )
    whole = whole or (kind.type == "bounded" and holds_whole)
    form: Literal["integer", "continuous"] = "integer" if whole else "continuous"
    if kind.type in ("date", "duration"):
        if survey.kind != "date":
            raise InvalidValue(
                f"column {survey.name!r} is declared {kind.type}, but holds numbers; declare it"
                " continuous or count"
            )
        return replace(column, **named, format=survey.date_format)
    lower, upper = _bounds(survey, kind)
    decimals = None if whole else column.decimals
    return replace(column, kind=form, lower=lower, upper=upper, decimals=decimals, **named)


def _bounds(survey: ColumnSurvey, kind: ColumnType) -> tuple[float | None, float | None]:
    if kind.type in ("positive", "count"):
        lower, upper = 0.0, None
    elif kind.type == "bounded":
        low, high = kind.arguments or (
            ("0", "1") if survey.low >= 0 and survey.high <= 1 else ("0", "100")
        )
        lower, upper = float(low), float(high)
    else:
        return None, None
    if survey.low < lower or (upper is not None and survey.high > upper):
        value = survey.low if survey.low < lower else survey.high
        raise InvalidValue(
            f"column {survey.name!r} is declared {kind.type}, but holds {value:g}; correct the"
            " value, or declare other bounds, such as bounded(-1, 1), or continuous"
        )
    return lower, upper


def _in_order(column: Column, kind: ColumnType) -> Column:
    absent = [c for c in column.categories if c not in kind.arguments]
    if absent:
        raise InvalidValue(
            f"column {column.name!r} holds {absent[0]!r}, which is not in its order"
            f" ({' < '.join(kind.arguments)}); add it"
        )
    return replace(column, categories=kind.arguments, high=max(len(kind.arguments) - 1, 0))
