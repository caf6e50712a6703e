"""The source as data: no import cycles of any kind, no long files,
no class that does everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pushforward"
MOST_LINES = 400
MOST_METHODS = 15


@cache
def modules() -> Mapping[str, ast.Module]:
    """The parsed modules by dotted name."""
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in PACKAGE.rglob("*.py")
    }
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in names.items()}


def imported(tree: ast.Module, known: Mapping[str, object]) -> Iterator[str]:
    """Our own modules that a module imports: anywhere in it,
    also within functions and for type checkers alone.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pushforward"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def cycle_of(graph: Mapping[str, set[str]]) -> list[str]:
    """The modules of a cycle; none if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_are_no_import_cycles_of_any_kind() -> None:
    known = modules()
    assert len(known) > 200
    assert not cycle_of({name: set(imported(tree, known)) - {name} for name, tree in known.items()})


def test_a_cycle_would_be_found() -> None:
    one = ast.parse("def f():\n    from pushforward.two import x")
    two = ast.parse("if TYPE_CHECKING:\n    from pushforward import one")
    known = {"pushforward.one": one, "pushforward.two": two}
    assert cycle_of({name: set(imported(tree, known)) for name, tree in known.items()})


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_files_and_classes_are_of_a_readable_size(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            public = [
                m.name
                for m in node.body
                if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")
            ]
            assert len(public) <= MOST_METHODS, f"{node.name}: {', '.join(public)}"
