"""What the pages of one studio share: the folder, opened runs, and fits that are going on."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path

from pushforward.core.errors import BadRun, InvalidValue, PushforwardError
from pushforward.core.manifest import Manifest
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.latent_settings import find_distribution, find_rows
from pushforward.experiments.opened import OpenedRun, open_run
from pushforward.latent import CodeDistribution
from pushforward.studio.live_fit import LiveFit

__all__ = ["Studio"]

OPEN_RUNS = 8
"""Runs kept open: the ones used last."""
MOST_FITS = 8
GRACE = 30.0
"""Seconds after which fits end if no page is connected: a reload takes less."""
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
        self._runs: OrderedDict[Path, tuple[float, OpenedRun]] = OrderedDict()
        self._rows: OrderedDict[Path, tuple[LabelledRows | None, tuple[str, ...]]] = OrderedDict()
        self._codes: OrderedDict[Path, tuple[OpenedRun, CodeDistribution]] = OrderedDict()
        self._fits: dict[str, LiveFit] = {}
        self._pages, self._lock = 0, threading.RLock()

    # --------------------------------------------------------------------------------------- runs

    def run_names(self) -> list[str]:
        """Names of the runs, relative to the folder, the latest first; '.' is the folder itself."""
        if _is_run(self.folder):
            return ["."]
        found: list[Path] = []
        folders = [self.folder]
        for _ in range(DEPTH):
            below = [child for folder in folders for child in _folders(folder)]
            found += [folder for folder in below if _is_run(folder)]
            folders = [folder for folder in below if not _is_run(folder)]
        found.sort(key=lambda path: (path / "model.json").stat().st_mtime, reverse=True)
        return [str(path.relative_to(self.folder)) for path in found]

    def path(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            BadRun: If it is no run below the studio's folder.
        """
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder) or not _is_run(path):
            raise BadRun(f"there is no run {name!r} in {self.folder.name}; choose one of the list")
        return path

    def open(self, name: str) -> OpenedRun:
        """A run, opened anew if its weights changed."""
        path = self.path(name)
        changed = max(
            (path / file).stat().st_mtime
            for file in ("model.json", "model.safetensors")
            if (path / file).exists()
        )
        with self._lock:
            if path in self._runs and self._runs[path][0] == changed:
                self._runs.move_to_end(path)
                return self._runs[path][1]
            run = open_run(path, self.device)
            run.model.eval()
            self._runs[path] = changed, run
            while len(self._runs) > OPEN_RUNS:
                self._runs.popitem(last=False)
            return run

    def rows(self, name: str) -> tuple[LabelledRows | None, tuple[str, ...]]:
        """The rows a run was fitted to, with labels if there are any; None and a note if they
        cannot be found.
        """
        run = self.open(name)
        with self._lock:
            if run.folder not in self._rows:
                self._rows[run.folder] = _find_rows(run)
                while len(self._rows) > OPEN_RUNS:
                    self._rows.popitem(last=False)
            return self._rows[run.folder]

    def distribution(self, name: str) -> CodeDistribution:
        """The distribution of a run's codes."""
        run, (rows, _) = self.open(name), self.rows(name)
        with self._lock:
            kept = self._codes.get(run.folder)
            if kept is None or kept[0] is not run:
                kept = run, find_distribution(run, rows, False)
                self._codes[run.folder] = kept
                while len(self._codes) > OPEN_RUNS:
                    self._codes.popitem(last=False)
            return kept[1]

    def manifest(self, name: str) -> Manifest | None:
        """What a run's run.json says."""
        return Manifest.read(self.path(name))

    # --------------------------------------------------------------------------------------- fits

    def add(self, fit: LiveFit) -> str:
        """Keep a fit; return its name."""
        with self._lock:
            ended = [name for name, old in self._fits.items() if old.ended]
            for name in ended[: max(0, len(self._fits) - MOST_FITS + 1)]:
                del self._fits[name]
            if len(self._fits) >= MOST_FITS:
                raise InvalidValue(f"{MOST_FITS} fits are going on; stop one of them first")
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
            self._pages += 1

    def leave(self, grace: float = GRACE) -> None:
        """A page left; once all are gone for a while, fits end and runs are closed."""
        with self._lock:
            self._pages -= 1
            if self._pages == 0:
                timer = threading.Timer(grace, self._free, [time.monotonic()])
                timer.daemon = True
                timer.start()

    def _free(self, since: float) -> None:
        with self._lock:
            if self._pages == 0:
                self.close()

    def close(self) -> None:
        """End all fits and close all runs."""
        with self._lock:
            for name in list(self._fits):
                self.drop(name)
            self._runs.clear()
            self._rows.clear()
            self._codes.clear()


def _find_rows(run: OpenedRun) -> tuple[LabelledRows | None, tuple[str, ...]]:
    try:
        return find_rows(run, None, "direction", None, None)
    except PushforwardError:
        return find_rows(run, None, None, None, None)


def _is_run(path: Path) -> bool:
    return (path / "model.json").is_file()


def _folders(path: Path) -> list[Path]:
    try:
        return [child for child in path.iterdir() if child.is_dir() and child.name[:1] != "."]
    except OSError:
        return []
