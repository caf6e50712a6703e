"""`pushforward reconstruct RUN FILE`: observations after a trip through the model's code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, deliver
from pushforward.cli.tables import tabular

__all__ = ["command"]

SHOWN = 32


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
    import torch

    from pushforward.metrics.reconstruction import reconstruct as restored

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    model = opened.model
    opened.need("does not both encode and decode", "Encodes", "Decodes")
    check_out(out, model.fitted_space())
    source = runs.read_under(opened, file, y)
    space = model.fitted_space()
    grid = out is None and space.kind == "images"
    parts: list[Any] = []
    originals: list[Any] = []
    errors: list[Any] = []
    for batch in runs.in_blocks(source):
        condition = runs.labels_of(model, batch)
        back = restored(model, batch.x, condition).cpu()
        errors.append((back.double() - batch.x.double()).square().flatten(1).sum(1))
        parts.append(back)
        originals.append(batch.x if grid and len(originals) * 4096 < SHOWN else batch.x[:0])
    x = torch.cat(parts)
    voice.say(f"squared error per observation {float(torch.cat(errors).mean()):.6g}, {len(x)} rows")
    if grid:
        from pushforward.experiments.images import write_pairs

        path = (
            opened.folder
            / "images"
            / f"reconstructions-{re.sub(r'[^a-zA-Z0-9_-]+', '-', Path(file).name)}.png"
        )
        write_pairs(torch.cat(originals)[:SHOWN], x[:SHOWN], space, path)
        voice.say(
            f"the first {min(SHOWN, len(x))} originals and reconstructions, side by side,"
            " written to"
        )
        voice.result({"path": str(path), "n": min(SHOWN, len(x))}, str(path))
        return
    deliver(
        voice, x, space, out, opened.folder / "reconstructions", what=f"{len(x)} reconstructions"
    )


def command() -> Any:
    """The command."""
    return single(tabular(reconstruct), "reconstruct")
