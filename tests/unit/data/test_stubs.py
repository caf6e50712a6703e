"""Packages whose names load on first use:
what `__init__.pyi` tells type checkers is what there is.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import pushforward

ROOT = Path(pushforward.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_a_stub_names_what_the_package_offers_and_where_it_is(stub: Path) -> None:
    package = importlib.import_module(
        ".".join(("pushforward", *stub.parent.relative_to(ROOT).parts))
    )
    homes = {
        alias.asname: getattr(importlib.import_module(str(node.module)), alias.name)
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(homes) == set(package.__all__)
    assert all(getattr(package, name) is value for name, value in homes.items())
