"""Density: two columns at a time, the other columns given the values of some, and odd rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from pushforward.core.column_numbers import as_number
from pushforward.core.column_values import as_values
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, PushforwardError
from pushforward.core.model import Model
from pushforward.core.space import Column, Space
from pushforward.data.export.columns import column_values
from pushforward.experiments.conditionals import Conditional, condition
from pushforward.experiments.opened import OpenedRun, read_like, rows_of
from pushforward.studio import contents
from pushforward.studio.column_densities import (
    axis_name,
    is_closed,
    marginal_of,
    pair_density,
)
from pushforward.studio.layers import Plane
from pushforward.studio.messages import Answer, Request
from pushforward.studio.odd_rows import Ranking, odd_columns
from pushforward.studio.studio import Studio

__all__ = ["given", "odd", "open", "pair", "row"]

SHOWN = 3000
"""Rows drawn as points."""
COMPARED = 500
"""Rows with which fixed values are compared."""
CURVE = 160
"""Places at which a density of one column is computed."""
MOST_CELLS, MOST_ODD = 128, 100
MOST_ROWS = 1_000_000
"""Rows read and ranked: some hundred megabytes."""
SCORING = 1.0
"""Seconds of scoring in one answer."""
MARGIN = 0.08
"""Of a column's range, shown on both sides of it."""
CUT, FAR = 0.005, 0.4
"""Of heavy tails: the share of rows at each end that is not drawn if the others are within this
part of the range.
"""
_RANKED: WeakKeyDictionary[Model, Ranking] = WeakKeyDictionary()
"""The rows of opened runs, as far as they have been ranked."""
_READ: WeakKeyDictionary[Model, tuple[Tensor | None, int, tuple[str, ...]]] = WeakKeyDictionary()
"""The rows of opened runs, how many their tables have, and notes."""


def open(studio: Studio, request: Request) -> Answer:
    """The columns of a 'run', what its model has in closed form, and some of its rows."""
    run = _run(studio, request)
    space: Space = run.model.fitted_space()
    x, of, notes = _read(studio, request)
    facts = {
        "columns": [_described(space, i, x) for i in range(space.size)],
        "closed": is_closed(run.model),
        "of": 0 if x is None else len(x),
        "left_out": of - (0 if x is None else len(x)),
        "drawn": 0 if x is None else min(SHOWN, len(x)),
        "notes": list(notes),
    }
    if x is None:
        return Answer(facts)
    numbers = torch.linspace(0, len(x) - 1, min(SHOWN, len(x))).round().long()
    return Answer(facts, {"rows": x[numbers], "numbers": numbers})


def pair(studio: Studio, request: Request) -> Answer:
    """The log density of the columns 'x' and 'y' on so many 'cells' a side, given 'fixed' ones."""
    run, content = _run(studio, request), request.content
    space: Space = run.model.fitted_space()
    axes = [_axis(space, contents.text(content, name)) for name in ("x", "y")]
    if axes[0] == axes[1] or any(space.columns[i].kind == "categorical" for i in axes):
        raise InvalidValue(
            "a density is drawn over two different columns of numbers; choose others"
        )
    fixed = {i: v for i, v in _fixed(space, content).items() if i not in axes}
    x = _rows(studio, request)
    ends = [_view(space.columns[i], None if x is None else x[:, i]) for i in axes]
    plane = Plane(*(torch.tensor(end, dtype=torch.float64) for end in zip(*ends)))
    cells = contents.whole(content, "cells", 8, MOST_CELLS, 64)
    found = pair_density(run.model, axes, fixed, _middle(space, x), plane, cells)
    return Answer(
        {
            "kind": found.kind,
            "x": list(ends[0]),
            "y": list(ends[1]),
            "levels": [{"share": s, "height": h} for s, h in found.levels.items()],
            "given": _written(space, fixed if found.kind == "conditional" else {}),
            "held": _written(space, found.held),
            "unseen": 0 if x is None else _outside(x[:, axes], ends),
        },
        {"density": found.values},
    )


def given(studio: Studio, request: Request) -> Answer:
    """The distribution of every other column, given 'fixed' values: its density, its mean, and an
    interval that holds 90 %. Of models without closed conditionals, warnings only.
    """
    run = _run(studio, request)
    space: Space = run.model.fitted_space()
    fixed = _fixed(space, request.content)
    x = _rows(studio, request)
    warnings = _warnings(run.model, fixed, x)
    if not is_closed(run.model):
        return Answer({"columns": [], "warnings": warnings})
    conditional = Conditional(run.model, {}, space, run)
    if fixed:
        conditional = condition(run, {axis_name(space, i): v for i, v in fixed.items()})
    table = conditional.table()
    inner: Space = conditional.distribution.fitted_space()
    rest = [i for i in range(space.size) if i not in fixed]
    columns, curves = [], []
    for place, i in enumerate(rest):
        written = {name: table[name][place] for name in ("mean", "sd", "q05", "q50", "q95")}
        numbers = {n: as_number(v, inner.columns[place]) for n, v in written.items() if n != "sd"}
        view = _view(space.columns[i], None if x is None else x[:, i])
        at = _places(view, numbers["q05"], numbers["q95"])
        curves.append(_curve(conditional.distribution, place, at))
        columns.append(
            {"name": space.names[i], "written": written, "low": float(at[0]), "high": float(at[-1]),
             **numbers}
        )  # fmt: skip
    return Answer({"columns": columns, "warnings": warnings}, {"curves": torch.stack(curves)})


def odd(studio: Studio, request: Request) -> Answer:
    """The 'top' rows of the lowest density among those scored so far, with their values.

    Each answer scores some further rows: ask again until 'scored' is 'of'.
    """
    run, x = _run(studio, request), _needed_rows(studio, request)
    top = contents.whole(request.content, "top", 1, MOST_ODD, 12)
    ranking = _ranking(run, x)
    table = ranking.score(SCORING).table(top)
    values = column_values(x[table["row"]], run.model.fitted_space())
    ranked = zip(table["row"], table["log_density"], table["rank"], zip(*values.values()))
    rows = [{"number": n, "log_density": d, "rank": k, "values": list(v)} for n, d, k, v in ranked]
    facts = {"rows": rows, "names": list(values), "scored": ranking.scored, "of": len(x)}
    if ranking.scored == len(x) and ranking.names is not None:
        named = ranking.names
        facts["named"] = {"column": named.column, "rows": [named.names[r["number"]] for r in rows]}
    return Answer(facts)


def row(studio: Studio, request: Request) -> Answer:
    """A row by its 'number': its values, its log density, its rank from the least likely among the
    rows 'scored' so far, its name, and what its columns would be given the others ('odd').
    """
    run, x = _run(studio, request), _needed_rows(studio, request)
    number = contents.whole(request.content, "number", 0, len(x) - 1, None)
    ranking = _ranking(run, x)
    ranking.score(SCORING)
    values = column_values(x[number : number + 1], run.model.fitted_space())
    names = ranking.names
    return Answer(
        {
            "number": number,
            "name": None if names is None else [names.column, names.names[number]],
            "log_density": ranking.density_of(number),
            "rank": ranking.rank_of(number),
            "incomplete": bool(x[number].isnan().any()),
            "scored": ranking.scored,
            "of": len(x),
            "values": {name: column[0] for name, column in values.items()},
            "place": x[number].tolist(),
            "odd": odd_columns(run, x[number].to(torch.float64)),
        }
    )


# ------------------------------------------------------------------------------------------- rows


def _run(studio: Studio, request: Request) -> OpenedRun:
    """A run with the density of points, without conditions."""
    run = studio.open(request.run)
    run.need("has no density", "HasDensity")
    space: Space = run.model.fitted_space()
    if space.kind != "points" or run.conditional:
        raise InvalidKind(
            f"this room draws densities of points, fitted without conditions, got {space}; choose"
            " another run"
        )
    return run


def _read(studio: Studio, request: Request) -> tuple[Tensor | None, int, tuple[str, ...]]:
    """The rows of a run (n, d), how many its table has, and notes; None if they are not found."""
    run = _run(studio, request)
    model: Model = run.model
    if model not in _READ:
        try:
            source = read_like(run, run.source("which rows these were is unknown"))
            _READ[model] = rows_of(source, MOST_ROWS).x, len(source), ()
        except PushforwardError as error:
            _READ[model] = None, 0, (f"drawn without rows: {error}",)
    return _READ[model]


def _rows(studio: Studio, request: Request) -> Tensor | None:
    return _read(studio, request)[0]


def _needed_rows(studio: Studio, request: Request) -> Tensor:
    x, _, notes = _read(studio, request)
    if x is None:
        raise BadRun(f"the rows this run was fitted to cannot be found ({'; '.join(notes)})")
    return x


def _ranking(run: OpenedRun, x: Tensor) -> Ranking:
    model: Model = run.model
    if model not in _RANKED or _RANKED[model].x is not x:
        _RANKED[model] = Ranking(run, x)
    return _RANKED[model]


def _middle(space: Space, x: Tensor | None) -> Tensor:
    """The median of each column (d,); the middle of its range without rows."""
    middle = torch.tensor([(c.low + c.high) / 2 for c in space.columns], dtype=torch.float64)
    if x is not None:
        middle = x.to(torch.float64).nanmedian(0).values
    codes = [i for i, column in enumerate(space.columns) if column.kind == "categorical"]
    middle[codes] = middle[codes].round()
    return middle


# ---------------------------------------------------------------------------------------- columns


def _described(space: Space, i: int, x: Tensor | None) -> dict[str, Any]:
    """A column: its name, kind, unit and range, and the part of it that is drawn."""
    column = space.columns[i]
    low, high = _view(column, None if x is None else x[:, i])
    facts = {"kind": column.kind, "unit": column.unit, "categories": list(column.categories)}
    ends = {"low": column.low, "high": column.high, "from": low, "to": high}
    return {"name": space.names[i], **facts, **ends}


def _view(column: Column, x: Tensor | None) -> tuple[float, float]:
    """The part of a column that is drawn: its range, or that of most rows where a few lie so far
    away that the others could not be told apart.
    """
    low, high = column.low, column.high
    known = None if x is None else x[x.isfinite()].to(torch.float64)
    if known is not None and len(known) and high > low:
        inner = np.quantile(known.numpy(), [CUT, 1 - CUT])
        if 0 < inner[1] - inner[0] < FAR * (high - low):
            low, high = float(inner[0]), float(inner[1])
    margin = MARGIN * (high - low) or 0.5
    return low - margin, high + margin


def _outside(x: Tensor, ends: Sequence[tuple[float, float]]) -> int:
    """How many rows (n, 2) with both values lie outside what is drawn."""
    low, high = torch.tensor(ends, dtype=x.dtype).T
    seen = ((x >= low) & (x <= high)).all(1)
    return int((x.isfinite().all(1) & ~seen).sum())


def _axis(space: Space, name: str) -> int:
    if name not in space.names:
        raise InvalidValue(f"there is no column {name!r}; the columns are {', '.join(space.names)}")
    return space.names.index(name)


def _fixed(space: Space, content: Mapping[str, Any]) -> dict[int, float]:
    """Values by the positions of their columns."""
    fixed = content.get("fixed", {})
    if not isinstance(fixed, dict):
        raise InvalidKind(f"fixed must be values by column, got {fixed!r}")
    if len(fixed) >= space.size:
        raise InvalidValue("every column is fixed; leave one of them free")
    places = {_axis(space, name): value for name, value in fixed.items()}
    return {i: _number(value, space.columns[i], space.names[i]) for i, value in places.items()}


def _number(value: object, column: Column, name: str) -> float:
    if column.kind == "categorical":
        if value not in column.categories:
            raise InvalidValue(
                f"{name} must be one of {', '.join(column.categories)}, got {value!r}"
            )
        return float(column.categories.index(str(value)))
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidKind(f"{name} must be a number, got {value!r}")
    number = as_number(value, column)
    if not math.isfinite(number):
        raise InvalidValue(f"{name} must be finite, got {value!r}")
    return number


def _written(space: Space, values: Mapping[int, float]) -> dict[str, Any]:
    """Values by name, as rows write them."""
    return {
        space.names[i]: as_values(torch.tensor([v]).double().numpy(), space.columns[i])[0]
        for i, v in values.items()
    }


# ---------------------------------------------------------------------------------- distributions


def _places(view: tuple[float, float], low: float, high: float) -> Tensor:
    """Places over what is drawn of a column, and beyond if the distribution lies there."""
    start, end = view
    margin = high - low
    if low < start or high > end:
        start, end = min(start, low - margin), max(end, high + margin)
    return torch.linspace(start, end, CURVE, dtype=torch.float64)


def _curve(distribution: Any, axis: int, at: Tensor) -> Tensor:
    """The density of one column at places (n,)."""
    if distribution.fitted_space().size > 1:
        distribution = marginal_of(distribution, [axis])
    density: Tensor = distribution.log_prob(at[:, None]).exp().cpu()
    return density


def _warnings(model: Model, fixed: Mapping[int, float], x: Tensor | None) -> list[str]:
    """What is said of values where there are no data."""
    space = model.fitted_space()
    found = [
        f"{space.names[i]} = {_text(space, i, v)} lies outside the data"
        f" ({_text(space, i, c.low)} to {_text(space, i, c.high)}): the model extrapolates"
        for i, v in fixed.items()
        if not (c := space.columns[i]).low <= v <= c.high
    ]
    if found or x is None or len(fixed) < 2 or not is_closed(model):
        return found
    return _joint_warning(model, sorted(fixed), fixed, x)


def _joint_warning(
    model: Model, axes: Sequence[int], fixed: Mapping[int, float], x: Tensor
) -> list[str]:
    """A warning of values that occur, but not together."""
    space = model.fitted_space()
    distribution = marginal_of(model, axes)
    here = torch.tensor([[fixed[i] for i in axes]], dtype=torch.float64)
    rows = x[:: -(-len(x) // COMPARED)][:, list(axes)].to(torch.float64)
    rows = rows[rows.isfinite().all(1)]
    if bool((distribution.log_prob(rows) < distribution.log_prob(here)).any()):
        return []
    names = ", ".join(f"{space.names[i]} = {_text(space, i, fixed[i])}" for i in axes)
    return [f"no row is as unlikely as {names} together: the model extrapolates"]


def _text(space: Space, i: int, value: float) -> str:
    written = _written(space, {i: value})[space.names[i]]
    return f"{written:.5g}" if isinstance(written, float) else str(written)
