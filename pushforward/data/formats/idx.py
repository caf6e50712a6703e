"""IDX files, the format of MNIST: a big-endian header (0, 0, type, axes),
lengths, then the numbers.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.array_source import Arrays
from pushforward.core.data_types import BinaryFile
from pushforward.core.errors import BadSource
from pushforward.data.files import decoding, require_file
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import from_array

__all__ = ["from_idx", "read_idx", "labels_beside"]

_AXES = 8
_DEFLATE = 1100
"""DEFLATE unpacks to at most about 1032 times the packed size."""

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def _is_idx(text: str) -> bool:
    """Whether a file name is that of an IDX file: …-idx3-ubyte or ….idx, optionally with .gz."""
    path = Path(text).expanduser()
    return re.search(r"([-.]idx\d-\w+|\.idx\d?)(\.gz)?$", path.name) is not None and path.exists()


@register_reader(name="idx", suffixes=(".idx",), claims=_is_idx)
def from_idx(path: Path, options: Options) -> Arrays:
    """MNIST's format: …-idx3-ubyte, with labels from the file
    whose name has 'labels' in place of 'images'.
    """
    x = read_idx(path)
    beside = labels_beside(path)
    labels = None
    if beside is not None and options.labelled and options.y is None:
        labels = read_idx(beside).astype(np.int64)
        if len(labels) != len(x):
            raise BadSource(
                f"{beside}: holds {len(labels)} labels for the {len(x)} observations of"
                f" {path.name}; expected as many"
            )
    return from_array(
        x, options, form="images" if x.ndim == 3 and x.dtype == np.uint8 else "array", labels=labels
    )


def labels_beside(path: Path) -> Path | None:
    """The labels file that belongs to an images file, if it exists."""
    name = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels"))
    for candidate in (name, name + ".gz", name.removesuffix(".gz")):
        if candidate != path.name and "labels" in candidate and (path.parent / candidate).is_file():
            return path.parent / candidate
    return None


def read_idx(path: Path) -> NDArray[Any]:
    """The array in an IDX file; no more is read or unpacked than the header claims.

    Raises:
        BadSource: For one that is damaged.
    """
    require_file(path)
    packed = path.suffix == ".gz"
    with (
        decoding(path, "cannot be read; the file is damaged"),
        gzip.open(path) if packed else open(path, "rb") as file,
    ):
        dtype, shape = _header(path, file)
        claimed = math.prod(shape) * dtype.itemsize
        held = path.stat().st_size * (_DEFLATE if packed else 1)
        if claimed > held:
            raise BadSource(
                f"{path}: expected {claimed} bytes of data for shape {shape}, got fewer; fetch it"
                " again"
            )
        content = file.read(claimed + 1)
    if len(content) != claimed:
        got = f"{len(content)}" if len(content) < claimed else "more"
        raise BadSource(
            f"{path}: expected {claimed} bytes of data for shape {shape}, got {got}; fetch it again"
        )
    array = np.frombuffer(content, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _header(path: Path, file: BinaryFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The dtype and shape of an open IDX file, positioned after its header."""
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise BadSource(
            f"{path}: is not an IDX file; expected it to begin with 0, 0, a type and the number of"
            " axes"
        )
    axes = start[3]
    if not 1 <= axes <= _AXES:
        raise BadSource(f"{path}: claims {axes} axes; expected 1 to {_AXES}: fetch it again")
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise BadSource(f"{path}: is cut short inside its header; fetch it again")
    return np.dtype(_TYPES[start[2]]), struct.unpack(f">{axes}I", lengths)
