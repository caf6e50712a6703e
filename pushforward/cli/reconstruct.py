"""`pushforward reconstruct RUN FILE`: observations after a trip through the model's code."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular, typed

__all__ = ["command"]


def reconstruct(
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
        typer.Option(
            "--out",
            "-o",
            help=".png or a folder/ for images, .csv .parquet .npz .npy; stdout for points",
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
    """Encode and decode every row, in the form the data came in;
    images without --out beside their originals.
    """
    from pushforward.experiments.images import PAIRS, pairs_path, write_pairs
    from pushforward.experiments.reconstructions import reconstruct as restore

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    space = opened.model.fitted_space()
    check_out(out, space)
    restored = restore(opened, file, y, table=typed())
    x, error = restored.x, float(restored.error.mean())
    voice.say(f"squared error per observation {error:.6g}, {len(x)} rows")
    if out is not None or space.kind != "images":
        default, what = opened.folder / "reconstructions", f"{len(x)} reconstructions"
        deliver(voice, x, space, out, default, what=what)
        return
    path, n = pairs_path(opened, "reconstructions", file), min(PAIRS, len(x))
    write_pairs(restored.originals, x[:PAIRS], space, path)
    voice.say(f"the first {n} originals and reconstructions, side by side, written to")
    voice.result({"path": str(path), "n": n}, str(path))


def command() -> Any:
    """The command."""
    return single(tabular(reconstruct), "reconstruct")
