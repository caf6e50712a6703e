"""Cells of text tables: what is written is spelled as the table spells it, the rest stays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward.data.tables.raw_cells import join_lines, split_record
from pushforward.experiments.gaps import fill
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading

FAST = "independent"


def read_cells(text: str, separator: str = ";") -> dict[str, list[str]]:
    import csv

    head, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return dict(zip(head, map(list, zip(*rows))))


def orders(rows: int = 60, gap: str = "k.A.", percent: str = " %") -> str:
    """A German table: commas in numbers, blanks before %, quotes, line ends in cells."""
    rng = np.random.default_rng(0)
    lines = ["Nr;Alter;Preis;Umsatz;Rabatt;Notiz"]
    notes = ["ok", '"schnell; bitte"', '"sagte ""ja"""', '"zwei\r\nZeilen"', 'Rohr 5" lang']
    for i in range(rows):
        price = f"{rng.integers(1, 400) / 20:.2f}".replace(".", ",")
        turnover = f"{rng.integers(900, 90_000):,}".replace(",", ".") + ",50"
        discount = f"{rng.integers(0, 200) / 10:.1f}".replace(".", ",") + percent
        cells = [f"K-{i:03d}", str(rng.integers(19, 85)), price, turnover, discount, notes[i % 5]]
        if i % 7 == 3:
            cells[1 + i % 4] = gap
        lines.append(";".join(cells))
    return "\r\n".join(lines) + "\r\n"


def write_table(folder: Path, text: str) -> Path:
    path = folder / "orders.csv"
    path.write_bytes(text.encode("latin-1"))
    return path


def reading(**table: object) -> TableReading:
    return TableReading(model=FAST, table={"na": ["k.A."], "thousands": ".", **table})


def test_no_byte_but_gaps_changes_whatever_marks_them(tmp_path: Path) -> None:
    text = orders()
    path, out = write_table(tmp_path, text), tmp_path / "filled.csv"
    filled = fill(path, out=out, reading=reading())
    written = out.read_bytes().decode("latin-1")
    assert not [note for note in filled.notes if "anew" in note]
    parts = text.split("k.A.")
    assert len(parts) == filled.gaps + 1 > 5
    rest = written
    for part in parts:  # the rest of the text is there, in this order, with numbers between
        before, found, rest = rest.partition(part)
        assert found == part
        assert len(before) <= 12
    assert rest == ""


@pytest.mark.parametrize("percent", ["%", " %", "\u00a0%"])
def test_filled_cells_are_spelled_as_their_column_is(tmp_path: Path, percent: str) -> None:
    text = orders(percent=percent)
    path, out = write_table(tmp_path, text), tmp_path / "filled.csv"
    fill(path, out=out, reading=reading(encoding="latin-1"))
    before, after = read_cells(text), read_cells(out.read_bytes().decode("latin-1"))
    patterns = {
        "Alter": r"\d+", "Preis": r"\d+,\d\d", "Umsatz": r"(\d{1,3}(\.\d{3})+|\d{1,3}),50",
        "Rabatt": r"\d+,\d" + percent,
    }  # fmt: skip
    for name, pattern in patterns.items():
        new = [b for a, b in zip(before[name], after[name]) if a == "k.A."]
        pattern = pattern.replace(",50", r",\d\d")
        assert new, name
        assert all(_matches(pattern, cell) for cell in new), (name, new)


def _matches(pattern: str, cell: str) -> bool:
    import re

    return re.fullmatch(pattern, cell) is not None


def test_synthetic_cells_are_spelled_as_their_column_is(tmp_path: Path) -> None:
    path, out = write_table(tmp_path, orders()), tmp_path / "copy.csv"
    synthesise(path, 200, out=out, reading=reading())
    cells = read_cells(out.read_bytes().decode("latin-1"))
    for name, pattern in (
        ("Alter", r"\d+"),
        ("Preis", r"\d+,\d\d"),
        ("Umsatz", r"(\d{1,3}(\.\d{3})+|\d{1,3}),\d\d"),
        ("Rabatt", r"\d+,\d %"),
    ):
        assert all(_matches(pattern, cell) for cell in cells[name]), (name, cells[name][:5])
    assert any(cell.endswith("0") for cell in cells["Preis"])
    assert any("." in cell for cell in cells["Umsatz"])


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("true", "false"), ("True", "False")])
def test_true_and_false_stay_as_they_are_spelled(tmp_path: Path, words: tuple[str, str]) -> None:
    path, out, filled = tmp_path / "x.csv", tmp_path / "copy.csv", tmp_path / "filled.csv"
    rows = [f"{i / 10:.1f},{words[i % 3 % 2] if i % 9 else ''}" for i in range(60)]
    path.write_text("x,won\n" + "\n".join(rows) + "\n")
    synthesise(path, 100, out=out, reading=TableReading(model=FAST))
    assert set(read_cells(out.read_text(), ",")["won"]) == {*words}
    fill(path, out=filled, reading=TableReading(model=FAST))
    assert set(read_cells(filled.read_text(), ",")["won"]) == {*words}


def test_zeros_in_front_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = [f"{code:05d}" for code in rng.integers(1000, 99_999, 60)]
    path, out = tmp_path / "codes.csv", tmp_path / "copy.csv"
    lines = [f"{code},{x:.3f}" for code, x in zip(codes, rng.normal(size=60))]
    path.write_text("code,x\n" + "\n".join(["01067,0.250", *lines]) + "\n")
    synthesise(path, 100, out=out, reading=TableReading(model=FAST))
    cells = read_cells(out.read_text(), ",")["code"]
    assert all(len(code) >= 5 for code in cells)
    assert any(code[0] == "0" for code in cells)


@pytest.mark.parametrize("constant", ["5,50 %", "1.250,00", "19%", "007"])
def test_constants_are_spelled_as_in_the_table(tmp_path: Path, constant: str) -> None:
    path, out = tmp_path / "x.csv", tmp_path / "copy.csv"
    rows = [f"{constant};{i % 7},5" for i in range(40)]
    path.write_text("a;b\n" + "\n".join(rows) + "\n")
    synthesise(path, 10, out=out, reading=reading())
    assert read_cells(out.read_text())["a"] == [constant] * 10


def test_columns_that_vary_keep_their_shortest_form(tmp_path: Path) -> None:
    path, out = tmp_path / "x.csv", tmp_path / "copy.csv"
    values = np.round(np.random.default_rng(0).normal(size=80), 3)
    path.write_text("x,y\n" + "".join(f"{v},{v:.1f}\n" for v in values))
    synthesise(path, 50, out=out, reading=TableReading(model=FAST))
    cells = read_cells(out.read_text(), ",")
    assert all(_matches(r"-?\d\.\d{1,3}", cell) for cell in cells["x"])
    assert all(_matches(r"-?\d\.\d", cell) for cell in cells["y"])


def test_a_table_written_anew_keeps_the_spelling_of_values(tmp_path: Path) -> None:
    """Columns separated by blanks cannot be replaced in place."""
    rng = np.random.default_rng(0)
    rows = [[f"{v:.2f}" for v in rng.integers(1, 50, 3) / 10] for _ in range(40)]
    rows[4][1] = "NA"
    path, out = tmp_path / "x.txt", tmp_path / "filled.csv"
    path.write_text("a   b   c\n" + "\n".join("   ".join(row) for row in rows) + "\n")
    filled = fill(path, out=out, reading=TableReading(model=FAST))
    assert any("anew" in note for note in filled.notes)
    lines = [line.split(" ") for line in out.read_text().splitlines()[1:]]
    assert _matches(r"\d\.\d\d", lines[4][1])
    lines[4][1] = "NA"
    assert lines == rows


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('a;"b;c";d', ["a", '"b;c"', "d"]),
        ('"a ""b""; c";d', ['"a ""b""; c"', "d"]),
        ('5" pipe;6" pipe;x', ['5" pipe', '6" pipe', "x"]),
        ('a;  "b;c" x;', ["a", '  "b;c" x', ""]),
        ('"";"""";z', ['""', '""""', "z"]),
    ],
)
def test_records_are_split_as_pandas_splits_them(line: str, cells: list[str]) -> None:
    import pandas

    assert split_record(line + "\r\n", ";").cells == cells
    frame = pandas.read_csv(
        io.StringIO(line), sep=";", header=None, skipinitialspace=True, dtype=str
    )
    assert frame.shape == (1, len(cells))
    assert list(join_lines([line + "\n", "next\n"], ";")) == [line + "\n", "next\n"]


def test_records_of_several_lines() -> None:
    text = ['a;"b\n', ' ""c"";\n', 'd";e\n', 'f;5" g\n']
    assert list(join_lines(text, ";")) == ["".join(text[:3]), text[3]]


def test_a_marker_in_quotes_is_filled_in_quotes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f'"{i % 3}";"{x:.2f}"' for i, x in enumerate(rng.normal(size=40))]
    lines[7] = '"1";"k.A."'
    path, out = tmp_path / "x.csv", tmp_path / "filled.csv"
    path.write_text('"a";"b"\n' + "\n".join(lines) + "\n")
    fill(path, out=out, reading=reading())
    written = out.read_text().splitlines()
    assert _matches(r'"1";"-?\d\.\d\d"', written[8])
    assert written[1:8] + written[9:] == lines[:7] + lines[8:]


def test_numbers_that_mean_missing_are_filled(tmp_path: Path) -> None:
    path, out = tmp_path / "x.csv", tmp_path / "filled.csv"
    path.write_text(
        "a,b\n" + "".join(f"{i % 5},{i / 10:.1f}\n" for i in range(40)) + "-999.0,1.5\n"
    )
    filled = fill(path, out=out, reading=TableReading(model=FAST, table={"na": ["-999"]}))
    assert filled.gaps == 1
    assert not [note for note in filled.notes if "anew" in note]
    assert "-999" not in out.read_text()


def test_read_is_unchanged_by_spelling(tmp_path: Path) -> None:
    path = write_table(tmp_path, orders())
    source = pf.read(path, types="auto", na=["k.A."], thousands=".", label=False)
    types = [column.type for column in source.space.columns]
    assert types == ["count", "positive", "positive", "bounded", "categorical"]
