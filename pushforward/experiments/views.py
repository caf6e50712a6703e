"""Figures of a fitted model, with its training rows if they can be found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from pushforward import plots
from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Assigns, Composes, Encodes, HasDensity, Samples
from pushforward.core.data_types import Observations
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, suggest
from pushforward.core.model import Model
from pushforward.core.source import Source
from pushforward.data import read
from pushforward.data.reading import requested_conditions
from pushforward.experiments.clips import layers_figure
from pushforward.experiments.codes import codes_of
from pushforward.experiments.labelled_rows import LabelledRows, if_available
from pushforward.experiments.opened import OpenedRun, read_like, table_settings
from pushforward.experiments.view import View, heading
from pushforward.models.classical.pca import PCA
from pushforward.plots.advice import advise_instead
from pushforward.plots.matplotlib_types import Figure

__all__ = ["KINDS", "MOST", "ViewKind", "has_figure", "model_view", "suitable_kind"]

ViewKind = Literal[
    "density", "marginals", "corner", "clusters", "scree", "biplot", "embedding", "choice", "layers"
]
KINDS: tuple[ViewKind, ...] = get_args(ViewKind)
ROWS = 20_000
"""Most rows shown: more could not be distinguished in a figure."""
MOST = 10
"""Default number of components or clusters that `choice` tries."""
MISSED_FOR = "which rows these were is unknown"


def suitable_kind(model: Model) -> ViewKind:
    """The most informative kind of figure for a fitted model."""
    space = model.fitted_space()
    if space.kind == "points" and space.size > 1 and isinstance(model, Assigns):
        return "clusters"
    if hasattr(model, "spectrum_"):
        return (
            "biplot"
            if space.kind == "points" and len(cast(PCA, model).components_) > 1
            else "scree"
        )
    if isinstance(model, Composes):
        return "layers"
    if isinstance(model, Encodes) and not isinstance(model, HasDensity):
        return "embedding"
    by_size: dict[int, ViewKind] = {1: "marginals", 2: "density"}
    return by_size.get(space.size, "corner")


def has_figure(model: Model) -> bool:
    """Whether there is a figure of a fitted model."""
    space = model.fitted_space()
    if space.kind != "points":
        return isinstance(model, (Encodes, Composes))
    return space.size > 1 or isinstance(model, (HasDensity, Samples))


def model_view(
    run: OpenedRun,
    kind: ViewKind | None = None,
    *,
    axes: Sequence[str | int] | None = None,
    data: Observations | None = None,
    with_rows: bool = True,
    label: str | None = None,
    most: int = MOST,
    title: str | None = None,
    table: Mapping[str, Any] | None = None,
) -> View:
    """A figure of a fitted model.

    Args:
        run: whose model is shown.
        kind: 'density', 'marginals', 'corner', 'clusters', 'scree' or 'biplot' (of a PCA),
            'embedding' (its codes), 'choice' (of how many components or clusters) or 'layers' (of
            clips: masks, foregrounds and backgrounds); what suits the model if None.
        axes: columns to show, by name or position; of a biplot, components.
        data: rows to show, a path or in memory; those the model was fitted to if None.
        with_rows: whether to show rows where they are optional.
        label: colours an embedding by labels of the data: a column, a file, or 'auto'.
        most: the most components or clusters that a choice tries.
        title: over the figure; the run's name if None.
        table: format of a text table, where it differs from the run's own.

    Raises:
        InvalidKind: If the model has no figure of this kind.
        BadRun: If rows are needed, but those the model was fitted to cannot be found.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.GMM(2).fit("moons:50").save(f"{place}/run")
        ...     model_view(pf.experiments.open_run(f"{place}/run"), data="moons:50").kind
        'clusters'
    """
    if kind is not None and kind not in KINDS:
        raise InvalidValue(f"unknown kind of plot {kind!r}; {suggest(kind, KINDS)}")
    if most < 2:
        raise InvalidValue(
            f"{argument('most')} must be at least 2, got {most}; pass"
            f" {argument('most', str(MOST))}, say"
        )
    view_kind = kind or suitable_kind(run.model)
    if view_kind == "layers":
        return _layers(run, data, title, table)
    rows: LabelledRows | None = None
    notes: tuple[str, ...] = ()
    if with_rows and (view_kind != "scree" or data is not None):
        rows, notes = _rows(run, view_kind, data, label, table)
    x, over = None if rows is None else rows.x, heading(run, title)
    if view_kind in ("clusters", "embedding", "choice"):
        figure = _figure_of_rows(run, view_kind, rows, axes, most, over)
    else:
        figure = _figure(run.model, view_kind, x, axes, over)
    return View(view_kind, figure, notes=notes)


def _layers(
    run: OpenedRun, data: Observations | None, title: str | None, table: Mapping[str, Any] | None
) -> View:
    """Samples with their layers, under the conditions of rows where the model has conditions.

    Raises:
        InvalidKind: For a model without layers.
    """
    run.need("composes no clips of layers", "Composes")
    source = _source(run, data, None, table) if run.conditional else None
    return View("layers", layers_figure(run, source, heading(run, title)))


def _figure(
    model: Model, kind: ViewKind, x: Tensor | None, axes: Sequence[str | int] | None, title: str
) -> Figure:
    """A figure for which rows are optional."""
    if kind == "density":
        return plots.density_map(model, x, axes=axes, title=title)
    if kind == "marginals":
        return plots.marginals(model, x, axes=axes, title=title)
    if kind == "corner":
        return plots.corner(model, x, axes=axes, title=title)
    if kind == "scree":
        return plots.scree(model, title=title)
    numbers = axes and all(str(axis).isdigit() for axis in axes)
    components = [int(axis) for axis in axes or ()] if numbers else (0, 1)
    return plots.biplot(model, x, components=components, title=title)


def _figure_of_rows(
    run: OpenedRun,
    kind: ViewKind,
    rows: LabelledRows | None,
    axes: Sequence[str | int] | None,
    most: int,
    title: str,
) -> Figure:
    """A figure that needs rows.

    Raises:
        BadRun: If there are none.
        InvalidKind: If the model has no figure of this kind.
    """
    if rows is None:
        raise BadRun(
            f"{kind} needs rows, and those that {run.folder} was fitted on cannot be found; pass"
            f" {argument('data', 'FILE')}"
        )
    if kind == "clusters":
        return plots.clusters(run.model, rows.x, axes=axes, title=title)
    if kind == "choice":
        return _choice(run, rows.x, most, title)
    model: Model = run.model
    if not isinstance(model, Encodes):
        is_points = model.fitted_space().kind == "points"
        other = f"try {argument('kind', suitable_kind(model))}" if is_points else ""
        raise InvalidKind(
            f"the {run.name} model has no codes to draw; {other or advise_instead(model)}"
        )
    with torch.no_grad():
        codes = codes_of(model, rows)
    labels, names = _labels(rows)
    return plots.embedding(codes, labels, names=names, title=title)


def _choice(run: OpenedRun, x: Tensor, most: int, title: str) -> Figure:
    """The quality of models with 1, 2, ... components or clusters."""
    counts = range(1, min(most, len(x) - 1) + 1)
    settings = {
        name: value
        for name, value in run.model.hyperparameters().items()
        if name not in ("components", "clusters", "start")
    }
    if run.name == "gmm":
        return plots.criteria(x, counts, title=title, **settings)
    if run.name == "kmeans":
        return plots.elbow_curve(x, counts, title=title, **settings)
    raise InvalidKind(
        f"choice is for gmm and kmeans, got {run.name}; pca lets the data choose with"
        f" {argument('components', 'heldout')}"
    )


def _labels(rows: LabelledRows) -> tuple[Any, Any]:
    """Labels (n,) for colouring codes, and their names; None without labels."""
    if rows.y is None or rows.condition_space is None:
        return None, None
    space = rows.condition_space
    labels = rows.y if rows.y.ndim == 1 else rows.y[:, 0]
    return labels, (space.columns[0].categories if space.is_label else None)


def _rows(
    run: OpenedRun,
    kind: ViewKind,
    data: Observations | None,
    label: str | None,
    table: Mapping[str, Any] | None,
) -> tuple[LabelledRows | None, tuple[str, ...]]:
    """The requested rows, else those fitted to; None and a note if these cannot be found."""
    requested = label if kind == "embedding" else None

    def find() -> LabelledRows:
        rows = LabelledRows.of(_source(run, data, requested, table), ROWS)
        if requested is None or rows.y is not None:
            return rows
        file = run.source(MISSED_FOR) if data is None else data
        settings = table_settings(file, run, table)
        source = read(file, like=run.model, **requested_conditions(requested), **settings)
        return LabelledRows.of(source, ROWS)

    return if_available(find, required=data is not None or requested is not None)


def _source(
    run: OpenedRun, data: Observations | None, label: str | None, table: Mapping[str, Any] | None
) -> Source:
    if data is not None:
        return read_like(run, data, label, table)
    file = run.source(MISSED_FOR)
    if label is not None or run.conditional:
        return read_like(run, file, label, table)
    return run.rows(MISSED_FOR, **(table or {}))
