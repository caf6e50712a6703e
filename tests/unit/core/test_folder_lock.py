"""One writer to a run folder at a time, among processes and threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.core import folder_lock
from pushforward.core.folder_lock import is_locked, locked
from pushforward.core.folders import create_run

HOLD = """
import sys
from pushforward.core.folder_lock import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.parametrize("end", ["done", "killed"])
def test_another_process_is_refused_until_the_first_ends(tmp_path: Path, end: str) -> None:
    process = _holder(tmp_path)
    with pytest.raises(pf.BadRun, match=f"another fit is writing to {tmp_path}"), locked(tmp_path):
        pass
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(pf.BadRun, match="another fit"), locked(tmp_path / "link"):
        pass
    process.kill() if end == "killed" else process.communicate("")
    process.wait()
    with locked(tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["link"], "a lock leaves nothing behind"


def test_others_see_whether_a_fit_writes(tmp_path: Path) -> None:
    assert is_locked(tmp_path) is False
    assert is_locked(tmp_path / "missing") is None
    process = _holder(tmp_path)
    assert is_locked(tmp_path) is True
    process.kill()
    process.wait()
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
    with locked(tmp_path):
        pass  # looking leaves no lock


def test_who_looks_keeps_nobody_from_writing(tmp_path: Path) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_locked(tmp_path)

    watching = [threading.Thread(target=look) for _ in range(2)]
    for thread in watching:
        thread.start()
    try:
        for _ in range(200):
            with locked(tmp_path):
                pass
    finally:
        done.set()
        for thread in watching:
            thread.join()


def test_a_folder_is_locked_from_its_first_moment(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        with create_run(tmp_path / "run") as part:
            (part / "model.json").write_text("{}")
        code = "import sys; from pushforward.core.folder_lock import locked\n"
        code += "with locked(sys.argv[1]): pass"
        other = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True
        )
        assert "another fit is writing" in other.stderr
    with locked(tmp_path / "run"):
        pass


def test_locks_nest_in_a_thread_and_exclude_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the system has no locks, and before the folder exists."""
    monkeypatch.setattr(folder_lock, "fcntl", None)
    refused: list[pf.BadRun] = []

    def write() -> None:
        try:
            with locked(tmp_path / "run"):
                pass
        except pf.BadRun as error:
            refused.append(error)

    def from_a_thread() -> int:
        refused.clear()
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        return len(refused)

    def fail() -> None:
        with locked(tmp_path / "run"):
            with locked(tmp_path / "run"):
                pass
            assert from_a_thread() == 1
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert from_a_thread() == 0, "an error unlocks, too"


def test_a_disk_without_locks_can_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", unsupported)
    with locked(tmp_path):
        pass
