"""`make dist`: the wheel and the source archive of a tag, tried where there is no checkout.

The wheel is installed into an empty environment; the README that it carries is run there, line by
line, in an empty folder. Nothing of the repository is on the path.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = "plots,tables,export"
"""Extras that the README's lines use."""
RUNNER = """
import re, shlex, subprocess
from importlib.metadata import metadata
import pushforward
assert "site-packages" in pushforward.__file__, pushforward.__file__
names = {"__name__": "readme"}
count = 0
readme = metadata("pushforward").get_payload()
for language, block in re.findall(r"```(\\w*)\\n(.*?)```", readme, re.S):
    if language == "python":
        print(">>>", block.splitlines()[0], "...", flush=True)
        exec(compile(block, "README.md", "exec"), names)
        count += 1
    for line in block.splitlines() if language == "sh" else ():
        if words := shlex.split(line, comments=True):
            print("$", line, flush=True)
            subprocess.run(words, check=True)
            count += 1
assert count, "the README has no lines to run"
print(count, "blocks and lines of the README ran")
"""


def version() -> str:
    """The version, which is the same wherever it is written.

    Raises:
        SystemExit: If it is not.
    """
    stated = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    others = {
        "pushforward/__init__.py": r'^__version__ = "(.+)"$',
        "CITATION.cff": r"^version: (.+)$",
    }
    for name, pattern in others.items():
        match = re.search(pattern, (ROOT / name).read_text(), flags=re.MULTILINE)
        found = match[1] if match else None
        if found != stated:
            sys.exit(f"pyproject.toml has version {stated}, {name} {found}; make them agree")
    return stated


def require_tag(stated: str) -> None:
    """Exit unless the commit is tagged with its version and the tree is unchanged."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()

    tags, changes = git("tag", "--points-at", "HEAD").split(), git("status", "--porcelain")
    if f"v{stated}" not in tags:
        sys.exit(
            f"the commit is not tagged v{stated} (its tags: {', '.join(tags) or 'none'}); tag it,"
            " or pass UNTAGGED=1 for a trial"
        )
    if changes:
        sys.exit(f"the tree differs from the tag; commit or undo:\n{changes}")


def build(into: Path) -> tuple[Path, Path]:
    """The wheel and the source archive."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for kind in ("sdist", "wheel"):
        code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(into)!r}))"
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
    (wheel,), (archive,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, archive


def check_wheel(wheel: Path) -> None:
    """Exit if files that the package needs are missing, or others are in the wheel."""
    with zipfile.ZipFile(wheel) as file:
        packed = {n for n in file.namelist() if not n.split("/")[0].endswith(".dist-info")}
    listed = subprocess.run(
        ["git", "ls-files", "pushforward"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    if packed != set(listed):
        less, more = sorted(set(listed) - packed), sorted(packed - set(listed))
        sys.exit(f"the wheel lacks {less[:5]} and has {more[:5]} besides")


def install(wheel: Path, place: Path, dependencies: Path | None) -> Path:
    """An empty environment with the wheel; its Python."""
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = place / "bin" / "python"
    words = [str(python), "-m", "pip", "install", "-q"]
    if dependencies is None:
        subprocess.run([*words, f"{wheel}[{EXTRAS}]"], check=True)
        return python
    subprocess.run([*words, "--no-deps", "--no-index", str(wheel)], check=True)
    (own,) = place.glob("lib/python*/site-packages")
    (others,) = dependencies.resolve().glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(f"{others}\n")
    return python


def run_readme(python: Path, folder: Path) -> None:
    """Run the README's lines in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [str(python.absolute()), "-c", RUNNER]
    subprocess.run(words, cwd=folder, env=variables(python), check=True)


def variables(python: Path) -> dict[str, str]:
    """Of a shell in which an environment is active, and nothing else of ours is set."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "PUSHFORWARD"))}
    path = f"{python.absolute().parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "COLUMNS": "100"}


def main() -> None:
    """Build and try."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--untagged", action="store_true", help="build whatever is checked out")
    parser.add_argument("--dependencies", type=Path, help="an environment that has them")
    parser.add_argument("--no-readme", action="store_true", help="only build and install")
    settings = parser.parse_args()
    stated = version()
    if not settings.untagged:
        require_tag(stated)
    wheel, archive = build(ROOT / "dist")
    check_wheel(wheel)
    python = install(wheel, ROOT / "build" / "dist" / "environment", settings.dependencies)
    if not settings.no_readme:
        run_readme(python, ROOT / "build" / "dist" / "elsewhere")
    print(f"{wheel.relative_to(ROOT)} and {archive.relative_to(ROOT)} are ready")


if __name__ == "__main__":
    main()
