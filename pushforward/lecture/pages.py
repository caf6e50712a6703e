"""The lecture as Markdown pages and as Jupyter notebooks, made from the lessons.

Notebooks are written as JSON of format 4 (https://nbformat.readthedocs.io), without outputs and
without a library: the extra `[notebook]` installs Jupyter to open them.
"""

from __future__ import annotations

import json
from typing import Any

from pushforward.lecture.contents import SECTIONS, Section
from pushforward.lecture.lesson import Lesson, read_lesson

__all__ = ["index", "notebook", "page"]

MADE = "<!-- Written by `make lecture` from pushforward/lecture; edit there. -->"
INTRO = """\
At the end of the lecture you will have seen every figure, with its formula, its code and what to
try. The code is the public interface; each figure takes seconds on one core, and a few take up to a
minute. They are small versions: where a longer fit says more, the text links to it.

```sh
pushforward lecture                                   # lists the figures
pushforward lecture ring                              # draws one, and shows its code
pushforward lecture ring --notebook                   # writes it as a notebook
```

Each page is also a notebook, in the folder `notebooks` beside it: `pip install
"pushforward[notebook]"`, then `jupyter lab`.
"""


def page(section: Section) -> str:
    """The page of a section, in Markdown with formulas between dollar signs."""
    parts = [MADE, f"# {section.title}", f"At the end of this page {section.aim}"]
    parts += [_on_page(read_lesson(name)) for name in section.figures]
    return "\n\n".join([*parts, *([section.after] if section.after else [])]) + "\n"


def _on_page(lesson: Lesson) -> str:
    parts = [
        f"## {lesson.title}",
        lesson.text,
        f"```python\n{lesson.script()}```",
        f"![{lesson.title}](../images/lecture/{lesson.name}.png)",
    ]
    if lesson.moves:
        film = f"../images/lecture/{lesson.name}.gif"
        parts.append(f"![{lesson.title}, as a film]({film})")
    again = f"Draw it again: `pushforward lecture {lesson.name}`."
    return "\n\n".join([*parts, f"**Try**\n\n{lesson.exercises}\n\n{again}"])


def index() -> str:
    """The page that lists the sections and their figures."""
    lines = [MADE, "# The lecture", INTRO.rstrip()]
    rows = [
        f"| [{section.title}]({section.name}.md) |"
        f" {', '.join(f'`{name}`' for name in section.figures)} |"
        for section in SECTIONS
    ]
    table = "\n".join(["| page | figures |", "|---|---|", *rows])
    return "\n\n".join([*lines, table]) + "\n"


def notebook(title: str, names: tuple[str, ...], aim: str = "", *, up: str = "") -> str:
    """A notebook of some figures, as JSON.

    Args:
        title: over it.
        aim: what its reader will have at the end.
        up: put before relative links, such as '../' one folder below the pages.
    """
    head = f"# {title}" + (f"\n\nAt the end of this notebook {aim}" if aim else "")
    cells = [_text(head), _code("%matplotlib inline")]
    for name in names:
        lesson = read_lesson(name)
        words = f"## {lesson.title}\n\n{lesson.text}".replace("](../", f"]({up}../")
        last = "figure[0]" if lesson.moves else "figure"
        script = lesson.script() + last
        cells += [_text(words), _code(script), _text(f"**Try**\n\n{lesson.exercises}")]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    content = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _text(words: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": words.splitlines(keepends=True)}


def _code(script: str) -> dict[str, Any]:
    source = script.splitlines(keepends=True)
    return {
        "cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
        "source": source,
    }  # fmt: skip
