"""NumPy's `.npy` and `.npz` files as sources. Nothing is ever unpickled."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pushforward.core.array_source import Arrays
from pushforward.core.data_types import BinaryFile
from pushforward.core.errors import BadSource, PushforwardError, suggest
from pushforward.data.files import printable, reason_of, require_file
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import MEMORY, Options
from pushforward.data.sources.arrays import X_KEYS, Y_KEYS, from_array
from pushforward.data.sources.spool import temporary_file

__all__ = ["array_names", "from_npy", "from_npz", "open_npy", "read_labels"]


@register_reader(name="npy", suffixes=(".npy",))
def from_npy(path: Path, options: Options) -> Arrays:
    """A NumPy array: in memory, or memory-mapped if larger than the budget."""
    array = open_npy(path, options.memory)
    return from_array(array, options)


def open_npy(path: Path, memory: int) -> NDArray[Any]:
    """The array in a `.npy` file, mapped if larger than `memory` bytes.

    Raises:
        BadSource: For other content.
    """
    require_file(path)
    with _numpys_faults(path), open(path, "rb") as file:
        if file.read(4) == b"PK\3\4":
            raise BadSource(
                f"{path}: expected one array in NumPy's .npy format; this is a .npz archive: rename"
                " it to .npz"
            )
        file.seek(0)
        shape, dtype = _header(file)
        held = path.stat().st_size - file.tell()
        _check_length(shape, dtype, held)
        if held > math.prod(shape) * dtype.itemsize and not dtype.hasobject:
            more = held - math.prod(shape) * dtype.itemsize
            raise BadSource(
                f"{path}: {more} bytes follow the array; expected one array a file: save each in"
                " its own, or all as .npz"
            )
        mapped = np.load(path, mmap_mode="r" if math.prod(shape) else None, allow_pickle=False)
        return mapped if mapped.nbytes > memory else np.array(mapped)


def _is_npz(text: str) -> bool:
    """Whether a text names an archive of arrays, or an array in it after a colon."""
    path, archive = Path(text).expanduser(), _archive_of(text)
    return path.suffix == ".npz" if path.exists() else archive is not None and archive.is_file()


def _archive_of(text: str) -> Path | None:
    """The archive in 'archive.npz:name'; None for other text."""
    stem = text.rpartition(":")[0]
    return Path(stem).expanduser() if stem.endswith(".npz") else None


@register_reader(name="npz", suffixes=(".npz",), claims=_is_npz)
def from_npz(path: Path, options: Options) -> Arrays:
    """NumPy's archives of arrays: the one called x, images or data, or any as archive.npz:name.

    Labels come from an array with a usual name, such as y or labels.
    """
    key = None
    if not path.exists():
        key = str(path).rpartition(":")[2]
        path = _archive_of(str(path)) or path
    require_file(path)
    with _numpys_faults(path), zipfile.ZipFile(path) as archive:
        members = {
            m.filename.removesuffix(".npy"): m
            for m in archive.infolist()
            if m.filename.endswith(".npy")
        }
        shapes = {k: _member_header(archive, m) for k, m in members.items()}
        key = _choose_key(path, shapes, key, options)
        x = _member(path, archive, members[key], options.memory)
        label = _label_key(path, shapes, key, options)
        labels = None if label is None else _member(path, archive, members[label], options.memory)
    return from_array(x, options, labels=labels)


def array_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in an archive, without reading them.

    Raises:
        BadSource: For a damaged file.
    """
    with _numpys_faults(path), zipfile.ZipFile(path) as archive:
        return tuple(member.filename.removesuffix(".npy") for member in archive.infolist())


def read_labels(path: Path) -> NDArray[Any] | None:
    """The labels in an archive of arrays, or the array in 'archive.npz:name'.

    None for other files and for archives without labels.
    """
    text = str(path)
    address = text if not path.exists() and _is_npz(text) else ""
    if not address and (path.suffix != ".npz" or not path.is_file()):
        return None
    path = _archive_of(address) or path
    with _numpys_faults(path), zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        key = address.rpartition(":")[2] or next((k for k in Y_KEYS if k in members), None)
        if key is None:
            return None
        if key not in members:
            raise BadSource(f"{path}: no array {key!r}; {suggest(key, members)}")
        return _member(path, archive, members[key], MEMORY)


@contextmanager
def _numpys_faults(path: Path) -> Iterator[None]:
    """Convert the many exceptions of NumPy's and zipfile's readers
    for damaged files to BadSource.
    """
    try:
        yield
    except PushforwardError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _header(file: BinaryFile) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype of an open `.npy` file, positioned after its header."""
    version = np.lib.format.read_magic(file)
    if version > (3, 0):
        raise ValueError(f"version {version[0]}.{version[1]} of the format is unknown")
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"the header claims the shape {printable(shape, 80)}")
    return shape, dtype


def _member_header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if member.flag_bits & 1:
        raise ValueError("its members are encrypted")
    with archive.open(member) as file:
        return _header(cast(BinaryFile, file))


def _check_length(shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> None:
    """Raise ValueError if a header claims more than its file holds, before memory is allocated."""
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > held and not dtype.hasobject:
        raise ValueError(f"the header claims {claimed:.4g} bytes of numbers, but {held} follow")


def _member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, memory: int
) -> NDArray[Any]:
    """One array of the archive; if larger than `memory`, unpacked to a temporary memory map."""
    with archive.open(member) as file:
        shape, dtype = _header(cast(BinaryFile, file))
        _check_length(shape, dtype, member.file_size - file.tell())
    with archive.open(member) as file:
        if math.prod(shape) * dtype.itemsize <= memory:
            return np.lib.format.read_array(file, allow_pickle=False)
        with temporary_file() as unpacked_path:
            free = shutil.disk_usage(unpacked_path.parent).free
            if member.file_size > free:
                needed, have = f"{member.file_size / 2**30:.1f} GB", f"{free / 2**30:.1f} GB"
                raise BadSource(
                    f"{path}: needs {needed} on disk to be unpacked, and {have} are free; set"
                    " TMPDIR to another disk"
                )
            with open(unpacked_path, "wb") as unpacked:
                shutil.copyfileobj(file, unpacked, 2**20)
            array: NDArray[Any] = np.load(unpacked_path, mmap_mode="r", allow_pickle=False)
            return array


def _choose_key(path: Path, shapes: dict[str, Any], key: str | None, options: Options) -> str:
    listed = ", ".join(
        f"{printable(k, 40)} {'×'.join(map(str, s)) or 'scalar'} {d}"
        for k, (s, d) in list(shapes.items())[:6]
    )
    if not shapes:
        raise BadSource(
            f"{path}: the archive holds no arrays; expected one under x, images or data"
        )
    if key is not None:
        if key not in shapes:
            raise BadSource(f"{path}: no array {key!r}; {suggest(key, shapes)}")
        return key
    usual = [k for k in X_KEYS if k in shapes]
    if usual:
        return usual[0]
    others = [k for k in shapes if k not in Y_KEYS and k != options.label_name]
    if len(others) == 1:
        return others[0]
    example = printable(others[0] if others else next(iter(shapes)), 40)
    raise BadSource(
        f"{path}: which array? it holds {listed}; name one after a colon, e.g."
        f" {path.name}:{example}"
    )


def _label_key(path: Path, shapes: dict[str, Any], key: str, options: Options) -> str | None:
    if options.y is not None or not options.labelled:
        return None
    name = options.label_name
    if name is not None:
        if name not in shapes:
            raise BadSource(
                f"{path}: no array {name!r} to take labels from; {suggest(name, shapes)}"
            )
        return name
    n = shapes[key][0][:1]
    return next((k for k in Y_KEYS if k in shapes and k != key and shapes[k][0][:1] == n), None)


def _unreadable(path: Path, error: Exception) -> BadSource:
    text = str(error)
    if "pickle" in text or "Python objects" in text or "Object arrays" in text:
        return BadSource(
            f"{path}: holds Python objects (a pickle), which is never opened here; save plain"
            " numbers with numpy.save"
        )
    reason = reason_of(error)
    return BadSource(
        f"{path}: cannot be read as {path.suffix} ({reason}); the file is damaged or not what its"
        " name says"
    )
