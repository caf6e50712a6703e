"""The runs below a folder, opened when they are asked for and kept for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadRun, PushforwardError
from pushforward.core.manifest import Manifest
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.latent_settings import find_distribution, find_rows
from pushforward.experiments.opened import OpenedRun, open_run
from pushforward.latent import CodeDistribution
from pushforward.studio.memo import Memo
from pushforward.studio.neighbour_map import NeighbourMap

__all__ = ["RunFolder"]

OPEN_RUNS = 8
"""Runs kept open: the ones used last."""
LISTED = 1000
"""Runs whose descriptions are kept."""
DESCRIBING = ("model.json", "run.json")
"""Files of which a run has one from its first moment on."""
DEPTH = 3
"""Folders below the given one in which runs are looked for."""


class RunFolder:
    """Runs by their names.

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

    def forget(self) -> None:
        """Close all runs."""
        for memo in (self._runs, self._rows, self._codes, self.maps, self.spacings, self.outlines):
            memo.clear()


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
