"""`pushforward latent RUN`: what a model's codes mean, as an image and a table of codes: grids,
traversals, paths, directions.
"""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.sample import parse_conditions
from pushforward.core.argument_names import arguments_named, flags

__all__ = ["latent"]


def latent(
    run: arguments.Run,
    /,
    *,
    kind: Literal["grid", "traverse", "path", "direction"] | None = None,
    out: arguments.Out = None,
    steps: arguments.Whole | None = None,
    reach: float | None = None,
    dims: str | None = None,
    rows: str | None = None,
    along: Literal["line", "sphere"] = "line",
    data: str | None = None,
    label: str | None = None,
    chosen: Annotated[str | None, Parameter(name="--class")] = None,
    y: Annotated[str | None, Parameter(name="--y")] = None,
    seed: arguments.Seed = 0,
    title: arguments.Title = None,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Decode codes along a grid, a path or a direction, as an image and a table of codes.

    Args:
        kind: grid (through the prior), traverse (every dimension moved alone), path (between rows)
            or direction (of an attribute); a grid for codes of 1 or 2 numbers, else traverse.
        out: .png, .svg or .pdf, or .gif for a film of images, the codes beside it as .csv; in the
            run's images/ if not given.
        steps: codes along each line; by default 20 for a grid, 9 to traverse or along a direction,
            11 along a path.
        reach: standard deviations either way; a grid takes equal steps of mass if not given.
        dims: the two dimensions of a grid, counted from 0: 0,1.
        rows: rows of the data, as ends of paths in pairs or as starting points: 0,1,2,3; of a model
            that cannot encode rows, seeds of the codes it draws.
        along: paths go along the line or the sphere.
        data: rows to use; those the model was fitted to if not given.
        label: labels for a direction: a column, a file, or auto.
        chosen: the label that a direction points to, away from all others.
        y: the condition to decode with, for models fitted with conditions.
        json: where image and codes are, and what was found, as JSON.
    """
    from pushforward.experiments import open_run
    from pushforward.experiments.latent_views import latent_view

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    with arguments_named(flags(positive="class")):
        view = latent_view(
            opened,
            kind,
            steps=steps,
            reach=reach,
            dims=arguments.whole_numbers(dims, "--dims"),
            rows=arguments.whole_numbers(rows, "--rows"),
            along=along,
            data=data,
            label=label,
            positive=chosen,
            y=parse_conditions(y, opened.model.condition_space),
            seed=seed,
            title=title,
            table=arguments.table_settings(table),
        )
    for note in view.notes:
        voice.say(note)
    image, codes = view.write(out or opened.folder / "images" / f"latent-{view.kind}.png")
    voice.say(f"{view.summary}; codes in {codes}, {view.kind} written to")
    content = {"path": str(image), "codes": str(codes), "kind": view.kind, **view.facts}
    voice.result(content, str(image))
