"""The registry of readers.

A reader is a function (path, options) -> source, registered by file suffixes, by names, or by a
test. The library's readers register when their modules are imported, on demand; the user's are
tried first, those of installed packages (`core.plugins`) last.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pushforward.core.docstrings import drop_full_stop, summary_of
from pushforward.core.errors import InvalidKind, InvalidValue, printable
from pushforward.core.plugins import load_plugins
from pushforward.data.options import Options

__all__ = [
    "Reader",
    "every_reader",
    "find_reader",
    "readers",
    "register_reader",
    "suffixes_of_users",
]

Kind = Literal["name", "file", "object"]
Read = TypeVar("Read", bound=Callable[[Any, Options], Any])

_MODULES: dict[Kind, tuple[str, ...]] = {
    "name": ("pushforward.data.formats.builtin",),
    "file": (
        "pushforward.data.tables.files",  # before images: a folder of Parquet files is a table
        "pushforward.data.formats.array_shards",  # before images, which claim any other glob
        "pushforward.data.formats.image_files",
        "pushforward.data.formats.idx",
        "pushforward.data.formats.numpy_files",
    ),
    "object": (
        "pushforward.data.sources.arrays",
        "pushforward.data.tables.frames",
        "pushforward.data.sources.loaders",
        "pushforward.data.sources.items",  # last: almost anything can be iterated over
    ),
}
"""The modules whose import registers the library's readers, in the order they are tried."""


@dataclass(frozen=True)
class Reader:
    """A function that reads sources of one kind, and how to recognise them.

    Attributes:
        name: in listings and messages.
        kind: 'name' for text other than paths, 'file' for paths, 'object' for data in memory.
        read: called with the path (for names the text, for objects the object) and the options.
        claims: whether a text or an object is for this reader.
        about: one line for listings.
        suffixes: of file names, in lower case.
        names: the names of data, for kind 'name'.
        tabular: whether `y` and `weights` may name columns,
            and whether a table's format may be given.
        module: where the function is defined.
    """

    name: str
    kind: Kind
    read: Callable[[Any, Options], Any]
    claims: Callable[[Any], bool]
    about: str
    suffixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tabular: bool = False
    module: str = ""

    @property
    def ours(self) -> bool:
        """Whether the reader is one of the library's."""
        return any(self.module in modules for modules in _MODULES.values())


_registered: dict[str, Reader] = {}


def register_reader(
    *,
    suffixes: Sequence[str] = (),
    names: Sequence[str] = (),
    claims: Callable[[Any], bool] | None = None,
    name: str = "",
    tabular: bool = False,
) -> Callable[[Read], Read]:
    """Function decorator: `read`, `fit` and the command line read such sources with the function.

    The function is called with a path and the checked options of `read`. It returns an array, a
    tensor, a data frame or anything else that `read` takes in memory, to which all options then
    apply; or a source, which is used as it is.

    Args:
        suffixes: of the files (or folders) to read, with their dots: '.foo'. Your reader takes
            precedence over the library's.
        names: texts such as 'mydata' that stand for data; 'mydata:part' selects the same reader.
        claims: whether an object (with suffixes: an existing path's text) is for this reader, if
            suffixes and names cannot decide.
        name: the reader's name in listings; the function's by default.
        tabular: whether the function handles `y` and `weights` that name columns.

    Raises:
        InvalidValue: If neither suffixes, names nor claims are given,
            or another user's reader has the name or a suffix.

    Example:
        >>> import numpy as np, pushforward as pf
        >>> @register_reader(suffixes=(".spectrum",))
        ... def spectra(path, options):
        ...     "Spectra, one a line."
        ...     return np.loadtxt(path, ndmin=2)
        >>> np.savetxt("steel.spectrum", [[1.0, 2.0, 4.0], [3.0, 2.0, 1.0]])
        >>> pf.read("steel.spectrum").space.shape
        (3,)
    """
    if isinstance(suffixes, str) or isinstance(names, str):
        raise InvalidKind("suffixes and names are lists of texts; write suffixes=('.foo',)")
    if not (suffixes or names or claims is not None):
        raise InvalidValue(
            "a reader needs suffixes, names or claims to say what it reads; write"
            " suffixes=('.foo',), say"
        )
    wrong = next((s for s in suffixes if not s.startswith(".") or len(s) < 2), None)
    if wrong is not None:
        raise InvalidValue(
            f"a suffix begins with a dot, got {printable(wrong)!r}; write"
            f" suffixes=('.{printable(wrong).strip('.')}',)"
        )
    endings, labels = tuple(s.lower() for s in suffixes), tuple(names)
    kind: Kind = "file" if suffixes else "name" if names else "object"

    def register(read: Read) -> Read:
        about = drop_full_stop(summary_of(read))
        reader = Reader(
            name or getattr(read, "__name__", type(read).__name__),
            kind,
            read,
            claims or (_ending(endings) if kind == "file" else _named(labels)),
            about,
            endings,
            labels,
            tabular,
            getattr(read, "__module__", ""),
        )
        _refuse_second(reader)
        _registered[reader.name] = reader
        return read

    return register


def _ending(suffixes: tuple[str, ...]) -> Callable[[str], bool]:
    def claims(text: str) -> bool:
        path = Path(text).expanduser()
        return path.name.lower().endswith(suffixes) and path.exists()

    return claims


def _named(names: tuple[str, ...]) -> Callable[[str], bool]:
    def claims(text: str) -> bool:
        return text.partition(":")[0] in names

    return claims


def _refuse_second(reader: Reader) -> None:
    """Check that the name and suffixes are not taken by another reader."""
    for other in _registered.values():
        again = (other.module, getattr(other.read, "__qualname__", "")) == (
            reader.module,
            getattr(reader.read, "__qualname__", ""),
        )
        if again and other.name == reader.name:
            continue  # its file was imported again
        if other.name == reader.name:
            raise InvalidValue(
                f"a reader named {reader.name!r} is already registered (in {other.module}); choose"
                " another name"
            )
        shared = next((s for s in reader.suffixes if s in other.suffixes), None)
        if shared is not None and not other.ours and not reader.ours:
            raise InvalidValue(
                f"{shared} is already read by {other.name!r} (in {other.module}); choose another"
                " suffix"
            )


def readers(kind: Kind) -> Iterator[Reader]:
    """The readers of one kind in the order they are tried; modules are imported as needed."""
    candidates = [r for r in _registered.values() if r.kind == kind and not r.ours]
    yield from candidates
    for module in _MODULES[kind]:
        importlib.import_module(module)
        yield from [r for r in _registered.values() if r.kind == kind and r.module == module]
    load_plugins()
    yield from [
        r for r in _registered.values() if r.kind == kind and not r.ours and r not in candidates
    ]


def find_reader(source: object, kind: Kind) -> Reader | None:
    """The first reader of a kind that claims a source, or None."""
    return next((reader for reader in readers(kind) if reader.claims(source)), None)


def every_reader() -> list[Reader]:
    """All readers: of names, of files and of data in memory."""
    return [reader for kind in _MODULES for reader in readers(kind)]


def suffixes_of_users() -> list[str]:
    """The suffixes that readers outside the library are registered for."""
    return [s for r in _registered.values() if not r.ours for s in r.suffixes]
