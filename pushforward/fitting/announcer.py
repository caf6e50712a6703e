"""Delivery of events to the observers of a fit, who can neither end nor slow it.

Listeners receive plain events, each on its own thread, through a queue that never blocks the fit:
if it is full, the oldest progress report is dropped, and nothing else ever is. Callbacks also
receive the model, so they run in the fit's thread. An exception in a listener or callback is
reported once, as a FitWarning that names it; KeyboardInterrupt from a callback, and a cancelled
token, stop the fit as usual.

A listener must not draw from the global random streams, which belong to the fit; a callback may.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from pushforward.core.errors import FitWarning, printable
from pushforward.core.events import Event, Listener, Progress, Warned
from pushforward.core.model import Model
from pushforward.fitting.progress import default_follower
from pushforward.fitting.settings import Callback, ObserverSettings

__all__ = ["Announcer", "announce_to"]

WAITING_EVENTS = 1024
"""Events a queue holds before progress is dropped: ten reports per percent of a budget."""
FLUSH_SECONDS = 5.0
"""Seconds that the end of a fit waits for its listeners.

That is enough for a slow page or terminal.
"""


class Announcer:
    """Sends the events of one fit to listeners and callbacks.

    Args:
        listeners: called with every event, each on a thread of its own.
        callbacks: called with every event and the model, in the fit's thread.

    A Warned event also raises a FitWarning, unless an observer
    has a true attribute `shows_warnings`.
    """

    def __init__(
        self, listeners: Sequence[Listener] = (), callbacks: Sequence[Callback] = ()
    ) -> None:
        self._queues = [_Queue(listener) for listener in listeners]
        self._callbacks = callbacks
        self._warned: set[int] = set()
        followers = (*listeners, *callbacks)
        self._warns = not any(getattr(follower, "shows_warnings", False) for follower in followers)

    @property
    def has_callbacks(self) -> bool:
        """Whether there are callbacks, which need the model."""
        return bool(self._callbacks)

    def tell(self, event: Event) -> None:
        """Send an event to the listeners without waiting."""
        for queue in self._queues:
            queue.put(event)
        self._say_errors()
        if isinstance(event, Warned) and self._warns:
            _warn(f"{event.symptom}; try: {event.advice}")

    def call(self, event: Event, model: Model) -> None:
        """Call the callbacks with an event and the model."""
        for i, callback in enumerate(self._callbacks):
            try:
                callback(event, model)  # type: ignore[arg-type]
            except Exception as error:
                if i not in self._warned:
                    self._warned.add(i)
                    _warn(_error_message("callback", callback, error))

    def close(self) -> None:
        """Deliver pending events for a limited time, and report listeners that are too slow."""
        deadline = time.monotonic() + FLUSH_SECONDS
        for queue in self._queues:
            queue.close()
        for queue in self._queues:
            undelivered = queue.drained(deadline)
            if undelivered:
                name = _name(queue.listener)
                _warn(
                    f"the listener {name} did not return in time, and {undelivered} events were not"
                    " delivered"
                )
        self._say_errors()

    def _say_errors(self) -> None:
        for queue in self._queues:
            error = queue.new_error()
            if error is not None:
                _warn(_error_message("listener", queue.listener, error))


@contextmanager
def announce_to(observers: ObserverSettings) -> Iterator[Announcer]:
    """Context manager: send events to the observers.

    A default progress display is added if none shows progress.
    """
    followers = (*observers.listeners, *observers.callbacks)
    shows_progress = any(getattr(follower, "shows_progress", False) for follower in followers)
    display = None if observers.quiet or shows_progress else default_follower()
    listeners: list[Listener] = [*observers.listeners, *([] if display is None else [display])]
    announcer = Announcer(listeners, observers.callbacks)
    try:
        yield announcer
    finally:
        announcer.close()
        if display is not None:
            display.close()


class _Queue:
    """The pending events of one listener, and the thread that delivers them."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = self._busy = self._failed = False
        self._error: BaseException | None = None

    def put(self, event: Event) -> None:
        """Add an event; if the queue is full, drop the oldest progress report."""
        with self._changed:
            if len(self._events) >= WAITING_EVENTS:
                oldest = next((e for e in self._events if isinstance(e, Progress)), None)
                if oldest is not None:
                    self._events.remove(oldest)
                elif isinstance(event, Progress):
                    return
            self._events.append(event)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Mark the end of the events."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drained(self, deadline: float) -> int:
        """Wait until everything is delivered, up to a deadline.

        Return the number of undelivered events.
        """
        with self._changed:
            while (self._events or self._busy) and (remaining := deadline - time.monotonic()) > 0:
                self._changed.wait(remaining)
            undelivered = len(self._events) + self._busy
            self._events.clear()
            return undelivered

    def new_error(self) -> BaseException | None:
        """The first exception of the listener, returned once."""
        error, self._error = self._error, None
        return error

    def _deliver(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._events and not self._closed:
                    self._changed.wait()
                if not self._events:
                    return
                event, self._busy = self._events.popleft(), True
            try:
                self.listener(event)
            except BaseException as error:
                if not self._failed:
                    self._failed, self._error = True, error


def _error_message(kind: str, follower: object, error: BaseException) -> str:
    return (
        f"the {kind} {_name(follower)} raised {type(error).__name__}: {printable(error)}; "
        "the fit goes on, and further errors of it are not shown"
    )


def _name(follower: object) -> str:
    name = getattr(follower, "__qualname__", None) or type(follower).__qualname__
    return printable(name)


def _warn(message: str) -> None:
    """Raise a FitWarning attributed to the first frame outside this package."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _is_inside(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, FitWarning, stacklevel=level)


def _is_inside(frame: FrameType) -> bool:
    """Whether a frame belongs to this package.

    Context managers that it closes and generated code count as well.
    """
    name = str(frame.f_globals.get("__name__", ""))
    return (
        name.startswith("pushforward.")
        or name == "contextlib"
        or frame.f_code.co_filename[:1] == "<"
    )
