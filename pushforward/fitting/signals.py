"""How signals stop a fit: they ask it to stop after the step,
and a second Ctrl-C stops it at once.
"""

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
"""Ctrl-C, a plain kill, a lost connection, and what schedulers of clusters send ahead of an end."""


@contextmanager
def interruptible(token: CancelToken, decides: bool) -> Iterator[list[int]]:
    """Ctrl-C and signals that announce an end ask the fit to stop after the step;
    a second Ctrl-C stops at once.

    These are SIGTERM, SIGHUP (a lost connection) and SIGUSR1 (what schedulers of clusters send
    ahead of time); those that the process was told to ignore, as by nohup, stay ignored. Yields the
    signals that came.

    Of several processes the first decides; the others, which get the signal too, wait for its word.
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
