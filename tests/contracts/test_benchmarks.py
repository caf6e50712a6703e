"""Every benchmark can be run: its module imports, and it is listed by its name."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELPERS = {"__main__", "large_table", "timing"}
"""Modules without benchmarks of their own."""


def test_every_module_of_benchmarks_is_listed_and_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "benchmarks", raising=False)
    main = importlib.import_module("benchmarks.__main__")
    modules = {m.name for m in pkgutil.iter_modules([str(ROOT / "benchmarks")])} - HELPERS
    assert set(main.MODULES) == modules
    names = [n for m in modules for n in importlib.import_module(f"benchmarks.{m}").BENCHMARKS]
    assert len(names) == len(set(names))


def test_every_study_imports_and_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "studies", raising=False)
    main = importlib.import_module("studies.__main__")
    modules = {m.name for m in pkgutil.iter_modules([str(ROOT / "studies")])} - {
        "__main__",
        "study",
        "table_sets",
        "real_tables",
        "reference_tables",
    }
    assert set(main.MODULES) == modules
    studies = [s.name for m in modules for s in importlib.import_module(f"studies.{m}").STUDIES]
    assert len(studies) == len(set(studies)) == len(main.load_studies())
