"""The verbs of tables from Python: copies, gaps filled, odd rows, groups, of tables with everything
in them that a real one has.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.experiments.gaps import fill
from pushforward.experiments.groups import describe
from pushforward.experiments.oddity import odd
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading, open_model
from tests.tiny_tables import TinyClasses

READING = TableReading(model="tiny_classes")
HEADER = "Kürzel;Gruppe;Alter;Größe (cm);Spiele;Starts;Quote;Eintritt;Raucher;Land;Bemerkung"


def messy(path: Path, n: int = 240) -> Path:
    """Latin-1, semicolons, decimal commas, percentages, DD.MM.YYYY dates, gaps, and free text."""
    r = np.random.default_rng(0)
    lines = [HEADER]
    for i in range(n):
        kind = ("Müller", "Söhne", "Café")[int(r.choice(3, p=[0.5, 0.3, 0.2]))]
        old = {"Müller": 40, "Söhne": 62, "Café": 25}[kind]
        games = int(r.integers(1, 83))
        day = np.datetime64("2020-01-01") + int(r.integers(0, 900))
        cells = [
            f"K-{1000 + i}", kind, f"{old + r.normal() * 4:.0f}", f"{172 + 7 * r.normal():.1f}",
            str(games), str(int(r.integers(0, games + 1))), f"{100 * r.beta(2, 3):.1f}%",
            day.astype(object).strftime("%d.%m.%Y"), "ja" if r.random() < 0.3 else "nein",
            "Österreich", f'"{i}: sagt, er komme; und ""gern"" wieder einmal"',
        ]  # fmt: skip
        cells = [c.replace(".", ",") if j in (3, 6) else c for j, c in enumerate(cells)]
        for j in (2, 3, 6, 7, 8):
            cells[j] = str(r.choice(["", "-"])) if j in (3, 6) and r.random() < 0.1 else cells[j]
            cells[j] = "" if j not in (3, 6) and r.random() < 0.1 else cells[j]
        lines.append(";".join(cells))
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("latin-1"))
    return path


def cells_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="latin-1")), delimiter=";"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return messy(tmp_path_factory.mktemp("tables") / "messy.csv")


# ------------------------------------------------------------------------------------------- copies


def test_a_copy_is_written_as_the_table_is(table: Path, tmp_path: Path) -> None:
    reading = TableReading(model="tiny_classes", relation="Starts <= Spiele")
    made = synthesise(table, gaps=True, out=tmp_path / "copy.csv", reading=reading)
    real, copy = cells_of(table), cells_of(tmp_path / "copy.csv")
    assert b"\r\n" in (tmp_path / "copy.csv").read_bytes()
    whole = synthesise(table, 5, reading=reading).sentences
    told = "no value is missing, where the table has gaps; gaps=True leaves out as many"
    assert (told in whole, told in made.sentences) == (True, False)
    assert copy[0] == real[0]
    assert len(copy) == len(real)
    columns, before = ([*zip(*rows[1:])] for rows in (copy, real))
    assert columns[0][:2] == ("K-1240", "K-1241")
    assert set(columns[9]) == {"Österreich"}
    assert set(columns[10]) == {""}
    for j in range(1, 9):  # as many gaps, each column's own
        assert columns[j].count("") == sum(before[j].count(gap) for gap in ("", "-"))
    assert all("," in c and "." not in c for j in (3, 6) for c in columns[j] if c)
    numbers = [[c.replace(",", ".").rstrip("%") for c in columns[j] if c] for j in (3, 6)]
    assert all(len(c.split(".")[1]) == 1 for c in numbers[0] + numbers[1])
    assert all(c.endswith("%") for c in columns[6] if c)
    assert all(0 <= float(c) <= 100 for c in numbers[1])
    assert all(pandas.to_datetime(c, format="%d.%m.%Y") for c in columns[7] if c)
    assert all(int(s) <= int(g) for g, s in zip(columns[4], columns[5]))
    said = " ".join(made.sentences)
    assert "free text is left empty: Bemerkung" in said
    assert "all rows obey Starts <= Spiele" in said
    assert made.table["column"][0] == "Gruppe"
    again = pf.read(tmp_path / "copy.csv", types="auto")
    types = {c.name: c.type for c in again.space.columns}
    assert types == {c.name: c.type for c in pf.read(table, types="auto").space.columns}


def test_a_copy_has_prices_of_the_table_and_sums_that_hold() -> None:
    r = np.random.default_rng(0)
    price, count = r.choice([0.99, 4.99, 19.99], size=300), r.integers(1, 4, size=300)
    frame = pandas.DataFrame({"price": price, "count": count, "paid": price + count})
    reading = TableReading(model="independent")
    assert set(synthesise(frame, reading=reading).frame["price"]) == {0.99, 4.99, 19.99}
    related = TableReading(model="independent", relation="paid = price + count")
    made = synthesise(frame, reading=related).frame
    assert np.allclose(made["paid"], made["price"] + made["count"], atol=0.006)


def test_copies_are_repeatable_and_have_the_columns_asked_for(table: Path) -> None:
    first, second = (
        synthesise(table, 50, text="drop", identifiers="empty", reading=READING).frame
        for _ in range(2)
    )
    pandas.testing.assert_frame_equal(first, second)
    assert list(first.columns) == HEADER.split(";")[:-1]
    assert first["Kürzel"].isna().all()
    assert len(first) == 50
    other = synthesise(table, 50, reading=TableReading(model="tiny_classes", seed=1)).frame
    assert not first["Alter"].equals(other["Alter"])


def test_frames_come_back_in_their_dtypes(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "a": r.normal(size=80).astype("float32"),
            "b": pandas.array(r.integers(0, 9, 80), dtype="Int64"),
            "c": pandas.Categorical(r.choice(["x", "y"], 80)),
            "d": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(r.integers(0, 99, 80), "D"),
            "e": r.integers(0, 9, 80).astype("float64"),
        }
    )
    frame.loc[3, "b"] = pandas.NA
    made = synthesise(frame, 70, gaps=True, reading=READING).frame
    assert made.dtypes.to_dict() == frame.dtypes.to_dict()
    filled = fill(frame, reading=READING).frame
    assert filled.dtypes.to_dict() == frame.dtypes.to_dict()
    assert int(filled.isna().sum().sum()) == 0
    pandas.testing.assert_frame_equal(filled.drop(3), frame.drop(3))
    frame.to_parquet(tmp_path / "t.parquet")
    synthesise(tmp_path / "t.parquet", out=tmp_path / "u.parquet", reading=READING)
    fill(tmp_path / "t.parquet", out=tmp_path / "v.parquet", reading=READING)
    for name in "uv":
        assert pandas.read_parquet(tmp_path / f"{name}.parquet").dtypes.to_dict() == (
            frame.dtypes.to_dict()
        )


# --------------------------------------------------------------------------------------------- gaps


def test_only_missing_cells_change_byte_for_byte(table: Path, tmp_path: Path) -> None:
    filled = fill(table, out=tmp_path / "filled.csv", reading=READING)
    before = table.read_bytes().split(b"\r\n")
    after = (tmp_path / "filled.csv").read_bytes().split(b"\r\n")
    assert len(after) == len(before)
    gaps = 0
    for line, new in zip(before, after):
        for cell, value in zip(line.split(b";")[:9], new.split(b";")[:9]):
            if cell in (b"", b"-"):
                gaps += bool(line)
                assert bool(value.strip(b"-")) or not line
            else:
                assert value == cell
        assert line.split(b";")[9:] == new.split(b";")[9:]
    assert filled.gaps == gaps > 50
    assert sum(filled.table["gaps"]) == gaps
    assert "no" in fill(tmp_path / "filled.csv", reading=READING).sentences[1]


def test_tables_that_are_no_plain_rows_are_written_anew(table: Path, tmp_path: Path) -> None:
    odd_lines = table.read_bytes().replace(b"\r\n", b"\n").replace(b"\nK-1003", b"\n\nK-1003")
    (tmp_path / "blank.csv").write_bytes(odd_lines)
    fill(tmp_path / "blank.csv", out=tmp_path / "kept.csv", reading=READING)
    assert (tmp_path / "kept.csv").read_bytes().count(b"\n\n") == 1  # blank lines stay
    fill(table, out=tmp_path / "other.tsv", reading=READING)
    rows = pandas.read_csv(tmp_path / "other.tsv", sep="\t", encoding="latin-1", decimal=",")
    assert int(rows.isna().sum().sum()) == 0
    assert rows["Quote"].str.endswith("%").all()


def test_several_imputations_are_pooled(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    x = r.normal(size=(300, 2))
    x[:, 1] += 2 * x[:, 0]
    frame = pandas.DataFrame(x, columns=["a", "b"]).round(3)
    frame.loc[r.random(300) < 0.5, "b"] = np.nan
    reading = TableReading(model="gmm")
    many = fill(frame, imputations=8, intervals=0.9, reading=reading)
    assert len(many.frames) == 8
    pooled = {name: dict(zip(many.pooled, row)) for name, *row in zip(*many.pooled.values())}
    means = [f["b"].mean() for f in many.frames]
    row = dict(zip(many.pooled, [*zip(*many.pooled.values())][1]))
    within = np.mean([f["b"].var() / 300 for f in many.frames])
    total = within + (1 + 1 / 8) * np.var(means, ddof=1)
    assert row["mean"] == pytest.approx(np.mean(means), abs=0.002)
    assert row["error"] == pytest.approx(total**0.5, rel=0.02)
    assert 0 < row["missing_information"] < 1
    assert pooled["a"]
    assert many.intervals is not None
    rows = many.intervals["row"]
    assert rows == np.flatnonzero(frame["b"].isna()).tolist()
    assert [float(v) for v in many.intervals["value"]] == many.frame["b"][rows].tolist()
    assert len(set(map(str, means))) == 8
    inside = [
        float(low) <= x[i, 1] <= float(high)
        for i, low, high in zip(rows, many.intervals["low"], many.intervals["high"])
    ]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.08)


def test_unseen_categories_stay_and_are_counted(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes(table.read_bytes().replace(b";Caf\xe9;", b";Bar;", 1))
    with pytest.raises(pf.InvalidValue, match="imputations must be at least 1, got 0"):
        fill(table, imputations=0, reading=READING)
    model = TinyClasses().fit(pf.read(table, types="auto"))
    model.save(tmp_path / "run")
    filled = fill(tmp_path / "run", other, out=tmp_path / "out.csv")
    assert any("1 values are categories that the model has never seen" in s for s in filled.notes)
    assert sum(row[1] == "Bar" for row in cells_of(tmp_path / "out.csv")) == 1


# ---------------------------------------------------------------------------------------- odd rows


def test_planted_errors_rank_first_and_say_why(table: Path, tmp_path: Path) -> None:
    lines = table.read_bytes().split(b"\r\n")
    cells = lines[57 + 1].split(b";")
    cells[3] = b"17,4"  # a decimal mark that slipped
    lines[57 + 1] = b";".join(cells)
    (tmp_path / "planted.csv").write_bytes(b"\r\n".join(lines))
    found = odd(tmp_path / "planted.csv", top=3, reading=READING)
    first = found.top[0]
    assert (first.row, first.identity, first.scored) == (57, "Kürzel K-1057", "cross-fitted")
    assert found.subject.space.names[first.reasons[0].column] == "Größe (cm)"
    assert any(
        s.startswith("row 57 (Kürzel K-1057): Größe (cm) is 17.4, where 1") for s in found.sentences
    )
    assert found.table["row"][0] == 57
    assert found.table["Kürzel"][0] == "K-1057"
    assert found.table["column1"][0] == "Größe (cm)"


def test_a_categorys_odd_partner_is_found() -> None:
    """A number that others have, but none of that category."""
    r = np.random.default_rng(0)
    kind = r.choice(["a", "b"], 200)
    frame = pandas.DataFrame({"x": np.where(kind == "a", 0, 10) + r.normal(size=200), "kind": kind})
    frame["y"] = r.normal(size=200)
    row = int(np.flatnonzero(kind == "a")[5])
    frame.loc[row, "x"] = 10.3
    found = odd(frame, top=1, reading=READING)
    assert found.top[0].row == row
    assert {reason.column for reason in found.top[0].reasons} <= {0, 1}
    assert len(found.top[0].reasons) == 1


def test_new_rows_and_unseen_categories(table: Path, tmp_path: Path) -> None:
    TinyClasses().fit(pf.read(table, types="auto")).save(tmp_path / "run")
    other = tmp_path / "other.csv"
    other.write_bytes(table.read_bytes().replace(b";Caf\xe9;", b";Bar;", 1))
    found = odd(tmp_path / "run", other, top=2)
    first = found.top[0]
    assert [u.text for u in first.unseen] == ["Bar"]
    assert any("Gruppe is 'Bar', which is not known" in s for s in found.sentences)
    assert set(found.scored) == {"new"}
    pf.GMM(1).fit(torch.randn(50, 2), quiet=True).save(tmp_path / "lost")
    with pytest.raises(pf.BadRun, match="rows in memory"):
        odd(tmp_path / "lost")


def test_a_model_that_has_seen_an_outlier_does_not_judge_it(tmp_path: Path) -> None:
    """In sample, a component of its own hides a clump; out of sample it cannot."""
    r = np.random.default_rng(0)
    x = r.normal(size=(120, 2))
    x[7] = [9.0, -9.0]
    frame = pandas.DataFrame(x, columns=["a", "b"])
    reading = TableReading(model="gmm")
    assert odd(frame, top=1, reading=reading).top[0].row == 7
    inside = odd(frame, folds=0, top=1, reading=reading)
    assert set(inside.scored) == {"in sample"}
    assert any("odd ones may hide" in s for s in inside.sentences)


# ------------------------------------------------------------------------------------------- groups


def test_groups_are_described_by_what_sets_them_apart(table: Path) -> None:
    found = describe(table, reading=READING)
    assert sum(group.size for group in found.groups) == found.rows == 240
    said = " ".join(found.sentences)
    assert "high Alter" in said
    assert "Gruppe Söhne (" in said
    assert "typical is row" in said
    assert "(Kürzel K-1" in said
    rows = [dict(zip(found.table, row)) for row in zip(*found.table.values())]
    assert {row["column"] for row in rows if row["worth_saying"]} <= {"Alter", "Gruppe"}
    assert found.plot().axes


def test_relations_and_runs_open_alike(table: Path, tmp_path: Path) -> None:
    TinyClasses().fit(pf.read(table, types="auto", relation="Starts <= Spiele")).save(
        tmp_path / "run"
    )
    subject = open_model(tmp_path / "run")
    assert [r.text for r in subject.relations] == ["Starts <= Spiele"]
    with pytest.raises(pf.InvalidValue, match="with a model of its own"):
        open_model(tmp_path / "run", READING)
    with pytest.raises(pf.InvalidKind, match="expected a table"):
        open_model("digits", TableReading())


def test_pictures_have_a_panel_or_a_cell_for_each_column(table: Path) -> None:
    made: Any = synthesise(table, reading=READING)
    assert len([ax for ax in made.plot().axes if ax.get_visible()]) == 8
    filled = fill(table, reading=READING)
    shown = [ax.get_title(loc="left") for ax in filled.plot().axes if ax.get_visible()]
    assert shown == ["Alter", "Größe (cm)", "Quote (%)", "Eintritt", "Raucher"]
    found = odd(table, top=4, reading=READING)
    assert len(found.plot().axes[0].get_yticklabels()) == 4


# --------------------------------------------------------------- sentences, tables, pictures agree


def correlated() -> pandas.DataFrame:
    """Income and spending go together; row 20 is odd in both, row 30 in how they go together."""
    r = np.random.default_rng(0)
    income = 40 + 10 * r.normal(size=200)
    spend = income / 20 + 0.1 * r.normal(size=200)
    frame = pandas.DataFrame({"income": income, "spend": spend, "age": r.normal(40, 9, size=200)})
    frame.loc[20, ["income", "spend", "age"]] = [130.0, 6.5, 40.0]
    frame.loc[30, ["income", "spend", "age"]] = [55.0, 1.5, 40.0]
    return frame.round(1)


def test_the_picture_of_odd_rows_shows_the_surprise_of_the_table() -> None:
    found = odd(correlated(), top=2, reading=TableReading(model="gmm"))
    table = found.table
    assert sorted(table["row"]) == [20, 30]
    ax = found.plot().axes[0]
    shown = np.ma.filled(ax.collections[0].get_array().reshape(2, 3), np.nan)
    for i in range(2):
        named = {}
        for k in (1, 2, 3):
            if table[f"column{k}"][i]:
                j = found.subject.space.names.index(table[f"column{k}"][i])
                named[j] = min(table[f"surprise{k}"][i], 10.0)
        assert {j: shown[i, j] for j in named} == pytest.approx(named, abs=0.051)
        assert all(shown[i, j] < 3 for j in range(3) if j not in named), "only these are odd"
    both, pair = table["row"].index(20), table["row"].index(30)
    assert {table["column1"][both], table["column2"][both]} == {"income", "spend"}
    assert table["beside1"][both] == ""
    assert (table["column1"][pair], table["column2"][pair]) in {("income", ""), ("spend", "")}
    other = {"income": "spend 1.5", "spend": "income 55"}[table["column1"][pair]]
    assert table["beside1"][pair] == other
    assert any(
        s.endswith(")") and f"would be expected beside {other}" in s for s in found.sentences
    )


def test_the_picture_of_groups_shows_the_effects_of_the_table() -> None:
    r = np.random.default_rng(0)
    side = np.repeat([0, 1], 60)
    frame = pandas.DataFrame({"a": side * 6 + r.normal(size=120), "b": r.normal(size=120)})
    frame["kind"] = np.where(r.random(120) < 0.2 + 0.6 * side, "x", "y")
    frame = frame.round(2)
    found = describe(frame, groups=2, reading=TableReading(model="mixed"))
    rows = [dict(zip(found.table, row)) for row in zip(*found.table.values())]
    figure = found.plot()
    ax = figure.axes[0]
    shown = ax.collections[0].get_array().reshape(2, 3)
    texts = np.array([t.get_text() for t in ax.texts]).reshape(2, 3)
    names = [t.get_text() for t in ax.get_xticklabels()]
    assert names == ["a", "b", "kind y"]
    for row in rows:
        name = f"{row['column']} {row['category']}".strip()
        if name in names and row["category"] != "x":
            i, j = row["group"], names.index(name)
            assert shown[i, j] == pytest.approx(np.clip(row["effect"], -4, 4), abs=0.006)
            assert texts[i, j] == ("" if abs(row["effect"]) < 0.045 else f"{row['effect']:+.1f}")
    assert not {"+0.0", "-0.0"} & set(texts.ravel())
    assert figure.axes[-1].get_ylabel() == "against the other rows"
    one = describe(frame, groups=1, reading=TableReading(model="mixed"))
    assert "one group" in one.plot().get_suptitle()


def test_results_print_their_sentences_and_no_arrays(table: Path) -> None:
    reading = TableReading(model="tiny_classes")
    results: list[Any] = [
        odd(table, top=3, reading=reading),
        fill(table, reading=reading),
        synthesise(table, reading=reading),
        describe(table, reading=reading),
        pf.condition(table, {"Gruppe": "Café"}, reading=reading),
    ]
    for result in results:
        text = repr(result)
        assert "array(" not in text
        assert text.startswith("fitted tiny_classes to 240 rows of ")
        assert len(text.splitlines()) <= 13
    assert "array(" not in repr(results[0].subject)


def test_sentences_are_in_plain_words(table: Path) -> None:
    sentences = odd(table, top=3, reading=READING).sentences
    assert sentences[1].startswith("240 rows, each judged by a model that was fitted without it")
    assert sentences[1].endswith("rows are numbered from 0")
    assert describe(table, reading=READING).sentences[1].endswith("rows are numbered from 0")
    said = " ".join(sentences)
    assert not any(
        word in said for word in ("cross-fitted", "nats", "samples", "dimension", "axis")
    )


def test_models_without_groups_are_refused_before_a_fit(table: Path) -> None:
    for groups in (None, 3):
        with pytest.raises(pf.InvalidKind, match=r"independent model finds no groups; .*mixed"):
            describe(table, groups=groups, reading=TableReading(model="independent"))


def test_pictures_are_titled_with_the_name_of_the_table(table: Path) -> None:
    for result, about in (
        (synthesise(table, reading=READING), "real and synthetic rows"),
        (fill(table, reading=READING), "observed values, and those filled in"),
        (odd(table, top=2, reading=READING), "the oddest rows"),
    ):
        assert result.plot().get_suptitle() == f"messy.csv: {about}"
        assert result.plot("mine").get_suptitle() == "mine"


def test_declared_markers_of_gaps_are_replaced_in_the_tables_own_text(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    lines = ["a;b", *(f"{x:.2f};  {y:.1f}" for x, y in r.normal(size=(60, 2)))]
    lines[7] = lines[7].split(";")[0] + ";k.A."
    (path := tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    reading = TableReading(model="independent", table={"na": ("k.A.",)})
    done = fill(path, out=tmp_path / "u.csv", reading=reading)
    after = (tmp_path / "u.csv").read_text().splitlines()
    assert [i for i, (one, two) in enumerate(zip(lines, after)) if one != two] == [7]
    assert not any("anew" in sentence for sentence in done.sentences)


def test_a_value_between_the_likely_ones_is_said_to_be_there() -> None:
    r = np.random.default_rng(0)
    frame = pandas.DataFrame({"a": r.normal(size=300) / 9 + r.choice([-1, 1], size=300)})
    frame["b"] = r.normal(size=300)
    frame.loc[7, "a"] = 0.02
    found = odd(frame, top=1, reading=TableReading(model="gmm"))
    assert found.top[0].row == 7
    assert any("a is 0.02, which few are near, though -1" in s for s in found.sentences)
