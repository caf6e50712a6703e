"""`make docs`: gather the pages of the site, written and generated, for Sphinx to build.

python -m docs.site          writes build/docs/source
sphinx-build -W -b html build/docs/source build/docs/html

The pages in docs/ are Markdown that a code host shows as well. They are copied; what Sphinx alone
needs (the table of contents, pages from outside docs/) is added to the copies.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from docs.api_pages import GROUPS, api_pages, command_page, examples_page

__all__ = ["CONTENTS", "gather"]

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "build" / "docs" / "source"
CONTENTS: Mapping[str, tuple[str, ...]] = {
    "Start": (
        "start/install", "start/first-fit", "start/table", "start/images", "start/pairs",
        "start/command-line",
    ),
    "Lecture": (
        "lecture/index", "lecture/data", "lecture/codes", "lecture/densities", "lecture/latent",
        "lecture/vae", "lecture/gan", "lecture/images",
    ),
    "How to": (
        "howto/choose", "howto/read-results", "howto/collapse", "howto/resume", "howto/devices",
        "howto/seeds", "howto/own-model", "howto/trackers", "howto/notebooks", "tables",
        "table-models", "images", "recipes", "studio", "export",
    ),
    "Explanation": ("explanation/likelihood", "explanation/fid"),
    "Reference": (
        "reference/api/index", "reference/command-line", "reference/run-folder", "events",
        "reference/examples",
    ),
    "Results": ("results",),
    "Architecture": ("architecture", "contributing", "changelog"),
}  # fmt: skip
"""Sections of the site and their pages, in order."""
OUTSIDE = {"../CONTRIBUTING.md": "contributing.md", "../CHANGELOG.md": "changelog.md"}
"""Pages from outside docs/, as the pages in it link to them."""


def gather(target: Path = SOURCE) -> list[Path]:
    """Write all pages, images and settings to a folder that is made anew; the pages' paths."""
    shutil.rmtree(target, ignore_errors=True)
    here = ROOT / "docs"
    for path in [*here.rglob("*.md"), *here.rglob("*.ipynb"), *here.glob("images/**/*.*")]:
        _copy(path, target / path.relative_to(here))
    for name in ("conf.py", "mathml.py", "static/site.css"):
        _copy(here / name, target / name)
    for name, text in generated().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    for path in target.rglob("*.md"):
        depth = len(path.relative_to(target).parts) - 1
        path.write_text(linked(path.read_text(encoding="utf-8"), depth), encoding="utf-8")
    _append(target / "index.md", contents())
    _append(target / "reference/api/index.md", _toctree("", tuple(GROUPS)))
    return sorted(target.rglob("*.md"))


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, to)


def generated() -> dict[str, str]:
    """The pages that are made from the package and from files outside docs/."""
    pages = {f"reference/api/{name}": text for name, text in api_pages().items()}
    return {
        **pages,
        "reference/command-line.md": command_page(),
        "reference/examples.md": examples_page(),
        "contributing.md": _from_root("CONTRIBUTING.md"),
        "changelog.md": _from_root("CHANGELOG.md"),
    }


def _from_root(name: str) -> str:
    """A page of the repository's root, its links as from docs/."""
    text = (
        (ROOT / name)
        .read_text(encoding="utf-8")
        .replace("](docs/", "](")
        .replace("](CHANGELOG.md", "](changelog.md")
    )
    return re.sub(r"\]\(examples(/\w+\.py)?/?\)", "](reference/examples.md)", text)


def linked(text: str, depth: int) -> str:
    """A page whose links to files outside docs/ lead to pages of the site.

    Args:
        depth: folders between the page and the root of the site.
    """
    up = "../" * depth
    for outside, page in OUTSIDE.items():
        text = text.replace(f"]({up}{outside}", f"]({up}{page}")
    return re.sub(
        rf"\]\({re.escape(up)}\.\./examples(/\w+\.py)?/?\)", f"]({up}reference/examples.md)", text
    )


def contents() -> str:
    """The table of contents, for the side of every page."""
    return "".join(_toctree(caption, pages) for caption, pages in CONTENTS.items())


def _toctree(caption: str, pages: Iterable[str]) -> str:
    head = f":caption: {caption}\n" if caption else ""
    return f"\n```{{toctree}}\n:hidden:\n{head}\n" + "\n".join(pages) + "\n```\n"


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


if __name__ == "__main__":
    print(f"{len(gather())} pages in {SOURCE.relative_to(ROOT)}")
