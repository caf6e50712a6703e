"""`pushforward sample RUN`: draws from a fitted model, in the form its data came in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.core.errors import InvalidValue

__all__ = ["sample", "parse_conditions"]


def sample(
    run: arguments.Run,
    /,
    *,
    n: Annotated[arguments.Whole | None, Parameter(name=("--n", "-n"))] = None,
    y: Annotated[str | None, Parameter(name="--y")] = None,
    using: str | None = None,
    seed: arguments.Seed = 0,
    out: arguments.Out = None,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Draw new observations from a fitted model, in the form its data came in.

    Args:
        n: number of samples; by default 64, or one per condition.
        y: conditions: a label or several (3 or cat,dog), or a file of them (of an .npz archive, its
            labels, or an array by name: x.npz:angle), or images, or clips for first frames, which
            are brought to the size of the data.
        using: the sampler: ancestral, mean (the decoder's mean, without observation noise) or
            truncated(...); by default the model's own.
        out: .png (a grid) or a folder/ for images; .gif .apng .webp .mp4 .webm .avi, a folder/ or
            'folder/*.apng' for clips; .csv .parquet .npz .npy; stdout for points.
        json: the samples, or where they are, as JSON.
    """
    from pushforward.cli.outputs import check_out, deliver
    from pushforward.experiments import open_run
    from pushforward.experiments.sampling import sample as draw

    opened = open_run(run, device)
    check_out(out, opened.model.fitted_space())
    given = parse_conditions(y, opened.model.condition_space)
    settings = arguments.table_settings(table)
    samples = draw(opened, n, y=given, using=using, seed=seed, table=settings)
    beside = {}
    if samples.y is not None:
        beside = {"y": samples.y, "condition_space": samples.condition_space}
    n = len(samples.x)
    default = opened.folder / "images" / f"samples-seed{seed}-n{n}{_slug(y)}{_slug(using, '')}"
    deliver(
        Voice(quiet, json), samples.x, samples.space, out, default, what=f"{n} samples", **beside
    )


def parse_conditions(text: str | None, space: Any) -> Any:
    """What --y gives: labels by name, numbers, or the path of a file; None without --y."""
    if text is None or space is None:
        return text
    file = Path(text.rpartition(":")[0] if ".npz:" in text else text)
    if file.is_file() or (not space.is_label and file.exists()):
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


def _slug(text: str | None, letter: str = "y") -> str:
    return (
        "" if text is None else f"-{letter}" + re.sub(r"\W+", "-", Path(text).name)[:40].strip("-")
    )
