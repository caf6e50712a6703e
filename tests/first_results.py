"""`python -m tests.first_results`: how long new users take to a result of their own.

The wheel of `make dist` (built here if there is none) is installed into an empty environment. Three
users, with a table, a folder of images and an array, follow the pages of docs/start in an empty
folder each, line by line as printed; where a page names built-in data "or" theirs, they take
theirs. The seconds are recorded in results/first-results.json.

python -m tests.first_results                          dependencies from the network
python -m tests.first_results --dependencies .venv     from an environment that has them
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.distribution import ROOT, build, install, variables

RECORD = ROOT / "results" / "first-results.json"
LIMIT = 300
"""Seconds from the end of the installation to the first result."""
PICTURES = 400
"""Images in the folder of the user who has images."""


@dataclass(frozen=True)
class User:
    """Somebody with data.

    Attributes:
        page: of docs/start, that this user follows.
        data: name of their file or folder.
        prepare: writes it into a folder; the page's first lines do where there is none.
        instead: built-in data on the page, which this user replaces by their own.
        result: the file that is their first result.
    """

    page: str
    data: str
    result: str
    instead: str = ""
    prepare: Callable[[Path], None] | None = None

    def lines(self) -> list[tuple[str, str]]:
        """The language and text of what the page says: a Python block, or a line of a shell."""
        page = (ROOT / "docs" / "start" / f"{self.page}.md").read_text(encoding="utf-8")
        steps: list[tuple[str, str]] = []
        for language, block in re.findall(r"```(python|sh)\n(.*?)```", page, flags=re.DOTALL):
            if language == "python":
                lines = [self._in_python(line) for line in block.splitlines()]
                steps.append((language, "\n".join(lines)))
            else:
                steps += [(language, self._in_shell(line)) for line in block.splitlines() if line]
        return steps

    def _in_python(self, line: str) -> str:
        """With this user's data where the comment offers it."""
        offered = self.instead and "# " in line and "or your" in line
        return line.replace(f'"{self.instead}"', f'"{self.data}"') if offered else line

    def _in_shell(self, line: str) -> str:
        """With this user's data, and the flags that the comment adds for it."""
        command, _, comment = line.partition(" #")
        if self.instead not in command.split():
            return command.rstrip()
        more = re.search(rf"or {re.escape(self.data)} (--[\w-]+ \S+)", comment)
        own = f"{self.data} {more[1]}" if more else self.data
        return " ".join(own if word == self.instead else word for word in command.split())


def write_images(folder: Path) -> None:
    """A folder of drawn faces, 32×32."""
    from PIL import Image

    from tests.drawn_faces import faces

    (folder / "photos").mkdir()
    for i, levels in enumerate(faces(PICTURES).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(levels).save(folder / "photos" / f"{i:03d}.png")


def write_points(folder: Path) -> None:
    """Two thousand points near a spiral."""
    import numpy as np

    rng = np.random.default_rng(0)
    angle = rng.uniform(1, 3 * np.pi, 2000)
    spiral = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    np.save(folder / "points.npy", spiral + rng.normal(scale=0.3, size=spiral.shape))


USERS = {
    "a table": User("table", "wine.csv", "copy.csv"),
    "images": User("images", "photos/", "new.png", "digits", write_images),
    "an array": User(
        "first-fit", "points.npy", "runs/moons-gmm/images/density.png", "moons:2000", write_points
    ),
}


def follow(
    user: User, python: Path, folder: Path, steps: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Run the lines of a page; seconds of each, and to the result.

    Raises:
        SystemExit: If a line fails, or the result is missing at the end.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if user.prepare:
        user.prepare(folder)
    began, first, timed = time.perf_counter(), None, []
    for language, text in steps:
        words = [str(python.absolute()), "-c", text] if language == "python" else ["sh", "-c", text]
        start = time.perf_counter()
        done = subprocess.run(
            words, cwd=folder, env=variables(python), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(
                f"docs/start/{user.page}.md: {text}\nexit code {done.returncode}\n{done.stderr}"
            )
        now = time.perf_counter()
        timed.append({"line": text, "seconds": round(now - start, 1)})
        print(f"{now - start:6.1f} s  {text.splitlines()[0]}", flush=True)
        if first is None and (folder / user.result).is_file():
            first = round(now - began, 1)
    if first is None:
        sys.exit(f"docs/start/{user.page}.md: its lines ran, but there is no {user.result}")
    total = round(sum(line["seconds"] for line in timed), 1)
    return {"result": user.result, "first": first, "all": total, "lines": timed}


def the_wheel() -> Path:
    """The wheel in dist/, which is built if there is none."""
    found = sorted((ROOT / "dist").glob("*.whl"))
    return found[-1] if found else build(ROOT / "dist")[0]


def main() -> int:
    """The exit status: 1 if a first result took longer than the limit."""
    from benchmarks.timing import machine

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dependencies", type=Path, help="an environment that has them")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "first", help="to work in")
    parser.add_argument("--record", type=Path, default=RECORD)
    settings = parser.parse_args()
    began = time.perf_counter()
    python = install(the_wheel(), settings.into / "environment", settings.dependencies)
    record: dict[str, Any] = {
        "machine": machine(),
        "install": round(time.perf_counter() - began, 1),
        "dependencies": "from the network" if settings.dependencies is None else "already there",
        "users": {},
    }
    for name, user in USERS.items():
        print(f"{name}: docs/start/{user.page}.md")
        folder = settings.into / user.page
        record["users"][name] = follow(user, python, folder, user.lines())
    settings.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    late = [name for name, user in record["users"].items() if user["first"] > LIMIT]
    if late:
        print(f"later than {LIMIT} s: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
