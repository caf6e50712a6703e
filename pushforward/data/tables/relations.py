"""Linear relations between the columns of a table, as declared: GS <= G, PTS = 2*FG + FT.

A relation is kept as a·x + c ≤ 0, < 0 or = 0 over the columns that it names. It is read by a small
grammar of its own, never evaluated as code: numbers, names of columns, + - * /, and one of
<= >= < > =. Names with blanks or other marks are put in backticks or quotes: `Free throws` <= FT.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.dates import DATE_UNITS
from pushforward.core.errors import InvalidKind, InvalidValue, printable, suggest
from pushforward.core.space import Column, Space

__all__ = [
    "Relation",
    "parse_relation",
    "parse_relations",
    "relations_of",
    "rounding_step",
    "violating_rows",
    "violation_notes",
]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    |`(?P<tick>[^`]+)`|"(?P<double>[^"]+)"|'(?P<single>[^']+)'
    |(?P<name>[^\W\d][\w.]*)|(?P<sign><=|>=|==|[-+*/=<>]))""",
    re.VERBOSE,
)
_TURNED = {">=": "<=", ">": "<", "==": "="}
_EXAMPLE = "write 'GS <= G' or 'PTS = 2*FG + FT', with names of other marks in backticks"
ROUNDING = 1e-9
"""The error of sums in float64, as a share of their terms."""
_LISTED = 5
"""Violating rows that a note names."""
_BLOCK = 65536
"""Rows that are checked at once: a few MB per column."""


@dataclass(frozen=True)
class Relation:
    """Σ_j a_j x_j + c ≤ 0, < 0 or = 0.

    Args:
        text: as declared.
        names: of its columns, those of the left side first.
        factors: a_j of each.
        constant: c.
        sign: '<=', '<' or '='.
    """

    text: str
    names: tuple[str, ...]
    factors: tuple[float, ...]
    constant: float
    sign: Literal["<=", "<", "="]

    def __str__(self) -> str:
        return self.text

    def places(self, space: Space) -> list[int]:
        """The positions of its columns."""
        return [space.names.index(name) for name in self.names]

    def excess(self, x: NDArray[Any], space: Space) -> NDArray[Any]:
        """Σ a_j x_j + c of rows x (n, d): (n,), NaN where a value is missing."""
        return np.asarray(x[:, self.places(space)] @ np.array(self.factors) + self.constant)

    def violated(self, x: NDArray[Any], space: Space) -> NDArray[np.bool_]:
        """Which of the rows x (n, d) violate it: (n,); rows with a missing value do not.

        Values count as equal if they are up to the decimals that their columns are written with.
        """
        excess, slack = self.excess(x, space), self._slack(x, space)
        if self.sign == "=":
            return np.asarray(np.abs(excess) > slack)
        return np.asarray(excess > slack if self.sign == "<=" else excess >= -slack)

    def _slack(self, x: NDArray[Any], space: Space) -> NDArray[Any]:
        places, factors = self.places(space), np.abs(self.factors)
        slack = ROUNDING * (np.abs(x[:, places]) @ factors + abs(self.constant))
        if self.sign == "<":
            return np.asarray(slack)
        steps = [rounding_step(space.columns[place]) for place in places]
        slack = slack + 0.5 * float(factors @ np.array(steps)) * (1 + ROUNDING)
        return np.asarray(slack)


def rounding_step(column: Column) -> float:
    """The unit of the last decimal of a column of fractions, 0 for others."""
    return 10.0**-column.decimals if column.kind == "continuous" and column.decimals else 0.0


def parse_relations(texts: object, space: Space) -> tuple[Relation, ...]:
    """Relations between the columns of a space; a single text, several, or relations themselves.

    Raises:
        InvalidKind, InvalidValue: As `parse_relation`.
    """
    if texts is None:
        return ()
    several = [texts] if isinstance(texts, (str, Relation)) else texts
    if not isinstance(several, Sequence):
        raise InvalidKind(f"relations must be texts, got {texts!r}; {_EXAMPLE}")
    found = [parse_relation(t.text if isinstance(t, Relation) else t, space) for t in several]
    relations = tuple(dict.fromkeys(found))
    _refuse_contradiction(relations, space)
    return relations


def _refuse_contradiction(relations: Sequence[Relation], space: Space) -> None:
    """Raise InvalidValue if no row within the bounds of its columns obeys all relations.

    The most s ≤ 1 such that a·x + c ≤ -s of all strict inequalities is found by linear programming.
    """
    from scipy.optimize import linprog

    names = list(dict.fromkeys(name for relation in relations for name in relation.names))
    if not names:
        return
    strict = [float(relation.sign == "<") for relation in relations]
    rows = [
        [dict(zip(r.names, r.factors)).get(name, 0.0) for name in names] + [s]
        for r, s in zip(relations, strict)
    ]
    ends = [-relation.constant for relation in relations]
    equal = [relation.sign == "=" for relation in relations]
    columns = [space.columns[space.names.index(name)] for name in names]
    found = linprog(
        [0.0] * len(names) + [-1.0],
        A_ub=[row for row, is_equal in zip(rows, equal) if not is_equal] or None,
        b_ub=[end for end, is_equal in zip(ends, equal) if not is_equal] or None,
        A_eq=[row for row, is_equal in zip(rows, equal) if is_equal] or None,
        b_eq=[end for end, is_equal in zip(ends, equal) if is_equal] or None,
        bounds=[*((c.lower, c.upper) for c in columns), (0.0, 1.0)],
    )
    if found.status == 2 or (found.status == 0 and any(strict) and found.x[-1] <= 0):
        several = " and ".join(repr(relation.text) for relation in relations)
        raise InvalidValue(
            f"no row can obey {several} within the bounds of its columns; leave one out"
        )


def relations_of(space: Space) -> tuple[Relation, ...]:
    """The relations that were declared for the data of a space."""
    return parse_relations(list(space.extra.get("relations", ())), space)


def parse_relation(text: object, space: Space) -> Relation:
    """The relation that a text declares.

    Raises:
        InvalidKind: If it is no text.
        InvalidValue: If it is no relation, or not between columns of numbers or dates.
    """
    if not isinstance(text, str):
        raise InvalidKind(f"a relation must be a text, got {text!r}; {_EXAMPLE}")
    sides: list[list[tuple[str, str]]] = [[]]
    sign = ""
    for token, value in _tokens(text):
        if token == "sign" and value in ("<=", ">=", "<", ">", "=", "=="):
            if sign:
                raise _unreadable(text, f"it has {sign!r} and {value!r}")
            sign = value
            sides.append([])
        else:
            sides[-1].append((token, value))
    if not sign:
        raise _unreadable(text, "it has none of <= >= < > =")
    left, c = _side(sides[0], text)
    right, other = _side(sides[1], text)
    turn = -1.0 if sign in (">=", ">") else 1.0
    factors = {n: turn * (left.get(n, 0) - right.get(n, 0)) for n in (*left, *right)}
    factors = {n: a for n, a in factors.items() if a != 0}
    if not factors:
        raise _unreadable(text, "it names no column, or each on both sides alike")
    _check_columns(text, list(factors), space)
    kind: Any = _TURNED.get(sign, sign)
    return Relation(text.strip(), tuple(factors), tuple(factors.values()), turn * (c - other), kind)


def _unreadable(text: str, reason: str) -> InvalidValue:
    return InvalidValue(f"relation {printable(text)!r} cannot be read: {reason}; {_EXAMPLE}")


def _tokens(text: str) -> list[tuple[str, str]]:
    """('number', …), ('name', …) and ('sign', …)."""
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(text, f"{text[place:].strip()[:20]!r} is neither name nor number")
        kind = str(match.lastgroup)
        found.append((kind if kind in ("number", "sign") else "name", match[kind]))
        place = match.end()
    return found


def _side(tokens: list[tuple[str, str]], text: str) -> tuple[dict[str, float], float]:
    """The factor of each name on one side, and the sum of its numbers."""
    factors: dict[str, float] = {}
    constant, place = 0.0, 0
    if not tokens:
        raise _unreadable(text, "one side is empty")
    while place < len(tokens):
        sign = 1.0
        if tokens[place] in (("sign", "+"), ("sign", "-")):
            sign = -1.0 if tokens[place][1] == "-" else 1.0
            place += 1
        elif place:
            raise _unreadable(text, f"a + or - is missing before {tokens[place][1]!r}")
        name, number, place = _term(tokens, place, text)
        if name is None:
            constant += sign * number
        else:
            factors[name] = factors.get(name, 0.0) + sign * number
    return factors, constant


def _term(tokens: list[tuple[str, str]], place: int, text: str) -> tuple[str | None, float, int]:
    """One product: its name if it has one, its number, and the place after it."""
    name, number, sign = None, 1.0, "*"
    while True:
        kind, value = tokens[place] if place < len(tokens) else ("sign", "the end")
        if kind == "number" and math.isfinite(float(value)) and (sign == "*" or float(value)):
            number = number * float(value) if sign == "*" else number / float(value)
        elif kind == "name" and name is None and sign == "*":
            name = value
        else:
            raise _unreadable(text, f"{value!r} cannot stand where it is: only linear relations")
        place += 1
        if place >= len(tokens) or tokens[place] not in (("sign", "*"), ("sign", "/")):
            return name, number, place
        sign = tokens[place][1]
        place += 1


def _check_columns(text: str, names: Sequence[str], space: Space) -> None:
    for name in names:
        if name not in space.names:
            raise InvalidValue(
                f"relation {text!r}: there is no column {name!r} of numbers in the model;"
                f" {suggest(name, space.names)}"
            )
        if space.columns[space.names.index(name)].kind == "categorical":
            raise InvalidValue(
                f"relation {text!r}: column {name!r} holds categories; relations are between"
                " numbers or dates"
            )
    units = {space.columns[space.names.index(name)].unit for name in names}
    if units & set(DATE_UNITS[:2]) and len(units) > 1:
        raise InvalidValue(
            f"relation {text!r} mixes dates with times or numbers; relate columns of one kind"
        )


def violating_rows(
    relations: Sequence[Relation], x: NDArray[Any] | Tensor, space: Space
) -> list[NDArray[np.int64]]:
    """The numbers of the rows of x (n, d) that violate each relation; x is read in blocks."""
    found: list[list[NDArray[np.int64]]] = [[] for _ in relations]
    for start in range(0, len(x) if relations else 0, _BLOCK):
        block = np.asarray(x[start : start + _BLOCK], dtype=np.float64)
        for rows, relation in zip(found, relations):
            rows.append(start + np.flatnonzero(relation.violated(block, space)))
    return [np.concatenate(rows) for rows in found]


def violation_notes(
    relations: Sequence[Relation], violating: Sequence[NDArray[Any]], rows: int
) -> list[str]:
    """A sentence about each relation: how many rows violate it, and which (row numbers from 0).

    Args:
        violating: the numbers of the violating rows of each relation.
        rows: how many rows were checked.
    """
    notes = []
    for relation, found in zip(relations, violating):
        if len(found):
            some = ", ".join(map(str, found[:_LISTED].tolist()))
            more = ", …" if len(found) > _LISTED else ""
            plural = "rows violate" if len(found) > 1 else "row violates"
            notes.append(f"{len(found):,} of {rows:,} {plural} {relation}: row {some}{more}")
        else:
            notes.append(f"all {rows:,} rows obey {relation}")
    return notes
