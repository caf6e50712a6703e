"""Arrays and tensors, in memory and in `.npy` and `.npz` files, as sources.

Bytes on three axes are grey images without their channel axis, and bytes with 1, 3 or 4 on the last axis are images
with channels last: both are brought to (n, channels, height, width), and the space remembers it so that `write` can put
them back. Nothing is ever unpickled.
"""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue, PushforwardError, ShapeMismatch, suggestion
from pushforward.core.source import Arrays
from pushforward.core.space import Space, as_array
from pushforward.data.files import reason_of, require_file, shown
from pushforward.data.options import Options

__all__ = ["from_array", "from_npy", "from_npz", "refuse_infinity", "as_images", "labels_of", "X_KEYS", "Y_KEYS"]

X_KEYS = ("x", "X", "images", "image", "pictures", "data", "samples", "features", "x_train", "train_images", "pixel_values", "img")
Y_KEYS = ("y", "Y", "labels", "label", "targets", "target", "y_train", "train_labels", "classes", "class")


def from_array(
    x: Any, options: Options, *, form: str = "array", labels: Any = None, space: Space | None = None, layout: str = ""
) -> Arrays:
    """A source over an array or tensor with leading length n.

    Arguments:
        labels: those found beside the data.
        layout: how byte images came, where they have been brought to (n, channels, height, width) already.
    """
    name = options.name or "array"
    x, found = as_images(_numeric(x, name))
    layout = layout or found
    if x.ndim >= 1 and len(x) == 0:
        raise BadSource(f"{name}: the data have no rows; expected at least one observation")
    if 0 in x.shape[1:]:
        raise BadSource(f"{name}: observations of shape {tuple(x.shape[1:])} hold no values; expected at least one column")
    x, space = _prepare(x, space, options)
    if space is None:
        space = options.like if options.like is not None and options.like.kind == "points" else Space.infer(x, form=form)
    if space is options.like:
        _check_width(x, space, name)
    if layout:
        space = replace(space, extra={**space.extra, "layout": layout})
    y, condition_space = labels_of(labels, options, len(x))
    weights = options.weights
    if isinstance(weights, str):
        raise InvalidValue(f"weights={weights!r} names a column, but {name} has no named columns; pass an array of weights")
    source = Arrays(x, y, weights, space=space, condition_space=condition_space, name=name)
    if source.resident and not (options.lenient or options.scanned_later):
        refuse_infinity(source.x, space, name)
    return source


def labels_of(found: Any, options: Options, n: int) -> tuple[Any, Space | None]:
    """The conditions to use: the caller's own, else the labels found (unless label=False), with their space."""
    y = options.y if options.y is not None else (found if options.labelled else None)
    if y is None:
        return None, None
    if hasattr(y, "__next__"):
        y = list(y)
    if isinstance(y, str):
        from pushforward.data.reading import read

        y = read(y, label=False, memory=options.memory)
    if hasattr(y, "take") and hasattr(y, "space") and not isinstance(y, (Tensor, np.ndarray)):
        batch, space = y.take(torch.arange(len(y))), y.space
        y, options = batch.x, replace(options, like_condition=options.like_condition or space)
    space = options.like_condition
    if space is not None and space.is_label:
        y = space.conform(y, what="y")
    if len(y) != n:
        raise ShapeMismatch(f"y must have one entry per observation: expected {n}, got {len(y)}")
    return y, space


def from_npy(path: Path, options: Options) -> Arrays:
    """A `.npy` file: in memory, or memory-mapped when larger than the budget."""
    array = open_npy(path, options.memory)
    return from_array(array, options)


def open_npy(path: Path, memory: int) -> np.ndarray[Any, Any]:
    """The array in a `.npy` file, mapped when larger than `memory` bytes; BadSource for what is not one."""
    require_file(path)
    with _numpys_faults(path), open(path, "rb") as file:
        if file.read(4) == b"PK\3\4":
            raise BadSource(f"{path}: expected one array in NumPy's .npy format; this is a .npz archive: rename it to .npz")
        file.seek(0)
        shape, dtype = _header(file)
        held = path.stat().st_size - file.tell()
        _check_length(shape, dtype, held)
        if held > math.prod(shape) * dtype.itemsize and not dtype.hasobject:
            more = held - math.prod(shape) * dtype.itemsize
            raise BadSource(f"{path}: {more} bytes follow the array; expected one array a file: save each in its own, or all as .npz")
        mapped = np.load(path, mmap_mode="r" if math.prod(shape) else None, allow_pickle=False)
        return mapped if mapped.nbytes > memory else np.array(mapped)


def from_npz(path: Path, options: Options, key: str | None = None) -> Arrays:
    """An `.npz` file: the array under `key` or under a usual name, with labels where they have a usual name."""
    require_file(path)
    with _numpys_faults(path), zipfile.ZipFile(path) as archive:
        members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
        shapes = {k: _member_header(archive, m) for k, m in members.items()}
        key = _choose_key(path, shapes, key, options)
        x = _member(path, archive, members[key], options.memory)
        label = _label_key(path, shapes, key, options)
        labels = None if label is None else _member(path, archive, members[label], options.memory)
    return from_array(x, options, labels=labels)


@contextmanager
def _numpys_faults(path: Path) -> Iterator[None]:
    """Around NumPy's and zipfile's readers, which raise many kinds of exception for damaged files: all become BadSource."""
    try:
        yield
    except PushforwardError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype in the header of an open `.npy` file, which is left behind its header."""
    version = np.lib.format.read_magic(file)
    if version > (3, 0):
        raise ValueError(f"version {version[0]}.{version[1]} of the format is unknown")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"the header claims the shape {shown(shape, 80)}")
    return shape, dtype


def _member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if member.flag_bits & 1:
        raise ValueError("its members are encrypted")
    with archive.open(member) as file:
        return _header(file)


def _check_length(shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> None:
    """Raise ValueError where a header claims more than its file holds, before any memory is asked for."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held and not dtype.hasobject:
        raise ValueError(f"the header claims {claimed:.4g} bytes of numbers, but {held} follow")


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, memory: int) -> np.ndarray[Any, Any]:
    """One array of the archive; larger than `memory`, it is unpacked to a temporary memory map."""
    with archive.open(member) as file:
        shape, dtype = _header(file)
        _check_length(shape, dtype, member.file_size - file.tell())
    with archive.open(member) as file:
        if math.prod(shape) * dtype.itemsize <= memory:
            return np.lib.format.read_array(file, allow_pickle=False)
        from pushforward.data.streams import temporary_file

        with temporary_file() as unpacked_path:
            free = shutil.disk_usage(unpacked_path.parent).free
            if member.file_size > free:
                needed, have = f"{member.file_size / 2**30:.1f} GB", f"{free / 2**30:.1f} GB"
                raise BadSource(f"{path}: needs {needed} on disk to be unpacked, and {have} are free; set TMPDIR to another disk")
            with open(unpacked_path, "wb") as unpacked:
                shutil.copyfileobj(file, unpacked, 2**20)
            return np.load(unpacked_path, mmap_mode="r", allow_pickle=False)


def _choose_key(path: Path, shapes: dict[str, Any], key: str | None, options: Options) -> str:
    listed = ", ".join(f"{shown(k, 40)} {'×'.join(map(str, s)) or 'scalar'} {d}" for k, (s, d) in list(shapes.items())[:6])
    if not shapes:
        raise BadSource(f"{path}: the archive holds no arrays; expected one under x, images or data")
    if key is not None:
        if key not in shapes:
            raise BadSource(f"{path}: no array {key!r}; {suggestion(key, shapes)}")
        return key
    usual = [k for k in X_KEYS if k in shapes]
    if usual:
        return usual[0]
    others = [k for k in shapes if k not in Y_KEYS and k != options.label_name]
    if len(others) == 1:
        return others[0]
    example = shown(others[0] if others else next(iter(shapes)), 40)
    raise BadSource(f"{path}: which array? it holds {listed}; name one after a colon, e.g. {path.name}:{example}")


def _label_key(path: Path, shapes: dict[str, Any], key: str, options: Options) -> str | None:
    if options.y is not None or not options.labelled:
        return None
    name = options.label_name
    if name is not None:
        if name not in shapes:
            raise BadSource(f"{path}: no array {name!r} to take labels from; {suggestion(name, shapes)}")
        return name
    n = shapes[key][0][:1]
    return next((k for k in Y_KEYS if k in shapes and k != key and shapes[k][0][:1] == n), None)


def _numeric(x: Any, name: str) -> Any:
    """x as a numeric array or tensor; InvalidKind or BadSource in words otherwise."""
    try:
        array = as_array(x)
    except PushforwardError as error:
        raise type(error)(f"{name}: {error}") from error
    except ValueError as error:
        raise ShapeMismatch(f"{name}: the rows have different lengths; every observation needs the same shape") from error
    return array[:, None] if array.ndim == 1 else array


def as_images(x: Any) -> tuple[Any, str]:
    """Byte images with their channels on axis 1, and how they came."""
    byte = x.dtype in (torch.uint8, np.dtype("uint8"))
    if byte and x.ndim == 3:
        return x[:, None], "no channel axis"
    if byte and x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        return (x.permute(0, 3, 1, 2) if isinstance(x, Tensor) else x.transpose(0, 3, 1, 2)), "channels last"
    return x, ""


def _prepare(x: Any, space: Space | None, options: Options) -> tuple[Any, Space | None]:
    """Bring images to the size and channels asked for."""
    if options.size is None and options.channels is None:
        return x, space
    if x.ndim != 4:
        raise InvalidValue(f"size, fit and channels are for images; {options.name or 'the data'} has shape {tuple(x.shape)}")
    from pushforward.data.images import prepare_array

    if x.dtype in (torch.float16, torch.bfloat16, np.dtype("float16")):
        x = x.to(torch.float32) if isinstance(x, Tensor) else x.astype(np.float32)
    return prepare_array(x, space, options)


def _check_width(x: Any, space: Space, name: str) -> None:
    if tuple(x.shape[1:]) != space.shape:
        raise ShapeMismatch(f"{name}: expected {'×'.join(map(str, space.shape))} columns ({space}), got {'×'.join(map(str, x.shape[1:]))}")


def refuse_infinity(x: Tensor, space: Space, name: str) -> None:
    """Raise BadSource naming the first column (or image) that holds infinity."""
    if not x.dtype.is_floating_point:
        return
    for start in range(0, len(x), 65536):
        infinite = torch.isinf(x[start : start + 65536])
        if bool(infinite.any()):
            row, *place = (int(i) for i in infinite.nonzero()[0])
            where = f"column {space.names[place[0]]!r}" if space.kind == "points" else "an image"
            cure = "remove or replace those values (NaN marks a missing value)"
            raise BadSource(f"{name}: {where} holds infinity (first in row {start + row}); {cure}")


def _unreadable(path: Path, error: Exception) -> BadSource:
    text = str(error)
    if "pickle" in text or "Python objects" in text or "Object arrays" in text:
        return BadSource(f"{path}: holds Python objects (a pickle), which is never opened here; save plain numbers with numpy.save")
    reason = reason_of(error)
    return BadSource(f"{path}: cannot be read as {path.suffix} ({reason}); the file is damaged or not what its name says")
