"""`pushforward latent RUN`: what a model's codes mean, as an image and a table of codes: grids,
traversals, paths, directions.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.sample import parsed_conditions
from pushforward.cli.tables import tabular, typed
from pushforward.core.argument_names import arguments_named, flags
from pushforward.core.errors import InvalidValue

__all__ = ["command", "KINDS"]

KINDS = ("grid", "traverse", "path", "direction")


def latent(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", help=f"{', '.join(KINDS)}; a grid for codes of 1 or 2 numbers, else traverse"
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=(
                ".png, .svg or .pdf, the codes beside it as .csv; in the run's images/ if not given"
            ),
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="codes along each line", show_default="by kind")
    ] = None,
    reach: Annotated[
        float | None,
        typer.Option(
            "--reach",
            help="standard deviations either way; a grid takes equal steps of mass if not given",
        ),
    ] = None,
    dims: Annotated[
        str | None, typer.Option("--dims", help="the two dimensions of a grid, counted from 0: 0,1")
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", help="rows of the data: ends of paths in pairs, or where to stand: 0,1,2,3"
        ),
    ] = None,
    along: Annotated[
        str, typer.Option("--along", help="paths go along the line or the sphere")
    ] = "line",
    data: Annotated[
        str | None,
        typer.Option("--data", help="rows to go by; those the model was fitted on if not given"),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="labels for a direction: a column, a file, or auto"),
    ] = None,
    chosen: Annotated[
        str | None,
        typer.Option(
            "--class", help="the label that a direction leads to; all others are without it"
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="the condition to decode under, for a model that was fitted with some"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="of draws, and of the rows a direction is tested on")
    ] = 0,
    title: Annotated[
        str | None, typer.Option("--title", help="over the image; the run's name if not given")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="where image and codes are, and what was found, as JSON")
    ] = False,
) -> None:
    """Draw what codes decode to: a grid through the prior,
    every dimension moved alone, paths between rows, an attribute.
    """
    from pushforward.experiments.latent_views import latent_view

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    with arguments_named(flags(positive="class")):
        view = latent_view(
            opened, cast(Any, kind), steps=steps, reach=reach, along=cast(Any, along),
            dims=_whole(dims, "--dims"), rows=_whole(rows, "--rows"), data=data, label=label,
            positive=chosen, y=parsed_conditions(y, opened.model.condition_space), seed=seed,
            title=title, table=typed(),
        )  # fmt: skip
    for note in view.notes:
        voice.say(note)
    image, codes = view.write(out or opened.folder / "images" / f"latent-{view.kind}.png")
    voice.say(f"{view.summary}; codes in {codes}, {view.kind} written to")
    content = {"path": str(image), "codes": str(codes), "kind": view.kind, **view.facts}
    voice.result(content, str(image))


def command() -> Any:
    """The command."""
    return single(tabular(latent), "latent")


def _whole(text: str | None, flag: str) -> list[int] | None:
    """Whole numbers from 0 up, split at commas."""
    if text is None:
        return None
    parts = [p.strip() for p in text.split(",")]
    if not all(p.isdigit() for p in parts):
        raise InvalidValue(
            f"{flag} must be whole numbers from 0 up, split at commas, got {text!r}; pass {flag}"
            " 0,1, say"
        )
    return [int(p) for p in parts]
