"""`pushforward project RUN FILE`: the codes that restore observations best, and what is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_out, code_space, deliver
from pushforward.cli.tables import tabular
from pushforward.core.errors import InvalidKind, InvalidValue

__all__ = ["command"]

SHOWN = 32


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
    import torch

    if out is not None and Path(out).suffix == ".npy":
        raise InvalidValue(
            f"{out}: an .npy file holds no errors beside the codes; use .npz or .csv"
        )
    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    model = opened.model
    opened.need("does not decode codes", "Decodes")
    check_out(out, code_space(1))
    check_out(restored, model.fitted_space())
    source = runs.read_under(opened, file, y)
    found, originals = _projected(model, source, start, steps, prior_weight, candidates, seed)
    error, first = torch.cat([f.error for f in found]), torch.cat([f.first_error for f in found])
    voice.say(
        f"squared error per observation {float(error.mean()):.6g}, at the start"
        f" {float(first.mean()):.6g}, {len(error)} rows"
    )
    back = torch.cat([f.restored for f in found]).cpu()
    if restored is not None:
        from pushforward.data import write

        voice.say(
            f"{len(back)} restored observations written to"
            f" {write(back, model.fitted_space(), restored)}"
        )
    elif model.fitted_space().kind == "images":
        from pushforward.experiments.images import write_pairs

        path = (
            opened.folder
            / "images"
            / f"projections-{re.sub(r'[^a-zA-Z0-9_-]+', '-', Path(file).name)}.png"
        )
        path.parent.mkdir(exist_ok=True)
        write_pairs(originals[:SHOWN], back[:SHOWN], model.fitted_space(), path)
        voice.say(
            f"the first {min(SHOWN, len(back))} originals and their projections, side by side, in"
            f" {path}"
        )
    codes = torch.cat([f.codes for f in found]).cpu()
    names = runs.file_names(source)
    extra: dict[str, Any] = {} if names is None else {"file": names}
    space = code_space(codes.shape[1])
    if out is not None and Path(out).suffix == ".npz":
        extra["error"] = error.cpu().numpy()
    else:
        codes, space = torch.cat([codes, error.cpu()[:, None]], 1), with_columns(space, "error")
    deliver(
        voice,
        codes,
        space,
        out,
        opened.folder / "projections",
        what=f"{len(codes)} codes",
        extra=extra,
    )


def _projected(
    model: Any, source: Any, start: Any, steps: int, weight: float, candidates: int, seed: int
) -> tuple[list[Any], Any]:
    """Projections a block at a time, and the first originals."""
    import torch

    from pushforward.latent import project as projection

    found, originals = [], torch.zeros(0)
    distribution = (
        _distribution(model, source) if start in ("prior", "hybrid") or weight > 0 else None
    )
    for batch in runs.in_blocks(source, 1024):
        y = runs.labels_of(model, batch)
        how = {
            "start": start,
            "steps": steps,
            "prior_weight": weight,
            "candidates": candidates,
            "distribution": distribution,
            "rng": seed,
        }
        found.append(projection(model, batch.x, y, **how))
        originals = originals if len(originals) else batch.x[:SHOWN]
    return found, originals


def _distribution(model: Any, source: Any) -> Any:
    """Where codes lie: by the prior, or for a model without one
    by the codes of the rows themselves.
    """
    from pushforward.core.capabilities import Encodes
    from pushforward.latent import infer_code_distribution

    try:
        return infer_code_distribution(model)
    except InvalidKind:
        if not isinstance(model, Encodes):
            raise
        batch = runs.rows_of(source)
        return infer_code_distribution(model, batch.x, runs.labels_of(model, batch))


def with_columns(space: Any, *names: str) -> Any:
    """A space of points with further columns of numbers."""
    from dataclasses import replace

    from pushforward.core.space import Column

    columns = (*space.columns, *(Column(name) for name in names))
    return replace(space, shape=(len(columns),), columns=columns)


def command() -> Any:
    """The command."""
    return single(tabular(project), "project")
