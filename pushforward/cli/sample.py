"""`pushforward sample RUN`: draws from a fitted model, in the form its data came in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import InvalidValue

__all__ = ["command", "parsed_conditions"]


def sample(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    n: Annotated[
        int | None,
        typer.Option(
            "-n", "--n", help="how many (64, or one for each condition)", show_default=False
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="conditions: a label or several (3 or cat,dog), or a file of them"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="the same seed draws the same samples")] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help=(
                "where to: .png (a grid) or a folder/ for images, .csv .parquet .npz .npy; stdout"
                " for points"
            ),
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="the samples, or where they are, as JSON")
    ] = False,
) -> None:
    """Draw new observations from a fitted model, in the form its data came in."""
    from pushforward.experiments.sampling import sample as draw

    opened = runs.open_run(run, device)
    check_out(out, opened.model.fitted_space())
    given = parsed_conditions(y, opened.model.condition_space)
    samples = draw(opened, n, y=given, seed=seed, table=typed())
    beside = {}
    if samples.y is not None:
        beside = {"y": samples.y, "condition_space": samples.condition_space}
    n = len(samples.x)
    default = opened.folder / "images" / f"samples-seed{seed}-n{n}{_slug(y)}"
    deliver(
        Voice(quiet, json), samples.x, samples.space, out, default, what=f"{n} samples", **beside
    )


def command() -> Any:
    """The command."""
    return single(tabular(sample), "sample")


def parsed_conditions(text: str | None, space: Any) -> Any:
    """What --y gives: labels by name, numbers, or the path of a file; None without --y."""
    if text is None or space is None:
        return text
    if Path(text).is_file() or (not space.is_label and Path(text).exists()):
        return Path(text)
    parts = [part.strip() for part in text.split(",")]
    if space.is_label:
        return parts
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise InvalidValue(
            f"--y {text!r} is neither a file nor numbers; expected {space}"
        ) from error


def _slug(y: str | None) -> str:
    import re

    return "" if y is None else "-y" + re.sub(r"\W+", "-", Path(y).name)[:40]
