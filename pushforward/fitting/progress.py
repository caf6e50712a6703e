"""Progress displays drawn from a fit's events: a bar on a terminal, a table in a notebook.

They know nothing of models. The command line uses the same bar.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import Any, Protocol, runtime_checkable

from pushforward.core.events import Evaluated, Event, Finished, Progress, Started, Warned

__all__ = [
    "Bar",
    "Follower",
    "NotebookTable",
    "default_follower",
    "displayed_by",
    "format_duration",
    "format_heading",
    "format_quality",
    "summarise",
]

PATIENCE = 0.5
"""Seconds before anything is drawn: shorter fits need no bar."""
TABLE_EVERY = 0.5
"""Seconds between updates of a notebook table, each of which is a message to a browser."""


GAP = "  "
LINE = 80
"""Columns that a line of progress takes at most."""
_DISPLAY: ContextVar[Callable[[], Follower | None] | None] = ContextVar(
    "how fits without a display are shown", default=None
)


class Follower:
    """A listener with a method per kind of event; `shows_progress` suppresses other displays."""

    shows_progress = True

    def __init__(self) -> None:
        self.budget: int | None = None
        self.samples = 0

    def __call__(self, event: Event) -> None:
        self.samples = event.samples
        if isinstance(event, Started):
            self.budget = event.budget
            self.started(event)
        elif isinstance(event, Progress):
            self.progressed(event)
        elif isinstance(event, Evaluated):
            self.evaluated(event)
        elif isinstance(event, Warned):
            self.warned(event)
        elif isinstance(event, Finished):
            self.finished(event)

    def started(self, event: Started) -> None:
        """The fit starts."""

    def progressed(self, event: Progress) -> None:
        """New means of every term."""

    def evaluated(self, event: Evaluated) -> None:
        """Held-out quality."""

    def warned(self, event: Warned) -> None:
        """A problem was detected."""

    def finished(self, event: Finished) -> None:
        """The fit ended."""

    def close(self) -> None:
        """Remove the display."""


class Bar(Follower):
    """A bar with samples seen, rate and time left, above the terms and the held-out quality.

    Args:
        console: a rich console.
        patience: seconds of fitting before it is drawn.
        transient: whether it vanishes at the end.
    """

    def __init__(self, console: Any, *, patience: float = 0.0, transient: bool = False) -> None:
        super().__init__()
        from rich.live import Live

        self._patience, self._began = patience, time.monotonic()
        self._rate = 0.0
        self._remaining: float | None = None
        self._terms: Mapping[str, float] = {}
        self._width = min(LINE, console.width)
        self._evaluated: Evaluated | None = None
        self._end = ""
        self.screen = Live(
            console=console, refresh_per_second=8, get_renderable=self.draw, transient=transient
        )

    def started(self, event: Started) -> None:
        """Drawing begins, or waits."""
        self._began = time.monotonic()
        self._show()

    def progressed(self, event: Progress) -> None:
        """New numbers."""
        self._rate, self._remaining, self._terms = event.rate, event.remaining, dict(event.terms)
        self._show()

    def evaluated(self, event: Evaluated) -> None:
        """New quality."""
        self._evaluated = event

    def finished(self, event: Finished) -> None:
        """The last state."""
        self._remaining, self._end = None, f"{event.reason} after {format_duration(event.seconds)}"
        self.close()

    def close(self) -> None:
        """Stop drawing."""
        self.screen.stop()

    def _show(self) -> None:
        if not self.screen.is_started and time.monotonic() - self._began >= self._patience:
            self.screen.start()

    def draw(self) -> Any:
        """The bar and the numbers."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 2))
        pulse = self.budget is None and not self._end
        bar = ProgressBar(total=self.budget, completed=self.samples, width=32, pulse=pulse)
        progress = (
            f"{self.samples:,}" + (f" of {self.budget:,}" if self.budget else "") + " samples"
        )
        when = f"{format_duration(self._remaining)} left" if self._remaining else self._end
        row.add_row(bar, progress, f"{self._rate:,.0f}/s" if self._rate else "", when)
        below = Text(summarise(self._terms, self._evaluated, self._width), no_wrap=True)
        return Group(row, below)


@runtime_checkable
class Handle(Protocol):
    """The handle returned by IPython's display: a place in the output that can be updated."""

    def update(self, content: object) -> None:
        """Replace the content."""
        ...


class NotebookTable(Follower):
    """A table under the cell, updated during the fit."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, str] = {}
        self._handle: Handle | None = None
        self._drawn = 0.0

    def started(self, event: Started) -> None:
        """The model and the budget."""
        self._rows = {"fit": format_heading(event)}
        self._drawn = time.monotonic()

    def progressed(self, event: Progress) -> None:
        """New numbers."""
        of = f" of {self.budget:,} ({event.samples / self.budget:.0%})" if self.budget else ""
        self._rows["samples"] = f"{event.samples:,}{of}"
        self._rows["samples per second"] = f"{event.rate:,.0f}"
        self._rows["time left"] = format_duration(event.remaining)
        self._rows.update({name: f"{value:.4g}" for name, value in event.terms.items()})
        if time.monotonic() - self._drawn >= (PATIENCE if self._handle is None else TABLE_EVERY):
            self._draw()

    def evaluated(self, event: Evaluated) -> None:
        """New quality and vital signs."""
        self._rows["held-out quality"] = f"{event.quality:.5g}{' (best)' if event.best else ''}"
        self._rows.update({name: f"{value:.4g}" for name, value in event.vitals.items()})

    def finished(self, event: Finished) -> None:
        """The final state."""
        self._rows.pop("time left", None)
        self._rows["ended"] = f"{event.reason}, after {format_duration(event.seconds)}"
        self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display  # type: ignore[import-not-found, unused-ignore]

        cells = [
            f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self._rows.items()
        ]
        table = HTML(f"<table>{''.join(cells)}</table>")
        self._drawn = time.monotonic()
        if self._handle is None:
            self._handle = display(table, display_id=True)
        else:
            self._handle.update(table)


@contextmanager
def displayed_by(make: Callable[[], Follower | None]) -> Iterator[None]:
    """Within: fits whose listeners show no progress have the display that `make` returns."""
    token = _DISPLAY.set(make)
    try:
        yield
    finally:
        _DISPLAY.reset(token)


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this process."""
    notebook = sys.modules.get("IPython")
    return notebook is not None and getattr(notebook.get_ipython(), "kernel", None) is not None


def default_follower() -> Follower | None:
    """The default display: a table in a notebook, a bar on a terminal, else None.

    Within `displayed_by` it is another one.
    """
    make = _DISPLAY.get()
    if make is not None:
        return make()
    if in_notebook():
        return NotebookTable()
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return Bar(console, patience=PATIENCE, transient=True) if console.is_terminal else None


def summarise(
    terms: Mapping[str, float], evaluated: Evaluated | None = None, width: int = LINE
) -> str:
    """The numbers that matter most, as many as fit: the log and JSON have all.

    The held-out quality comes before the first term of every phase, these before vital signs, and
    the other terms last. They are shown in the order of the fit.
    """
    texts: list[tuple[int, str]] = []
    counts: dict[str, int] = {}
    several = any("." in name for name in terms)
    for name, value in terms.items():
        # a term with the name of its phase stands for itself
        phase = name.rpartition(".")[0] or (name if several else "")
        rank = counts[phase] = counts.get(phase, 0) + 1
        # generator1.generator is what generator1 minimises
        shown = phase if phase and phase.rstrip("0123456789") == name[len(phase) + 1 :] else name
        texts.append((1 if rank == 1 else 2 + rank, f"{shown} {value:.4g}"))
    if evaluated is not None:
        texts.append((0, format_quality(evaluated)))
        texts += [(2, f"{name} {value:.4g}") for name, value in evaluated.vitals.items()]
    room = width + len(GAP)
    chosen: set[int] = set()
    for i, (_, text) in sorted(enumerate(texts), key=lambda pair: pair[1][0]):
        if len(text) + len(GAP) > room and chosen:
            break
        room -= len(text) + len(GAP)
        chosen.add(i)
    return GAP.join(text for i, (_, text) in enumerate(texts) if i in chosen)


def format_duration(seconds: float | None) -> str:
    """3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_quality(event: Evaluated) -> str:
    """Held-out quality as text."""
    return f"held-out quality {event.quality:.5g}{' (best)' if event.best else ''}"


def format_heading(event: Started) -> str:
    """The model, the budget and the device as text."""
    verb = "resuming" if event.samples else "fitting"
    more = f", {event.parameters:,} parameters" if event.parameters else ""
    budget = f", {event.budget:,} samples" if event.budget else ""
    progress = f" after {event.samples:,} samples" if event.samples else ""
    note = f"; {event.note}" if event.note else ""
    device = f" on {event.device}" if event.device else ""
    return f"{verb} {event.model.lower()}{device}{more}{budget}{progress}{note}"
