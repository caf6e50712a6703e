"""What is said where memory runs out: how much was asked for at once,
how much there is, and what to try.
"""

from __future__ import annotations

import os
import re

__all__ = ["explain_memory_error"]

_UNITS = {
    "": 1,
    "bytes": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "pib": 2**50,
    "eib": 2**60,
}
_ASKED = re.compile(
    r"(?:allocate|needs?)\s+(?:about\s+)?([\d.]+)\s*(bytes|[KMGTPE]iB)", re.IGNORECASE
)


def explain_memory_error(error: BaseException) -> str:
    """One line for an allocation that failed, on the CPU or on a GPU."""
    text = str(error)
    match = _ASKED.search(text)
    needs = (
        f"needs about {_gigabytes(float(match[1]) * _UNITS[match[2].lower()])} at once"
        if match
        else "more is needed than there is"
    )
    if "cuda" in text.lower() or "hip" in text.lower():
        where = "the GPU has not so much left"
    else:
        free, allowed = _free(), _allowed()
        where = (
            f"this machine has {_gigabytes(free)} free"
            if free
            else "this machine has not so much left"
        )
        if allowed and (not free or allowed < free):
            where = f"this process may use {_gigabytes(allowed)} in all (ulimit -v)"
    return (
        f"not enough memory: {needs}, {where}; try a smaller --batch, --size or model, fewer rows"
        " or columns, or a larger machine"
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count < 1e13 else f"{count / 1e9:.2g} GB"


def _free() -> float:
    """Bytes of memory that are free here; 0 where that cannot be told."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 0.0


def _allowed() -> float:
    """Bytes of address space that this process may use;
    0 if there is no limit, or none that can be known.
    """
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, ValueError, OSError):
        return 0.0
    return float(limit) if limit != resource.RLIM_INFINITY else 0.0
