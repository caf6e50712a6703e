"""Lists of the images in a folder, glob or zip archive, and of the files left out.

Links to folders are followed; each folder is read once, under its real name if that is in the
source. Files left out are grouped by reason, so that they can be counted and named.
"""

from __future__ import annotations

import glob
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pushforward.core.data_types import BinaryFile
from pushforward.core.errors import BadSource
from pushforward.data.files import listed, printable, read_text_file, require_file
from pushforward.data.formats.archives import Archive, is_archive_name
from pushforward.data.formats.image_formats import FILMS, SUFFIXES
from pushforward.data.formats.metadata import (
    TABLES,
    Metadata,
    image_columns,
    names_images,
    read_metadata,
)

__all__ = ["IMAGES", "ImageFile", "Listing", "list_images"]

IMAGES = SUFFIXES
_KNOWN = ", ".join(IMAGES[:1] + IMAGES[2:4] + (".bmp", ".gif"))

_OTHER_KIND = "of an unsupported kind"
_ARCHIVE = "archives, which are not opened"
_BROKEN = "broken links"
_SPECIAL = "pipes, sockets or devices"
_AGAIN = "links to a folder that was already read"
_OUTSIDE = "names pointing outside the archive"
_LINK = "links inside the archive"
_TWICE = "earlier files with a repeated name"
_BESIDE = (
    ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml",
    ".html", ".htm", ".css", ".log", ".py", ".ipynb", ".ini", ".cfg", ".db", ".pdf", ".doc",
    ".docx", ".bib", ".tex", ".sha256", ".md5", ".sh",
)  # fmt: skip
_DOCUMENTS = (
    "readme",
    "license",
    "licence",
    "copying",
    "makefile",
    "notice",
    "authors",
    "changelog",
)


@dataclass(frozen=True)
class ImageFile:
    """An image's name in its source and in messages, and its place:
    a file, or a member of an archive.
    """

    name: str
    display_name: str
    path: Path
    archive: Archive | None = None
    member: zipfile.ZipInfo | None = None

    def open(self) -> Path | BinaryFile:
        """The file's path, or a binary file with a member's content."""
        return (
            self.path
            if self.archive is None or self.member is None
            else self.archive.open(self.member)
        )


@dataclass(frozen=True)
class Listing:
    """The image files of a source, in order, and its metadata table.

    Args:
        left_out: files that may be data but are not read, by reason.
        beside: other files, such as documents.
        hidden: hidden files and folders, and those left by a desktop.
        splits: the reason not to read the source as a whole,
            if it holds a training and a test set; else ''.
    """

    files: list[ImageFile]
    table: Metadata | None = None
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: Sequence[str] = ()
    hidden: Sequence[str] = ()
    splits: str = ""

    def notes(self) -> list[str]:
        """One sentence on files left out, if any."""
        parts = [
            f"{len(names)} {reason} ({listed(names)})"
            for reason, names in self.left_out.items()
            if names
        ]
        count = sum(len(names) for names in self.left_out.values())
        return (
            [f"{count} file{'s are' if count != 1 else ' is'} left out: " + "; ".join(parts)]
            if parts
            else []
        )


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or left by a desktop."""
    return name.startswith((".", "__MACOSX")) or name == "Thumbs.db"


class _Sorter:
    """Sorts files into images and others, with the reason."""

    def __init__(self, films: bool) -> None:
        self.suffixes = (*IMAGES, *FILMS) if films else IMAGES
        self.left_out: dict[str, list[str]] = {}
        self.beside: list[str] = []
        self.hidden: list[str] = []

    def leave(self, reason: str, name: str) -> None:
        self.left_out.setdefault(reason, []).append(name)

    def takes(self, name: str) -> bool:
        """Whether the name is an image's; other files are recorded by kind."""
        path = PurePosixPath(name)
        if any(is_hidden(p) for p in path.parts):
            self.hidden.append(name)
            return False
        suffix = path.suffix.lower()
        if suffix in self.suffixes:
            return True
        if suffix in _BESIDE or path.stem.lower() in _DOCUMENTS:
            self.beside.append(name)
        else:
            self.leave(_ARCHIVE if is_archive_name(name) else _OTHER_KIND, name)
        return False

    def nothing(self, source: object, what: str, count: int) -> BadSource:
        held = f"{count} file{'s' if count != 1 else ''} but no images" if count else "no files"
        notes = Listing([], left_out=self.left_out).notes()
        return BadSource(
            f"{printable(source)}: the {what} holds {held}; expected images ({_KNOWN}, …)"
            + "".join(f"; {n}" for n in notes)
        )


def list_images(path: Path | str, inside: str = "", *, films: bool = False) -> Listing:
    """The images in a folder, a glob, a zip (or its folder `inside`), those of a table, or
    the one at a path.

    Args:
        films: list films too, such as .mp4.
    """
    sorter = _Sorter(films)
    if isinstance(path, str) and not Path(path).exists():
        return _from_glob(path, sorter)
    path = Path(path)
    if path.is_dir():
        return _from_folder(path, sorter)
    require_file(path)
    if names_images(path):
        return _from_table(path)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _from_zip(path, inside, sorter)
    return Listing([_file(path, path.name)])


# ------------------------------------------------------------------------------------------ folders


def _from_folder(root: Path, sorter: _Sorter) -> Listing:
    files, names = [], sorted(_walk(root, sorter), key=lambda n: PurePosixPath(n).parts)
    for name in names:
        if sorter.takes(name) and _is_regular(root / name, name, sorter):
            files.append(name)
    if not files:
        raise sorter.nothing(root, "folder", len(names))
    here = [t for t in TABLES if (root / t).is_file()][:1]
    tables = here or [
        n for t in TABLES[:2] for n in names if PurePosixPath(n).name == t and (root / n).is_file()
    ]
    metadata = read_metadata((name, read_text_file(root / name)) for name in tables)
    splits = _splits(files, lambda inner, split: str(root / inner / split), f"'{root}/**/*.*'")
    return Listing(
        [_file(root / name, name) for name in files],
        metadata,
        sorter.left_out,
        sorter.beside,
        sorter.hidden,
        splits,
    )


def _walk(root: Path, sorter: _Sorter) -> Iterator[str]:
    """The files below a folder, relative to it; linked folders come last and are read once."""
    visited: set[tuple[int, int]] = {
        _identity(parent) for parent in (root.resolve(), *root.resolve().parents)
    }
    waiting = [root]
    while waiting:
        top = waiting.pop(0)
        if top is not root and not _is_new(top, root, visited, sorter):
            continue
        for folder, folders, files in os.walk(top, onerror=_refuse_folder):
            here = Path(folder)
            inner = sorted(f for f in folders if not is_hidden(f))
            sorter.hidden += [
                (here / f).relative_to(root).as_posix() + "/"
                for f in sorted(set(folders) - set(inner))
            ]
            waiting += [here / f for f in inner if (here / f).is_symlink()]
            folders[:] = [
                f
                for f in inner
                if not (here / f).is_symlink() and _is_new(here / f, root, visited, sorter)
            ]
            prefix = here.relative_to(root).as_posix()
            yield from (f if prefix == "." else f"{prefix}/{f}" for f in files)


def _is_new(folder: Path, root: Path, visited: set[tuple[int, int]], sorter: _Sorter) -> bool:
    """Whether a folder is visited for the first time; it is then recorded."""
    identity = _identity(folder)
    if identity in visited:
        sorter.leave(_AGAIN, folder.relative_to(root).as_posix())
        return False
    visited.add(identity)
    return True


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise BadSource(
            f"{printable(folder)}: the folder cannot be opened ({error.strerror}); change its"
            " permissions"
        ) from error
    return status.st_dev, status.st_ino


def _refuse_folder(error: OSError) -> None:
    raise BadSource(
        f"{printable(error.filename)}: the folder cannot be opened ({error.strerror}); change its"
        " permissions, or move it away"
    )


def _is_regular(path: Path, name: str, sorter: _Sorter) -> bool:
    if path.is_file():
        return True
    sorter.leave(_SPECIAL if path.exists() else _BROKEN, name)
    return False


def _from_glob(pattern: str, sorter: _Sorter) -> Listing:
    paths = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if Path(p).is_file())
    wrong = next((p for p in paths if p.suffix.lower() not in sorter.suffixes), None)
    if wrong is not None:
        text = (
            f"matches {printable(wrong)}, which is not an image; expected {_KNOWN}, …: narrow the"
            " pattern"
        )
        raise BadSource(f"{printable(pattern)}: {text}")
    if not paths:
        raise BadSource(f"{printable(pattern)}: no file matches; expected images ({_KNOWN}, …)")
    return Listing([_file(p, p.as_posix()) for p in paths])


def _file(path: Path, name: str) -> ImageFile:
    return ImageFile(name, str(path), path)


def _from_table(path: Path) -> Listing:
    """The images that the rows of a table name, in their order."""
    (key, *_) = image_columns(path)
    metadata = read_metadata([(path.name, read_text_file(path))], key=key)
    assert metadata is not None
    names = list(metadata.rows)
    for row, name in enumerate(names):
        if not (path.parent / name).is_file():
            raise BadSource(
                f"{printable(path)}: row {row} names {printable(name)!r}, which is not there;"
                f" expected paths from {printable(path.parent)}: correct or remove that row"
            )
    return Listing([_file(path.parent / name, name) for name in names], metadata)


# ----------------------------------------------------------------------------------------- archives


def _from_zip(path: Path, inside: str, sorter: _Sorter) -> Listing:
    archive = Archive(path)
    prefix = inside.strip("/") + "/" if inside.strip("/") else ""
    members = {n: m for m in archive.members if (n := archive.plain_name(m)).startswith(prefix)}
    if prefix and not members:
        raise BadSource(
            f"{printable(path)}: holds no folder {printable(inside)!r}; pass the archive alone to"
            " read all of it"
        )
    files = []
    for name, member in sorted(members.items()):
        if archive.leads_out(name):
            sorter.leave(_OUTSIDE, name)
        elif archive.is_link(member):
            sorter.leave(_LINK, name)
        elif sorter.takes(name.removeprefix(prefix)):
            files.append(
                ImageFile(name.removeprefix(prefix), f"{path}/{name}", path, archive, member)
            )
    for name in archive.repeated():
        sorter.leave(_TWICE, name)
    if not files:
        raise sorter.nothing(path, "archive", len(members))
    splits = _splits(
        [f.name for f in files],
        lambda inner, split: f"{path}:{prefix}{inner / split}",
        f"'{path}' unpacked, with a glob",
    )
    return Listing(
        files,
        _table_of(path, archive, members, prefix),
        sorter.left_out,
        sorter.beside,
        sorter.hidden,
        splits,
    )


def _table_of(
    path: Path, archive: Archive, members: Mapping[str, zipfile.ZipInfo], prefix: str
) -> Metadata | None:
    tables = [
        (n.removeprefix(prefix), archive.read(members[n]))
        for n in members
        if PurePosixPath(n).name in TABLES
    ]
    beside = path.with_suffix(".csv")
    if not tables and beside.is_file():
        tables = [(beside.name, read_text_file(beside))]
    return read_metadata(tables)


# ------------------------------------------------------------------------------------------- splits

_SPLIT = re.compile(
    r"(train|training|val|valid|validation|dev|test|testing|eval|evaluation)[-_"
    r" ]?(\d+|set|data|images|imgs)?",
    re.IGNORECASE,
)
_ROLES = {"train": "train", "training": "train", "test": "test", "testing": "test"}


def _splits(
    names: Sequence[str], to_type: Callable[[PurePosixPath, str], str], everything: str
) -> str:
    """The reason not to read images of these names together: adjacent training and test sets.

    Else ''.
    """
    children: dict[PurePosixPath, dict[str, str]] = {}
    for folder in sorted({PurePosixPath(n).parent for n in names}):
        for part in (folder, *folder.parents):
            match = _SPLIT.fullmatch(part.name)
            if match:
                children.setdefault(part.parent, {})[part.name] = _ROLES.get(
                    match[1].lower(), "validation"
                )
    for parent, splits in children.items():
        if len(set(splits.values())) > 1:
            first = next((s for s, role in splits.items() if role == "train"), next(iter(splits)))
            return (
                "holds the splits"
                f" {', '.join(sorted(splits))}{f' in {parent}' if parent.name else ''}, which would"
                f" be mixed; read one of them ({printable(to_type(parent, first))}), or"
                f" {everything} for all of them"
            )
    return ""
