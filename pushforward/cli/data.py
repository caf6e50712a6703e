"""`pushforward data SOURCE`: what is in it, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import InvalidValue

__all__ = ["command"]


def data(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="a folder, glob or zip of images, a table, an array, or a built-in name",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        bool,
        typer.Option(
            "--formats", help="list what is read, by readers of yours too (--import mine.py)"
        ),
    ] = False,
    size: Annotated[
        str | None, typer.Option("--size", help="bring images to this size: 64, or 48x64")
    ] = None,
    fit: Annotated[str | None, typer.Option("--fit", help="crop, pad or stretch")] = None,
    channels: Annotated[int | None, typer.Option("--channels", help="1, 3 or 4")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option("--categorical", help="text columns to take as categories")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--columns", help="columns to use, and no others")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="columns to leave out")] = None,
    label: Annotated[
        str | None, typer.Option("--label", "--y", help="the labels' column or array")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="fetch a named data set that is not found")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Scan a source: count, space, ranges, missing values, duplicates, unreadable files by name."""
    if formats:
        _list_formats(json)
        return
    if source is None:
        raise InvalidValue(
            "data needs a SOURCE, such as photos/ or table.csv; --formats lists what is read"
        )
    from pushforward.data import report

    named = label if label is not None and label.lower() not in ("auto", "yes", "true") else None
    found = report(
        source,
        size=size,
        fit=fit,
        channels=channels,
        categorical=categorical or (),
        columns=columns or None,
        drop=drop or (),
        label=named,
        download=download,
        **typed(),
    )
    Voice(as_json=json).result(found.as_dict(), str(found))


def _list_formats(as_json: bool) -> None:
    from pushforward.data.formats.registry import every_reader

    found = every_reader()
    width = max(len(reader.name) for reader in found)
    lines = [
        f"{r.name:<{width}}  {r.about}{_endings(r)}{'' if r.ours else f' [{r.module}]'}"
        for r in found
    ]
    content = [
        {
            "name": r.name,
            "kind": r.kind,
            "about": r.about,
            "suffixes": list(r.suffixes),
            "names": list(r.names),
            "module": r.module,
        }
        for r in found
    ]
    Voice(as_json=as_json).result({"readers": content}, "\n".join(lines))


def _endings(reader: Any) -> str:
    known = (*reader.suffixes, *reader.names)
    return f" ({' '.join(known[:12])}{' …' if len(known) > 12 else ''})" if known else ""


def command() -> Any:
    """The command."""
    return single(tabular(data), "data")
