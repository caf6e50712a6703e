"""Run folders and result files that are written completely or not at all.

A new run is written under a temporary name and moved to its place once it is complete; only then is
an older run removed, and of that only files that a run writes. Other files in the folder are left
alone.

Temporary names contain a process id (`.NAME.PID.tmp`, `.NAME.PID.part`); those of dead processes
are removed by the next writer to the same place.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import PathText
from pushforward.core.errors import BadRun, InvalidValue, PushforwardError
from pushforward.core.folder_lock import locked

__all__ = [
    "ForeignFiles",
    "check_place",
    "remove_leftovers",
    "is_card",
    "create_run",
    "parse_json",
    "read_file",
    "write_atomically",
    "write_text",
    "replace_on_exit",
]

MOST_TEXT = 1 << 28
"""The largest description or log that is read, in bytes: 256 MiB."""
_LEFTOVER = re.compile(
    r"\.(?P<name>.+)\.(?P<pid>\d+)\.(?:tmp|part)|\.(?P<old_pid>\d+)-(?P<old_name>.+\.(?:png|gif|svg|pdf))",
    re.DOTALL,
)
_DRAWN = (
    "density|marginals|corner|clusters|scree|biplot|embedding|choice|samples|reconstructions"
    "|film|latent-[a-z]+"
)
_WRITTEN = re.compile(
    r"model\.json|model\.safetensors|run\.json|config\.toml|trainer\.json|log\.jsonl|choice\.json|README\.md|stop|state/\d+\.safetensors"
    r"|(?:conditional|codes|projections|reconstructions)\.(?:png|npz)"
    rf"|(?:images|pictures)/(?:{_DRAWN})\.(?:png|gif|svg|pdf|csv)"
    r"|(?:images|pictures)/(?:samples-seed-?\d+|reconstructions-|projections-)[^/]*\.(?:png|npz)"
    r"|(?:images|pictures)/film/\d+\.safetensors"
)
"""Paths of a run's files inside its folder; runs of format 1 kept images in pictures/."""
_FOLDERS = ("state", "images", "images/film", "pictures", "pictures/film")


class ForeignFiles(UserWarning):
    """A run was replaced in a folder that also holds other files; they were kept."""


# ------------------------------------------------------------------------------------------ reading


def read_file(path: Path, most: int = MOST_TEXT, head: int = -1) -> bytes:
    """The content of a regular file, or its first bytes."""
    handle = -1
    try:
        # opening a pipe without a writer would block
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BadRun(f"{path} is not a regular file; expected a file of a run")
        if status.st_size > most:
            raise BadRun(
                f"{path} has {status.st_size:,} bytes, expected at most {most:,}; restore it from a"
                " copy"
            )
        with os.fdopen(handle, "rb") as file:
            handle = -1
            return file.read(head)
    except OSError as error:
        raise BadRun(
            f"{path} cannot be read ({error.strerror}); restore it from a copy, or change its"
            " permissions"
        ) from error
    finally:
        if handle >= 0:
            os.close(handle)


def parse_json(text: str | bytes, *, finite: bool = True) -> object:
    """Parse strict JSON.

    Raises:
        ValueError: For invalid JSON, for deep nesting and, unless allowed, for NaN and Infinity.
    """

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(text, parse_constant=refuse if finite else None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


# ----------------------------------------------------------------------------------------- one file


@contextmanager
def replace_on_exit(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it on success and is removed after any error."""
    remove_leftovers(path.parent, path.name)
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Write a file completely or not at all, and sync it to disk.

    Raises:
        BadRun: If it cannot be written.
    """
    try:
        with replace_on_exit(path) as temporary, temporary.open("wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise BadRun(
            f"cannot write {path}: {error.strerror}; existing files were not changed: free some"
            " space or choose another place"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove temporary files of dead processes from a folder, for one name or for any."""
    try:
        entries = [e for e in os.scandir(folder) if e.name.startswith(".")]
    except OSError:
        return
    for entry in entries:
        match = _LEFTOVER.fullmatch(entry.name)
        if (
            match is None
            or name not in (None, match["name"] or match["old_name"])
            or _is_running(int(match["pid"] or match["old_pid"]))
        ):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):
                os.unlink(entry.path)


def _is_running(pid: int) -> bool:
    """Whether another process of this number is running."""
    if pid == os.getpid():
        return False  # left by an earlier process with our id: we have not written yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return not isinstance(pid, int) or pid < 1 << 31
    return True


# -------------------------------------------------------------------------------------- run folders


def check_place(path: PathText, *, overwrite: bool = False) -> list[str]:
    """Check that a run may be written to the folder `path`; return the foreign files in it.

    A folder that does not exist, is empty or was left by a killed fit may be used. An older run may
    be replaced with `overwrite`; any other folder may not.
    """
    try:
        folder = _resolve(path)
        if folder.exists() and not folder.is_dir():
            raise InvalidValue(f"{path} is a file; expected a new folder: choose another name")
        ours, foreign = _list_contents(folder) if folder.is_dir() else ([], [])
    except OSError as error:
        raise BadRun(
            f"the folder {path} cannot be used: {error.strerror}; choose a place you can write to"
        ) from error
    if not foreign and _is_unstarted(folder, ours):
        return []
    if not overwrite:
        raise InvalidValue(
            f"{path} exists and is not empty; choose another folder, or replace the run"
            f" ({setting('overwrite', True)})"
        )
    if not _is_run(folder):
        raise InvalidValue(
            f"{path} is not a run folder, so it is not overwritten; choose another folder"
        )
    for name in foreign:
        if (_WRITTEN.fullmatch(name) and name != "README.md") or name in _FOLDERS:
            raise InvalidValue(
                f"{path} contains {name}, which is not part of a run, so it is not overwritten;"
                " choose another folder"
            )
    return foreign


@contextmanager
def create_run(path: PathText, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to write a new run into; on success its content becomes the run folder `path`.

    After an error, nothing has changed. An older run (with `overwrite`) is removed only at the end;
    a link to a folder stays a link. Warns with ForeignFiles of other files that are kept.

    Raises:
        BadRun: If another fit writes to it, or it cannot be written.
    """
    check_place(path, overwrite=overwrite)
    target = _resolve(path)
    with locked(target) as lock:
        part = _start_part(path, target)
        try:
            yield part
            foreign = check_place(path, overwrite=overwrite)
            lock.take(target if target.is_dir() else part, path)
            if target.is_dir():
                _replace(target, part)
            else:
                part.rename(target)
            _warn_of_foreign(path, foreign)
        except PushforwardError:
            raise
        except OSError as error:
            raise BadRun(
                f"cannot write the folder {path}: {error.strerror}; free some space or choose"
                " another place"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _start_part(path: PathText, target: Path) -> Path:
    """An empty temporary folder for the run `target`, inside it if it exists."""
    there = target.is_dir()
    part = (
        target / f".run.{os.getpid()}.part"
        if there
        else target.with_name(f".{target.name}.{os.getpid()}.part")
    )
    try:
        remove_leftovers(target.parent, target.name)
        for folder in ("", *_FOLDERS) if there else ():
            remove_leftovers(target / folder)
        part.mkdir(parents=True)
    except OSError as error:
        raise BadRun(
            f"cannot create the folder {path}: {error.strerror}; choose a place you can write to"
        ) from error
    return part


def _warn_of_foreign(path: PathText, foreign: list[str]) -> None:
    if foreign:
        shown = ", ".join(foreign[:5]) + (
            f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        )
        warnings.warn(
            f"{path} also contains {shown}, which do not belong to the run and were kept",
            ForeignFiles,
            stacklevel=5,
        )


def is_card(path: Path) -> bool:
    """Whether a README.md is a model card written by a run."""
    try:
        start = read_file(path)[:4096].decode(errors="replace")
    except BadRun:
        return False
    return start.startswith("# ") and "fitted with pushforward." in start


def _resolve(path: PathText) -> Path:
    """The folder itself: links are followed, and '.' is given its name."""
    try:
        return Path(os.path.realpath(os.fspath(path)))
    except ValueError as error:
        raise InvalidValue(
            f"{str(path)[:100]!r} is not a valid folder name ({error}); choose another"
        ) from error


def _replace(folder: Path, part: Path) -> None:
    """Replace the files of the run in a folder; model.json is removed first and added last."""
    ours, _ = _list_contents(folder)
    for name in sorted(ours, key=lambda name: name == "model.json"):
        (folder / name).unlink(missing_ok=True)
    for name in reversed(_FOLDERS):
        if not (folder / name).is_symlink():
            with suppress(OSError):  # missing, or not empty
                (folder / name).rmdir()
    new = [p for p in part.rglob("*") if not p.is_dir()]
    for path in sorted(new, key=lambda p: p.name != "model.json"):
        goal = folder / path.relative_to(part)
        if not goal.exists():  # a README.md of the user's
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, goal)  # across a link it may be a move to another disk


def _list_contents(folder: Path) -> tuple[list[str], list[str]]:
    """The files that a run wrote, and other files, by path inside the folder.

    Without temporary files.
    """
    ours: list[str] = []
    foreign: list[str] = []

    def look(inside: str) -> None:
        for entry in sorted(os.scandir(folder / inside), key=lambda e: e.name):
            name = f"{inside}/{entry.name}" if inside else entry.name
            leftover = _LEFTOVER.fullmatch(entry.name)
            if leftover is not None and not _is_running(
                int(leftover["pid"] or leftover["old_pid"])
            ):
                continue
            if name in _FOLDERS and entry.is_dir():
                look(name)
            elif (
                _WRITTEN.fullmatch(name)
                and entry.is_file()
                and (name != "README.md" or is_card(folder / name))
            ):
                ours.append(name)
            else:
                foreign.append(name)

    look("")
    return ours, foreign


def _is_run(folder: Path) -> bool:
    """Whether a folder holds a run, judging by model.json or the record of its fit."""
    signs = (
        ("model.json", {"format", "model", "hyperparameters", "space", "digest"}),
        ("run.json", {"format", "model", "data", "fitter"}),
        ("trainer.json", {"batch", "seed"}),
    )
    for name, needed in signs:
        if (folder / name).exists():
            try:
                content = parse_json(read_file(folder / name))
            except (BadRun, ValueError):
                return False
            return isinstance(content, dict) and needed <= set(content)
    return False


def _is_unstarted(folder: Path, ours: list[str]) -> bool:
    """Whether a folder is empty or holds only the configuration of a fit killed at its start."""
    if ours != ["config.toml"]:
        return not ours
    try:
        content = tomllib.loads(read_file(folder / "config.toml").decode())
    except (BadRun, ValueError):
        return False
    return {"model", "source", "fitting"} <= set(content)
