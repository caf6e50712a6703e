"""What the pages of one studio share: the runs of a folder, and fits that are going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from pushforward.core.errors import BadRun, InvalidValue
from pushforward.studio.live_fit import LiveFit
from pushforward.studio.resumed_fit import ResumedFit
from pushforward.studio.run_folder import RunFolder
from pushforward.studio.uploads import Uploads

__all__ = ["Studio"]

MOST_FITS = 8
GRACE = 30.0
"""Seconds after which fits end if no page is connected: a reload takes less."""
SAVING = 60.0
"""Seconds that the end of the studio waits for fits to save."""
THREADS = torch.get_num_threads()
"""Of an answer, while no fit goes on."""


class Studio(RunFolder):
    """The state behind all pages.

    Args:
        folder: runs are below it, or it is a run itself; nothing outside is read.
        device: on which models are opened.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        super().__init__(folder, device)
        self._resumed: dict[Path, ResumedFit] = {}
        self._fits: dict[str, LiveFit] = {}
        self.uploads = Uploads()
        """Data of users, in memory."""
        self._pages, self._visits = 0, 0
        self._lock = threading.RLock()

    # --------------------------------------------------------------------------------------- fits

    def resume(self, name: str, budget: Mapping[str, str]) -> None:
        """Go on with the fit of a run, in a thread; it writes to the folder of the run.

        Args:
            budget: the whole budget by unit, or '+50' to extend it.
        """
        path = self.path(name)
        with self._lock:
            if self.is_resumed(path):
                raise InvalidValue(f"{name} is going on already")
            going = sum(not fit.ended for fit in self._resumed.values())
            if going >= MOST_FITS:
                raise InvalidValue(f"{going} fits are going on; stop one of them first")
            self._resumed[path] = ResumedFit(path, budget)

    def is_resumed(self, path: Path) -> bool:
        """Whether the studio fits a run."""
        fit = self._resumed.get(path)
        return fit is not None and not fit.ended

    def resumed(self, path: Path) -> ResumedFit | None:
        """The fit of a run that the studio went on with, though it may be over; None if none."""
        return self._resumed.get(path)

    @property
    def threads(self) -> int:
        """Threads that an answer may use: a half of them while a fit goes on, which is then hardly
        slowed.
        """
        with self._lock:
            watched = any(not fit.ended and not fit.controls.paused for fit in self._fits.values())
            fitting = watched or any(not fit.ended for fit in self._resumed.values())
        return max(1, THREADS // 2) if fitting else THREADS

    def add(self, fit: LiveFit, instead_of: str = "") -> str:
        """Keep a fit, in the place of another if one is named, which ends; return its name.

        Raises:
            InvalidValue: If too many fits are going on.
        """
        with self._lock:
            others = {name: old for name, old in self._fits.items() if name != instead_of}
            ended = [name for name, old in others.items() if old.ended]
            for name in ended[: max(0, len(others) - MOST_FITS + 1)]:
                del self._fits[name], others[name]
            if len(others) >= MOST_FITS:
                raise InvalidValue(f"{MOST_FITS} fits are going on; stop one of them first")
            self.drop(instead_of)
            self._fits[fit.name] = fit
        return fit.name

    def fit(self, name: str) -> LiveFit:
        """A fit by its name."""
        with self._lock:
            fit = self._fits.get(name)
        if fit is None:
            raise BadRun("this fit is gone: it was stopped, or its page was closed; start another")
        return fit

    def drop(self, name: str) -> None:
        """End a fit and forget it."""
        with self._lock:
            fit = self._fits.pop(name, None)
        if fit is not None:
            fit.stop()

    # -------------------------------------------------------------------------------------- pages

    def enter(self) -> None:
        """A page connected."""
        with self._lock:
            self._pages, self._visits = self._pages + 1, self._visits + 1

    def leave(self, grace: float = GRACE) -> None:
        """A page left; once all are gone for a while, fits end and runs are closed."""
        with self._lock:
            self._pages -= 1
            if self._pages == 0:
                timer = threading.Timer(grace, self._free, [self._visits])
                timer.daemon = True
                timer.start()

    def _free(self, visits: int) -> None:
        """End everything, unless a page has come since."""
        with self._lock:
            if self._visits == visits:
                self.free()

    def free(self) -> None:
        """End the fits that are only watched, and close all runs."""
        with self._lock:
            for name in list(self._fits):
                self.drop(name)
            self.uploads.clear()
        self.forget()

    def close(self) -> None:
        """End all fits; those of runs save first."""
        self.free()
        for fit in self._resumed.values():
            fit.stop()
        until = time.monotonic() + SAVING
        for fit in self._resumed.values():
            fit.wait(max(0.0, until - time.monotonic()))
