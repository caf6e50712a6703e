"""What stdout and stderr cannot encode is written in letters they can:
≥ becomes >=, ± becomes +-, × becomes x.

A redirected stream has the encoding of the locale (cp1252, ASCII);
without this a table would end in a UnicodeEncodeError.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["encodable"]

_HANDLER = "pushforward"
_PLAIN = {
    "≥": ">=", "≤": "<=", "±": "+-", "×": "x", "·": "*", "…": "...", "–": "-", "—": "-", "−": "-",
    "→": "->", "←": "<-", "∞": "inf", "²": "^2", "³": "^3", "½": "1/2", "¼": "1/4", "⅛": "1/8",
    "√": "sqrt", "Σ": "sum", "∇": "grad", "‖": "|", "’": "'", "‘": "'", "“": '"', "”": '"',
    "≈": "~", "≠": "!=", "∈": "in", "°": " deg", "•": "*", "α": "alpha", "β": "beta", "γ": "gamma",
    "ε": "epsilon", "λ": "lambda", "μ": "mu", "µ": "mu", "σ": "sigma", "π": "pi", "ß": "ss",
    "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "€": "EUR",
}  # fmt: skip
_BLOCKS = ((0x2500, 0x257F), (0x2580, 0x259F))
"""Lines and blocks that tables and bars are drawn with."""


def _plain(letter: str) -> str:
    """A letter in ASCII: by its name here, without its accents, or a question mark."""
    if letter in _PLAIN:
        return _PLAIN[letter]
    if _BLOCKS[0][0] <= ord(letter) <= _BLOCKS[0][1]:
        return (
            "|"
            if "VERTICAL" in unicodedata.name(letter, "")
            and "HORIZONTAL" not in unicodedata.name(letter, "")
            else "-"
        )
    if _BLOCKS[1][0] <= ord(letter) <= _BLOCKS[1][1]:
        return "#"
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


def _handle(error: UnicodeError) -> tuple[str, int]:
    """The codec's error handler: letter by letter, each in what the stream's encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


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
