"""Checks of the classical models before a fit, and warnings after it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, quote
from pushforward.core.fitter import Symptom
from pushforward.core.model import Model
from pushforward.core.scan import Facts
from pushforward.core.source import Source

__all__ = [
    "variance_symptoms",
    "refuse_conditions",
    "refuse_large",
    "refuse_many",
    "refuse_unsquarable",
    "check_whole_number",
]

SQUARED = 1e-150, 1e150
"""Spans that float64 can square."""
MOST_SPARE = 4096
"""Components allowed for any number of rows."""


def check_whole_number(name: str, value: object, least: int = 1) -> int:
    """Return `value` if it is a whole number of at least `least`.

    Raises:
        InvalidKind, InvalidValue: If not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidKind(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise InvalidValue(f"{name} must be at least {least}, got {value}")
    return value


def refuse_conditions(model: Model, source: Source) -> None:
    """Raise InvalidValue if the source has conditions."""
    if source.condition_space is not None:
        raise InvalidValue(
            f"{type(model).__name__} models the distribution of x alone, but y was given; "
            "leave y out, or append it to x as columns"
        )


def refuse_unsquarable(source: Source, facts: Facts) -> None:
    """Raise BadSource for a column whose deviations float64 cannot square.

    Covariances in its unit would be 0 or infinite.
    """
    span = facts.high - facts.low
    wrong = ((span > 0) & (span < SQUARED[0])) | (span > SQUARED[1])
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        space = source.space
        names = space.names if space.kind == "points" and space.shape else ()
        column = f"column {names[first]!r}" if names else f"value {first}"
        raise BadSource(
            f"{column} spans {float(span[first]):.3g}, which float64 cannot square; "
            "choose another unit for it"
        )


def refuse_large(model: Model, source: Source, matrices: int = 1) -> None:
    """Raise BadSource if d x d matrices of float64 would exceed half the memory."""
    d, n = source.space.size, len(source)
    needed = 8.0 * d * d * matrices
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available / 2:
        reduce = "reduce the columns first, by PCA(100), say"
        remedy = "is the table transposed?" if n < d else reduce
        if needed / matrices <= available / 2 and matrices > n:
            remedy = f"there are more components ({matrices:,}) than rows: ask for fewer"
        elif needed / matrices <= available / 2:
            remedy = "ask for fewer components, or covariance='diagonal'"
        raise BadSource(
            f"{type(model).__name__} of {n} rows and {d} columns needs {needed / 1e9:.0f} GB for "
            f"covariances; {remedy}"
        )


def refuse_many(model: str, parts: str, requested: int, rows: int) -> None:
    """Raise BadSource if far more components are requested than there are rows.

    They would be useless, and choosing their starts would take too long.
    """
    if requested > max(rows, MOST_SPARE):
        raise BadSource(
            f"{model} cannot have more {parts} ({quote(requested)}) than there are rows ({rows:,});"
            " pass fewer, or bring more data"
        )


def variance_symptoms(still: int, d: int) -> Sequence[Symptom]:
    """The symptom of data without variation in `still` of d directions.

    Empty if they vary in all.
    """
    if not still:
        return ()
    text = (
        f"the data do not vary in {still} of {d} directions, where the variance is at the"
        " resolution of float64"
    )
    advice = "drop constant columns and those determined by others"
    advice = f"{advice}: densities are arbitrary there"
    return (Symptom("no variance", text, advice),)
