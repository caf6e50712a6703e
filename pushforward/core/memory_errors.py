"""The message when memory runs out: how much was requested, how much is free, what to try."""

from __future__ import annotations

import os
import re

from pushforward.core.argument_names import argument

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
_REQUESTED = re.compile(
    r"(?:allocate|needs?)\s+(?:about\s+)?([\d.]+)\s*(bytes|[KMGTPE]iB)", re.IGNORECASE
)


def explain_memory_error(error: BaseException) -> str:
    """One line for an allocation that failed, on the CPU or on a GPU."""
    text = str(error)
    match = _REQUESTED.search(text)
    reasons = []
    if match:
        size = float(match[1]) * _UNITS[match[2].lower()]
        reasons.append(f"about {_gigabytes(size)} are needed at once")
    if "cuda" in text.lower() or "hip" in text.lower():
        reasons.append("the GPU has less free")
    else:
        free, allowed = _free(), _allowed()
        if allowed and (not free or allowed < free):
            reasons.append(f"this process may use {_gigabytes(allowed)} in all (ulimit -v)")
        elif free:
            reasons.append(f"this machine has {_gigabytes(free)} free")
    return (
        f"not enough memory{' (' * bool(reasons)}{', '.join(reasons)}{')' * bool(reasons)}; try a"
        f" smaller {argument('batch')}, {argument('size')} or model, fewer rows or columns, or a"
        " larger machine"
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count < 1e13 else f"{count / 1e9:.2g} GB"


def _free() -> float:
    """Bytes of free memory; 0 if unknown."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 0.0


def _allowed() -> float:
    """Bytes of address space that this process may use.

    0 if there is no limit, or none that can be known.
    """
    try:
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, ValueError, OSError):
        return 0.0
    return float(limit) if limit != resource.RLIM_INFINITY else 0.0
