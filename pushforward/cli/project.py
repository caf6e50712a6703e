"""`pushforward project RUN FILE`: the codes that restore observations best, and what is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import InvalidValue

if TYPE_CHECKING:
    from pushforward.experiments import OpenedRun
    from pushforward.experiments.projections import Projections

__all__ = ["command"]


def project(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="observations, in the form the model was fitted on",
            show_default=False,
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            help="encoder, prior, or hybrid: both, the better kept; the encoder's if there is one",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", help="the most moves of each row; 0 gives the start alone")
    ] = 50,
    prior_weight: Annotated[
        float,
        typer.Option("--prior-weight", help="what a code's squared distance from the centre costs"),
    ] = 0.0,
    candidates: Annotated[
        int,
        typer.Option(
            "--candidates", help="draws of the prior, of which each row begins at its best"
        ),
    ] = 32,
    seed: Annotated[
        int, typer.Option("--seed", help="the same seed draws the same candidates")
    ] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            help="codes and errors: .csv, .tsv, .parquet or .npz; stdout if not given",
        ),
    ] = None,
    restored: Annotated[
        str | None,
        typer.Option(
            "--restored",
            help="also what the codes decode to: .png or a folder/, .csv .parquet .npz .npy",
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="conditions: a column, a file, or auto for those that come with the data"
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="JSON lines instead of CSV, or where the file is")
    ] = False,
) -> None:
    """Find the code of every row by optimisation: z0, z1, ...
    and the squared error, as CSV on stdout or to a file.
    """
    from pushforward.experiments.codes import code_space
    from pushforward.experiments.projections import project as find_codes

    if out is not None and Path(out).suffix == ".npy":
        raise InvalidValue(
            f"{out}: an .npy file holds no errors beside the codes; use .npz or .csv"
        )
    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    check_out(out, code_space(1))
    check_out(restored, opened.model.fitted_space())
    projections = find_codes(
        opened, file, y, start=cast(Any, start), steps=steps, prior_weight=prior_weight,
        candidates=candidates, seed=seed, table=typed(),
    )  # fmt: skip
    voice.say(
        f"squared error per observation {float(projections.error.mean()):.6g}, at the start"
        f" {float(projections.first_error.mean()):.6g}, {len(projections.z)} rows"
    )
    _write_restored(voice, opened, projections, file, restored)
    extra: dict[str, Any] = {} if projections.files is None else {"file": projections.files}
    codes, space = projections.with_errors
    if out is not None and Path(out).suffix == ".npz":
        codes, space = projections.z, code_space(projections.z.shape[1])
        extra["error"] = projections.error.numpy()
    what = f"{len(codes)} codes"
    deliver(voice, codes, space, out, opened.folder / "projections", what=what, extra=extra)


def command() -> Any:
    """The command."""
    return single(tabular(project), "project")


def _write_restored(
    voice: Voice, run: OpenedRun, projections: Projections, file: str, target: str | None
) -> None:
    """What the codes decode to, where asked for; else the first images beside their originals."""
    from pushforward.data import write
    from pushforward.experiments.images import PAIRS, pairs_path, write_pairs

    back, space = projections.restored, run.model.fitted_space()
    if target is not None:
        voice.say(f"{len(back)} restored observations written to {write(back, space, target)}")
    elif space.kind == "images":
        path = pairs_path(run, "projections", file)
        write_pairs(projections.originals, back[:PAIRS], space, path)
        voice.say(
            f"the first {min(PAIRS, len(back))} originals and their projections, side by side, in"
            f" {path}"
        )
