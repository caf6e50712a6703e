"""A figure as text: title, formula, words, code and what to try, read from its file.

The file is parsed, not imported, so that listing the lecture loads no model.
"""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pushforward.core.errors import InvalidValue
from pushforward.lecture.contents import module_of

__all__ = ["Lesson", "folder_for", "read_lesson"]

FILES = (".png", ".gif", ".svg", ".pdf", ".jpg", ".ipynb")
"""Endings of files, which no folder of figures should have."""

TRY = "\nTry:\n"
"""Divides a docstring into its text and its exercises."""


@dataclass(frozen=True)
class Lesson:
    """What is said and shown about one figure.

    Args:
        name: of the figure.
        title: one line.
        text: Markdown, with formulas between dollar signs.
        exercises: Markdown list of what to try.
        imports: lines of code that import.
        code: the other lines, constants and helpers first.
        result: the expression that is the figure.
        moves: whether there is a film beside the figure.
    """

    name: str
    title: str
    text: str
    exercises: str
    imports: str
    code: str
    result: str
    moves: bool

    def script(self) -> str:
        """Code that leaves the figure in `figure`."""
        return f"{self.imports}\n\n{self.code}\nfigure = {self.result}\n".lstrip()


@cache
def read_lesson(name: str) -> Lesson:
    """The lesson of a figure.

    Raises:
        InvalidValue: For a name that is none.
    """
    spec = find_spec(module_of(name))
    assert spec is not None  # module_of knows the name
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    tree = ast.parse(source)
    title, _, rest = (ast.get_docstring(tree) or "").partition("\n")
    text, _, exercises = rest.partition(TRY)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "figure")
    *body, last = function.body[1:]
    assert isinstance(last, ast.Return)  # a figure returns what it drew
    assert last.value is not None
    lines = source.splitlines()
    code = "\n".join(lines[body[0].lineno - 1 : last.lineno - 1]) if body else ""
    helpers = [n for n in tree.body if isinstance(n, (ast.Assign, ast.FunctionDef))]
    lead = ["\n".join(lines[n.lineno - 1 : _end(n, lines)]) for n in helpers if n is not function]
    result = "\n".join(lines[last.lineno - 1 : last.end_lineno])
    return Lesson(
        name,
        title,
        text.strip(),
        exercises.strip(),
        "\n".join(_imports(tree, lines)),
        _plain("\n\n".join([*lead, textwrap.dedent(code).rstrip()])),
        _plain(textwrap.dedent(result).removeprefix("return ").strip()),
        isinstance(last.value, ast.Tuple),
    )


def _end(node: ast.stmt, lines: list[str]) -> int:
    """The last line of a statement."""
    return len(lines) if node.end_lineno is None else node.end_lineno


def _plain(code: str) -> str:
    """Code without the comments that are for tools."""
    return re.sub(r"  # (fmt: skip|noqa: \w+|type: ignore\[[\w-]+\])", "", code)


def _imports(tree: ast.Module, lines: list[str]) -> list[str]:
    """The import lines of a module, without those that only annotations need."""
    skipped = ("__future__", "collections.abc", "typing", "pushforward.plots.matplotlib_types")
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.Import)
        or (isinstance(node, ast.ImportFrom) and node.module not in skipped)
    ]
    return [line for n in found for line in lines[n.lineno - 1 : n.end_lineno]]


def folder_for(out: str | None) -> Path:
    """The folder that figures are written to, 'lecture' unless named.

    Raises:
        InvalidValue: If it is named like a file: a figure may have several.
    """
    folder = Path(out or "lecture")
    if folder.suffix.lower() in FILES:
        raise InvalidValue(
            f"--out must be a folder, got {str(folder)!r}: files are named after the figure; pass"
            f" --out {shlex.quote(str(folder.parent))}"
        )
    return folder
