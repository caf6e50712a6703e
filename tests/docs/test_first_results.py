"""New users come to a result by the lines of docs/start, from the wheel, outside the checkout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.distribution import build, install
from tests.first_results import LIMIT, RECORD, ROOT, USERS, User, follow


@pytest.mark.parametrize("name", USERS)
def test_users_take_their_own_data(name: str) -> None:
    user = USERS[name]
    steps = user.lines()
    assert len(steps) > 3
    assert any(user.data in text for _, text in steps)
    assert all(text.startswith("pushforward ") for language, text in steps if language == "sh")
    if user.instead:
        assert not any(user.instead in text for _, text in steps if "fit" in text.split())


@pytest.mark.parametrize("name", USERS)
def test_the_record_is_of_the_lines_on_the_pages(name: str) -> None:
    if not RECORD.is_file():
        pytest.skip("there is no record yet: run python -m tests.first_results on a quiet machine")
    record = json.loads(RECORD.read_text())["users"][name]
    assert [line["line"] for line in record["lines"]] == [text for _, text in USERS[name].lines()]
    assert record["first"] <= LIMIT


@pytest.fixture
def nobody() -> User:
    return User("table", "wine.csv", "copy.csv")


def test_a_line_that_fails_is_found(nobody: User, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"table\.md: exit 3\nexit code 3"):
        follow(nobody, Path(sys.executable), tmp_path / "x", [("sh", "exit 3")])


def test_a_missing_result_is_found(nobody: User, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no copy\.csv"):
        follow(nobody, Path(sys.executable), tmp_path / "x", [("sh", "true")])
    done = follow(nobody, Path(sys.executable), tmp_path / "x", [("sh", "touch copy.csv")])
    assert done["result"] == "copy.csv"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_line_runs_from_the_wheel(tmp_path: Path) -> None:
    python = install(build(tmp_path / "dist")[0], tmp_path / "environment", Path(sys.prefix))
    for name, user in USERS.items():
        found = follow(user, python, tmp_path / user.page, user.lines())
        assert (tmp_path / user.page / found["result"]).stat().st_size > 100, name
    assert not (ROOT / "runs").exists()
