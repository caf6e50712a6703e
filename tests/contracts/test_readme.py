"""The README's numbers are the records', and what it tells a reader to type is understood."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_tables_are_those_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "docs", raising=False)
    from docs.tables import written

    assert written(README) == README, "run `make readme`"


def test_every_image_is_there_and_small() -> None:
    images = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert images
    for path in images:
        assert (ROOT / path).stat().st_size < 300_000, path


def test_every_command_is_one() -> None:
    from pushforward.cli.main import COMMANDS

    named = re.findall(r"^\$? ?pushforward (\w+)", README, flags=re.MULTILINE)
    assert len(named) > 8
    assert set(named) <= set(COMMANDS)


def test_every_make_target_is_one() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"`make (\w+)", README)) <= set(targets)
