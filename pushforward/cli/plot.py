"""`pushforward plot RUN`: an image of a fitted model,
over the data it was fitted on where they can be found.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import heading
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, PushforwardError, suggest

__all__ = ["command", "KINDS"]

KINDS = ("density", "marginals", "corner", "clusters", "scree", "biplot", "embedding", "choice")
ROWS = 20_000
MOST = 10


def plot(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help=f"{', '.join(KINDS)}; what suits the model if not given"),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help=".png, .svg or .pdf; images/KIND.png in the run if not given"
        ),
    ] = None,
    axes: Annotated[
        str | None, typer.Option("--axes", help="columns to show, by name or position: x,y")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="rows to show; those the model was fitted on if not given, or none"
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            help="colour an embedding by the labels of the data: a column, a file, or auto",
        ),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", help="the most components or clusters that choice tries")
    ] = MOST,
    title: Annotated[
        str | None, typer.Option("--title", help="over the image; the run's name if not given")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="where the image is, as JSON")] = False,
) -> None:
    """Draw a fitted model: its density, marginals, clusters,
    spectrum, biplot, codes, or the choice of how many.
    """
    if kind is not None and kind not in KINDS:
        raise InvalidValue(f"unknown kind of plot {kind!r}; {suggest(kind, KINDS)}")
    if most < 2:
        raise InvalidValue(f"--most must be at least 2, got {most}; pass --most {MOST}, say")
    voice = Voice(quiet, json)
    opened = runs.open_run(run)
    chosen = kind or suited(opened.model)
    batch = _rows(opened, voice, data, chosen, label)
    named = [part.strip() for part in axes.split(",")] if axes else None
    figure = drawn(
        opened,
        chosen,
        batch,
        axes=named,
        most=most,
        title=heading(title, opened.folder.name),
        label=label,
    )
    from pushforward.plots import write

    path = write(figure, out or opened.folder / "images" / f"{chosen}.png")
    voice.say(f"{chosen} written to")
    voice.result({"path": str(path), "kind": chosen}, str(path))


def command() -> Any:
    """The command."""
    return single(tabular(plot), "plot")


def suited(model: Any) -> str:
    """The kind of image that says most about a model."""
    from pushforward.core.capabilities import Assigns, Encodes, HasDensity

    space = model.fitted_space()
    if space.kind == "points" and space.size > 1 and isinstance(model, Assigns):
        return "clusters"
    if hasattr(model, "spectrum_"):
        return "biplot" if space.kind == "points" and len(model.components_) > 1 else "scree"
    if isinstance(model, Encodes) and not isinstance(model, HasDensity):
        return "embedding"
    return {1: "marginals", 2: "density"}.get(space.size, "corner")


def drawn(
    opened: Any,
    kind: str,
    batch: Any,
    *,
    axes: Any,
    most: int,
    title: str,
    label: str | None,
) -> Any:
    """The figure of a kind.

    Raises:
        InvalidKind: If the model or the data have no such image.
    """
    import torch

    from pushforward import plots

    model, x = opened.model, None if batch is None else batch.x
    if kind == "density":
        return plots.density_map(model, x, axes=axes, title=title)
    if kind == "marginals":
        return plots.marginals(model, x, axes=axes, title=title)
    if kind == "corner":
        return plots.corner(model, x, axes=axes, title=title)
    if kind == "scree":
        return plots.scree(model, title=title)
    if kind == "biplot":
        pair = [int(a) for a in axes] if axes and all(a.isdigit() for a in axes) else (0, 1)
        return plots.biplot(model, x, components=pair, title=title)
    if x is None:
        raise BadRun(
            f"{kind} needs rows, and those that {opened.folder} was fitted on cannot be found; pass"
            " --data FILE"
        )
    if kind == "clusters":
        return plots.clusters(model, x, axes=axes, title=title)
    if kind == "choice":
        return _choice(opened.name, model, x, most, title)
    from pushforward.cli.encode import encoded
    from pushforward.core.capabilities import Encodes

    if not isinstance(model, Encodes):
        raise InvalidKind(f"a {opened.name} has no codes to draw; try --kind {suited(model)}")
    labels, names = _labels(batch, label)
    with torch.no_grad():
        return plots.embedding(encoded(model, batch), labels, names=names, title=title)


def _labels(batch: Any, label: str | None) -> tuple[Any, Any]:
    space = getattr(batch, "condition_space", None)
    if batch.y is None or (label is None and space is None):
        return None, None
    values = batch.y if batch.y.ndim == 1 else batch.y[:, 0]
    return values, (space.columns[0].categories if space is not None and space.is_label else None)


def _choice(name: str, model: Any, x: Any, most: int, title: str) -> Any:
    from pushforward import plots

    counts = range(1, min(most, len(x) - 1) + 1)
    settings = {
        k: v
        for k, v in model.hyperparameters().items()
        if k not in ("components", "clusters", "start")
    }
    if name == "gmm":
        return plots.criteria(x, counts, title=title, **settings)
    if name == "kmeans":
        return plots.elbow_curve(x, counts, title=title, **settings)
    raise InvalidKind(
        f"choice is for gmm and kmeans, got a {name}; `pushforward fit pca --components heldout`"
        " lets the data choose"
    )


class _Labelled:
    """Rows with what is known of them."""

    def __init__(self, x: Any, y: Any, condition_space: Any) -> None:
        self.x, self.y, self.condition_space = x, y, condition_space


def _rows(opened: Any, voice: Voice, data: str | None, kind: str, label: str | None) -> Any:
    """The rows to draw: those asked for, else those fitted on;
    None (said) where these cannot be found.
    """
    if kind == "scree" and data is None:
        return None
    asked = label if kind == "embedding" else None
    try:
        if data == "none":
            return None
        if data is not None:
            source = runs.read_like(opened, data, asked)
        else:
            file = opened.source("there is no telling which rows these were")
            if asked is not None or opened.conditional:
                source = runs.read_like(opened, file, asked)
            else:
                source = opened.rows("there is no telling which rows these were", **typed())
        batch = runs.rows_of(source, ROWS)
        if asked is not None and batch.y is None:
            from pushforward.data import read
            from pushforward.data.reading import asked_conditions

            conditions = asked_conditions(asked)
            file = data or opened.source("there is no telling which rows these were")
            source = read(
                file, like=opened.model, **conditions, **runs.table_settings(file, opened, typed())
            )
            batch = runs.rows_of(source, ROWS)
        return _Labelled(batch.x, batch.y, source.condition_space)
    except PushforwardError as error:
        if data is not None or asked is not None:
            raise
        voice.say(f"drawn without rows: {error}")
        return None
