"""Every registered model by name, and one of each fitted for all tests of a file."""

from __future__ import annotations

from typing import Any

import pytest

from tests.small_models import NAMES, fitted


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> Any:
    return fitted(name)
