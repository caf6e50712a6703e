"""Texts that mean 'missing': taken so among numbers and dates, pointed out among words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest

import pushforward as pf
from pushforward.core.errors import BadSource, DataWarning
from pushforward.data import report
from pushforward.experiments.gaps import fill
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading

COLUMNS: dict[str, tuple[str, Callable[[int], str]]] = {
    "count": ("count", lambda i: str(3 * i % 17)),
    "price": ("positive", lambda i: f"{i % 9},{i % 10}0"),
    "percent": ("bounded", lambda i: f"{i % 30},5 %"),
    "date": ("date", lambda i: f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021"),
    "iso": ("date", lambda i: f"2021-{1 + i % 12:02d}-{1 + i % 28:02d}"),
}


def table(folder: Path, cell: Callable[[int], str], odd: dict[int, str], rows: int = 60) -> Path:
    path = folder / "table.csv"
    lines = [f"{i % 7};{odd.get(i, cell(i))};{i % 5},5" for i in range(rows)]
    path.write_text("a;b;c\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("marker", ["k.A.", "K.A.", "n/a", "–", "?", "Unbekannt", "keine Angabe"])
def test_markers_are_gaps_where_all_else_is_numbers_or_dates(
    tmp_path: Path, column: str, marker: str
) -> None:
    kind, cell = COLUMNS[column]
    path = table(tmp_path, cell, {0: marker, 5: marker, 31: ""})
    source = pf.read(path, types="auto", label=False)
    assert source.space.columns[1].type == kind
    assert np.flatnonzero(np.isnan(np.asarray(source.x[:, 1]))).tolist() == [0, 5, 31]
    said = any(marker in note and "missing" in note for note in source.notes)
    assert said == (marker != "n/a")  # pandas knows n/a


def test_markers_are_filled_and_told(tmp_path: Path) -> None:
    path, out = table(tmp_path, COLUMNS["date"][1], {3: "k.A."}), tmp_path / "filled.csv"
    filled = fill(path, out=out, reading=TableReading(model="independent"))
    assert filled.gaps == 1
    assert "'k.A.'" in filled.sentences[0]
    before, after = (p.read_text().splitlines() for p in (path, out))
    assert [i for i, (a, b) in enumerate(zip(before, after)) if a != b] == [4]
    assert after[4].split(";")[1].count(".") == 2


def test_markers_among_words_stay_and_are_pointed_out(tmp_path: Path) -> None:
    path = table(tmp_path, lambda i: "xyz"[i % 3], {3: "k.A.", 9: "k.A."})
    with pytest.warns(DataWarning, match=r"'k\.A\.' in 'b' looks like a missing value.*k\.A\."):
        source = pf.read(path, types="auto", label=False)
    assert source.space.columns[1].categories == ("k.A.", "x", "y", "z")
    issues = [issue for issue in report(path, types="auto").issues if issue.name == "marker"]
    assert len(issues) == 1
    assert "k.A." in issues[0].advice
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.read(path, types="auto", label=False, na=["k.A."])
        pf.read(path, types={"b": "categorical"}, label=False)  # declared, so it is meant


def test_declared_categories_keep_words_beside_numbers(tmp_path: Path) -> None:
    path = table(tmp_path, lambda i: str(i % 3), {3: "unbekannt", 9: "unbekannt"})
    for declared in ({"categorical": ["b"]}, {"types": {"b": "categorical"}}):
        column = pf.read(path, label=False, **declared).space.columns[1]
        assert column.categories == ("0", "1", "2", "unbekannt")
    labels = pf.read(path, label="b").condition_space
    assert labels is not None
    assert labels.columns[0].categories == ("0", "1", "2", "unbekannt")
    out = tmp_path / "filled.csv"
    reading = TableReading(model="independent", types={"b": "categorical"})
    assert fill(path, out=out, reading=reading).gaps == 0
    assert out.read_bytes() == path.read_bytes()


def test_two_numbers_with_a_gap_are_categories(tmp_path: Path) -> None:
    path = table(tmp_path, lambda i: str(2 + 3 * (i % 2)), {3: "unbekannt"})
    source = pf.read(path, label=False, types="auto")
    assert source.space.columns[1].categories == ("2", "5")
    assert np.flatnonzero(np.isnan(np.asarray(source.x[:, 1]))).tolist() == [3]


@pytest.mark.parametrize("word", ["none", "leer", "Nord"])
def test_words_that_may_be_meant_are_not_pointed_out(tmp_path: Path, word: str) -> None:
    path = table(tmp_path, lambda i: "xyz"[i % 3], {3: word, 9: word})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.read(path, types="auto", label=False)


@pytest.mark.parametrize("column", ["count", "price", "percent"])
def test_every_verb_warns_of_a_text_among_numbers(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, COLUMNS[column][1], {4: "etwa zehn"})
    with pytest.warns(DataWarning, match=r"row 4 .*'etwa zehn'.*etwa zehn"):
        synthesise(path, 5, reading=TableReading(model="independent"))
    with pytest.raises(BadSource, match="etwa zehn"):  # as ever without types
        pf.read(path, label=False)


def test_percents_among_numbers_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, COLUMNS["percent"][1], {4: "12"})
    with pytest.warns(DataWarning, match=r"row 4 .*'12'"):
        pf.read(path, types="auto", label=False)


def test_markers_of_data_frames_are_pointed_out() -> None:
    frame = pandas.DataFrame({"x": range(30), "b": ["u", "v", "k.A."] * 10})
    with pytest.warns(DataWarning, match="looks like a missing value"):
        pf.read(frame, types="auto", label=False)
    pf.read(frame, types="auto", label=False, na=["k.A."])


def test_categories_without_an_order_have_none() -> None:
    sizes = pandas.Categorical(["S", "M", "L"] * 10)
    for ordered, kind in ((False, "categorical"), (True, "ordered")):
        frame = pandas.DataFrame({"x": np.arange(30.0) / 7, "size": sizes.set_ordered(ordered)})
        column = pf.read(frame, types="auto", label=False).space.columns[1]
        assert (column.type, column.ordered) == (kind, ordered)
        assert ("without an order" in column.reason) != ordered
        assert column.categories == ("L", "M", "S")
