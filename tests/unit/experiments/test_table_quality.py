"""Reports on synthetic tables: what is read, judged, said and shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch
from pushforward.core.records import Record
from pushforward.experiments.table_columns import column_card
from pushforward.experiments.table_quality import TableReport
from pushforward.experiments.table_rows import read_tables
from pushforward.experiments.table_verdicts import Grade, Verdict, judge, overall

HOSTILE = "<script>alert(\"x\")</script> & 'quotes'"


def people(seed: int, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    weight = (60 + 0.2 * age + rng.normal(0, 8, n)).round(1)
    weight[rng.random(n) < 0.1] = np.nan
    ill = rng.random(n) < 1 / (1 + np.exp(-(age - 50) / 6))
    return pd.DataFrame(
        {
            "id": [f"P{seed}-{i}" for i in range(n)],
            "age": age,
            "weight": weight,
            "team": rng.choice(["red", "blue", HOSTILE], n),
            "unit": 1,
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, n), "D"),
            "ill": np.where(ill, "yes", "no"),
        }
    )


TRAIN, FRESH, MADE = people(0), people(1), people(2)


@pytest.fixture(scope="module")
def report() -> TableReport:
    return pf.compare_tables(TRAIN, MADE, held_out=FRESH)


@pytest.fixture(scope="module")
def leaked() -> TableReport:
    made = MADE.copy()
    made.iloc[:30] = TRAIN.iloc[:30]
    return pf.compare_tables(TRAIN, made, held_out=FRESH)


def grades(report: TableReport) -> dict[str, str]:
    return {verdict.subject: verdict.grade for verdict in report.verdicts}


def test_fresh_rows_are_good_and_safe(report: TableReport) -> None:
    assert set(grades(report).values()) == {"good"}
    assert (report.good, report.safe) == ("good", "good")
    assert len(report.verdicts) == 11
    assert report.pair.names == ("age", "weight", "team", "seen", "ill")
    assert "id is left out: identifier (every text is different)" in report.notes
    assert "unit is left out: constant (all values are equal)" in report.notes
    for record in report.summary:
        assert record.data
        assert record.details["compared"]
        assert record.details["better"] in ("higher", "lower", "ideal")


def test_a_tenth_of_copies_is_found(leaked: TableReport) -> None:
    """The self-test: thirty of three hundred rows are training rows."""
    found = grades(leaked)
    assert found["exact copies"] == "bad"
    assert found["identifiers"] == "watch"
    assert leaked.safe == "bad"
    assert leaked.good == "good"
    copied = next(r for r in leaked.records if r.quantity == "copies")
    assert copied.value == pytest.approx(0.1)
    sentence = next(v.sentence for v in leaked.verdicts if v.subject == "exact copies")
    assert sentence.startswith("30 of 300 synthetic rows (10 %) equal a real row")
    assert "30 of id" in next(v.sentence for v in leaked.verdicts if v.subject == "identifiers")


def test_the_same_table_is_all_copies_and_privacy_is_unknown_without_held_out_rows() -> None:
    report = pf.compare_tables(TRAIN, TRAIN)
    assert report.safe == "bad"
    assert grades(report)["closeness and membership"] == "unknown"
    assert next(r for r in report.records if r.quantity == "detection").value == 0.5
    assert "without held-out rows, distances and membership are not measured" in report.notes
    without = pf.compare_tables(TRAIN, MADE)
    assert without.safe == "unknown"


def test_held_out_rows_that_are_training_rows_are_refused() -> None:
    mixed = pd.concat([TRAIN[:100], FRESH[:100]])
    with pytest.raises(InvalidValue, match="50 % of the held-out rows are also rows"):
        pf.compare_tables(TRAIN, MADE, held_out=mixed)


def test_real_rows_may_be_the_held_out_ones(report: TableReport) -> None:
    other = pf.compare_tables(FRESH, MADE, train=TRAIN)
    for name in ("closest_share", "membership", "copies"):
        one, two = (next(r for r in x.records if r.quantity == name) for x in (report, other))
        assert one.value == two.value
    with pytest.raises(InvalidValue, match="pass one of them"):
        pf.compare_tables(FRESH, MADE, train=TRAIN, held_out=FRESH)


def test_what_is_wrong_with_a_table_is_named() -> None:
    made = MADE.copy()
    made["age"] = -made["age"]
    made["weight"] = made["weight"].fillna(60)
    made.loc[:59, "team"] = "green"
    made["ill"] = made["ill"].to_numpy()[np.random.default_rng(0).permutation(len(made))]
    report = pf.compare_tables(TRAIN, made, held_out=FRESH)
    found, said = grades(report), {v.subject: v.sentence for v in report.verdicts}
    assert found["columns"] != "good"
    assert "age (0.00)" in said["columns"]
    assert found["relations"] != "good"
    assert found["possible values"] == "bad"
    assert "Fewest: age, 0 %" in said["possible values"]
    assert found["gaps"] == "watch" or found["gaps"] == "bad"
    assert found["recognisable"] == "bad"
    assert "age" in said["recognisable"]
    assert found["usefulness"] == "bad"
    values = {r.quantity: r for r in report.records}
    assert values["adherence team"].value == pytest.approx(0.8)
    assert values["missing weight"].details["share_synthetic"] == 0
    assert "missing team" not in values  # an unseen category is a value, not a gap


def test_other_columns_types_and_sizes() -> None:
    with pytest.raises(ShapeMismatch, match="column 'age' is missing"):
        pf.compare_tables(TRAIN, MADE.drop(columns="age"))
    with pytest.raises(ShapeMismatch, match="'age' holds text"):
        pf.compare_tables(TRAIN, MADE.assign(age="old"))
    with pytest.raises(BadSource, match="no rows"):
        pf.compare_tables(TRAIN, MADE[:0])
    with pytest.raises(InvalidValue, match="rows must be at least 2"):
        pf.compare_tables(TRAIN, MADE, rows=1)
    extra = pf.compare_tables(TRAIN, MADE.assign(more=1, unit=2)[MADE.columns[::-1].tolist()])
    assert extra.pair.names == ("age", "weight", "team", "seen", "ill")


@pytest.mark.parametrize("rows", [1, 2, 12])
def test_tables_of_few_rows(rows: int) -> None:
    for real, made in ((TRAIN, MADE[:rows]), (TRAIN[:rows], MADE)):
        frame = real.drop(columns=["id", "seen"])
        types = {"team": "categorical", "ill": "categorical", "age": "count", "weight": "positive"}
        report = pf.compare_tables(
            frame, made, held_out=FRESH[:5], types={**types, "unit": "count"}
        )
        assert report.verdicts
        assert json.dumps(report.as_dict(), default=str)


def test_columns_that_are_all_missing_or_constant_on_one_side() -> None:
    made = MADE.assign(weight=np.nan, age=40)
    report = pf.compare_tables(TRAIN, made, held_out=FRESH)
    values = {r.quantity: r.value for r in report.records}
    assert np.isnan(values["margin weight"])
    assert values["missing weight"] < 0.15
    assert 0 < values["margins"] < 1
    gone = pf.compare_tables(TRAIN.assign(weight=np.nan), MADE)
    assert "weight is left out: constant (every value is missing)" in gone.notes


def test_unseen_categories_keep_their_names() -> None:
    tables = read_tables(TRAIN, MADE.replace({"team": {"red": "green"}}))
    column = tables.columns[2]
    assert column.categories == (*sorted([HOSTILE, "blue", "red"]), "green")
    assert (tables.synthetic.x[:, 2] == 3).sum() == (MADE["team"] == "red").sum()


def test_the_page_is_safe_and_stands_alone(report: TableReport, tmp_path: Path) -> None:
    path = report.write_page(tmp_path / "report.html")
    text = path.read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"https?://|url\(|@import|style=", text)
    assert "default-src 'none'" in text
    for words in ("Is it good?", "Is it safe?", "Columns, one by one", "All numbers"):
        assert words in text
    assert text.count('<section class="card"><div class="head"><h3>') >= 5
    with pytest.raises(InvalidValue, match="exists"):
        report.write_page(path)


def test_results_hold_every_record(report: TableReport, tmp_path: Path) -> None:
    found = json.loads(report.write_results(tmp_path / "results.json").read_text("utf-8"))
    assert len(found["records"]) == len(report.records)
    assert found["good"] == "good"
    assert {"subject", "grade", "sentence", "rule", "question"} == set(found["verdicts"][0])


def test_the_same_seed_gives_the_same_numbers(report: TableReport) -> None:
    again = pf.compare_tables(TRAIN, MADE, held_out=FRESH)
    assert [r.as_dict() for r in again.records] == [r.as_dict() for r in report.records]


def test_rows_are_drawn_and_counted() -> None:
    report = pf.compare_tables(TRAIN, MADE, rows=100)
    margins = report.records[0]
    assert (margins.details["real"], margins.details["synthetic"]) == (100, 100)
    assert "columns: 100 real and 100 synthetic rows, drawn" in report.notes
    copies = next(r for r in report.records if r.quantity == "copies")
    assert copies.details["real"] == 300


def test_a_run_is_sampled_and_its_held_out_rows_are_known(tmp_path: Path) -> None:
    frame = people(3, 400)[["id", "age", "weight"]]
    frame["weight"] = frame["weight"].fillna(60)
    frame.to_csv(tmp_path / "people.csv", index=False)
    source = str(tmp_path / "people.csv")
    pf.Experiment(pf.PCA(), source, reading={"types": "auto"}).run(tmp_path / "pca")
    report = pf.compare_tables(source, tmp_path / "pca")
    assert report.pair.names == ("age", "weight")
    assert (report.tables.synthetic.x[:, 0] % 1 == 0).all()
    assert len(report.tables.synthetic.x) == 400
    assert report.tables.held_out is not None
    assert len(report.tables.train.x) + len(report.tables.held_out.x) == 400
    assert any(r.quantity == "closest_share" for r in report.records)


def test_verdicts_follow_their_rules(report: TableReport) -> None:
    by_name = {r.quantity: r for r in report.records}
    from dataclasses import replace

    def grade(name: str, value: float, subject: str) -> str:
        changed = [replace(r, value=value) if r.quantity == name else r for r in by_name.values()]
        return next(v.grade for v in judge(changed, True) if v.subject == subject)

    assert [grade("detection", v, "recognisable") for v in (0.4, 0.6, 0.79, 0.81)] == [
        "good", "good", "watch", "bad",
    ]  # fmt: skip
    assert [grade("loss AUC", v, "usefulness") for v in (-0.2, 0.05, 0.1, 0.2)] == [
        "good", "good", "watch", "bad",
    ]  # fmt: skip
    assert [grade("adherence", v, "possible values") for v in (1, 0.96, 0.9)] == [
        "good", "watch", "bad",
    ]  # fmt: skip
    assert [grade("coverage", v, "variety") for v in (0.9, 0.8, 0.6)] == ["good", "watch", "bad"]
    assert [grade("missing", v, "gaps") for v in (0.95, 0.92, 0.8)] == ["good", "watch", "bad"]
    assert [grade("margins", v, "columns") for v in (1, 0.85, 0.7)] == ["good", "watch", "bad"]
    error = by_name["membership"].error
    for value, expected in ((0.5 + 1.9 * error, "good"), (0.9, "bad")):
        assert grade("membership", value, "membership") == expected
    share = by_name["closest_share"]
    for by, expected in ((1.9, "good"), (2.1, "bad")):
        value = share.details["ideal"] + by * share.error
        assert grade("closest_share", value, "closeness") == expected


def test_what_is_not_known_counts_only_where_safety_is_asked_for() -> None:
    def of(question: str, *grades: Grade) -> list[Verdict]:
        return [Verdict("", question, grade, "", "") for grade in grades]  # type: ignore[arg-type]

    assert overall([], "safe") == overall(of("good", "unknown"), "good") == "unknown"
    assert overall(of("good", "good", "unknown"), "good") == "good"
    assert overall(of("safe", "good", "unknown"), "safe") == "unknown"
    assert overall(of("good", "good", "unknown", "watch"), "good") == "watch"


def test_categories_written_in_two_ways_are_noted() -> None:
    synthetic = MADE.replace({"team": {"red": "rouge", "blue": "bleu", HOSTILE: "autre"}})
    notes = read_tables(TRAIN, synthetic).notes
    assert any(n.startswith("team has no value in common, such as") for n in notes)
    assert not any("in common" in n for n in read_tables(TRAIN, MADE).notes)


def test_ends_of_axes_are_values_of_the_table_and_bins_of_whole_numbers_alike() -> None:
    r = np.random.default_rng(0)
    price, day = r.gamma(3, 9.0, 400).round(2), pd.Timestamp("2021-05-07")
    days = [f"{day + pd.Timedelta(int(k), 'D'):%d.%m.%Y}" for k in r.integers(0, 900, 400)]
    frame = pd.DataFrame({"n": r.integers(0, 90, 400), "income": price * 1000, "day": days})
    pair = pf.compare_tables(frame, frame).pair
    record = Record("margin x", 1.0, n=400)
    cards = [column_card(pair, i, record) for i in range(3)]
    ends = [re.search(r'"ends"><span>(.*?)</span><span>(.*?)</span>', card) for card in cards]
    assert ends[0].groups() == ("0", "88")
    assert all(re.fullmatch(r"\d+", end) for end in ends[1].groups())
    assert all(re.fullmatch(r"\d\d\.\d\d\.202\d", end) for end in ends[2].groups())
    assert cards[0].count(" L") == 61 + 59  # 30 bins of three numbers, filled and as a line


def test_the_command_writes_what_python_gets(
    report: TableReport, command: Callable[..., str], tmp_path: Path
) -> None:
    for name, frame in (("real", TRAIN), ("made", MADE), ("fresh", FRESH)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [str(tmp_path / f"{name}.csv") for name in ("real", "made", "fresh")]
    lines = command("compare", *paths[:2], "--held-out", paths[2], "--json").splitlines()
    found = [json.loads(line) for line in lines]
    assert [r["quantity"] for r in found] == [r.quantity for r in report.records]
    values = [r["value"] for r in found]
    expected = [None if np.isnan(r.value) else r.value for r in report.records]
    assert values == pytest.approx(expected)
