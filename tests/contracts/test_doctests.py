"""Every example in a docstring or on a page of docs/ runs and shows what it says."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pushforward.core.registry import catalogue, registered_models
from pushforward.data.formats import registry
from pushforward.metrics.scores import METRICS

ROOT = Path(__file__).parents[2]
SHOWN = {
    path: count
    for path in sorted((ROOT / "pushforward").rglob("*.py"))
    if (count := len(re.findall(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)))
}
"""How many lines of examples each file has."""
PAGES = {
    f"{path.relative_to(ROOT / 'docs')}-{i}": block
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.parent.name != "lecture"  # tests/unit/lecture runs its figures
    for i, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL))
}


def examples(path: Path) -> list[doctest.DocTest]:
    """The examples of a file's docstrings, one group a docstring."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    groups = doctest.DocTestFinder().find(importlib.import_module(name))
    return [group for group in groups if group.examples]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, figures without windows,
    and registries that are afterwards as they were.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert list(registered_models())  # imports all of ours, which stay registered
    assert registry.every_reader()
    registries = (catalogue, registry._registered, METRICS)
    contents = [dict(each) for each in registries]
    yield
    for registered, before in zip(registries, contents):
        registered.clear()
        registered.update(before)  # type: ignore[arg-type]


def failures(group: doctest.DocTest, seed: int) -> str:
    """What a group of examples shows instead; nothing where it is as written.

    The seed is for torch's global generator, which no example may depend on.
    """
    torch.manual_seed(seed)
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(group, out=report.append, clear_globs=False)
    return "".join(report)


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.stem)
def test_examples_show_what_they_say_whatever_the_global_seed(path: Path) -> None:
    groups = examples(path)
    assert sum(len(group.examples) for group in groups) == SHOWN[path], "an example is not found"
    for group in groups:
        assert group.examples[-1].want, f"{group.name} ends without a result"
        for seed in (1, 2):
            copy = doctest.DocTest(
                group.examples, dict(group.globs), group.name, group.filename, 0, None
            )
            assert failures(copy, seed) == ""


def test_an_example_that_is_wrong_or_depends_on_the_global_seed_is_found() -> None:
    text = ">>> import torch\n>>> round(torch.rand(()).item(), 4)\n0.7576\n"  # of seed 1
    parse = doctest.DocTestParser().get_doctest
    assert not failures(parse(text, {}, "seeded", None, 0), 1)
    assert "0.7576" in failures(parse(text, {}, "seeded", None, 0), 2)
    assert "Expected" in failures(parse(">>> 1 + 1\n3\n", {}, "wrong", None, 0), 1)


@pytest.mark.parametrize("block", PAGES.values(), ids=PAGES)
def test_python_on_the_pages_of_docs_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "docs", "exec"), {"__name__": "docs"})
    printed = capsys.readouterr().out
    assert printed or "print(" not in block
