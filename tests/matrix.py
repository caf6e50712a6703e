"""Runs the tests in fresh virtual environments: the oldest and the newest versions of every
dependency, on several Pythons. `make matrix` calls it; it needs the standard library only.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "matrix"
QUICK = (
    "tests/unit/core",
    "tests/unit/data",
    "tests/unit/fitting",
    "tests/unit/models",
    "tests/unit/plots",
    "tests/contracts/test_models.py",
    "tests/contracts/test_sklearn.py",
    "tests/contracts/test_run_folders.py",
    "tests/contracts/test_readme.py",
)
"""The subset of `QUICK=1`: what touches other libraries most."""
Versions = Literal["oldest", "newest"]


@dataclass(frozen=True)
class Environment:
    """A Python and which versions of the dependencies it has."""

    python: str
    release: str
    versions: Versions

    @property
    def folder(self) -> Path:
        return FOLDER / f"python{self.release}-{self.versions}"

    @property
    def interpreter(self) -> Path:
        return self.folder / "venv" / "bin" / "python"


def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def requirements(table: dict[str, object]) -> Iterator[str]:
    """Every requirement of the package and of the extras that the tests install."""
    extras = table["optional-dependencies"]
    assert isinstance(extras, dict)
    groups = [table["dependencies"], *(r for name, r in extras.items() if name != "bench")]
    for group in groups:
        assert isinstance(group, list)
        yield from (line for line in group if not line.startswith(f"{table['name']}["))


def oldest(lines: Sequence[str]) -> list[str]:
    """The lower bound of each requirement as an exact version: 'torch>=2.6' -> 'torch==2.6'.

    Raises:
        ValueError: If a requirement has no lower bound.
    """
    exact = []
    for line in lines:
        parts = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,.*)?", line)
        if parts is None:
            raise ValueError(f"{line!r} has no lower bound; write name>=version")
        exact.append(f"{parts[1]}=={parts[2]}")
    return exact


def release_of(python: str) -> str | None:
    """'3.13' for an interpreter that runs; None if there is none."""
    try:
        answer = subprocess.run(
            [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def environments(
    pythons: dict[str, str], versions: Sequence[Versions], first: str
) -> list[Environment]:
    """The newest versions on every Python, the oldest on the oldest supported one alone:
    old releases have no wheels for later Pythons.
    """
    return [
        Environment(python, release, which)
        for python, release in pythons.items()
        for which in versions
        if which == "newest" or release == first
    ]


def logged(words: Sequence[str | Path], log: Path) -> bool:
    """Whether a command succeeds; its output is appended to a file."""
    with log.open("a") as file:
        return not subprocess.run(words, cwd=ROOT, stdout=file, stderr=file, check=False).returncode


def install(environment: Environment, table: dict[str, object]) -> bool:
    """A fresh virtual environment with this package and what its tests need."""
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.mkdir(parents=True)
    bounds = environment.folder / "constraints.txt"
    lines = list(requirements(table))
    bounds.write_text("\n".join(oldest(lines) if environment.versions == "oldest" else lines))
    log = environment.folder / "install.log"
    return logged([environment.python, "-m", "venv", environment.folder / "venv"], log) and logged(
        [environment.interpreter, "-m", "pip", "install", "-c", bounds, "-e", ".[dev]"], log
    )


def test(environment: Environment, paths: Sequence[str], jobs: int) -> tuple[bool, str]:
    """Whether the tests pass, and pytest's last line."""
    log = environment.folder / "tests.log"
    words = [environment.interpreter, "-m", "pytest", "-m", "not slow", "-q"]
    if environment.versions == "oldest":  # newer indirect dependencies deprecate what these call
        words += [f"-Wdefault::{name}Warning" for name in ("Deprecation", "Future")]
    side_by_side = ["-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else []
    passed = logged([*words, "-p", "no:cacheprovider", *side_by_side, *paths], log)
    return passed, (log.read_text().strip().splitlines() or ["no output"])[-1]


def run(environment: Environment, table: dict[str, object], quick: bool, jobs: int) -> bool:
    """Whether everything passes in one environment; prints a line about it."""
    name, begun = environment.folder.name, time.monotonic()
    if not install(environment, table):
        print(f"{name}: NOT INSTALLED, see {environment.folder / 'install.log'}", flush=True)
        return False
    with (environment.folder / "versions.txt").open("w") as file:
        subprocess.run(
            [environment.interpreter, "-m", "pip", "freeze", "--exclude-editable"],
            stdout=file,
            check=True,
        )
    passed, last = test(environment, QUICK if quick else (), jobs)
    verdict = "passed" if passed else f"FAILED, see {environment.folder / 'tests.log'}"
    print(f"{name}: {verdict} ({last}; {(time.monotonic() - begun) / 60:.0f} min)", flush=True)
    return passed


def main(argv: Sequence[str] | None = None) -> int:
    """0 if every environment was tried and passed, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("--pythons", nargs="+", default=["python3.11", "python3.13"])
    parser.add_argument(
        "--versions", nargs="+", choices=("oldest", "newest"), default=["oldest", "newest"]
    )
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--skip-missing", action="store_true", help="missing Pythons are no error")
    parser.add_argument("--jobs", type=int, default=2, help="test processes")
    options = parser.parse_args(argv)
    table = project()
    releases = {python: release_of(python) for python in options.pythons}
    missing = [python for python, release in releases.items() if release is None]
    for python in missing:
        print(f"{python}: not found on this machine; name another one with PYTHONS=", flush=True)
    first = str(table["requires-python"]).removeprefix(">=")
    pythons = {python: release for python, release in releases.items() if release is not None}
    todo = environments(pythons, options.versions, first)
    passed = [run(one, table, options.quick, options.jobs) for one in todo]
    return 0 if all(passed) and passed and (options.skip_missing or not missing) else 1


if __name__ == "__main__":
    sys.exit(main())
