"""`pushforward encode RUN FILE`: the codes of observations."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, code_space, deliver
from pushforward.cli.tables import tabular

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
    import torch

    opened = runs.open_run(run, device)
    model = opened.model
    opened.need("has no codes for observations", "Encodes")
    check_out(out, code_space(1))
    source = runs.read_under(opened, file, y)
    with torch.no_grad():
        parts = [encoded(model, batch) for batch in runs.in_blocks(source)]
    codes = torch.cat(parts)
    names = runs.file_names(source)
    extra = {} if names is None else {"extra": {"file": names}}
    deliver(
        Voice(quiet, json),
        codes,
        code_space(codes.shape[1]),
        out,
        opened.folder / "codes",
        what=f"{len(codes)} codes",
        **extra,
    )


def encoded(model: Any, batch: Any) -> Any:
    """Codes (n, latent) of one block."""
    z = (
        model.encode(batch.x)
        if model.condition_space is None
        else model.encode(batch.x, runs.labels_of(model, batch))
    )
    return z.flatten(1).cpu()


def command() -> Any:
    """The command."""
    return single(tabular(encode), "encode")
