"""`read`: one function that turns any source into data with their space."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.core.argument_names import argument, setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import (
    BadSource,
    InvalidValue,
)
from pushforward.core.plain import is_plain
from pushforward.core.provenance import Provenance
from pushforward.core.source import Source
from pushforward.core.source_views import with_space
from pushforward.core.space import Space
from pushforward.data.derived_conditions import derived
from pushforward.data.dispatch import normalised, read_any, reader_of
from pushforward.data.options import MEMORY, ClipLayout, Fit, Options
from pushforward.data.pairings import find_pairing
from pushforward.data.sources.streaming import read_stream

__all__ = [
    "absolute",
    "read",
    "read_for_fit",
    "read_with",
    "requested_conditions",
]


def read(
    source: Observations,
    *,
    y: Conditioning = None,
    weights: Observations | None = None,
    size: int | str | tuple[int, int] | None = None,
    fit: Fit | None = None,
    tiles: int | None = None,
    channels: Literal[1, 3, 4] | None = None,
    frame_rate: float | None = None,
    clips: ClipLayout | None = None,
    frames: int | None = None,
    stride: int | None = None,
    hop: int | None = None,
    categorical: Sequence[str] | str = (),
    drop: Sequence[str] | str = (),
    columns: Sequence[str] | str | None = None,
    types: Mapping[str, str] | Sequence[str] | str | None = None,
    relation: Sequence[str] | str = (),
    label: str | bool | None = None,
    like: object = None,
    n: int | None = None,
    seed: int = 0,
    memory: int | str = MEMORY,
    download: bool = False,
    name: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    na: Sequence[str | float] | str | float = (),
    encoding: str | None = None,
    header: bool | None = None,
    comment: str | None = None,
    dates: bool | None = None,
    stream: bool = False,
) -> Source:
    """Read observations from anything, as a source with its space.

    Args:
        source: an array, tensor, data frame, torch Dataset or iterable; or a path, a glob of images
            or of .npy files (joined in the order of their names), or a built-in name (digits, ring,
            eight_gaussians, grid, moons, swissroll, moving-shapes, mnist, mnist:test, cifar10,
            cifar10:test, cifar10-batch1; ring:5000 draws 5000).
        y: conditions, leading length n; for tables also the name(s) of columns; a path or source
            for paired data, whose images are found by the names of their files; for images also
            'edges', 'grey', 'low_resolution(factor=4)', 'coarse(factor=2)', 'masked', or 'left' or
            'right' of side-by-side images (`data.pairings`); True for labels that come with the
            data.
        weights: non-negative weights (n,), or for tables the name of a column.
        size, fit: resize images to one size in pixels (64, or '48x64' for height×width), by 'crop'
            (default), 'pad' or 'stretch'.
        tiles: cut images, whose sizes may differ, into square tiles with sides of so many pixels.
        channels: convert images to 1, 3 or 4 channels; unchanged by default.
        frame_rate: of clips (n, channels, time, height, width), in frames per second; that of the
            file by default. Samples are written at the same rate.
        clips: how clips are kept: 'files' (GIF, APNG, WebP or a film each), 'strips' (images of
            square frames side by side), 'folders' (of frames) or 'none' (only first frames of
            animations, as images); by default found out: files that all move are clips, other
            images are if `frames` or `stride` is given.
        frames, stride, hop: cut long clips into windows of so many frames, every stride-th, from a
            new start every `hop` frames of the file; windows do not overlap by default, and clips
            that are too short are left out with a warning.
        categorical, drop, columns: for tables:
            text columns to treat as categories, columns to leave out, columns to use.
        types: what the columns of a table are: 'auto' infers it (continuous, positive, bounded,
            count, integer, ordered, categorical, boolean, date, duration, identifier, constant,
            text; see `data.tables.types`); {'age': 'count', 'share': 'bounded(0, 1)'} declares
            some and infers the others. Identifiers, constants and free text are carried along.
        relation: linear relations between columns, such as 'GS <= G' (`data.tables.relations`).
        label: the column (tables, metadata.csv) or array (.npz) that holds the labels;
            False leaves labels out.
        like: a space, model or source whose columns,
            categories and image size the data must be read into.
        n, seed: number of rows and seed of sampled names.
        memory: size above which data stay on disk, in bytes or as '2GB'.
        download: download a named data set that is not found.
        name: of the data in records; the file's name by default.
        separator, decimal, thousands, na, encoding, header, comment, dates: format of a text table,
            where it cannot be detected (`data.tables.text_format.TableFormat`); `source.notes`
            lists the decisions. `na` are texts or numbers that mean 'missing', such as -999;
            dates=False leaves ISO dates as text.
        stream: `source` is a function that returns a fresh iterator of observations, or of
            (observation, label) pairs, for every pass; they are never all in memory or on disk. For
            blocks of rows, use `pushforward.Stream`.

    A folder or zip with both a training and a test set (train/ beside test/, say) is refused: name
    one of them ('photos/train', or 'photos.zip:train'). A DataLoader is read through its sampler,
    batches and collate_fn; samplers that draw different rows each epoch are refused. Rows left out
    are counted and named in the source's `notes`, with a `DataWarning`.

    Raises:
        BadSource: For data that cannot be read or fitted to.
        InvalidValue, ShapeMismatch: For arguments that do not fit.
    """
    if isinstance(y, bool):  # as in fit: whether to use labels that come with the data
        y, label = None, label if label is not None else y
    elif find_pairing(y) is not None:
        y, label = None, str(y)
    options = Options.check(
        y=y,
        weights=weights,
        size=size,
        fit=fit,
        tiles=tiles,
        channels=channels,
        frame_rate=frame_rate,
        clips=clips,
        frames=frames,
        stride=stride,
        hop=hop,
        categorical=categorical,
        drop=drop,
        columns=columns,
        types=types,
        relation=relation,
        label=label,
        like=like,
        n=n,
        seed=seed,
        memory=memory,
        download=download,
        name=name or "",
        separator=separator,
        decimal=decimal,
        thousands=thousands,
        na=na,
        encoding=encoding,
        header=header,
        comment=comment,
        dates=dates,
    )
    arguments = {
        "y": y,
        "weights": weights,
        "size": size,
        "fit": fit,
        "tiles": tiles,
        "channels": channels,
        "categorical": categorical,
        "drop": drop,
        "columns": columns,
        "types": dict(types) if isinstance(types, Mapping) else types,
        "relation": relation,
        "label": label,
        "like": like,
        "n": n,
        "seed": seed,
        "download": download,
        "name": name,
        "separator": separator,
        "decimal": decimal,
        "thousands": thousands,
        "na": na,
        "encoding": encoding,
        "header": header,
        "comment": comment,
        "dates": dates,
        "stream": stream or None,
        "frame_rate": frame_rate,
        "clips": clips,
        "frames": frames,
        "stride": stride,
        "hop": hop,
    }
    result = read_stream(source, options) if stream else read_with(source, options)
    return _traced(result, source, arguments)


def _traced(result: Source, source: Observations, arguments: Mapping[str, Any]) -> Source:
    """Record in the source how to read the same rows again,
    for paths or names with plain arguments.
    """
    if isinstance(source, (str, os.PathLike)) and is_plain(arguments):
        empty = dict.fromkeys(("categorical", "drop", "relation", "na"), ())
        usual = {**empty, "seed": 0, "download": False}
        reading = {k: v for k, v in arguments.items() if v is not None and v != usual.get(k)}
        y = reading.get("y")
        if isinstance(y, str) and Path(y).exists():
            reading["y"] = absolute(y)
        result.provenance = Provenance(absolute(os.fspath(source)), reading)  # type: ignore[attr-defined]
    return result


def absolute(source: str) -> str:
    """A path or glob made absolute; names are unchanged."""
    path = Path(source).expanduser()
    ending = "/" if source.endswith("/") else ""
    if not path.exists():
        stem, colon, part = source.rpartition(":")
        if colon and Path(stem).expanduser().exists():
            return f"{absolute(stem)}:{part}"
        return str(path.absolute()) if any(c in source for c in "*?[") else source
    # A link's own name determines the kind of file:
    # DVC and git-annex store its target under a digest.
    whole = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
    return f"{whole}{ending}"


def read_for_fit(
    x: Observations, y: Conditioning = None, weights: Observations | None = None
) -> Source:
    """The source for `fit(x, y, weights=...)`: x read by `read`,
    with labels only if y requests them.

    Args:
        y: None for no conditions; True for those that come with the data; conditions with leading
            length n; or a text, as on the command line: a column's or an array's name, or a file of
            conditions.
        weights: (n,), or the name of a column.
    """
    conditions = requested_conditions(y)
    source = _traced(
        read_with(x, replace(Options(**conditions), weights=weights, scanned_later=True)),
        x,
        {**conditions, "weights": weights},
    )
    return with_labels(source) if y is True else source


def with_labels(source: Source) -> Source:
    """The source with its labels requested.

    Raises:
        BadSource: If the data have none.
    """
    if source.condition_space is None:
        raise BadSource(
            "labels were requested, but the data have none; name a column, or pass the labels"
        )
    return source


def rows_like(x: Observations, space: Space) -> Tensor:
    """All rows of anything that `read` accepts,
    as a tensor (n, *shape) in a space's coordinates.
    """
    source = read_with(
        x, replace(Options(like=space, label=False).prepared_like(space), lenient=True)
    )
    return source.take(torch.arange(len(source))).x


def requested_conditions(y: Conditioning) -> dict[str, Any]:
    """The arguments `y` and `label` of `read` for a single value: the y of `fit`, or --label.

    None, False and 'no' mean none; True and 'auto' those that come with the data; other text names
    a column (several with commas), an array of an .npz file, a file of conditions, or conditions
    made of the images (`data.pairings`); anything else is the conditions themselves.
    """
    if y is None or y is False:
        return {"label": False}
    if y is True:
        return {"label": True}
    if find_pairing(y) is not None:
        return {"label": str(y)}
    if not isinstance(y, str):
        return {"y": _images_in(y), "label": False}
    if y.lower() in ("no", "false"):
        return {"label": False}
    if y.lower() in ("auto", "yes", "true"):
        return {"label": True}
    # os.path answers False for text that no file can be called, where pathlib raises
    if "," in y or ("." in y and os.path.exists(y)) or os.path.isdir(y):
        return {"y": y, "label": False}
    return {"label": y}


def _images_in(y: Conditioning) -> Any:
    """A list of images of Pillow as a source; other conditions as they are."""
    items = isinstance(y, (list, tuple)) and len(y) > 0
    if items and hasattr(y[0], "getbands"):  # type: ignore[index]
        return read_any(y, Options(label=False))
    return y


def _require_image_files(source: object, tiles: int) -> None:
    """Raise InvalidValue unless a source to be cut into tiles is files of images."""
    source = normalised(source)
    if not isinstance(source, str) or reader_of(source).name != "images":
        raise InvalidValue(
            f"{setting('tiles', tiles)} cuts files of images, in a folder, glob or zip; leave it"
            " out for other data"
        )


def _require_typed_table(space: Space, options: Options) -> None:
    """Refuse what is declared of the columns of data that are no table: it would be ignored.

    Raises:
        InvalidValue: Names the setting.
    """
    if options.like is not None or space.extra.get("carried") is not None:
        return
    declared = {"relation": list(options.relation), "types": list(options.types or ())}
    name = next((name for name, values in declared.items() if values), None)
    if name is not None and (name != "relation" or "relations" not in space.extra):
        raise InvalidValue(
            f"{argument(name)} is for the columns of a table, but the data are {space}; leave it"
            " out, or pass a table"
        )


def read_with(source: object, options: Options) -> Source:
    """`read` with checked options.

    Unrequested labels are marked, since not every model uses them.
    """
    pairing = find_pairing(options.label)
    if options.tiles is not None:
        _require_image_files(source, options.tiles)
    result = None if pairing is None else derived(source, pairing, options)
    result = result or read_any(source, options)
    asked = options.cuts_clips and (options.like is None or options.frame_rate is not None)
    if asked and result.space.kind != "clips":
        raise InvalidValue(
            f"{options.clips_setting} is for clips, but the data are {result.space}; leave it out"
        )
    if result is not source:
        _require_typed_table(result.space, options)
    if options.frame_rate is not None:
        result = with_space(result, replace(result.space, frame_rate=options.frame_rate))
    if (
        result is not source
        and result.condition_space is not None
        and options.y is None
        and options.label is None
    ):
        result.unrequested_labels = True  # type: ignore[attr-defined]
    return result
