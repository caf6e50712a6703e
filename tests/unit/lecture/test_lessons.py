"""Every figure has a title, a formula, short code and something to try; pages are made of
them.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

import pushforward.lecture.figures as figures
from pushforward.core.errors import InvalidValue
from pushforward.lecture.contents import FIGURES, SECTIONS, module_of
from pushforward.lecture.lesson import read_lesson
from pushforward.lecture.pages import index, notebook, page

ROOT = Path(__file__).parents[3]
LONGEST = 15
"""Lines of a figure's code, imports and empty lines aside: what fits on a slide."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_lesson_has_all_its_parts(name: str) -> None:
    lesson = read_lesson(name)
    assert lesson.title
    assert not lesson.title.endswith(".")
    assert "$$" in lesson.text, "a formula"
    assert lesson.text.count("$$") % 2 == 0
    assert lesson.exercises.startswith("* ")
    lines = (lesson.code + "\n" + lesson.result).splitlines()
    assert len([line for line in lines if line.strip()]) <= LONGEST
    tree = ast.parse(lesson.script())
    assert isinstance(tree.body[-1], ast.Assign)


def test_every_file_is_a_figure_of_the_lecture() -> None:
    files = {p.stem for p in Path(figures.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in FIGURES}
    assert len(set(FIGURES)) == len(FIGURES)


def test_code_names_all_that_it_uses() -> None:
    """What the script of a lesson reads, it has imported or assigned, or Python has it."""
    for name in FIGURES:
        tree = ast.parse(read_lesson(name).script())
        names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
        assigned = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        assigned |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
        assigned |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assigned |= {(a.asname or a.name).split(".")[0] for a in node.names}
        read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        known = set(dir(__builtins__)) | set(__builtins__ if isinstance(__builtins__, dict) else ())
        assert not read - assigned - known - {"Figure"}, name


@pytest.mark.parametrize("name", ["ring", "push-forward", "computation-graph", "clusters"])
def test_the_code_that_is_shown_runs_as_it_is(name: str) -> None:
    names: dict[str, object] = {}
    exec(compile(read_lesson(name).script(), name, "exec"), names)
    assert names["figure"].get_size_inches()[0] > 5  # type: ignore[attr-defined]


def test_an_unknown_figure_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(InvalidValue, match="unknown figure 'rings'; did you mean 'ring'"):
        module_of("rings")


def test_the_pages_are_those_of_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    from docs.lecture_pages import PICTURES, written

    for path, text in written().items():
        assert path.read_text(encoding="utf-8") == text, "run `make lecture`"
    assert {p.stem for p in PICTURES.glob("*.png")} == set(FIGURES)
    assert {p.stem for p in PICTURES.glob("*.gif")} == {
        name for name in FIGURES if read_lesson(name).moves
    }


def test_every_section_has_its_page_and_is_listed() -> None:
    for section in SECTIONS:
        text = page(section)
        assert f"]({section.name}.md)" in index()
        assert "At the end of this page you will" in text
        for name in section.figures:
            assert read_lesson(name).script() in text
            assert f"images/lecture/{name}.png" in text


def test_notebooks_are_valid_and_hold_the_code() -> None:
    section = SECTIONS[-2]
    content = json.loads(notebook(section.title, section.figures, section.aim, up="../"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    scripts = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert scripts[0] == "%matplotlib inline"
    assert len(scripts) == 1 + len(section.figures)
    for name, script in zip(section.figures, scripts[1:]):
        ast.parse(script)
        assert script.startswith(read_lesson(name).script())
        assert script.endswith("figure[0]" if read_lesson(name).moves else "figure")
    words = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    assert "](../../results.md#" in words, "links are one folder further up"
