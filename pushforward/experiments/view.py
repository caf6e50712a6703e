"""A view of a run: a figure, its table if it has one, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.storage import write_text
from pushforward.data.export.columns import format_columns
from pushforward.experiments.opened import OpenedRun
from pushforward.plots.matplotlib_types import Figure

__all__ = ["Table", "View", "brief", "format_row", "heading"]

Table = Mapping[str, Sequence[Any]]
"""Columns of equal length, by name."""
MOST_LINES = 12
"""Lines of the repr of a result."""
LONGEST_TITLE = 120
"""Longest title that fits over an image."""


@dataclass(frozen=True)
class View:
    """One view of a model.

    Args:
        kind: the kind of view.
        figure: a Matplotlib figure.
        codes: the codes shown, one per row: its place, then z0, z1, ...; empty for other views.
        facts: numerical results by name.
        summary: a one-sentence summary, possibly empty.
        notes: omissions, with reasons.
        frames: called for the view as a film, image by image; None if it has none.
    """

    kind: str
    figure: Figure
    codes: Table = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    notes: tuple[str, ...] = ()
    frames: Callable[[], Iterator[Image]] | None = None

    def write(self, path: str | Path) -> tuple[Path, Path | None]:
        """Write the figure (.png, .svg or .pdf), or a film (.gif), and the codes as .csv.

        Older files are replaced; both paths are returned.
        """
        from pushforward.plots import write_figure

        is_film = Path(path).suffix.lower() == ".gif"
        image = self._write_film(Path(path)) if is_film else write_figure(self.figure, path)
        if not self.codes:
            return image, None
        table = image.with_suffix(".csv")
        write_text(table, format_columns(self.codes, ".csv"))
        return image, table

    def _write_film(self, path: Path) -> Path:
        from pushforward.plots.films import write_film

        if self.frames is None:
            raise InvalidValue(
                f"{path}: only walks through images can be a .gif, and this view has none; name a"
                " .png, .svg or .pdf"
            )
        return write_film(self.frames(), path, colours=256)


def brief(lines: Sequence[str]) -> str:
    """The first lines of a result, for its repr; empty ones are left out."""
    lines = [line for line in lines if line]
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return "\n".join([*lines[:MOST_LINES], *more])


def format_row(entries: Sequence[Any]) -> str:
    """A row of a table as a line of a repr."""
    return "  " + "  ".join("" if entry is None else str(entry) for entry in entries).rstrip()


def heading(run: OpenedRun, title: str | None) -> str:
    """The heading of a figure: the title, or the run's name.

    Raises:
        InvalidValue: For a title that is too long.
    """
    if title is None:
        return run.folder.name
    if len(title) > LONGEST_TITLE:
        raise InvalidValue(
            f"{argument('title')} has {len(title)} characters, expected at most {LONGEST_TITLE};"
            " shorten it"
        )
    return title
