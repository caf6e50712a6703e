"""Packages whose names load on first use:
what `__init__.pyi` tells type checkers is what there is.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pushforward

ROOT = Path(pushforward.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))


def test_every_package_that_loads_names_on_first_use_has_a_stub() -> None:
    lazy = {
        path.with_suffix(".pyi")
        for path in ROOT.rglob("__init__.py")
        if "__getattr__, __dir__ = lazy(" in path.read_text(encoding="utf-8")
    }
    assert lazy == set(STUBS)
    assert ROOT / "__init__.pyi" in lazy


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_a_stub_names_what_the_package_offers_and_where_it_is(stub: Path) -> None:
    package = importlib.import_module(
        ".".join(("pushforward", *stub.parent.relative_to(ROOT).parts))
    )
    body = ast.parse(stub.read_text(encoding="utf-8")).body
    homes = {
        str(alias.asname): getattr(importlib.import_module(str(node.module)), alias.name)
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    declared = [node.target.id for node in body if isinstance(node, ast.AnnAssign)]  # type: ignore[union-attr]
    assert len(homes) + len(declared) == len(body)
    assert set(package.__all__) <= set(homes)
    further = set(homes) - set(package.__all__)
    assert all(isinstance(homes[name], ModuleType) for name in further)
    assert all(getattr(package, name) is value for name, value in homes.items())
    assert all(hasattr(package, name) for name in declared)
    assert set(homes) <= set(dir(package))


@pytest.mark.parametrize(
    "package", ["pushforward", "pushforward.fitting", "pushforward.experiments"]
)
def test_importing_the_package_imports_nothing_heavy(package: str) -> None:
    """Names are looked up without torch; NumPy comes with nothing here."""
    code = (
        f"import sys, {package}; dir({package});"
        "print(sorted({'torch', 'numpy', 'pandas', 'matplotlib', 'sklearn', 'scipy'} &"
        " {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
