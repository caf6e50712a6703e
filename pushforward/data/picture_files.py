"""Many pictures: a folder, a glob, a zip archive, with labels from sub-folders or a `metadata.csv`.

All are surveyed by their headers first, so that a mixed folder is refused at once, naming two files and the cure. Then
they are decoded into memory as bytes, or, where that exceeds the budget, when their rows are taken.
"""

from __future__ import annotations

import glob
import io
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.phase import Batch
from pushforward.core.source import Arrays, Source
from pushforward.core.space import Space
from pushforward.data.arrays import labels_of
from pushforward.data.metadata import TABLES, Metadata, read_metadata
from pushforward.data.options import Options
from pushforward.data.pictures import Header, decode, header, preparation

__all__ = ["PICTURES", "PictureFile", "Pictures", "list_pictures", "survey_pictures", "from_pictures", "file_labels"]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


@dataclass(frozen=True)
class PictureFile:
    """A picture's name inside its source, how messages call it, and how to open it."""

    name: str
    shown: str
    open: Callable[[], Any]


@dataclass(frozen=True)
class Listing:
    """The picture files of a source, in order, and its metadata table."""

    files: list[PictureFile]
    table: Metadata | None = None


def list_pictures(path: Path | str) -> Listing:
    """The pictures in a folder, matching a glob, in a zip, or the one at a path."""
    if isinstance(path, str) and not Path(path).exists():
        return _from_glob(path)
    path = Path(path)
    if path.is_dir():
        return _from_folder(path)
    if zipfile.is_zipfile(path):
        return _from_zip(path)
    if path.suffix.lower() == ".zip":
        raise BadSource(f"{path}: is not a zip archive that can be read; the file is damaged or cut short: fetch it again")
    return Listing([_file(path, path.name)])


def _from_folder(path: Path) -> Listing:
    found = sorted(p for p in path.rglob("*") if _is_picture(str(p.relative_to(path))) and p.is_file())
    if not found:
        others = sum(1 for p in path.rglob("*") if p.is_file())
        what = f"{others} files but no pictures" if others else "no files"
        raise BadSource(f"{path}: the folder holds {what}; expected pictures ({', '.join(PICTURES[:5])}, …)")
    here = [path / t for t in TABLES if (path / t).is_file()][:1]
    tables = here or sorted(p for t in TABLES[:2] for p in path.rglob(t) if p.is_file())
    metadata = read_metadata((p.relative_to(path).as_posix(), p.read_bytes()) for p in tables)
    return Listing([_file(p, p.relative_to(path).as_posix()) for p in found], metadata)


def _from_glob(pattern: str) -> Listing:
    found = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
    wrong = next((p for p in found if not _is_picture(p.name)), None)
    if wrong is not None:
        raise BadSource(f"{pattern}: matches {wrong}, which is not a picture; expected {', '.join(PICTURES[:5])}, …: narrow the pattern")
    if not found:
        raise BadSource(f"{pattern}: no file matches; expected pictures ({', '.join(PICTURES[:5])}, …)")
    return Listing([_file(p, p.as_posix()) for p in found])


def _from_zip(path: Path) -> Listing:
    archive = zipfile.ZipFile(path)
    names = sorted(n for n in archive.namelist() if _is_picture(n))
    if not names:
        raise BadSource(f"{path}: the archive holds {len(archive.namelist())} files but no pictures; expected {', '.join(PICTURES[:5])}, …")
    tables = [(n, archive.read(n)) for n in archive.namelist() if PurePosixPath(n).name in TABLES]
    beside = path.with_suffix(".csv")
    if not tables and beside.is_file():
        tables = [(beside.name, beside.read_bytes())]
    return Listing([PictureFile(n, f"{path}/{n}", _member(archive, n)) for n in names], read_metadata(tables))


def _member(archive: zipfile.ZipFile, name: str) -> Callable[[], Any]:
    def read() -> io.BytesIO:
        try:
            return io.BytesIO(archive.read(name))
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise BadSource(f"{archive.filename}/{name}: cannot be unpacked ({error}); the archive is damaged: make it again") from error

    return read


def _file(path: Path, name: str) -> PictureFile:
    return PictureFile(name, str(path), lambda: path)


def _is_picture(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    hidden = any(p.startswith((".", "__MACOSX")) for p in parts)
    return not hidden and name.lower().endswith(PICTURES)


def survey_pictures(files: Sequence[PictureFile]) -> tuple[list[tuple[PictureFile, Header]], list[tuple[str, str]]]:
    """The headers of the readable files, and (name, reason) of the others."""
    good, bad = [], []
    for file in files:
        try:
            good.append((file, header(file.open(), file.shown)))
        except BadSource as error:
            bad.append((file.shown, str(error).removeprefix(f"{file.shown}: ")))
    return good, bad


def from_pictures(path: Path | str, options: Options) -> Source:
    """A source over the pictures at a path."""
    listing = list_pictures(path)
    good, bad = survey_pictures(listing.files)
    if bad:
        more = f" ({len(bad)} such files: `pushforward data` lists them)" if len(bad) > 1 else ""
        raise BadSource(f"{bad[0][0]}: {bad[0][1]}{more}")
    return build(listing, good, options)


def build(listing: Listing, good: Sequence[tuple[PictureFile, Header]], options: Options) -> Source:
    """The source over surveyed pictures of one kind."""
    channels = options.channels or _one_kind(good)
    height, width = options.size or _one_size(good)
    space = Space("pictures", (channels, height, width), (), 0.0, 255.0, True, "pictures", **preparation(options))
    files = [file for file, _ in good]
    y, condition_space = labels_of(file_labels(files, listing.table, options), options, len(files))
    pictures = Pictures(files, space, y, condition_space, options)
    pictures.notes = () if listing.table is None else listing.table.notes
    if len(files) * channels * height * width > options.memory:
        return pictures
    x = pictures.decode(range(len(files)))
    source = Arrays(x, pictures.y, options.weights, space=space, condition_space=pictures.condition_space, name=options.name)
    source.notes = pictures.notes
    return source


def _one_kind(good: Sequence[tuple[PictureFile, Header]]) -> int:
    first, h = good[0]
    other = next(((f, g) for f, g in good if g.channels != h.channels), None)
    if other is not None:
        words = {1: "1 (grey)", 3: "3 (colour)", 4: "4 (colour and transparency)"}
        raise BadSource(
            f"pictures of mixed channels: {first.shown} has {words[h.channels]}, {other[0].shown} has {words[other[1].channels]}; "
            "choose with channels=1, 3 or 4 (--channels 3)"
        )
    return h.channels


def _one_size(good: Sequence[tuple[PictureFile, Header]]) -> tuple[int, int]:
    first, h = good[0]
    other = next(((f, g) for f, g in good if (g.height, g.width) != (h.height, h.width)), None)
    if other is not None:
        raise BadSource(
            f"pictures of mixed sizes: {first.shown} is {h.height}×{h.width}, {other[0].shown} is {other[1].height}×{other[1].width}; "
            "bring them to one with size=64, fit='crop', 'pad' or 'stretch' (--size 64 --fit crop)"
        )
    return h.height, h.width


class Pictures:
    """Pictures decoded when their rows are taken, for folders larger than memory."""

    resident = False

    def __init__(self, files: Sequence[PictureFile], space: Space, y: Any, condition_space: Space | None, options: Options) -> None:
        self.files, self.space, self.options, self.name = files, space, options, options.name
        self.notes: tuple[str, ...] = ()
        probe = Arrays(np.zeros((len(files), 1), np.uint8), y, options.weights, condition_space=condition_space)
        self.y, self.weights, self.condition_space = probe.y, probe.weights, probe.condition_space

    def __len__(self) -> int:
        return len(self.files)

    def take(self, rows: Tensor) -> Batch:
        """The given rows, decoded now, as floating levels."""
        x = torch.from_numpy(self.decode(rows.tolist())).to(torch.get_default_dtype())
        return Batch(x, None if self.y is None else self.y[rows], None if self.weights is None else self.weights[rows])

    def decode(self, rows: Sequence[int]) -> np.ndarray[Any, Any]:
        """Bytes (len(rows), channels, height, width)."""
        out = np.empty((len(rows), *(int(s or 0) for s in self.space.shape)), np.uint8)

        def one(place: int) -> None:
            file = self.files[rows[place]]
            array = decode(file.open(), file.shown, self.options, out.shape[1])
            if array.shape != out.shape[1:]:
                raise BadSource(
                    f"{file.shown}: is {array.shape[1]}×{array.shape[2]}, expected {out.shape[2]}×{out.shape[3]}; it has changed"
                )
            out[place] = array

        if len(rows) < 32:
            for place in range(len(rows)):
                one(place)
            return out
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(len(rows))))
        return out


def file_labels(files: Sequence[PictureFile], table: Metadata | None, options: Options) -> list[Any] | None:
    """A label for each file: from the metadata table, else from its sub-folder, else none."""
    if not options.labelled or options.y is not None:
        return None
    if table is not None:
        found = table.labels(files, options.label_name)
        if found is not None:
            return found
    folders = [PurePosixPath(f.name).parent.as_posix() for f in files]
    if options.label_name is not None and table is None:
        raise InvalidValue(f"label={options.label_name!r} names a column of metadata.csv, but there is none beside the pictures; add it")
    return folders if len(set(folders)) > 1 and "." not in folders else None
