"""Data that a page sends: tables of which two columns are fitted, and images brought to one size.

The files are written to a temporary folder, read as the package reads all data, and removed; what
was read is kept in memory.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadRun, BadSource, DataWarning, InvalidValue, PushforwardError
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, report
from pushforward.data.formats.archives import Archive
from pushforward.data.formats.image_formats import SUFFIXES
from pushforward.studio import contents
from pushforward.studio.pictures import count_pixels

__all__ = ["Upload", "Uploads", "read_upload"]

KEPT = 4
"""Uploads kept: the ones used last. Fits keep the rows that they learn from."""
MOST_FILES = 5000
MOST_ROWS, MOST_COLUMNS = 200_000, 200
"""Of a table: more rows are thinned out evenly, further columns left out."""
MOST_IMAGES = 20_000
MOST_VALUES = 2**26
"""Numbers of all images after they are brought to their size: 64 MB as bytes."""
MOST_MEGAPIXELS = 1000
"""Of all pictures before that: they are decoded in a few seconds."""
SIDES = (8, 64)
"""Sides that images may be brought to, in pixels: larger ones cannot be watched while they learn.
"""
BLOCK = 256
"""Images read at a time."""
IMAGES, ARRAYS = (*SUFFIXES, ".zip"), (".npy", ".npz")


@dataclass(frozen=True)
class Upload:
    """Data of a user.

    Args:
        title: the file's name, or how many files there were.
        space: of the table's numeric columns, or of the images.
        rows: (n, columns), with NaN for missing values; or images (n, c, h, w).
        notes: what was decided while reading.
        name: by which a page calls it.
    """

    title: str
    space: Space
    rows: Tensor
    notes: tuple[str, ...] = ()
    name: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def kind(self) -> str:
        """'table' or 'images'."""
        return "table" if self.space.kind == "points" else "images"

    def described(self) -> dict[str, Any]:
        """What a page needs to know, ready for JSON."""
        facts: dict[str, Any] = {"upload": self.name, "title": self.title, "kind": self.kind}
        facts |= {"rows": len(self.rows), "notes": list(self.notes)}
        if self.kind == "images":
            return {**facts, "shape": list(self.rows.shape[1:])}
        missing = self.rows.isnan().sum(0).tolist()
        columns = [
            {"name": name, "missing": lost} for name, lost in zip(_names(self.space), missing)
        ]
        return {**facts, "columns": columns}

    def first_columns(self) -> list[str]:
        """The two columns shown first: continuous ones with different values, if there are two."""
        spread = self.rows.nan_to_num(0.0).std(0) > 0
        places = sorted(
            range(len(self.space.columns)),
            key=lambda i: (not bool(spread[i]), self.space.columns[i].kind != "continuous"),
        )
        return [_names(self.space)[i] for i in sorted(places[:2])]

    def source(self, chosen: Sequence[str] = ()) -> Source:
        """The images, or the complete rows of two columns.

        Raises:
            InvalidValue, BadSource: If there are no such columns, or hardly any complete rows.
        """
        if self.kind == "images":
            return Arrays(self.rows, space=self.space, name=self.title)
        places = self._places(chosen)
        x = self.rows[:, places]
        complete = ~x.isnan().any(1)
        if int(complete.sum()) < 2:
            raise BadSource(
                f"{self.title}: {int(complete.sum())} rows have a value in both {chosen[0]!r} and"
                f" {chosen[1]!r}; choose other columns"
            )
        space = Space.infer(x[complete])
        names = [_names(self.space)[i] for i in places]
        named = tuple(replace(c, name=name) for c, name in zip(space.columns, names))
        return Arrays(x[complete], space=replace(space, columns=named), name=self.title)

    def left_out(self, chosen: Sequence[str]) -> str:
        """What `source` leaves out of two columns, in a sentence; '' for nothing."""
        lost = int(self.rows[:, self._places(chosen)].isnan().any(1).sum())
        both = f"{chosen[0]!r} or {chosen[1]!r}"
        text = f"{lost:,} of {len(self.rows):,} rows have no value in {both} and are left out"
        return text if lost else ""

    def _places(self, chosen: Sequence[str]) -> list[int]:
        names = _names(self.space)
        unknown = [name for name in chosen if name not in names]
        if len(chosen) != 2 or len(set(chosen)) != 2 or unknown:
            raise InvalidValue(
                f"choose two different columns of {self.title} ({', '.join(names[:8])}), got"
                f" {list(chosen)!r}"
            )
        return [names.index(name) for name in chosen]


class Uploads:
    """The uploads of a studio, by name."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, upload: Upload) -> None:
        """Keep one, in the place of those not used for longest if there are many."""
        with self._lock:
            self._kept[upload.name] = upload
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def find(self, name: str) -> Upload:
        """The upload of a name.

        Raises:
            BadRun: If it is gone.
        """
        with self._lock:
            if name not in self._kept:
                raise BadRun(
                    "these data are gone: the studio was started again, its pages were closed, or"
                    f" {KEPT} other files followed; choose the file again"
                )
            self._kept.move_to_end(name)
            return self._kept[name]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


def read_upload(data: bytes, content: Mapping[str, Any]) -> Upload:
    """The data in some attached files.

    Args:
        data: the files, one after the other.
        content: 'files', a list of {'name', 'bytes'}; for images also their 'side' and 'colours':
            'own', 'grey' or 'colour'.

    Raises:
        BadSource, InvalidValue: If they cannot be read, or are too many or too large.
    """
    side = contents.whole(content, "side", *SIDES, 32)
    colours = contents.choice(content, "colours", ("own", "grey", "colour"), "own")
    with tempfile.TemporaryDirectory(prefix="pushforward-") as place:
        folder = Path(place)
        files = _written(folder, data, content.get("files"))
        try:
            with warnings.catch_warnings():  # what is left out is in the notes
                warnings.simplefilter("ignore", DataWarning)
                return _read(folder, files, side, {"grey": 1, "colour": 3}.get(colours))
        except PushforwardError as error:  # the temporary folder is nobody's business
            text = str(error).replace(f"{folder}/", "").replace(str(folder), "the files")
            raise type(error)(text) from None


# ------------------------------------------------------------------------------------------- files


def _written(folder: Path, data: bytes, files: object) -> dict[Path, str]:
    """The attached files, written under harmless names, and the names that they had."""
    if not isinstance(files, list) or not files:
        raise InvalidValue("no file came with the request; choose one, or several images")
    if len(files) > MOST_FILES:
        raise InvalidValue(f"{len(files)} files, expected at most {MOST_FILES:,}; send a .zip")
    written: dict[Path, str] = {}
    start = 0
    for number, file in enumerate(files):
        if not isinstance(file, dict):
            raise InvalidValue(f"files have a name and a number of bytes, got {file!r}")
        name = contents.text(file, "name")
        length = contents.whole(file, "bytes", 0, len(data) - start, None)
        path = folder / _harmless(name, number if len(files) > 1 else None)
        path.write_bytes(data[start : start + length])
        written[path] = name
        start += length
    if start != len(data):
        raise InvalidValue(f"the files have {start} bytes, but {len(data)} came with the request")
    return written


def _harmless(name: str, number: int | None) -> str:
    """The last part of a name, of plain characters; its ending says what the file is."""
    plain = re.sub(r"[^\w.-]", "_", Path(name.replace("\\", "/")).name, flags=re.ASCII)[-80:]
    plain = plain.lstrip(".-") or "file"
    return plain if number is None else f"{number:05}-{plain}"


def _read(folder: Path, files: Mapping[Path, str], side: int, channels: int | None) -> Upload:
    path, title = next(iter(files.items()))
    endings = {path.suffix.lower() for path in files}
    if endings & set(IMAGES):
        if len(files) > 1 and ".zip" in endings:
            raise BadSource("choose one .zip, or several images, not both")
        _refuse_bombs(files)
        source: str = str(path) if ".zip" in endings else str(folder)
        title = title if len(files) == 1 else f"{len(files):,} images"
        return _images(title, source, size=side, channels=channels, clips="none")
    if len(files) > 1:
        raise BadSource(
            f"expected one table, or several images ({', '.join(SUFFIXES[:4])}, …), got"
            f" {len(files)} files such as {title}"
        )
    if path.suffix.lower() in ARRAYS and read(str(path), label=False).space.kind != "points":
        return _images(title, str(path), size=side, channels=channels)
    return _table(title, str(path))


# ------------------------------------------------------------------------------------------ tables


def _table(title: str, path: str) -> Upload:
    found = report(path, types=None)  # as `read` takes columns: numbers, whatever they count
    names = () if found.space is None else found.space.names
    notes = [f"{issue.text}; it is left out" for issue in found.issues if issue.name == "text"]
    count = 0 if found.space is None else len(found.space.columns)
    if count < 2:
        raise BadSource(
            f"{title}: expected two or more columns of numbers, got {count}"
            f" ({'; '.join(notes) or 'nothing else'})"
        )
    columns = None if path.lower().endswith(ARRAYS) else list(names)
    source = read(path, columns=columns, label=False)
    notes += [str(note) for note in getattr(source, "notes", ())]
    count = len(source)
    x = source.take(_spread(count, MOST_ROWS)).x.to(torch.float64)
    if len(x) < count:
        notes.append(f"of {count:,} rows, {len(x):,} at equal distances are taken")
    if x.shape[1] > MOST_COLUMNS:
        notes.append(f"of {x.shape[1]:,} columns, the first {MOST_COLUMNS} are taken")
    x = x[:, :MOST_COLUMNS].clone()
    kept = replace(source.space, shape=(x.shape[1],), columns=source.space.columns[: x.shape[1]])
    return Upload(title, kept, x, tuple(notes))


def _names(space: Space) -> list[str]:
    """The columns' names; numbers for those without."""
    return [column.name or f"column {i}" for i, column in enumerate(space.columns)]


# ------------------------------------------------------------------------------------------ images


def _images(title: str, path: str, **options: Any) -> Upload:
    source = read(path, label=False, **options)
    if source.space.kind != "images":
        raise BadSource(f"{title}: expected images, got {source.space}; this room shows no others")
    notes = [str(note) for note in getattr(source, "notes", ())]
    count = len(source)
    rows = _spread(count, min(MOST_IMAGES, max(1, MOST_VALUES // source.space.size)))
    x = torch.cat([source.take(part).x for part in rows.split(BLOCK)])
    if len(x) < count:
        notes.append(f"of {count:,} images, {len(x):,} at equal distances are taken")
    return Upload(title, source.space, x, tuple(notes))


def _refuse_bombs(files: Mapping[Path, str]) -> None:
    """Count pixels before any is decoded.

    Raises:
        BadSource: For a picture, or all together, of too many pixels.
    """
    total = 0
    for number, (name, data) in enumerate(_pictures(files)):
        total += count_pixels(data, name)
        if total > MOST_MEGAPIXELS * 1_000_000 or number >= MOST_FILES * 20:
            raise BadSource(
                f"the pictures have more than {MOST_MEGAPIXELS} megapixels together; send fewer, or"
                " shrink them first"
            )


def _pictures(files: Mapping[Path, str]) -> Iterator[tuple[str, bytes]]:
    for path, name in files.items():
        if path.suffix.lower() != ".zip":
            yield name, path.read_bytes()
            continue
        archive = Archive(path)
        for member in archive.members:
            if member.filename.lower().endswith(SUFFIXES):
                yield member.filename, archive.read(member)


def _spread(count: int, most: int) -> Tensor:
    """Numbers of at most so many rows, evenly spaced."""
    return torch.arange(0, count, -(-count // most))
