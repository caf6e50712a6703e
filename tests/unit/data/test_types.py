"""Types of columns: what is inferred, why, what can be declared, and how it is encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import DataWarning, InvalidKind, InvalidValue
from pushforward.core.space import Space
from pushforward.data.tables.types import parse_types
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading

ROWS = 60
NUMBERS = np.arange(ROWS)


def types(**columns: Any) -> dict[str, str]:
    """Inferred types of columns, those carried along included."""
    space = pf.read(
        pandas.DataFrame({**columns, "z": np.linspace(-1, 1, ROWS)}), types="auto"
    ).space
    found = {c.name: c.type for c in space.columns} | {
        c["name"]: c["type"] for c in space.extra["carried"]
    }
    assert all(c.reason for c in space.columns)
    return {name: found[name] for name in columns}


CASES = {
    "continuous": np.linspace(-3, 3, ROWS),
    "positive": np.linspace(0, 30, ROWS) ** 1.5,
    "bounded": np.linspace(0, 1, ROWS),
    "count": NUMBERS % 13,
    "integer": NUMBERS % 13 - 5,
    "ordered": ["low", "high", "medium"] * (ROWS // 3),
    "categorical": ["Bonn", "Rom", "Linz"] * (ROWS // 3),
    "boolean": ["yes", "no"] * (ROWS // 2),
    "date": [f"2024-01-{1 + k % 28:02d}" for k in range(ROWS)],
    "identifier": [f"K-{k}" for k in range(ROWS)],
    "constant": ["DE"] * ROWS,
    "text": [f"The customer called {k} times and was happy" for k in range(ROWS)],
}


@pytest.mark.parametrize("kind", CASES)
def test_a_column_s_type_is_inferred(kind: str) -> None:
    assert types(column=CASES[kind]) == {"column": kind}


def test_types_need_no_more_than_the_values() -> None:
    found = types(
        customer_id=NUMBERS * 7 + 3,
        row=NUMBERS + 1,
        zeros=NUMBERS % 2,
        truth=NUMBERS % 2 == 0,
        whole=(NUMBERS % 13).astype(float),
        gaps=np.where(NUMBERS % 5 == 0, np.nan, NUMBERS % 13),
        empty=[np.nan] * ROWS,
        german=[f"{1 + k % 28:02d}.03.2021" for k in range(ROWS)],
        american=[f"03/{1 + k % 28:02d}/2021" for k in range(ROWS)],
        span=pandas.to_timedelta(NUMBERS, unit="h"),
        sizes=pandas.Categorical(["b", "a"] * (ROWS // 2), categories=["b", "a"], ordered=True),
    )
    assert found == {
        "customer_id": "identifier", "row": "identifier", "zeros": "boolean", "truth": "boolean",
        "whole": "count", "gaps": "count", "empty": "constant", "german": "date",
        "american": "date", "span": "duration", "sizes": "ordered",
    }  # fmt: skip


def test_numbers_of_which_there_are_only_two_are_categories(tmp_path: Path) -> None:
    halves = np.where(NUMBERS % 3 == 0, 0.5, 2.25)
    assert types(code=NUMBERS % 2 + 1, dose=halves) == dict.fromkeys(
        ("code", "dose"), "categorical"
    )
    assert types(dose=np.where(NUMBERS == 5, 1.5, halves)) == {"dose": "positive"}
    few = pandas.DataFrame({"dose": [0.5, 2.25] * 10})
    assert pf.read(few, types="auto").space.columns[0].type == "positive"  # too few to know
    path = tmp_path / "t.csv"
    path.write_text(
        "share;x\n" + "\n".join(f"{'110,5' if k % 2 else '7,5'}%;{k}" for k in range(99))
    )
    assert pf.read(path, types="auto").space.columns[0].type == "positive"  # a percentage


def test_categories_of_numbers_are_written_with_the_table_s_decimal_mark(tmp_path: Path) -> None:
    path, copy = tmp_path / "t.csv", tmp_path / "copy.csv"
    rows = [f"{'0,5' if k % 3 else '2,25'};{k / 7:.3f}".replace(".", ",") for k in range(99)]
    path.write_text("dose;x\n" + "\n".join(rows))
    synthesise(path, out=copy, reading=TableReading(model="independent"))
    assert {line.split(";")[0] for line in copy.read_text().splitlines()[1:]} == {"0,5", "2,25"}


def test_percentages_are_bounded_and_come_back_as_percentages(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("share,x\n" + "\n".join(f"{k % 101}%,{k / 7}" for k in range(300)))
    source = pf.read(path, types="auto")
    share = source.space.columns[0]
    assert (share.type, share.lower, share.upper, share.kind) == ("bounded", 0, 100, "integer")


def test_the_order_of_words_is_that_of_their_meaning() -> None:
    space = pf.read(pandas.DataFrame({"a": ["High", "low", "Medium"] * 9}), types="auto").space
    assert space.columns[0].categories == ("low", "Medium", "High")
    assert space.columns[0].ordered


def test_dates_in_other_formats_come_back_as_they_were(tmp_path: Path) -> None:
    texts = [f"{1 + k % 28:02d}.{1 + k % 12:02d}.2021" for k in range(40)]
    texts[3] = None  # type: ignore[call-overload]
    frame = pandas.DataFrame({"day": texts, "x": np.arange(40.0) / 3})
    source = pf.read(frame, types="auto")
    assert source.space.columns[0].type == "date"
    back = source.space.export(source.all().x)
    assert back["day"][:3].tolist() == texts[:3]
    assert back["day"].isna().tolist() == [k == 3 for k in range(40)]
    again = pf.read(back, like=source.space)
    assert torch.equal(again.all().x.nan_to_num(-1), source.all().x.nan_to_num(-1))
    with pytest.raises(pf.ShapeMismatch, match=r"2021-05-05.*expected"):
        pf.read(back.assign(day=["2021-05-05"] * 40), like=source.space)


def test_days_and_months_are_told_apart() -> None:
    def first(texts: list[str]) -> str:
        frame = pandas.DataFrame({"d": texts * 5, "x": range(5 * len(texts))})
        return str(pf.read(frame, types="auto").space.columns[0].format)

    assert first(["03/13/2021", "04/01/2021"]) == "%m/%d/%Y"
    assert first(["13/03/2021", "01/04/2021"]) == "%d/%m/%Y"
    assert first(["13-Mar-2021", "01-Apr-2021"]) == "%d-%b-%Y"


def test_identifiers_and_texts_are_carried_with_their_rows() -> None:
    frame = pandas.DataFrame({"id": [f"a{k}" for k in range(30)], "x": range(30), "c": [7] * 30})
    source = pf.read(frame.assign(x=frame.x**2), types="auto")
    assert source.space.names == ("x",)
    assert source.carried["id"].tolist() == frame["id"].tolist()
    assert source.space.extra["carried"][1]["value"] == 7
    training, held_out = pf.split(source, held_out=0.2, seed=1)
    for part in (training, held_out):
        x = part.all().x[:, 0].sqrt().round().int().tolist()
        assert part.carried["id"].tolist() == [f"a{k}" for k in x]


def test_declared_types_win_and_the_others_are_inferred() -> None:
    frame = pandas.DataFrame(
        {"zip": [10_115, 53_111, 1010] * 20, "n": range(60), "s": CASES["bounded"]}
    )
    declared = {"zip": "categorical", "n": "positive", "s": "bounded(-1, 2)"}
    source = pf.read(frame, types=declared)
    zips, n, s = source.space.columns
    assert (zips.kind, zips.reason) == ("categorical", "declared")
    assert zips.categories == ("1010", "10115", "53111")
    assert (n.kind, n.lower) == ("continuous", 0)
    assert (s.lower, s.upper) == (-1, 2)
    exported = source.space.export(source.all().x)
    assert exported["zip"].tolist() == frame["zip"].tolist()


@pytest.mark.parametrize(
    "values", [[0.5, 1.5, 0.5], [3, 1, 3], [True, False, True], ["b", "a", None], [1.5, None, 2.0]]
)
def test_anything_can_be_declared_categories_and_comes_back(values: list[Any]) -> None:
    frame = pandas.DataFrame({"c": values * 4, "x": np.arange(12.0) / 3})
    source = pf.read(frame, types={"c": "categorical"})
    codes = source.all().x[:, 0]
    assert codes.isnan().tolist() == frame["c"].isna().tolist()
    assert len(source.space.columns[0].categories) == 2
    back = source.space.export(source.all().x)["c"]
    assert [v for v in back if v == v and v is not None] == [
        v for v in frame["c"] if v == v and v is not None
    ]


def test_types_are_the_same_text_everywhere() -> None:
    mapping = parse_types({"a": "count", "b": "bounded(0, 1)", "c": "ordered(low < high)"})
    assert mapping == parse_types(["a=count", "b=bounded(0, 1)", "c=ordered(low < high)"])
    assert mapping == parse_types("a=count,b=bounded(0, 1), c=ordered(low < high),auto")
    assert parse_types("auto") == {}
    assert parse_types(None) is parse_types(()) is None
    assert mapping is not None
    assert mapping["c"].arguments == ("low", "high")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"x": "cuont"}, "count"),
        ({"y": "count"}, "no column 'y'"),
        ({"x": "count"}, "holds fractions"),
        ({"t": "count"}, "holds text"),
        ({"x": "bounded(5, 9)"}, "holds 0.5"),
        ({"x": "bounded(2)"}, "two bounds"),
        ({"x": "bounded(2, 1)"}, "two bounds"),
        ({"x": "count(3)"}, "no arguments"),
        ({"t": "ordered(a < b)"}, "'c'"),
        ({"x": "date"}, "holds numbers"),
        ({"t": "boolean"}, "holds 3 values"),
        ({"x": "constant"}, "its values differ"),
        ({"t": "constant"}, "its values differ"),
        ("x", "NAME=TYPE"),
    ],
)
def test_what_does_not_fit_is_said(given: Any, says: str) -> None:
    frame = pandas.DataFrame({"x": [0.5, 1.5, 7.25], "t": ["a", "b", "c"]})
    with pytest.raises(InvalidValue, match=says):
        pf.read(frame, types=given)


def test_types_of_a_wrong_kind_are_refused() -> None:
    with pytest.raises(InvalidKind, match="types must be"):
        pf.read(pandas.DataFrame({"x": [0.5, 1.5]}), types=[3])  # type: ignore[list-item]


def test_types_are_stored_and_read_back() -> None:
    space = pf.read(pandas.DataFrame(dict(list(CASES.items())[:-3])), types="auto").space
    assert Space.from_json(space.to_json()) == space
    plain = pf.read(pandas.DataFrame({"x": [1.0, 2.0]})).space.to_json()["columns"][0]
    assert not {"type", "reason", "ordered", "format"} & set(plain)


def test_unseen_categories_are_missing_with_a_warning() -> None:
    space = pf.read(pandas.DataFrame({"t": list("abab"), "x": range(4)}), types="auto").space
    with pytest.warns(DataWarning, match="'q', which the model has never seen"):
        x = pf.read(pandas.DataFrame({"t": list("aq"), "x": [1, 2]}), like=space).all().x
    assert x[:, 0].isnan().tolist() == [False, True]


def test_the_report_gives_types_and_reasons() -> None:
    frame = pandas.DataFrame({**CASES})
    text = str(pf.data.report(frame))
    for kind in CASES:
        assert any(line.split()[:2] == [kind, kind] for line in text.splitlines()), kind
    declared = pf.data.report(frame, types={"count": "integer"})
    assert {c.name: c.reason for c in declared.columns}["count"] == "declared"


def test_chunks_and_files_give_the_types_of_the_whole(tmp_path: Path, monkeypatch: Any) -> None:
    frame = pandas.DataFrame(dict(CASES))
    whole = pf.read(frame, types="auto").space
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    monkeypatch.setattr("pushforward.data.tables.text_files.CHUNK_ROWS", 7)
    found = pf.read(path, types="auto").space
    assert [(c.name, c.type) for c in found.columns] == [(c.name, c.type) for c in whole.columns]
    assert [c["name"] for c in found.extra["carried"]] == [
        c["name"] for c in whole.extra["carried"]
    ]
