"""`make lecture`: run every figure of the lecture, and write its pages, pictures and notebooks.

python -m docs.lecture_pages            everything: a few minutes of one core
python -m docs.lecture_pages ring quiz  only these pictures, and all pages
python -m docs.lecture_pages --pages    no pictures
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pushforward.lecture.contents import FIGURES, SECTIONS
from pushforward.lecture.pages import index, notebook, page

__all__ = ["written"]

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "images" / "lecture"


def written() -> dict[Path, str]:
    """The text of all pages and notebooks, by path."""
    folder = ROOT / "docs" / "lecture"
    pages = {folder / f"{section.name}.md": page(section) for section in SECTIONS}
    notebooks = {
        folder / "notebooks" / f"{s.name}.ipynb": notebook(s.title, s.figures, s.aim, up="../")
        for s in SECTIONS
    }
    return {folder / "index.md": index(), **pages, **notebooks}


def draw(names: tuple[str, ...]) -> None:
    """Write the pictures of some figures, and say how long each took."""
    from pushforward.lecture.building import write_pictures

    for name in names:
        began = time.process_time()
        files = write_pictures(name, PICTURES)
        seconds = time.process_time() - began
        print(f"{name}: {seconds:.0f} s, {', '.join(file.name for file in files)}", flush=True)


def main(words: list[str]) -> None:
    """Write the pages, and the pictures that were asked for."""
    if words != ["--pages"]:
        draw(tuple(words) or FIGURES)
    for path, text in written().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
