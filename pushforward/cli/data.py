"""`pushforward data SOURCE`: what it holds, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.core.errors import InvalidValue

__all__ = ["data"]


def data(
    source: str | None = None,
    /,
    *,
    formats: Annotated[bool, arguments.Switch] = False,
    size: str | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    channels: arguments.Whole | None = None,
    frame_rate: float | None = None,
    clips: Literal["files", "strips", "folders", "none"] | None = None,
    frames: arguments.Whole | None = None,
    stride: arguments.Whole | None = None,
    hop: arguments.Whole | None = None,
    categorical: arguments.Names = (),
    columns: arguments.Names = (),
    drop: arguments.Names = (),
    types: arguments.Names = ("auto",),
    label: Annotated[str | None, Parameter(name=("--label", "--y"))] = None,
    download: Annotated[bool, arguments.Switch] = False,
    table: arguments.Table = None,
    json: arguments.Json = False,
) -> None:
    """Scan a source: count, space, ranges, missing values, duplicates, unreadable files by name.

    Args:
        source: a folder, glob or zip of images or films, a table, an array, or a built-in name.
        formats: list the formats, including those of your own readers (--import mine.py).
        size: bring images to this size: 64, or 48x64.
        fit: how images are brought to the size.
        channels: bring images to 1, 3 or 4 channels.
        frame_rate: frames per second of clips, where the file does not say.
        clips: how clips are kept, where it cannot be found out: files, strips, folders, or none.
        frames: cut clips into windows of so many frames.
        stride: take every so many-th frame of clips.
        hop: begin a window of a clip every so many frames.
        categorical: text columns to take as categories.
        columns: columns to use, and no others.
        drop: columns to leave out.
        types: what columns are, such as age=count,share=bounded(0,1); the others are inferred.
        label: the labels' column or array; for images also a folder of others of the same names, a
            half of side-by-side images (left, right, labels), or made of them: edges, grey,
            lightness, low_resolution(4), coarse(2), masked.
        download: fetch a named data set that is not found.
    """
    if formats:
        _list_formats(json)
        return
    if source is None:
        raise InvalidValue(
            "data needs a SOURCE, such as photos/ or table.csv; --formats lists what is read"
        )
    from pushforward import models  # noqa: F401 - advice names those that take what was found
    from pushforward.data import report
    from pushforward.data.reading import requested_conditions

    auto = label is None or label.lower() in ("auto", "yes", "true")
    content = report(
        source,
        size=size,
        fit=fit,
        channels=channels,
        frame_rate=frame_rate,
        clips=clips,
        frames=frames,
        stride=stride,
        hop=hop,
        categorical=categorical,
        columns=columns or None,
        drop=drop,
        types=types,
        download=download,
        **({} if auto else requested_conditions(label)),
        **arguments.table_settings(table),
    )
    Voice(as_json=json).result(content.as_dict(), str(content))


def _list_formats(as_json: bool) -> None:
    from pushforward.data.formats.registry import every_reader

    readers = every_reader()
    width = max(len(reader.name) for reader in readers)
    lines, content = [], []
    for reader in readers:
        endings = (*reader.suffixes, *reader.names)
        shown = f": {' '.join(endings[:12])}{' …' if len(endings) > 12 else ''}" if endings else ""
        origin = "" if reader.ours else f" [{reader.module}]"
        lines.append(f"{reader.name:<{width}}  {reader.about}{shown}{origin}")
        facts = {"name": reader.name, "kind": reader.kind, "about": reader.about}
        lists = {"suffixes": list(reader.suffixes), "names": list(reader.names)}
        content.append({**facts, **lists, "module": reader.module})
    Voice(as_json=as_json).result({"readers": content}, "\n".join(lines))
