"""Whatever stdout and stderr cannot encode is written in ASCII.

A redirected stream has the encoding of the locale (cp1252, ASCII); without this a table would end
in a UnicodeEncodeError.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pushforward.core.transliteration import to_ascii

__all__ = ["encodable"]

_HANDLER = "pushforward"


def _handle(error: UnicodeError) -> tuple[str, int]:
    """The codec's error handler: letter by letter, each in what the stream's encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(to_ascii, error.object[error.start : error.end])), error.end


@contextmanager
def encodable() -> Iterator[None]:
    """Within: stdout and stderr take any text."""
    codecs.register_error(_HANDLER, _handle)
    before: list[tuple[Any, str]] = []
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and getattr(stream, "errors", None) in (
            "strict",
            "surrogateescape",
        ):
            before.append((stream, stream.errors or "strict"))
            stream.reconfigure(errors=_HANDLER)
    try:
        yield
    finally:
        for stream, errors in before:
            with suppress(OSError, ValueError):  # closed, or nobody reads any more
                stream.reconfigure(errors=errors)
