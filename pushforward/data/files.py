"""Access to untrusted files: only regular ones are opened,
and a decoder's errors become one clear error.

Third-party decoders raise many kinds of exception for damaged input (`zlib.error`,
`RecursionError`, `OverflowError`, …). `decoding` turns all of them into `BadSource`, so it must
enclose decoder calls only: a bug of ours must not be reported as a damaged file.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pushforward.core.errors import BadSource, DataWarning, PushforwardError, printable

__all__ = [
    "printable",
    "listed",
    "reason_of",
    "decoding",
    "locate",
    "require_file",
    "read_text_file",
    "announce",
]

_TEXT_BYTES = 2**28
"""The largest text file that is read whole, 256 MB: lists of labels are far smaller, and what is
larger is probably no list.
"""


def listed(names: Iterable[object], most: int = 3) -> str:
    """The first few names of a list, for a message."""
    names = list(names)
    return ", ".join(printable(n, 60) for n in names[:most]) + (", …" if len(names) > most else "")


def reason_of(error: BaseException) -> str:
    """The first line of an exception's message, or the name of its class."""
    return printable((str(error).strip().splitlines() or [type(error).__name__])[0])


@contextmanager
def decoding(name: object, what: str) -> Iterator[None]:
    """Context manager around a decoder: exceptions become `BadSource('NAME: WHAT (reason); …')`.

    Args:
        name: the file.
        what: the problem to report on failure, e.g. 'the image is damaged or cut short'.
    """
    try:
        yield
    except PushforwardError:
        raise
    except Exception as error:  # a decoder of untrusted bytes may raise anything
        raise BadSource(
            f"{printable(name)}: {what} ({reason_of(error)}); replace or remove it"
        ) from error


def locate(text: str) -> Path:
    """The path in a text, with ~ expanded.

    Raises:
        BadSource: For a text that cannot be a path.
    """
    if not text or "\0" in text:
        raise BadSource(
            f"expected a path or a name, got {printable(repr(text))}; pass the path of a file or"
            " folder"
        )
    path = Path(text)
    try:
        path = path.expanduser()
        path.exists()
    except (RuntimeError, OSError, ValueError) as error:  # unknown user, name too long
        raise BadSource(
            f"{printable(text)}: is not a path that can be opened"
            f" ({printable(reason_of(error), 80)}); check its name"
        ) from error
    return path


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def require_file(path: Path) -> None:
    """Raise BadSource unless the path is a regular, readable file:
    opening a pipe or device could block.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise BadSource(
            f"{printable(path)}: cannot be opened ({reason_of(error)}); check the path"
        ) from error
    if not stat.S_ISREG(mode):
        kind = next((word for test, word in _KINDS if test(mode)), "a special file")
        raise BadSource(
            f"{printable(path)}: is {kind}, expected a regular file; save the data to a file and"
            " pass that"
        )
    if not os.access(path, os.R_OK):
        raise BadSource(f"{printable(path)}: may not be read; change its permissions")


def read_text_file(path: Path, most: int = _TEXT_BYTES) -> bytes:
    """The bytes of a small text file beside the data.

    Raises:
        BadSource: For one that is not regular or larger than `most` bytes.
    """
    require_file(path)
    size = path.stat().st_size
    if size > most:
        raise BadSource(
            f"{printable(path)}: holds {size / 2**20:.0f} MB, expected a table of at most"
            f" {most / 2**20:.0f} MB; shorten it"
        )
    return path.read_bytes()


def announce(name: str, notes: Iterable[str]) -> None:
    """Warn of what was left out of a source, one warning per note."""
    for note in notes:
        warnings.warn(f"{printable(name)}: {note}", DataWarning, stacklevel=2)
