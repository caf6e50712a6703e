"""Sets of samples against data from Python: the records that the command writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.experiments.compare import Comparison, by_feature_space, compare


@pytest.fixture
def comparison(place: Path) -> Comparison:
    return Comparison(
        str(place / "people.csv"),
        [str(place / "pca"), str(place / "gmm")],
        spaces=["raw", "scaled"],
        metrics=["mmd", "c2st"],
        reading={"drop": ["team"]},
        seed=3,
    )


def test_the_command_writes_what_python_gets(
    comparison: Comparison, command: Callable[..., str], place: Path
) -> None:
    notes: list[str] = []
    measured, samples = compare(comparison, say=notes.append)
    lines = command(
        "compare", place / "people.csv", place / "pca", place / "gmm", "--drop", "team",
        "--features", "raw,scaled", "--metrics", "mmd,c2st", "--seed", 3, "--json",
    ).splitlines()  # fmt: skip
    expected = [record.as_dict() for records in measured for record in records]
    assert [json.loads(line) for line in lines] == json.loads(json.dumps(expected, default=str))
    for records, other in zip(measured, samples):
        assert {record.details["compared"] for record in records} == {other.description}


def test_records_are_gathered_by_feature_space(comparison: Comparison) -> None:
    measured, _ = compare(comparison)
    spaces = by_feature_space(measured)
    assert len(spaces) == 2
    for space, sets in spaces.items():
        assert len(sets) == 2
        for records in sets:
            assert [record.quantity for record in records] == ["mmd²", "c2st"]
            assert all(str(record.details["features"]).startswith(space) for record in records)


def test_the_same_rows_on_both_sides_are_warned_of() -> None:
    same = Comparison("digits", ["digits"], metrics=["mmd"], rows=50)
    with pytest.warns(UserWarning, match="are the same rows"):
        compare(same)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="rows must be at least 2, got 1"):
        compare(Comparison("ring:9", ["ring:9"], rows=1))
