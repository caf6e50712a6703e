"""`read`: one function that turns any source into data and the space they lie in."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue
from pushforward.core.frames import is_frame
from pushforward.core.numbers import is_sparse
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data.files import locate, require_file, shown
from pushforward.data.options import MEMORY, Options

__all__ = ["read", "read_for_fit", "read_with", "asked_conditions", "is_images", "refuse_format"]

_KINDS = "a folder, glob or zip of images, .npy, .npz, .csv, .jsonl, .parquet or .idx"


def read(
    source: Any,
    *,
    y: Any = None,
    weights: Any = None,
    size: int | str | tuple[int, int] | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    channels: Literal[1, 3, 4] | None = None,
    categorical: Sequence[str] | str = (),
    drop: Sequence[str] | str = (),
    columns: Sequence[str] | str | None = None,
    label: str | bool | None = None,
    like: Any = None,
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
) -> Source:
    """Observations from anything, as a source with its space.

    Arguments:
        source: an array, tensor, data frame, torch Dataset or iterable; or a path, glob or built-in name (digits, ring,
            grid, moons, swissroll, mnist, mnist:test, cifar10, cifar10:test, cifar10-batch1; ring:5000 draws 5000).
        y: conditions, leading length n; for tables also the name(s) of columns; a path or source for paired data.
        weights: non-negative weights (n,), or for tables the name of a column.
        size, fit: bring images to one size, in pixels (64, or '48x64' for height×width); 'crop' unless told otherwise.
        channels: bring images to 1, 3 or 4 channels; those they have otherwise.
        categorical, drop, columns: for tables: text columns to take as categories, columns to leave out, columns to use.
        label: the column (tables, metadata.csv) or array (.npz) that holds the labels; False leaves labels out.
        like: a space, model or source whose columns, categories and image size the data must be read into.
        n, seed: how many rows the drawn names have, and the seed they are drawn with.
        memory: bytes above which data stay on disk (or '2GB').
        download: fetch a named data set that is not found.
        name: how records call the data; the file's name otherwise.
        separator, decimal, thousands, na, encoding, header, comment, dates: how a text table is written, where looking at it
            does not tell (`pushforward.data.table_format.TableFormat`); `source.notes` says what was decided. `na` are texts
            or numbers that mean 'missing', such as -999; dates=False leaves ISO dates as text.

    A folder or zip that holds both a training and a test set (train/ beside test/, say) is refused: name one of them
    ('photos/train', or 'photos.zip:train'). A DataLoader gives the rows of its sampler and batches, through its collate_fn;
    a sampler that draws other rows every epoch is refused. What is left out is counted and named in the source's `notes`,
    and warned of with `DataWarning`.

    Raises BadSource for what cannot be read or learnt from, InvalidValue and ShapeMismatch for arguments that do not fit.
    """
    options = Options.check(
        y=y, weights=weights, size=size, fit=fit, channels=channels, categorical=categorical, drop=drop, columns=columns,
        label=label, like=like, n=n, seed=seed, memory=memory, download=download, name=name or "", separator=separator,
        decimal=decimal, thousands=thousands, na=na, encoding=encoding, header=header, comment=comment, dates=dates,
    )  # fmt: skip
    refuse_format(source, options)
    return read_with(source, options)


def refuse_format(source: Any, options: Options) -> None:
    """Raise InvalidValue where the format of a text table is given for something else."""
    from pushforward.data.table_files import is_table, is_text_table

    given = [name for name in options.table.asked if not (is_frame(source) and name in ("na", "dates"))]
    path = Path(os.fspath(source)).expanduser() if given and isinstance(source, (str, os.PathLike)) else None
    if given and (path is None or not (is_text_table(path) or is_table(path))):
        what = type(source).__name__ if path is None else str(path)
        raise InvalidValue(f"{given[0]} says how a text table is written, which {what} is not; leave it out")


def read_for_fit(x: Any, y: Any = None, weights: Any = None) -> Source:
    """What `fit(x, y, weights=...)` is fitted to: x as `read` takes it, with labels only where y asks for them.

    Arguments:
        y: None for no conditions; True for those that come with the data; conditions with leading length n; or a text, as
            on the command line: a column's or an array's name, or a file of conditions.
        weights: (n,), or the name of a column.
    """
    source = read_with(x, replace(Options(**asked_conditions(y)), weights=weights, scanned_later=True))
    return with_labels(source) if y is True else source


def with_labels(source: Source) -> Source:
    """The source, whose labels were asked for; BadSource if the data brought none."""
    if source.condition_space is None:
        raise BadSource("labels that come with the data were asked for, and these bring none; name a column, or pass the labels themselves")
    return source


def rows_like(x: Any, space: Space) -> Tensor:
    """All rows of anything that `read` takes, as a tensor (n, *shape) of a space's coordinates."""
    source = read_with(x, replace(Options(like=space, label=False)._prepared_like(space), lenient=True))
    return source.take(torch.arange(len(source))).x


def asked_conditions(y: Any) -> dict[str, Any]:
    """`read`'s `y` and `label` for conditions asked for in one value: the y of `fit`, or the text of --label.

    None, False and 'no' ask for none; True and 'auto' for those that come with the data; other texts name a column (several
    with commas), an array of an .npz file, or a file of conditions; anything else is the conditions themselves.
    """
    if y is None or y is False:
        return {"label": False}
    if y is True:
        return {"label": True}
    if not isinstance(y, str):
        return {"y": y, "label": False}
    if y.lower() in ("no", "false"):
        return {"label": False}
    if y.lower() in ("auto", "yes", "true"):
        return {"label": True}
    if "," in y or ("." in y and Path(y).exists()):
        return {"y": y, "label": False}
    return {"label": y}


def read_with(source: Any, options: Options) -> Source:
    """`read` with checked options; labels that come along unasked are marked, since not every model has a use for them."""
    found = _read(source, options)
    if found is not source and found.condition_space is not None and options.y is None and options.label is None:
        found.unasked_labels = True  # type: ignore[attr-defined]
    return found


def _read(source: Any, options: Options) -> Source:
    if hasattr(source, "to_pylist") and not is_frame(source):  # an Arrow array: a column without a name
        source = np.array(source.to_pylist())
    if hasattr(source, "to_frame") and not is_frame(source):  # a pandas or Polars series
        source = source.to_frame()
    if isinstance(source, (str, os.PathLike)):
        return _from_text(os.fspath(source), options)
    if isinstance(source, (Tensor, np.ndarray)) or is_sparse(source):
        from pushforward.data.arrays import from_array

        return from_array(source, options, form="tensor" if isinstance(source, Tensor) else "array")
    if is_frame(source):
        from pushforward.data.tables import from_frame

        return from_frame(source, options)
    if isinstance(source, Source):
        if options.y is not None or options.weights is not None:
            raise BadSource("a source brings its own conditions and weights; pass y and weights when making it")
        return source
    return _from_items(source, options)


def _from_items(source: Any, options: Options) -> Source:
    """A list of numbers, a torch Dataset or an iterable."""
    from pushforward.data.arrays import from_array
    from pushforward.data.streams import from_dataset, from_iterable

    if isinstance(source, (list, tuple)):
        if not source:
            raise BadSource("the data have no rows; expected at least one observation")
        if all(isinstance(v, (int, float, list, tuple)) for v in source):
            return from_array(source, options)
        return from_iterable(source, options)
    if hasattr(source, "dataset") and hasattr(source, "batch_size"):
        from pushforward.data.loaders import from_loader

        return from_loader(source, options)
    if hasattr(source, "__getitem__") and not isinstance(source, (dict, bytes, np.generic)):
        return from_dataset(source, options)
    if isinstance(source, Iterable) and not isinstance(source, (dict, bytes)):
        return from_iterable(source, options)
    raise InvalidKind(f"cannot read data from {type(source).__name__}; pass an array, tensor, data frame, Dataset, iterable, path or name")


def _from_text(text: str, options: Options) -> Source:
    from pushforward.data.builtin import from_builtin, is_builtin

    if is_builtin(text):
        return from_builtin(text, options)
    path = locate(text)
    if options.n is not None:
        raise InvalidValue(
            f"n is for ring, grid, moons and swissroll, which are drawn; {shown(text)} has its own number of rows: leave n out"
        )
    options = replace(options, name=options.name or (text if glob.has_magic(text) else path.name))
    stem, _, key = text.rpartition(":")
    if not path.exists() and stem.endswith(".npz") and Path(stem).expanduser().is_file():
        from pushforward.data.arrays import from_npz

        return from_npz(Path(stem).expanduser(), options, key)
    if not path.exists() and stem.endswith(".zip") and Path(stem).expanduser().is_file():
        from pushforward.data.image_files import from_images

        return from_images(Path(stem).expanduser(), options, key)
    if not path.exists() and not glob.has_magic(text):
        raise BadSource(_missing(text, path))
    return _from_path(path, options)


def is_images(path: Path) -> bool:
    """Whether the path is read as images: a folder, a glob, a zip, or one image."""
    from pushforward.data.image_files import IMAGES
    from pushforward.data.table_files import is_table

    if path.exists() and is_table(path):
        return False
    return not path.exists() or path.is_dir() or path.suffix.lower() in (".zip", *IMAGES)


def _from_path(path: Path, options: Options) -> Source:
    from pushforward.data.idx import from_idx, is_idx
    from pushforward.data.table_files import from_table, is_table

    if is_table(path) and path.is_dir():
        return from_table(path, options)
    if is_images(path):
        from pushforward.data.image_files import from_images

        return from_images(path if path.exists() else str(path), options)
    require_file(path)
    if is_idx(path):
        return from_idx(path, options)
    if is_table(path):
        return from_table(path, options)
    from pushforward.data.arrays import from_npy, from_npz

    if path.suffix == ".npy":
        return from_npy(path, options)
    if path.suffix == ".npz":
        return from_npz(path, options)
    raise BadSource(f"{shown(path)}: unknown kind of file {shown(path.suffix or path.name, 40)!r}; expected {_KINDS}")


def _missing(text: str, path: Path) -> str:
    """The message for a path that is not there, with near names."""
    from pushforward.data.builtin import NAMES

    parent = path.parent if path.parent.is_dir() else None
    beside = [p.name for p in parent.iterdir()] if parent is not None and os.access(parent, os.R_OK) else []
    near = get_close_matches(path.name, beside, n=1, cutoff=0.6)
    if near and parent is not None:
        return f"{shown(text)}: no such file or folder; did you mean {shown(parent / near[0])}?"
    named = get_close_matches(text, NAMES, n=1, cutoff=0.6)
    if named:
        return f"{shown(text)}: no such file or folder; did you mean the built-in {named[0]!r}?"
    return f"{shown(text)}: no such file or folder; expected {_KINDS}, or one of {', '.join(NAMES)}"
