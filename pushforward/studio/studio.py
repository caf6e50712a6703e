"""What the pages of one studio share: the folder, opened runs, and fits that are going on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pushforward.core.errors import BadRun, InvalidValue, PushforwardError
from pushforward.core.manifest import Manifest
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.latent_settings import find_distribution, find_rows
from pushforward.experiments.opened import OpenedRun, open_run
from pushforward.latent import CodeDistribution
from pushforward.studio.live_fit import LiveFit
from pushforward.studio.memo import Memo
from pushforward.studio.neighbour_map import NeighbourMap
from pushforward.studio.resumed_fit import ResumedFit
from pushforward.studio.uploads import Uploads

__all__ = ["Studio"]

OPEN_RUNS = 8
"""Runs kept open: the ones used last."""
MOST_FITS = 8
GRACE = 30.0
"""Seconds after which fits end if no page is connected: a reload takes less."""
SAVING = 60.0
"""Seconds that the end of the studio waits for fits to save."""
LISTED = 1000
"""Runs whose descriptions are kept."""
DESCRIBING = ("model.json", "run.json")
"""Files of which a run has one from its first moment on."""
THREADS = torch.get_num_threads()
"""Of an answer, while no fit goes on."""
DEPTH = 3
"""Folders below the given one in which runs are looked for."""


class Studio:
    """The state behind all pages.

    Args:
        folder: runs are below it, or it is a run itself; nothing outside is read.
        device: on which models are opened.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder, self.device = folder.resolve(), device
        self._runs: Memo[OpenedRun] = Memo(OPEN_RUNS)
        self._rows: Memo[tuple[LabelledRows | None, tuple[str, ...]]] = Memo(OPEN_RUNS)
        self._codes: Memo[CodeDistribution] = Memo(OPEN_RUNS)
        self.maps: Memo[NeighbourMap] = Memo(OPEN_RUNS)
        """Neighbour maps of runs' codes."""
        self.spacings: Memo[float] = Memo(OPEN_RUNS)
        """Typical distances of rows to their nearest others."""
        self.outlines: Memo[Mapping[str, Any]] = Memo(LISTED)
        """What is known of runs without opening them."""
        self._resumed: dict[Path, ResumedFit] = {}
        self._fits: dict[str, LiveFit] = {}
        self.uploads = Uploads()
        """Data of users, in memory."""
        self._pages, self._visits = 0, 0
        self._lock = threading.RLock()

    # --------------------------------------------------------------------------------------- runs

    def run_names(self) -> list[str]:
        """Names of the runs, relative to the folder, the latest first; '.' is the folder itself."""
        if _is_run(self.folder):
            return ["."]
        if not self.folder.is_dir():
            raise BadRun(f"the folder {self.folder.name} is gone; start the studio on another")
        found: list[Path] = []
        folders = [self.folder]
        for _ in range(DEPTH):
            below = [child for folder in folders for child in _folders(folder, self.folder)]
            found += [folder for folder in below if _is_run(folder)]
            folders = [folder for folder in below if not _is_run(folder)]
        found.sort(key=_began, reverse=True)
        return [str(path.relative_to(self.folder)) for path in found]

    def path(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            BadRun: If it is no run below the studio's folder.
        """
        try:
            path = (self.folder / name).resolve()
        except (OSError, ValueError, RuntimeError):  # no name of a file, or links in a circle
            path = Path()
        if not path.is_relative_to(self.folder) or not _is_run(path):
            raise BadRun(f"there is no run {name!r} in {self.folder.name}; choose one of the list")
        return path

    def open(self, name: str) -> OpenedRun:
        """A run, opened anew if its weights changed."""
        path = self.path(name)

        def opened() -> OpenedRun:
            run = open_run(path, self.device)
            run.model.eval()
            return run

        return self._runs.get(path, self.version(name), opened)

    def version(self, name: str) -> tuple[int, ...]:
        """When the files that describe a run were written, in nanoseconds; 0 for those missing."""
        path = self.path(name)
        return tuple(
            _written(path / part) for part in ("model.json", "model.safetensors", "run.json")
        )

    def rows(self, name: str) -> tuple[LabelledRows | None, tuple[str, ...]]:
        """The rows a run was fitted to, with labels if there are any; None and a note if they
        cannot be found.
        """
        run = self.open(name)
        return self._rows.get(run.folder, None, lambda: _find_rows(run))

    def distribution(self, name: str) -> CodeDistribution:
        """The distribution of a run's codes."""
        run, (rows, _) = self.open(name), self.rows(name)
        return self._codes.get(run.folder, run, lambda: find_distribution(run, rows, False))

    def manifest(self, name: str) -> Manifest | None:
        """What a run's run.json says."""
        return Manifest.read(self.path(name))

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
        for memo in (self._runs, self._rows, self._codes, self.maps, self.spacings, self.outlines):
            memo.clear()

    def close(self) -> None:
        """End all fits; those of runs save first."""
        self.free()
        for fit in self._resumed.values():
            fit.stop()
        until = time.monotonic() + SAVING
        for fit in self._resumed.values():
            fit.wait(max(0.0, until - time.monotonic()))


def _find_rows(run: OpenedRun) -> tuple[LabelledRows | None, tuple[str, ...]]:
    try:
        return find_rows(run, None, "direction", None, None)
    except PushforwardError:
        return find_rows(run, None, None, None, None)


def _is_run(path: Path) -> bool:
    try:
        return any((path / name).is_file() for name in DESCRIBING)
    except OSError:  # it may not be looked into
        return False


def _began(path: Path) -> int:
    """When a run was described: before its first step; 0 for one that has just gone."""
    return next((time for name in DESCRIBING if (time := _written(path / name))), 0)


def _written(file: Path) -> int:
    """When a file was written, in nanoseconds; 0 for one that is missing."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _folders(path: Path, root: Path) -> list[Path]:
    """The folders in a folder that may be looked into; links out of the root are left out."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for child in path.iterdir():
            with contextlib.suppress(OSError, RuntimeError):
                own = not child.is_symlink() or child.resolve().is_relative_to(root)
                if child.name[:1] != "." and child.is_dir() and own:
                    found.append(child)
    return found
