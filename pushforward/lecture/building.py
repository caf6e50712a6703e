"""Drawing a figure of the lecture, and writing its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from pushforward.core.errors import MissingExtra
from pushforward.lecture.contents import module_of
from pushforward.plots import write_figure
from pushforward.plots.films import write_film

__all__ = ["draw", "write_pictures"]


def draw(name: str) -> tuple[Any, ...]:
    """Run a figure's code: figures, and films as iterables of frames.

    Raises:
        InvalidValue: For a name that is none.
        MissingExtra: Without pandas, for a figure of a table.
    """
    code = import_module(module_of(name))
    try:
        result = code.figure()
    except ImportError as error:
        if "pandas" not in str(error):
            raise
        raise MissingExtra("pandas", "tables", f"the figure {name}") from error
    return result if isinstance(result, tuple) else (result,)


def write_pictures(name: str, folder: str | Path) -> list[Path]:
    """Run a figure's code and write NAME.png into the folder, and NAME.gif if it moves."""
    written = []
    for picture in draw(name):
        moves = isinstance(picture, Iterable)
        path = Path(folder) / f"{name}.{'gif' if moves else 'png'}"
        written.append(write_film(picture, path) if moves else write_figure(picture, path))
    return written
