"""The progress of a fit on the command line: live on a terminal, plain lines elsewhere, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pushforward.cli.console import Voice, stderr
from pushforward.core.counting import counted_by, told_every
from pushforward.core.events import Evaluated, Event, Finished, Progress, Started, Warned
from pushforward.core.json_values import finite
from pushforward.fitting.progress import (
    LINE,
    Bar,
    Follower,
    displayed_by,
    format_duration,
    format_heading,
    summarise,
)

__all__ = ["Counted", "Display", "display", "rows_counted", "several_displayed"]

PLAIN_EVERY = 5.0
"""Seconds between plain lines."""
INDENT = "  "


def display(voice: Voice, settings: Sequence[tuple[str, str]] = ()) -> Display:
    """The listener that suits where stderr goes.

    Args:
        voice: what prints.
        settings: headings and texts to print when the fit starts, as what is refused has no
            settings.
    """
    if voice.as_json:
        kind: type[Display] = JsonLines
    elif voice.quiet:
        kind = Display
    else:
        kind = Live if stderr().is_terminal else Plain
    shown = kind(voice)
    shown.settings = settings
    return shown


@contextmanager
def several_displayed(voice: Voice) -> Iterator[None]:
    """Within: the fits of a recipe, which has many short ones, are shown if they take a while."""
    if not voice.quiet and stderr().is_terminal:
        yield  # a bar, as in Python
        return
    kind = Display if voice.quiet else Belated
    with displayed_by(lambda: kind(voice)):
        yield


@contextmanager
def rows_counted(voice: Voice, *, writes: bool = False) -> Iterator[None]:
    """Within: a line on a terminal tells how many rows are done; elsewhere a new line now and then.

    With `writes`, rows are written to stdout meanwhile, which the line must not disturb.
    """
    console = stderr()
    if voice.quiet or (writes and sys.stdout.isatty()):
        yield
    elif not console.is_terminal:
        with counted_by(told_every(PLAIN_EVERY, voice.say)):
            yield
    else:
        from rich.live import Live
        from rich.spinner import Spinner

        spinner = Spinner("dots")
        say = told_every(0, lambda text: spinner.update(text=text))
        with Live(spinner, console=console, transient=True, redirect_stdout=False), counted_by(say):
            yield


class Display(Follower):
    """Says nothing but warnings.

    A context manager, so that what is drawn is put away whatever happens.
    """

    shows_warnings = True  # so that Python does not show them a second time

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.voice = voice
        self.settings: Sequence[tuple[str, str]] = ()

    def __call__(self, event: Event) -> None:
        """Settings once, before anything else."""
        if isinstance(event, Started):
            for heading, text in self.settings:
                if text:
                    self.voice.say(f"{heading:<16} {text}")
            self.settings = ()
        self.show(event)

    def show(self, event: Event) -> None:
        """What a follower does with an event."""
        super().__call__(event)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *issue: object) -> None:
        self.close()

    def warned(self, event: Warned) -> None:
        """Something is wrong."""
        self.voice.warn(f"{event.symptom}; try: {event.advice}")


class JsonLines(Display):
    """Every event as one line of JSON on stdout."""

    def show(self, event: Event) -> None:
        """The line."""
        self.voice.write(json.dumps(finite(event.as_dict()), default=str))


class Plain(Display):
    """A line every few seconds, for logs and pipes."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.said = float("-inf")
        self.last: Progress | None = None
        self.quality: Evaluated | None = None

    def started(self, event: Started) -> None:
        """What is fitted, and how long."""
        self.voice.say(format_heading(event))

    def evaluated(self, event: Evaluated) -> None:
        """Kept for the next line."""
        self.quality = event

    def progressed(self, event: Progress) -> None:
        """One line, not too often."""
        self.last = event
        if event.seconds - self.said >= PLAIN_EVERY:
            self.line(event)

    def line(self, event: Progress) -> None:
        """Samples seen, rate and time left, and the numbers that matter: in a line if it is long
        enough for them, else below.
        """
        self.said, self.last = event.seconds, None
        seen = f"{event.samples:,} samples" + (
            f" of {self.budget:,} ({event.samples / self.budget:.0%})" if self.budget else ""
        )
        left = f", {format_duration(event.remaining)} left" if event.remaining else ""
        progress = f"{seen}, {event.rate:,.0f}/s{left}"
        numbers = summarise(event.terms, self.quality, LINE - len(INDENT))
        if len(progress) + len(INDENT) + len(numbers) <= LINE:
            self.voice.say(f"{progress}{INDENT}{numbers}".rstrip())
        else:
            self.voice.say(f"{progress}\n{INDENT}{numbers}")

    def finished(self, event: Finished) -> None:
        """The last line, and why it ended."""
        if self.last is not None:
            self.line(self.last)
        self.voice.say(
            f"ended ({event.reason}) after {event.samples:,} samples,"
            f" {format_duration(event.seconds)}"
        )


class Belated(Plain):
    """Lines for fits that take longer than the time between two of them; silent for others."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self.heading = ""

    def started(self, event: Started) -> None:
        """Nothing yet."""
        self.heading, self.said = format_heading(event), event.seconds

    def line(self, event: Progress) -> None:
        """Below what is fitted, the first time."""
        if self.heading:
            self.voice.say(self.heading)
        self.heading = ""
        super().line(event)

    def finished(self, event: Finished) -> None:
        """The end of what was shown."""
        if not self.heading:
            super().finished(event)


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
        left = f", {format_duration(event.remaining)} left" if event.remaining else ""
        self.voice.say(f"{self.what}: {event.samples:,} of {self.budget or 0:,} rows{left}")

    def finished(self, event: Finished) -> None:
        """The table says the rest."""


class Live(Display):
    """A heading, then the bar; warnings stand above it."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(voice)
        self._bar = Bar(stderr())

    def show(self, event: Event) -> None:
        """The heading, or the bar."""
        if isinstance(event, Started):
            self.voice.say(format_heading(event))
        self._bar(event)
        super().show(event)

    def warned(self, event: Warned) -> None:
        """Above the bar."""
        self._bar.screen.console.print(
            f"warning: {event.symptom}; try: {event.advice}", style="yellow", markup=False
        )

    def close(self) -> None:
        """Stop drawing."""
        self._bar.close()
