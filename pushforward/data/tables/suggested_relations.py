"""Linear relations that hold in every row of a table without being declared.

Equalities are found column by column: each is regressed on those before it that do not depend on
others, by a QR decomposition that grows; one without a residual beyond rounding, whose factors are
short numbers, is a sum, difference or multiple of others. Inequalities are those of pairs of
columns alike. What would as well hold if the values of a column were in another order, because
columns do not overlap or rows are few, is chance and left out; so is what others imply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pushforward.core.errors import InvalidValue
from pushforward.core.source import Source, iterate_blocks, peek
from pushforward.core.space import Column, Space
from pushforward.data.tables.relations import ROUNDING, Relation, parse_relation, rounding_step

__all__ = ["suggest_relations"]

SEEN = 4096
"""Rows among which relations are looked for; those found are checked in all."""
LEAST_ROWS, LEAST_DISTINCT = 30, 8
"""Rows without gaps, and different ones of these, below which nothing is said."""
CHANCE = 1e-6
"""The probability, over all that is tried, that values in another order would obey, too."""
MOST_COLUMNS, MOST_TERMS = 100, 6
"""Columns of numbers that are looked at, and columns in one relation."""
MOST_DIGITS, MOST_DIVISOR = 8, 1000
"""Digits of a factor, and whole numbers by which a column is divided."""
_PLAIN = re.compile(r"[^\W\d][\w.]*")
_Rows = NDArray[np.float64]


def suggest_relations(source: Source, declared: Sequence[Relation] = ()) -> tuple[Relation, ...]:
    """Relations that all rows of a table obey, and that do not follow from the declared ones.

    Equalities are such as total = a + b, b = 2.54*a or c = a + 32, inequalities a <= b.

    Args:
        source: of points.
        declared: relations that are known.
    """
    space = source.space
    x = peek(source, SEEN).x.double().cpu().numpy().reshape(-1, space.size)
    columns = [j for j in range(space.size) if _is_number(x[:, j], j, space)][:MOST_COLUMNS]
    found = [*_equalities(x, columns, space), *_inequalities(x, columns, space)]
    tried = len(columns) ** 2 + 1
    found = [r for r in found if not _is_chance(r, x, space, tried)]
    for batch in iterate_blocks(source) if found else ():
        block = batch.x.double().cpu().numpy().reshape(-1, space.size)
        found = [r for r in found if not r.violated(block, space).any()]
    return _without_implied(found, declared, space)


def _is_number(x: _Rows, j: int, space: Space) -> bool:
    """Whether a column is of numbers or dates that differ, and has a name to write."""
    there = x[np.isfinite(x)]
    name = space.names[j] if j < len(space.names) else ""
    return (
        space.columns[j].kind != "categorical"
        and len(there) >= LEAST_ROWS
        and bool((there != there[0]).any())
        and space.names.count(name) == 1
        and _written(name) != ""
    )


def _written(name: str) -> str:
    """A name as a relation writes it; '' if it cannot."""
    if _PLAIN.fullmatch(name):
        return name
    mark = next((mark for mark in "`\"'" if mark not in name), "")
    return f"{mark}{name}{mark}" if name and mark else ""


# --------------------------------------------------------------------------------------- equalities


def _equalities(x: _Rows, columns: Sequence[int], space: Space) -> list[Relation]:
    """The columns that are linear in others before them."""
    complete = np.ones(len(x), dtype=bool)
    used: list[int] = []
    for j in columns:  # those with many gaps are left out
        both = complete & np.isfinite(x[:, j])
        if both.sum() >= max(LEAST_ROWS, complete.sum() / 2):
            complete, used = both, [*used, j]
    x = x[complete]
    found: list[Relation] = []
    pool: list[int] = []
    basis, factors = np.empty((len(x), 0)), np.empty((0, 0))
    centre, spread = _scales(x)
    for j in used:
        z = (x[:, j] - centre[j]) / spread[j]
        parts = np.zeros(len(pool))
        rest = z
        for _ in range(2):  # once more, as Gram-Schmidt loses what it subtracts
            more = basis.T @ rest
            rest, parts = rest - basis @ more, parts + more
        norm = float(np.linalg.norm(rest))
        if pool and len(x) - len(pool) >= LEAST_ROWS:
            own = np.linalg.solve(factors, parts) * spread[j] / spread[pool]
            relation = _simple(x, j, pool, own, space)
            if relation is not None:
                found.append(relation)
                continue
        if norm <= 1e-9 * math.sqrt(len(x)) or len(pool) + 1 >= len(x):
            continue
        grown = np.zeros((len(pool) + 1, len(pool) + 1))
        grown[:-1, :-1], grown[:-1, -1], grown[-1, -1] = factors, parts, norm
        basis, factors, pool = np.column_stack([basis, rest / norm]), grown, [*pool, j]
    return found


def _scales(x: _Rows) -> tuple[_Rows, _Rows]:
    """The mean of each column, and its largest distance from it."""
    with np.errstate(all="ignore"):
        centre = (x / max(len(x), 1)).sum(0)
        spread = np.abs(x - centre).max(0, initial=0.0)
    return centre, np.where((spread > 0) & np.isfinite(spread), spread, 1.0)


def _simple(x: _Rows, j: int, pool: list[int], own: _Rows, space: Space) -> Relation | None:
    """Column j as a sum of few others with short factors, if it is one."""
    centre, spread = _scales(x)
    slack = _slack(x, [j, *pool], np.array([1.0, *own]), space)
    worth = np.abs(own) * spread[pool] > max(2 * slack, 1e-6 * spread[j])
    terms = [place for place, is_worth in zip(pool, worth) if is_worth]
    if not 0 < len(terms) < MOST_TERMS:
        return None
    z = (x[:, terms] - centre[terms]) / spread[terms]
    fitted = np.linalg.lstsq(z, (x[:, j] - centre[j]) / spread[j], rcond=None)[0]
    fitted = fitted * spread[j] / spread[terms]
    slack = _slack(x, [j, *terms], np.array([1.0, *fitted]), space)
    if not math.isfinite(slack) or not np.isfinite(fitted).all():
        return None
    both = sorted(zip([j, *terms], [-1.0, *fitted.tolist()]))  # as the table orders them
    places, factors = [place for place, _ in both], np.array([factor for _, factor in both])
    texts = [_equation(x, places, factors, pivot, slack, space) for pivot in range(len(places))]
    short = [text for text in texts if text]
    try:
        relation = parse_relation(min(short, key=_length), space) if short else None
    except InvalidValue:  # dates and numbers
        return None
    return None if relation is None or relation.violated(x, space).any() else relation


def _slack(x: _Rows, places: list[int], factors: _Rows, space: Space) -> float:
    """How far a sum may be off by rounding of its terms."""
    steps = np.array([rounding_step(space.columns[place]) for place in places])
    largest = np.abs(x[:, places]).max(0, initial=0.0)
    return float(np.abs(factors) @ (0.5 * steps + ROUNDING * largest))


def _short(value: float, tolerance: float) -> str | None:
    """The shortest number within the tolerance of a value, '1/12' of some; None if all are long."""
    if abs(value - round(value)) <= tolerance and round(value) != 0:
        return str(round(value))
    inverse = 1 / value if value else math.inf
    if math.isfinite(inverse) and 1 < abs(inverse) <= MOST_DIVISOR:
        whole = round(inverse)
        if abs(value - 1 / whole) <= tolerance and 10 % abs(whole):
            return f"1/{whole}" if whole > 0 else f"-1/{-whole}"
    for digits in range(1, MOST_DIGITS + 1):
        text = f"{value:.{digits}g}"
        if abs(float(text) - value) <= tolerance:
            return text
    return None


def _equation(
    x: _Rows, places: Sequence[int], factors: _Rows, pivot: int, slack: float, space: Space
) -> str:
    """Σ factor * column + constant = 0, the pivot's factor 1, written with one column alone and
    without minus signs where that is possible; '' if a factor is long.
    """
    unit = abs(float(factors[pivot]))
    spread, slack = _scales(x)[1][list(places)], slack / unit
    short = [_short(a / unit, slack / s) for a, s in zip(factors.tolist(), spread.tolist())]
    if any(text is None for text in short):
        return ""
    terms = [(space.names[place], text or "") for place, text in zip(places, short)]
    rest = -float(np.median(x[:, list(places)] @ np.array([_value(text) for _, text in terms])))
    constant = "0" if abs(rest) <= slack else _short(rest, slack)
    plus = [term for term in terms if not term[1].startswith("-")]
    minus = [(name, text[1:]) for name, text in terms if text.startswith("-")]
    if constant is None:
        return ""
    alone = next((side for side in (minus, plus) if len(side) == 1 and side[0][1] == "1"), minus)
    other = plus if alone is minus else minus
    negative = constant[1:] if constant.startswith("-") else f"-{constant}"
    shift = constant if alone is minus else negative
    if not alone or not other:  # a + b = 10
        return f"{_sum(plus or minus)} = {constant if minus else negative}"
    text = f"{_sum(alone)} = {_sum(other)}"
    if constant == "0":
        return text
    return f"{text} - {shift[1:]}" if shift.startswith("-") else f"{text} + {shift}"


def _length(text: str) -> tuple[int, int]:
    """How long an equation is to read: products before quotients."""
    return text.count("/"), len(text)


def _value(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


def _sum(terms: Sequence[tuple[str, str]]) -> str:
    return " + ".join(_term(_written(name), factor) for name, factor in terms)


def _term(name: str, factor: str) -> str:
    if factor == "1":
        return name
    return f"{name}/{factor[2:]}" if factor.startswith("1/") else f"{factor}*{name}"


# ------------------------------------------------------------------------------------- inequalities


def _inequalities(x: _Rows, columns: Sequence[int], space: Space) -> list[Relation]:
    """Pairs of columns alike of which one is never above the other."""
    found = []
    for i in columns:
        for j in columns:
            if i == j or not _alike(space.columns[i], space.columns[j]):
                continue
            both = np.isfinite(x[:, i]) & np.isfinite(x[:, j])
            a, b = x[both, i], x[both, j]
            if both.sum() >= LEAST_ROWS and bool((a <= b).all()) and bool((a < b).any()):
                text = f"{_written(space.names[i])} <= {_written(space.names[j])}"
                found.append(parse_relation(text, space))
    return found


def _alike(a: Column, b: Column) -> bool:
    return a.kind == b.kind and a.unit == b.unit


def _is_chance(relation: Relation, x: _Rows, space: Space, tried: int) -> bool:
    """Whether rows would obey a relation, too, if a column of it were in another order."""
    places = relation.places(space)
    rows = x[np.isfinite(x[:, places]).all(1)]
    n = len(rows) - len(places)
    if n < LEAST_ROWS or len(np.unique(rows[:, places], axis=0)) < LEAST_DISTINCT:
        return True
    stream = np.random.default_rng(0)
    for place in places:
        shuffled = rows.copy()
        shuffled[:, place] = stream.permutation(rows[:, place])
        share = min(float(relation.violated(shuffled, space).mean()), 1 - 1 / len(rows))
        if n * -math.log1p(-share) < math.log(tried / CHANCE):
            return True
    return False


def _without_implied(
    found: Sequence[Relation], declared: Sequence[Relation], space: Space
) -> tuple[Relation, ...]:
    """Relations that do not follow from others, and the bounds of columns."""
    kept = list(found)
    for relation in reversed(found):  # inequalities first: equalities say more
        others = [*declared, *(r for r in kept if r is not relation)]
        if _follows(relation, others, space):
            kept.remove(relation)
    return tuple(kept)


def _follows(relation: Relation, others: Sequence[Relation], space: Space) -> bool:
    """Whether all rows that obey others within their bounds obey a relation: linear programming."""
    from scipy.optimize import linprog

    names = list(dict.fromkeys(n for r in (relation, *others) for n in r.names))
    columns = [space.columns[space.names.index(name)] for name in names]
    scale = np.array([max(abs(c.low), abs(c.high), 1e-300) for c in columns])
    scale = np.where(np.isfinite(scale), scale, 1.0)
    unit = [max(float(np.abs(_dense(r, names) * scale).max()), 1e-300) for r in (relation, *others)]
    rows = [_dense(r, names) * scale / u for r, u in zip((relation, *others), unit)]
    ends = [-r.constant / u for r, u in zip((relation, *others), unit)]
    equal = [r.sign == "=" for r in others]
    bounds = [
        tuple(None if end is None else end / s for end in (c.lower, c.upper))
        for c, s in zip(columns, scale)
    ]
    for sign in (1.0, -1.0) if relation.sign == "=" else (1.0,):
        answer = linprog(
            -sign * rows[0],
            A_ub=[row for row, e in zip(rows[1:], equal) if not e] or None,
            b_ub=[end for end, e in zip(ends[1:], equal) if not e] or None,
            A_eq=[row for row, e in zip(rows[1:], equal) if e] or None,
            b_eq=[end for end, e in zip(ends[1:], equal) if e] or None,
            bounds=bounds,
        )
        if answer.status != 0 or -answer.fun - sign * ends[0] > 1e-7:
            return False
    return True


def _dense(relation: Relation, names: Sequence[str]) -> _Rows:
    """Its factors, of all names."""
    return np.array([dict(zip(relation.names, relation.factors)).get(name, 0.0) for name in names])
