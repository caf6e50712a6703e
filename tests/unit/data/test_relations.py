"""Relations between columns: read, refused, checked, and kept with a source."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

import pushforward as pf
from pushforward.core.space import Column, Space
from pushforward.data.tables.relations import parse_relation, relations_of, violating_rows

NAMES = ("GS", "G", "PTS", "FG", "FT", "Free throws", "day", "team")
COLUMNS = tuple(
    Column(n, "categorical" if n == "team" else "integer", categories=("a", "b") * (n == "team"))
    for n in NAMES
)
SPACE = Space("points", (len(NAMES),), COLUMNS)


@pytest.mark.parametrize(
    ("text", "factors", "constant", "sign"),
    [
        ("GS <= G", {"GS": 1, "G": -1}, 0, "<="),
        ("G >= GS", {"G": -1, "GS": 1}, 0, "<="),
        ("PTS = 2*FG + FT", {"PTS": 1, "FG": -2, "FT": -1}, 0, "="),
        ("PTS == FT + FG * 2 - 0.5e1", {"PTS": 1, "FG": -2, "FT": -1}, 5, "="),
        ("`Free throws` < 3 * FT / 2", {"Free throws": 1, "FT": -1.5}, 0, "<"),
        ("-GS + 'Free throws' > -3", {"GS": 1, "Free throws": -1}, -3, "<"),
        ('"Free throws">=GS+GS', {"Free throws": -1, "GS": 2}, 0, "<="),
    ],
)
def test_linear_relations_are_read(
    text: str, factors: dict[str, float], constant: float, sign: str
) -> None:
    found = parse_relation(text, SPACE)
    assert dict(zip(found.names, found.factors)) == factors
    assert (found.constant, found.sign) == (constant, sign)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("GS", "it has none of <= >= < > ="),
        ("GS <= G <= PTS", "it has '<=' and '<='"),
        ("GS <= ", "one side is empty"),
        ("GS * G <= 3", "only linear relations"),
        ("1 / G <= 3", "only linear relations"),
        ("GS / 0 <= 3", "only linear relations"),
        ("GS G <= 3", "a \\+ or - is missing before 'G'"),
        ("__import__('os').system('x') <= 1", "neither name nor number"),
        ("GS <= GS", "it names no column"),
        ("3 <= 4", "it names no column"),
        ("PTs <= G", "no column 'PTs' .* did you mean 'PTS'"),
        ("team <= 1", "holds categories"),
    ],
)
def test_what_is_no_linear_relation_is_refused(text: str, reason: str) -> None:
    with pytest.raises(pf.InvalidValue, match=reason):
        parse_relation(text, SPACE)


def test_dates_are_related_to_dates_alone() -> None:
    days = "days since 1970-01-01"
    columns = (Column("a", "integer", unit=days), Column("b", "integer", unit=days), Column("c"))
    space = Space("points", (3,), columns)
    assert parse_relation("a <= b", space).violated(np.array([[3.0, 2, 0]]), space).all()
    with pytest.raises(pf.InvalidValue, match="mixes dates"):
        parse_relation("a <= c", space)


def test_violations_are_those_beyond_the_decimals_that_the_columns_have() -> None:
    space = Space("points", (3,), tuple(Column(n, decimals=1) for n in "abc"))
    total = parse_relation("a = b + c", space)
    x = np.array([[1.0, 0.5, 0.5], [1.1, 0.5, 0.5], [1.2, 0.5, 0.5], [np.nan, 1, 1]])
    assert total.violated(x, space).tolist() == [False, False, True, False]
    x = np.array([[2.0, 2, 0], [2.1, 2, 0], [1.9, 2, 0]])
    below, strictly = (parse_relation(f"a {s} b", space) for s in ("<=", "<"))
    whole = Space("points", (3,), tuple(Column(n, "integer") for n in "abc"))
    assert below.violated(x, whole).tolist() == [False, True, False]
    assert strictly.violated(x, whole).tolist() == [True, True, False]


def test_relations_are_checked_on_the_data_and_kept_with_them() -> None:
    frame = pandas.DataFrame({"G": [10, 5, 8, 9], "GS": [3, 6, 8, 10]})
    source = pf.read(frame, types="auto", relation="GS <= G")
    assert "2 of 4 rows violate GS <= G: row 1, 3" in source.notes
    assert source.space.extra["relations"] == ["GS <= G"]
    (again,) = relations_of(Space.from_json(source.space.to_json()))
    assert again.text == "GS <= G"
    assert [r.tolist() for r in violating_rows([again], source.x, source.space)] == [[1, 3]]
    with pytest.raises(pf.InvalidValue, match="no column 'H'"):
        pf.read(frame, relation=["GS <= H"])
