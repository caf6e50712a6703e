"""What a scan of a typed table says: dates as dates, values far from the rest, advice."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

import pushforward.models  # noqa: F401 - advice names models
from pushforward.core.data_types import Frame
from pushforward.data import report


def table(rows: int = 400, **more: object) -> Frame:
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.normal(46, 12, rows).round().clip(19, 85),
        "price": np.exp(rng.normal(1.5, 0.6, rows)).round(2),
        "claims": np.where(rng.random(rows) < 0.6, 0, np.exp(rng.normal(3, 1, rows))).round(2),
        "visits": rng.poisson(0.4, rows),
        "wait": rng.exponential(size=rows),
        "z": rng.normal(size=rows) + 0.01,
        "day": pandas.Timestamp("2020-01-01")
        + pandas.to_timedelta(rng.integers(0, 900, rows), "D"),
    }
    return pandas.DataFrame({**columns, **more})


def said(frame: Frame, name: str) -> list[str]:
    return [issue.text for issue in report(frame, types="auto").issues if issue.name == name]


@pytest.mark.parametrize("seed", range(3))
def test_usual_columns_have_no_far_values(seed: int) -> None:
    frame = table().sample(frac=1, random_state=seed)
    assert not said(frame, "far")
    assert not said(frame, "negative")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("age", 430, "'age' holds 430 in row 7, far from all others (19 to "),
        ("claims", 1e6, "'claims' holds 1000000 in row 7"),
        ("price", 1e-4, "'price' holds 0.0001 in row 7"),
        ("z", -40.0, "'z' holds -40 in row 7"),
        ("day", pandas.Timestamp("1900-01-01"), "'day' holds 1900-01-01 in row 7"),
    ],
)
def test_far_values_are_named(name: str, value: object, text: str) -> None:
    frame = table()
    if name == "claims":
        frame["claims"] += 5
    frame.loc[7, name] = value
    found = said(frame, "far")
    if name == "price":  # near all others on the plain scale
        assert not found
        return
    assert len(found) == 1
    assert text in found[0]
    assert "4 interquartile ranges" in found[0]


def test_one_value_below_zero_is_told_to_change_the_type() -> None:
    frame = table()
    frame.loc[20, "price"] = -4.99
    (text,) = said(frame, "negative")
    assert "'price' is continuous, not positive" in text
    assert "-4.99 in row 20" in text
    frame.loc[21, "price"] = -3.0
    assert not said(frame, "negative")


def test_dates_are_shown_as_dates() -> None:
    frame = table()
    frame["at"] = frame["day"] + pandas.to_timedelta(np.arange(400) * 61, "s")
    text = str(report(frame, types="auto"))
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert str(frame["day"].min().date()) in lines["day"]
    assert str(frame["day"].max().date()) in lines["day"]
    assert (
        f"{frame['day'].dt.as_unit('s').astype('int64').std(ddof=0) / 86400:.5g} days"
        in lines["day"]
    )
    assert "T" in lines["at"]
    assert " days" in lines["at"]
    assert "since" not in lines["at"]


def test_dates_are_shown_in_the_format_of_the_table(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "x.csv"
    days = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021" for i in range(40)]
    path.write_text("day;x\n" + "".join(f"{day};{i / 7:.3f}\n" for i, day in enumerate(days)))
    text = str(report(path, types="auto"))
    assert "01.01.2021" in text
    assert "18628" not in text


def test_advice_is_right_for_the_verbs_of_tables_and_for_models() -> None:
    frame = table(kind=["a", "b", "c", "d"] * 100, empty=[None, 1.5, 2.5, 3.5] * 100)
    issues = {issue.name: issue.remedy for issue in report(frame, types="auto").issues}
    for name in ("categorical", "missing"):
        assert "verbs of tables take" in issues[name]
        assert "mixed" in issues[name]
        assert issues[name].count("to fit a model drop") == 1
    assert "fill fills them" in issues["missing"]


def test_few_whole_numbers_are_counts_that_may_be_codes() -> None:
    columns = report(
        table(target=[0, 1, 2, 1] * 100, many=np.arange(400) % 11), types="auto"
    ).columns
    reasons = {column.name: column.reason for column in columns if column.type == "count"}
    assert "types=['target=categorical']" in reasons["target"]
    assert "codes" not in reasons["many"]
