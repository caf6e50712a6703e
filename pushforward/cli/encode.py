"""`pushforward encode RUN FILE`: the codes of observations."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular, typed

__all__ = ["command"]


def encode(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="observations, in the form the model was fitted on",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help=".csv, .tsv, .parquet, .npz or .npy; stdout if not given"),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="conditions: a column, a file, or auto for those that come with the data"
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV")] = False,
) -> None:
    """Write the code of every row: z0, z1, ... as CSV on stdout, or to a file."""
    from pushforward.experiments.codes import code_space
    from pushforward.experiments.codes import encode as encode_rows

    opened = runs.open_run(run, device)
    check_out(out, code_space(1))
    codes = encode_rows(opened, file, y, table=typed())
    beside = {} if codes.files is None else {"extra": {"file": codes.files}}
    default, what = opened.folder / "codes", f"{len(codes.z)} codes"
    deliver(Voice(quiet, json), codes.z, codes.space, out, default, what=what, **beside)


def command() -> Any:
    """The command."""
    return single(tabular(encode), "encode")
