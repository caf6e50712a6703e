"""The version of this package, for the files it writes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["package_version"]


def package_version() -> str:
    """As installed; 'unknown' in a folder that is not."""
    try:
        return version("pushforward")
    except PackageNotFoundError:
        return "unknown"
