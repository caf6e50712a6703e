"""Views of a model's codes: decoded grids, traversals, paths and directions.

`latent_view` creates the figure of one kind from an opened run, with the table of its codes. Rows
are the requested ones, else those the model was fitted to; grids and traversals do without rows if
these cannot be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import plots
from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.space import Space
from pushforward.experiments.codes import codes_of
from pushforward.experiments.labelled_rows import LabelledRows, pick
from pushforward.experiments.latent_settings import (
    KINDS,
    LatentKind,
    LatentSettings,
    find_attribute,
    find_condition,
    find_distribution,
    find_rows,
    require_codes,
)
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.sampling import ConditionsGiven
from pushforward.experiments.view import Table, View, heading
from pushforward.latent import (
    CodeDistribution,
    decode,
    direction,
    grid,
    interpolate,
    traverse,
)
from pushforward.latent.paths import Along
from pushforward.plots.films import image_walk
from pushforward.plots.matplotlib_types import Figure

__all__ = ["KINDS", "LatentKind", "latent_view"]

STEPS: Mapping[LatentKind, int] = {"grid": 20, "traverse": 9, "path": 11, "direction": 9}
"""Codes per line: as many images as a page shows at a readable size."""
SMOOTH = 3
"""Codes of a curve through points, relative to a line of images."""
ROLLED = 16
"""Samples of the prior for ranking the dimensions of a traversal."""
ENDS = 8
"""Default rows for paths and directions."""
RANKED = 10
"""Dimensions named in the summary of a traversal."""
NAMED = 5
"""Columns named for each: more would not fit a line."""


def latent_view(
    run: OpenedRun,
    kind: LatentKind | None = None,
    *,
    steps: int | None = None,
    reach: float | None = None,
    dims: Sequence[int] | None = None,
    rows: Sequence[int] | None = None,
    along: Along = "line",
    data: Observations | None = None,
    label: str | None = None,
    positive: str | None = None,
    y: ConditionsGiven = None,
    seed: int = 0,
    title: str | None = None,
    table: Mapping[str, Any] | None = None,
) -> View:
    """A figure of decoded codes, and a table of the codes.

    Args:
        run: whose model decodes.
        kind: 'grid' through the prior, 'traverse' (each dimension varied alone), 'path' between
            rows, or 'direction' of an attribute; by default a grid for codes of 1 or 2 numbers,
            else traverse.
        steps: codes along each line; by kind if None.
        reach: standard deviations either way; a grid uses equal steps of mass if None. For a
            direction, in distances between the class means.
        dims: the dimensions of a grid, counted from 0.
        rows: rows of the data, counted from 0: ends of paths in pairs, or base rows; seeds of codes
            for models that cannot encode.
        along: 'line' or 'sphere', for paths.
        data: rows, a path or in memory; those the model was fitted to if None.
        label: labels for a direction: a column, a file, or 'auto'.
        positive: the label of the attribute; all others lack it.
        y: the condition for decoding; that of the first row if None.
        seed: of samples, and of the test rows of a direction.
        title: over the figure; the run's name if None.
        table: format of a text table, where it differs from the run's own.

    Raises:
        InvalidKind: If the model cannot decode, or cannot encode where codes are needed.
        BadRun: If rows are needed, but those the model was fitted to cannot be found.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.PCA(2).fit("swissroll:50").save(f"{place}/run")
        ...     view = latent_view(pf.experiments.open_run(f"{place}/run"), "grid", steps=3)
        >>> view.summary, list(view.codes)
        ('3×3 codes along z0 and z1', ['row', 'column', 'z0', 'z1'])
    """
    if kind is not None and kind not in KINDS:
        raise InvalidValue(f"unknown kind {kind!r}; {suggest(kind, KINDS)}")
    run.need("does not decode codes", "Decodes")
    labelled, notes = find_rows(run, data, kind, label, table)
    distribution = find_distribution(run, labelled, data is not None)
    view_kind: LatentKind = kind or ("grid" if distribution.latent <= 2 else "traverse")
    settings = LatentSettings(
        run,
        labelled,
        distribution,
        steps=_steps(run, view_kind, distribution) if steps is None else steps,
        reach=reach,
        dims=dims,
        ends=rows,
        along=along,
        positive=positive,
        y=find_condition(run.model, y, labelled, table),
        y_given=y is not None,
        seed=seed,
        title=heading(run, title),
    )
    figure, codes, facts, summary, x = _VIEWS[view_kind](settings)
    frames = image_walk(x, settings.space) if settings.space.kind == "images" else None
    return View(view_kind, figure, codes, facts, summary, notes, frames)


# ---------------------------------------------------------------------------------------- the kinds

_Content = tuple[Figure, Table, Mapping[str, Any], str, Tensor]
"""A figure, the table of its codes, facts, a summary, and observations (lines, steps, *shape)."""


def _grid(settings: LatentSettings) -> _Content:
    dims = list(settings.dims or range(min(settings.codes.latent, 2)))
    content = grid(
        settings.model,
        settings.steps,
        reach=settings.reach,
        dims=dims,
        at=settings.standing(),
        y=settings.y,
        distribution=settings.codes,
    )
    data = None if settings.rows is None else settings.rows.x
    figure = plots.decoded_grid(content, settings.space, dims=dims, data=data, title=settings.title)
    height, width = content.codes.shape[:2]
    places = {
        "row": [i for i in range(height) for _ in range(width)],
        "column": list(range(width)) * height,
    }
    summary = f"{height}×{width} codes along " + " and ".join(f"z{d}" for d in dims)
    return figure, _table(content.codes, places), {"dims": dims}, summary, content.x


def _traverse(settings: LatentSettings) -> _Content:
    base, distribution = settings.standing(), settings.codes
    first = distribution.centre if base is None else base
    around = torch.cat([first[None], distribution.draw(ROLLED, rng=settings.seed)])
    moved = traverse(
        settings.model,
        around,
        steps=settings.steps,
        reach=settings.reach or 3.0,
        y=settings.y,
        distribution=distribution,
    )
    figure = plots.traversal_sheet(moved, settings.space, title=settings.title)
    size, steps = moved.codes.shape[:2]
    places = {
        "dimension": [k for k in range(size) for _ in range(steps)],
        "position": moved.positions.tolist() * size,
    }
    ranking: list[dict[str, Any]] = [
        {"dimension": k, "change": float(moved.change[k]), "share": float(moved.share[k])}
        for k in moved.order.tolist()
    ]
    if not settings.space.mixes_units or moved.by_column is None:
        summary = "squared change per standard deviation: " + ", ".join(
            f"z{r['dimension']} {r['change']:.4g}" for r in ranking[:RANKED]
        )
        return figure, _table(moved.codes, places), {"ranking": ranking}, summary, moved.x
    for r in ranking:
        r["columns"] = dict(zip(settings.space.names, moved.by_column[r["dimension"]].tolist()))
    summary = "change per standard deviation: " + "; ".join(
        f"z{r['dimension']} {r['share']:.0%}: {_describe_columns(r['columns'], settings.space)}"
        for r in ranking[:RANKED]
    )
    return figure, _table(moved.codes, places), {"ranking": ranking}, summary, moved.x


def _describe_columns(change: Mapping[str, float], space: Space) -> str:
    """The columns that a dimension changes most, relative to their ranges.

    For example, 'age 3.2, region changes 0.4 times'.
    """
    parts = []
    for (name, value), column, span in zip(change.items(), space.columns, space.ranges):
        is_category = column.kind == "categorical"
        unit = column.unit.partition(" ")[0]  # of dates: days, or seconds
        text = f"changes {value:.2g} times" if is_category else f"{value:.4g} {unit}".strip()
        parts.append((value if is_category else value / span, f"{name} {text}"))
    parts.sort(key=lambda part: -part[0])
    return ", ".join(text for _, text in parts[:NAMED])


def _path(settings: LatentSettings) -> _Content:
    is_coder = isinstance(settings.model, Encodes)
    rows = settings.needed_rows("paths between them") if is_coder else None
    most = ENDS if rows is None else min(len(rows.x) // 2 * 2, ENDS)
    ends = list(settings.ends or range(most))
    if len(ends) % 2:
        raise InvalidValue(
            f"{argument('rows')} gives the ends of paths in pairs, got {len(ends)} rows; pass"
            f" {argument('rows', '0,1')}, say"
        )
    with torch.no_grad():
        codes = settings.drawn(ends) if rows is None else settings.encode(rows, ends)
    what = "seeds" if rows is None else "rows"
    between = interpolate(codes[::2], codes[1::2], settings.steps, along=settings.along)
    path = decode(settings.model, between, _condition_of_paths(settings, rows, ends))
    figure = plots.decoded_path(
        path,
        settings.space,
        data=None if rows is None else rows.x,
        down=[f"{what} {a} to {b}" for a, b in zip(ends[::2], ends[1::2])],
        title=settings.title,
    )
    steps, count = path.codes.shape[:2]
    places = {
        "step": [i for i in range(steps) for _ in range(count)],
        "path": list(range(count)) * steps,
    }
    summary = f"{count} path{'s' if count > 1 else ''} along the {settings.along}"
    if rows is None:
        summary += ", between codes drawn with seeds, as the model does not encode rows"
    return figure, _table(path.codes, places), {what: ends}, summary, path.x.transpose(0, 1)


def _condition_of_paths(
    settings: LatentSettings, rows: LabelledRows | None, ends: Sequence[int]
) -> Conditioning:
    """The condition for decoding paths: the given one, else that of each path's first end."""
    if settings.model.condition_space is None or settings.y_given or rows is None:
        given: Conditioning = settings.y
        return given
    first = rows.conditions(settings.model, ends[::2])
    repeated: Tensor = first.repeat(settings.steps, *[1] * (first.ndim - 1))
    return repeated


def _direction(settings: LatentSettings) -> _Content:
    rows = settings.needed_rows("the labels of a direction")
    require_codes(settings.model)
    labels, positive, name = find_attribute(rows, settings.positive)
    with torch.no_grad():
        codes = codes_of(settings.model, rows).to(settings.codes.centre)
    vector = direction(codes, labels, positive=positive, rng=settings.seed)
    without = [i for i in range(len(labels)) if int(labels[i]) != positive][:ENDS]
    ends = list(settings.ends or without)
    reach = 1.5 if settings.reach is None else settings.reach
    strengths = torch.linspace(-reach / 3, reach, settings.steps).tolist()
    moved = torch.stack([vector.apply(pick(codes, ends), s) for s in strengths])
    path = decode(settings.model, moved, settings.y)
    figure = plots.decoded_path(
        path,
        settings.space,
        data=rows.x,
        across=[f"{s:.3g}" for s in strengths],
        down=[f"row {i}" for i in ends],
        meaning=f"strength: 1 moves the mean of the others to that of {name}",
        title=settings.title,
    )
    places = {"strength": [s for s in strengths for _ in ends], "row": ends * len(strengths)}
    facts = {
        "vector": vector.vector.tolist(),
        "distance": vector.distance,
        "accuracy": vector.accuracy.as_dict(),
    }
    summary = (
        f"{name}: {vector.accuracy.value:.1%} ± {vector.accuracy.error:.1%} of held-out rows"
        " classified correctly by it (50% by chance)"
    )
    return figure, _table(path.codes, places), facts, summary, path.x.transpose(0, 1)


_VIEWS = {"grid": _grid, "traverse": _traverse, "path": _path, "direction": _direction}


def _table(codes: Tensor, places: Mapping[str, list[Any]]) -> Table:
    """Columns: the place of each code, then z0, z1, ..."""
    flat = codes.detach().cpu().flatten(0, -2)
    return {**places, **{f"z{k}": flat[:, k].tolist() for k in range(flat.shape[1])}}


def _steps(run: OpenedRun, kind: LatentKind, distribution: CodeDistribution) -> int:
    """Default codes per line; more for a curve through points."""
    curve = kind == "grid" and distribution.latent == 1
    return STEPS[kind] * (SMOOTH if curve and run.model.fitted_space().kind == "points" else 1)
