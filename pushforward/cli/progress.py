"""The progress of a fit, drawn from its events: live on a terminal, plain lines elsewhere, JSON lines where asked for.

A listener only; it knows nothing of models or trainers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pushforward.cli.console import Voice, finite, stderr
from pushforward.core.events import Evaluated, Event, Finished, Progress, Started, Warned

__all__ = ["Counted", "Display", "display"]

PLAIN_EVERY = 5.0
"""Seconds between plain lines."""


def display(voice: Voice) -> Display:
    """The listener that suits where stderr goes."""
    if voice.as_json:
        return JsonLines(voice)
    if voice.quiet:
        return Display(voice)
    return Live(voice) if stderr().is_terminal else Plain(voice)


class Display:
    """Says nothing but warnings; a context manager, so that what is drawn is put away whatever happens."""

    shows_warnings = True  # so that Python does not show them a second time

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self.budget: int | None = None
        self.samples = 0

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *trouble: object) -> None:
        self.close()

    def close(self) -> None:
        """Put away what is drawn."""

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
        """Fitting begins."""

    def progressed(self, event: Progress) -> None:
        """Means of every term since the last report."""

    def evaluated(self, event: Evaluated) -> None:
        """Held-out quality."""

    def warned(self, event: Warned) -> None:
        """Something is wrong."""
        self.voice.warn(f"{event.symptom}; try: {event.advice}")

    def finished(self, event: Finished) -> None:
        """Fitting ended."""


class JsonLines(Display):
    """Every event as one line of JSON on stdout."""

    def __call__(self, event: Event) -> None:
        self.voice.write(json.dumps(finite(event.as_dict()), default=str))


class Plain(Display):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.said = float("-inf")
        self.last: Progress | None = None
        self.quality = ""

    def started(self, event: Started) -> None:
        """What is fitted, and how long."""
        self.voice.say(_heading(event))

    def evaluated(self, event: Evaluated) -> None:
        """Kept for the next line."""
        self.quality = _quality(event)

    def progressed(self, event: Progress) -> None:
        """One line, not too often."""
        self.last = event
        if event.seconds - self.said >= PLAIN_EVERY:
            self.line(event)

    def line(self, event: Progress) -> None:
        """Samples seen, rate, time left, terms, quality."""
        self.said, self.last = event.seconds, None
        seen = f"{event.samples:,} samples" + (f" of {self.budget:,} ({event.samples / self.budget:.0%})" if self.budget else "")
        left = f", {duration(event.left)} left" if event.left else ""
        facts = [f"{seen}, {event.rate:,.0f}/s{left}", terms(event.terms), self.quality]
        self.voice.say("  ".join(f for f in facts if f))

    def finished(self, event: Finished) -> None:
        """The last line, and why it ended."""
        if self.last is not None:
            self.line(self.last)
        self.voice.say(f"ended ({event.reason}) after {event.samples:,} samples, {duration(event.seconds)}")


class Counted(Plain):
    """A line every few seconds while rows are measured."""

    def __init__(self, voice: Voice, what: str) -> None:
        super().__init__(voice)
        self.what = what

    def started(self, event: Started) -> None:
        """Nothing yet: most measurements are over before the first line."""
        self.said = 0.0

    def line(self, event: Progress) -> None:
        """Rows measured, time left."""
        self.said, self.last = event.seconds, None
        left = f", {duration(event.left)} left" if event.left else ""
        self.voice.say(f"{self.what}: {event.samples:,} of {self.budget or 0:,} rows{left}")

    def finished(self, event: Finished) -> None:
        """The table says the rest."""


class Live(Display):
    """A bar with samples seen, rate and time left; below it the terms and the held-out quality."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.seconds, self.rate = 0.0, 0.0
        self.left: float | None = None
        self.total: int | None = None
        self.terms: Mapping[str, float] = {}
        self.quality, self.reason = "", ""
        from rich.live import Live as Screen

        self.screen = Screen(console=stderr(), refresh_per_second=8, get_renderable=self.draw)

    def started(self, event: Started) -> None:
        """The heading; drawing begins."""
        self.voice.say(_heading(event))
        self.total = event.budget
        self.screen.start()

    def progressed(self, event: Progress) -> None:
        """New numbers."""
        self.seconds, self.rate, self.left, self.terms = event.seconds, event.rate, event.left, event.terms

    def evaluated(self, event: Evaluated) -> None:
        """New quality."""
        self.quality = _quality(event)

    def warned(self, event: Warned) -> None:
        """Above the bar."""
        self.screen.console.print(f"warning: {event.symptom}; try: {event.advice}", style="yellow", markup=False)

    def finished(self, event: Finished) -> None:
        """The last state stays on the screen."""
        self.seconds, self.left, self.reason = event.seconds, None, event.reason
        self.close()

    def close(self) -> None:
        """Stop drawing."""
        self.screen.stop()

    def draw(self) -> Any:
        """The bar and the numbers."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.total, completed=self.samples, width=32, pulse=self.total is None and not self.reason)
        seen = f"{self.samples:,}" + (f" of {self.total:,}" if self.total else "") + " samples"
        when = f"{duration(self.left)} left" if self.left else (f"{self.reason} after {duration(self.seconds)}" if self.reason else "")
        row.add_row(bar, seen, f"{self.rate:,.0f}/s" if self.rate else "", when)
        below = Text("  ".join(part for part in (terms(self.terms), self.quality) if part))
        return Group(row, below)


def terms(named: Mapping[str, float]) -> str:
    """Each named term."""
    return "  ".join(f"{name} {value:.4g}" for name, value in named.items())


def duration(seconds: float | None) -> str:
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


def _quality(event: Evaluated) -> str:
    vitals = "".join(f"  {name} {value:.4g}" for name, value in event.vitals.items())
    return f"held-out quality {event.quality:.5g}{' (best)' if event.best else ''}{vitals}"


def _heading(event: Started) -> str:
    verb = "going on with" if event.samples else "fitting"
    more = f", {event.parameters:,} parameters" if event.parameters else ""
    budget = f", {event.budget:,} samples" if event.budget else ""
    seen = f" after {event.samples:,} samples" if event.samples else ""
    return f"{verb} {event.model.lower()}{more}{budget}{seen}"
