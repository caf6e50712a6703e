"""`pushforward assign RUN FILE`: the cluster of every row."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_table_out, deliver_table
from pushforward.cli.tables import tabular
from pushforward.core.errors import InvalidKind

__all__ = ["command"]


def assign(
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
        str | None, typer.Option("--out", "-o", help=".csv, .tsv or .json; stdout if not given")
    ] = None,
    responsibilities: Annotated[
        bool,
        typer.Option(
            "--responsibilities",
            "-r",
            help="also the probability of every cluster: columns p0, p1, ...",
        ),
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV")] = False,
) -> None:
    """Write the cluster of every row, from 0,
    and with --responsibilities how probable each cluster is.
    """
    import torch

    from pushforward.core.capabilities import Assigns

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    model = opened.model
    if not isinstance(model, Assigns):
        raise InvalidKind(
            f"a {opened.name} has no clusters; models that do: {', '.join(_assigning())}"
        )
    check_table_out(out)
    source = runs.read_like(opened, file)
    with torch.no_grad():
        blocks = [batch.x for batch in runs.in_blocks(source)]
        owner = torch.cat([model.assign(x).cpu() for x in blocks])
        columns: dict[str, list[Any]] = {"row": list(range(len(owner)))}
        names = runs.file_names(source)
        if names is not None:
            columns["file"] = names
        columns["cluster"] = owner.tolist()
        if responsibilities:
            shares = torch.cat([model.responsibilities(x).cpu() for x in blocks])
            columns.update({f"p{k}": shares[:, k].tolist() for k in range(shares.shape[1])})
    found, counts = owner.unique(return_counts=True)
    voice.say(
        f"{len(owner)} rows: "
        + ", ".join(f"{n} in cluster {k}" for k, n in zip(found.tolist(), counts.tolist()))
    )
    deliver_table(voice, columns, out, what=f"{len(owner)} rows")


def command() -> Any:
    """The command."""
    return single(tabular(assign), "assign")


def _assigning() -> list[str]:
    from pushforward.core.capabilities import capabilities
    from pushforward.core.registry import registered_models

    return [name for name, cls in registered_models() if "Assigns" in capabilities(cls)]
