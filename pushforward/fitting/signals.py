"""Signals that stop a fit after the current step; a second Ctrl-C stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pushforward.core.events import CancelToken

__all__ = ["STOPPING", "interruptible"]

STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
]
"""Ctrl-C, kill, a lost connection, and the warning signal of cluster schedulers."""


@contextmanager
def interruptible(token: CancelToken, decides: bool) -> Iterator[list[int]]:
    """Context manager: termination signals stop the fit after the step, a second Ctrl-C at once.

    These are SIGINT, SIGTERM, SIGHUP (a lost connection) and SIGUSR1 (sent in advance by cluster
    schedulers); signals that the process ignores, as under nohup, stay ignored. Yields the signals
    received.

    With several processes the first decides; the others, which also receive the signal, follow it.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if token.cancelled and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)
        token.cancel()

    asking = [
        n for n in STOPPING if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN
    ]
    before = {
        number: signal.signal(number, ask if decides else signal.SIG_IGN) for number in asking
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
