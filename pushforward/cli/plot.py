"""`pushforward plot RUN`: an image of a fitted model,
over the data it was fitted on where they can be found.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.tables import tabular, typed

__all__ = ["command", "KINDS"]

KINDS = ("density", "marginals", "corner", "clusters", "scree", "biplot", "embedding", "choice")
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
    from pushforward.experiments.views import model_view

    voice = Voice(quiet, json)
    opened = runs.open_run(run)
    named = [part.strip() for part in axes.split(",")] if axes else None
    view = model_view(
        opened, cast(Any, kind), axes=named, data=None if data == "none" else data,
        with_rows=data != "none", label=label, most=most, title=title, table=typed(),
    )  # fmt: skip
    for note in view.notes:
        voice.say(note)
    path, _ = view.write(out or opened.folder / "images" / f"{view.kind}.png")
    voice.say(f"{view.kind} written to")
    voice.result({"path": str(path), "kind": view.kind}, str(path))


def command() -> Any:
    """The command."""
    return single(tabular(plot), "plot")
