"""Results of the verbs of tables: sentences on stderr, tables on stdout, pictures in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushforward.cli.console import Voice, print_table
from pushforward.core.errors import InvalidValue

__all__ = ["check_picture", "draw", "say_all", "show_table"]

PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: str | None) -> None:
    """Refuse the name of a picture before the work that `draw` would refuse after it."""
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise InvalidValue(
            f"cannot draw {path!r}; expected a name that ends in {', '.join(PICTURES)}"
        )


def draw(voice: Voice, path: str | None, plot: Callable[[], Any]) -> None:
    """Write a figure, if a picture was asked for."""
    if path is None:
        return
    from pushforward.plots import write_figure

    written = write_figure(plot(), path)
    voice.say(f"picture written to {written}")


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
