"""Docstrings as lines of help."""

from __future__ import annotations

import inspect
import re

__all__ = ["drop_full_stop", "summary_of"]


def summary_of(thing: object) -> str:
    """The first paragraph of the docstring of a class or function, on one line.

    Example:
        >>> summary_of(summary_of)
        'The first paragraph of the docstring of a class or function, on one line.'
    """
    return " ".join(inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].split())


def drop_full_stop(text: str) -> str:
    """A description as an entry of a list, without its full stop; dots that say "and so on" stay.

    Example:
        >>> drop_full_stop("flip, affine."), drop_full_stop("flip, ...")
        ('flip, affine', 'flip, ...')
    """
    return re.sub(r"(?<!\.)\.$", "", text.rstrip())
