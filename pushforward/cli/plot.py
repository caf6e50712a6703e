"""`pushforward plot RUN`: an image of a fitted model,
over the data it was fitted on where they can be found.
"""

from __future__ import annotations

from typing import Literal

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["plot"]


def plot(
    run: arguments.Run,
    /,
    *,
    kind: Literal[
        "density",
        "marginals",
        "corner",
        "clusters",
        "scree",
        "biplot",
        "embedding",
        "choice",
        "layers",
    ]
    | None = None,
    out: arguments.Out = None,
    axes: str | None = None,
    data: str | None = None,
    label: str | None = None,
    most: arguments.Whole = 10,
    title: arguments.Title = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Draw a fitted model over the data it was fitted to, if they can be found.

    Args:
        kind: density, marginals, corner, clusters, scree, biplot, embedding, choice or layers; by
            default what suits the model.
        out: .png, .svg or .pdf; images/KIND.png in the run if not given.
        axes: columns to show, by name or position: x,y.
        data: rows to show; those the model was fitted to if not given, or none.
        label: colour an embedding by the labels of the data: a column, a file, or auto.
        most: largest number of components or clusters for the kind choice.
        json: where the image is, as JSON.
    """
    from pushforward.experiments import open_run
    from pushforward.experiments.views import model_view

    voice = Voice(quiet, json)
    opened = open_run(run)
    named = arguments.split_names(axes) if axes else None
    view = model_view(
        opened,
        kind,
        axes=named,
        data=None if data == "none" else data,
        with_rows=data != "none",
        label=label,
        most=most,
        title=title,
        table=arguments.table_settings(table),
    )
    for note in view.notes:
        voice.say(note)
    path, _ = view.write(out or opened.folder / "images" / f"{view.kind}.png")
    voice.say(f"{view.kind} written to")
    voice.result({"path": str(path), "kind": view.kind}, str(path))
