"""Control of a running fit from other threads: pause, single steps, a slower pace, and visits.

A fit asks `Controls.admit` before each step (each pass, if it is fitted by passes) which phases to
play. Visits are functions of the model that run there, between two steps, when no network changes:
pages and notebooks look at a fit with them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.events import CancelToken
from pushforward.core.model import Model
from pushforward.core.phase import Phase
from pushforward.fitting.players import Players
from pushforward.fitting.streams import BorrowedStreams

__all__ = ["Controls", "Gate", "controlled_by"]

T = TypeVar("T")
WATCH = 0.05
"""Seconds after which a waiting fit looks whether a signal cancelled it."""


class Controls(CancelToken):
    """A token that also pauses a fit; pass it as `token` to a fitter.

    Args:
        paused: whether the fit waits before its first step.

    Example:
        >>> import threading, torch, pushforward as pf
        >>> controls = Controls(paused=True)
        >>> by, x = pf.Trainer(steps=3, batch=8, token=controls), torch.randn(32, 2)
        >>> fit = threading.Thread(target=lambda: pf.VAE(1, hidden=(4,)).fit(x, by=by))
        >>> fit.start()
        >>> controls.visit(lambda model: model.latent).result()
        1
        >>> controls.proceed()
        >>> fit.join()
        >>> controls.steps
        3
    """

    def __init__(self, *, paused: bool = False) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._visits: deque[tuple[Callable[[Model], Any], Future[Any]]] = deque()
        self._paused, self._left = paused, 0
        self._phases: frozenset[str] | None = None
        self._delay, self._over = 0.0, False
        self.steps = 0
        """Steps admitted so far."""

    @property
    def paused(self) -> bool:
        """Whether the fit waits, or is about to."""
        with self._changed:
            return self._paused and not self._left

    def pause(self) -> None:
        """Wait before the next step."""
        with self._changed:
            self._paused, self._left = True, 0

    def proceed(self) -> None:
        """Go on, with all phases."""
        with self._changed:
            self._paused, self._left, self._phases = False, 0, None
            self._changed.notify_all()

    def step(self, steps: int = 1, phases: Collection[str] | None = None) -> None:
        """Go on for some steps and pause again; with the named phases only, if any are named."""
        require_positive(steps=steps)
        with self._changed:
            self._paused, self._left = True, steps
            self._phases = None if phases is None else frozenset(phases)
            self._changed.notify_all()

    def slow(self, seconds: float) -> None:
        """Wait so long before each step; 0 for full speed."""
        if not 0 <= seconds < float("inf"):
            raise InvalidValue(f"seconds must be finite and not below 0, got {seconds}")
        with self._changed:
            self._delay = seconds
            self._changed.notify_all()

    def visit(self, function: Callable[[Model], T]) -> Future[T]:
        """Call a function with the model in the fit's thread, between two steps.

        Its result or exception is that of the future; a fit that ends first cancels it.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._over:
                future.cancel()
            else:
                self._visits.append((function, future))
                self._changed.notify_all()
        return future

    def cancel(self) -> None:
        """Request cancellation; a paused fit ends too."""
        super().cancel()
        # signal handlers call this, perhaps while the thread they interrupt holds the lock
        if self._changed.acquire(blocking=False):
            self._changed.notify_all()
            self._changed.release()

    # ------------------------------------------------------------------------------ the fit's side

    @property
    def phases(self) -> Collection[str] | None:
        """The phases to play in the step admitted last; None for all."""
        return self._phases

    def admit_at_once(self) -> bool:
        """Admit a step if nothing comes before it: no visit, pause, delay or cancellation."""
        with self._changed:
            waits = self._paused and not self._left
            if self._visits or waits or self._delay > 0 or self.cancelled:
                return False
            self._admit_one()
            return True

    def _admit_one(self) -> None:
        self._left = max(0, self._left - 1)
        self.steps += 1

    def admit(self, model: Model) -> bool:
        """Wait until one step is admitted, and receive visits meanwhile; called by the fit.

        Return whether it is: False if the fit was cancelled.
        """
        until = time.monotonic() + self._delay
        while not self.cancelled:
            self._receive(model)
            with self._changed:
                wait = until - time.monotonic()
                if self._visits:
                    continue
                if wait <= 0 and (not self._paused or self._left):
                    self._admit_one()
                    return True
                self._changed.wait(min(WATCH, wait) if wait > 0 else WATCH)
        return False

    def end(self) -> None:
        """Cancel the visits still waiting, and later ones; called at the end of a fit."""
        with self._changed:
            self._over = True
            while self._visits:
                self._visits.popleft()[1].cancel()

    def _receive(self, model: Model) -> None:
        while self._visits:
            function, future = self._visits.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function(model))
            except Exception as error:
                future.set_exception(error)


@contextmanager
def controlled_by(token: CancelToken | None) -> Iterator[None]:
    """Context manager: a fit under its token; visits that come too late are cancelled."""
    try:
        yield
    finally:
        if isinstance(token, Controls):
            token.end()


class Gate:
    """Where a fit by gradients meets its controls, if it has any.

    Args:
        token: of the fit.
        borrowed, players: the fit's; visitors see the model without its streams, as it samples.
        report: reports progress; called before each wait, so that visitors know how far it is.
        model: that is fitted.
    """

    def __init__(
        self,
        token: CancelToken,
        borrowed: BorrowedStreams,
        players: Players,
        report: Callable[[], None],
        model: Model,
    ) -> None:
        self._controls = token if isinstance(token, Controls) else None
        self._borrowed, self._players = borrowed, players
        self._report, self._model = report, model

    def admits(self) -> bool:
        """Whether the next step may be played; it may be held up."""
        if self._controls is None or self._controls.admit_at_once():
            return True
        self._report()
        with self._borrowed.returned(), self._players.as_sampled(), torch.no_grad():
            return self._controls.admit(self._model)

    def chosen(self, phases: Sequence[Phase]) -> Sequence[Phase]:
        """The phases, or those that the controls name."""
        named = None if self._controls is None else self._controls.phases
        return phases if named is None else [phase for phase in phases if phase.name in named]
