"""Several `.npy` files as one source: a glob such as 'shards/*.npy'."""

from __future__ import annotations

import glob
from pathlib import Path

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, ShapeMismatch
from pushforward.data.files import printable
from pushforward.data.formats.numpy_files import open_npy
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import from_array
from pushforward.data.sources.spool import Spool

__all__ = ["from_shards"]


def _shards(pattern: str) -> list[Path]:
    """The files that match a glob, in the order of their names."""
    paths = (Path(name) for name in glob.glob(str(Path(pattern).expanduser()), recursive=True))
    return sorted(path for path in paths if path.is_file())


def _are_arrays(text: str) -> bool:
    """Whether a text is a glob that only arrays match."""
    if not glob.has_magic(text) or Path(text).expanduser().exists():
        return False
    paths = _shards(text)
    return bool(paths) and all(path.suffix == ".npy" for path in paths)


@register_reader(name="npy shards", suffixes=(".npy",), claims=_are_arrays)
def from_shards(path: Path, options: Options) -> Arrays:
    """NumPy arrays that match a glob, one after another in the order of their names.

    They are copied into memory or, if larger than the budget, into one temporary file.
    """
    first: Path | None = None
    with Spool(options.memory) as spool:
        for shard in _shards(str(path)):
            array = open_npy(shard, 0)
            if array.ndim == 0:
                raise BadSource(
                    f"{printable(shard)}: is a single number, expected rows; leave it out"
                )
            first = first or shard
            if first != shard and (array.shape[1:], array.dtype) != (spool.shape, spool.dtype):
                raise ShapeMismatch(
                    f"{printable(shard)} has rows of shape {array.shape[1:]} and type"
                    f" {array.dtype}, expected {spool.shape} and {spool.dtype} as in"
                    f" {printable(first)}; read them apart, or convert them to one shape and type"
                )
            spool.add(array)
        return from_array(spool.finish(), options)
