"""The source as data: no import cycles of any kind, no long files, no class that does everything,
hardly an annotation that says nothing, and a reason beside each number.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from pushforward.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pushforward"
MOST_LINES = 400
MOST_METHODS = 15
MOST_ANY = 0.03


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


# ---------------------------------------------------------------------------- annotations, reasons


def annotations_of(tree: ast.Module) -> Iterator[ast.expr]:
    """The annotations of parameters, but not of *args and **kwargs, and of what is returned."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            yield from (part.annotation for part in parts if part.annotation is not None)
            if node.returns is not None:
                yield node.returns


def share_of_any(trees: Iterable[ast.Module]) -> float:
    """The share of annotations that are exactly `Any`."""
    bare = [isinstance(a, ast.Name) and a.id == "Any" for t in trees for a in annotations_of(t)]
    return sum(bare) / len(bare)


def test_annotations_are_rarely_any() -> None:
    assert share_of_any(modules().values()) <= MOST_ANY


def test_any_would_be_counted() -> None:
    tree = ast.parse("def f(a: Any, b: int, *rest: Any, c: list[Any] = ()) -> Any: ...")
    assert share_of_any([tree]) == 0.5


def constants_without_reason(text: str) -> Iterator[str]:
    """The names of a module's upper-case constants that hold numbers and say nothing of why: no
    text below them (or below those on the lines that follow at once), and no comment beside or
    above them.
    """
    lines, body = text.splitlines(), ast.parse(text).body
    for i, node in enumerate(body):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not holds_numbers(node.value):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        beside = "#" in lines[node.end_lineno - 1]
        above = node.lineno > 1 and lines[node.lineno - 2].startswith("#")
        if not (beside or above or has_text_below(body, i)):
            yield from (name for name in names if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name))


def holds_numbers(value: ast.expr | None) -> bool:
    """Whether a value is made of numbers, with no text, call or map in it."""
    parts = [] if value is None else list(ast.walk(value))
    constants = [p.value for p in parts if isinstance(p, ast.Constant)]
    other = (ast.Call, ast.Dict, ast.Set, ast.Lambda, ast.ListComp, ast.DictComp)
    return (
        any(isinstance(c, (int, float)) and not isinstance(c, bool) for c in constants)
        and not any(isinstance(c, (str, bytes)) for c in constants)
        and not any(isinstance(p, other) for p in parts)
    )


def has_text_below(body: Sequence[ast.stmt], i: int) -> bool:
    """Whether a text follows an assignment at once, or those that follow it at once."""
    following = [*zip(body[i:], body[i + 1 :])]
    for statement, after in following:
        if after.lineno != (statement.end_lineno or 0) + 1:
            return False
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return isinstance(after.value.value, str)
        if not isinstance(after, (ast.Assign, ast.AnnAssign)):
            return False
    return False


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_constants_have_a_reason_beside_them(path: Path) -> None:
    assert not list(constants_without_reason(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RATE = 2e-3", ["RATE"]),
        ('RATE = 2e-3\n"""Quick."""', []),
        ("RATE = 2e-3  # quick", []),
        ("# quick\nRATE = 2e-3", []),
        ('RATE, EVERY = 2e-3, 50\nMOST = 8\n"""Quick."""', []),
        ('RATE = 2e-3\n\nMOST = 8\n"""Most."""', ["RATE"]),
        ("_SIDES: tuple[int, ...] = (4, 8)", ["_SIDES"]),
        ('NAMES = ("a", "b")\nHALF = halves(2)\nrate = 0.1', []),
    ],
)
def test_a_constant_without_a_reason_would_be_found(text: str, names: list[str]) -> None:
    assert list(constants_without_reason(text)) == names


def test_the_command_line_only_parses_and_prints() -> None:
    """What grows beyond this, with what commands share, belongs to the library."""
    files = (ROOT / "pushforward" / "cli").glob("*.py")
    commands = len(COMMANDS) + 1  # `fit auto` has flags of its own
    assert sum(len(file.read_text().splitlines()) for file in files) <= 122 * commands
