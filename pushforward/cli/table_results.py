"""Results of the verbs of tables: sentences on stderr, tables on stdout, plots in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushforward.cli.console import Voice, print_table
from pushforward.core.errors import InvalidValue

__all__ = ["check_plot", "draw", "say_all", "show_table"]

FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: str | None) -> None:
    """Refuse the name of a plot before the work that `draw` would refuse after it."""
    if path is not None and Path(path).suffix.lower() not in FORMATS:
        raise InvalidValue(
            f"cannot draw {path!r}; expected a name that ends in {', '.join(FORMATS)}"
        )


def draw(voice: Voice, path: str | None, plot: Callable[[], Any]) -> None:
    """Write a figure, if a plot was asked for."""
    if path is None:
        return
    from pushforward.plots import write_figure

    written = write_figure(plot(), path)
    voice.say(f"plot written to {written}")


def say_all(voice: Voice, sentences: Sequence[str]) -> None:
    """Sentences for the user."""
    for sentence in sentences:
        voice.say(sentence)


def show_table(voice: Voice, columns: Mapping[str, Sequence[Any]]) -> None:
    """A table for people on stdout, or one JSON object a row."""
    if voice.as_json:
        for row in zip(*columns.values()):
            voice.result(dict(zip(columns, row)))
        return
    if voice.quiet:
        return
    print_table(list(columns), [[str(entry) for entry in row] for row in zip(*columns.values())])
