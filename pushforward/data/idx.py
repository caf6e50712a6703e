"""IDX files, the format of MNIST: a big-endian header (0, 0, type, axes), the length of each axis, then the numbers."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.core.errors import BadSource
from pushforward.core.source import Arrays
from pushforward.data.arrays import from_array
from pushforward.data.options import Options

__all__ = ["is_idx", "from_idx", "read_idx", "labels_beside"]

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether the name is that of an IDX file: …-idx3-ubyte, ….idx, with or without .gz."""
    return re.search(r"([-.]idx\d-\w+|\.idx\d?)(\.gz)?$", path.name) is not None


def from_idx(path: Path, options: Options) -> Arrays:
    """An IDX file, with the labels of the file beside it whose name says labels where this one says images."""
    x = read_idx(path)
    beside = labels_beside(path)
    labels = None
    if beside is not None and options.labelled and options.y is None:
        labels = read_idx(beside).astype(np.int64)
        if len(labels) != len(x):
            raise BadSource(f"{beside}: holds {len(labels)} labels for the {len(x)} observations of {path.name}; expected as many")
    return from_array(x, options, form="pictures" if x.ndim == 3 and x.dtype == np.uint8 else "array", labels=labels)


def labels_beside(path: Path) -> Path | None:
    """The labels file that belongs to an images file, if it is there."""
    name = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels"))
    for candidate in (name, name + ".gz", name.removesuffix(".gz")):
        if candidate != path.name and "labels" in candidate and (path.parent / candidate).is_file():
            return path.parent / candidate
    return None


def read_idx(path: Path) -> np.ndarray[Any, Any]:
    """The array in an IDX file; BadSource for one that is damaged."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise BadSource(f"{path}: cannot be read ({error}); the file is damaged: fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise BadSource(f"{path}: is not an IDX file; expected it to begin with 0, 0, a type and the number of axes")
    dtype, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise BadSource(f"{path}: is cut short inside its header; fetch it again")
    shape = struct.unpack(f">{axes}I", content[4:start])
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(content) - start != expected:
        raise BadSource(f"{path}: expected {expected} bytes of data for shape {shape}, got {len(content) - start}; fetch it again")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
