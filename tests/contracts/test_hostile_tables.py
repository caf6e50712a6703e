"""Hostile tables: what the verbs of tables do with columns, cells, names and relations that no
ordinary table has. Each gives what was asked for, or one error that says why not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue, PushforwardError
from pushforward.experiments.conditionals import condition
from pushforward.experiments.gaps import fill
from pushforward.experiments.oddity import odd
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading, open_model
from pushforward.tabular.oddity import explain
from pushforward.tabular.wording import few_digits, in_words

INDEPENDENT = TableReading(model="independent")


def normal(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=n).round(3)


def written(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """A CSV file of cells as they are."""
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values()))]
    path.write_text("\n".join(lines) + "\n")
    return path


# ---------------------------------------------------------------------------------------- constants


@pytest.mark.parametrize("cell", ["50%", "01.02.2020", "2020-02-01", "True", "2020-02-01T10:00:00"])
@pytest.mark.parametrize("gap", [False, True])
def test_constants_keep_their_notation(tmp_path: Path, cell: str, gap: bool) -> None:
    cells = ["" if gap and i % 4 == 0 else cell for i in range(40)]
    table = written(tmp_path / "table.csv", {"k": cells, "x": normal(40)})
    synthesise(table, 3, out=tmp_path / "copy.csv", reading=INDEPENDENT)
    copy = (tmp_path / "copy.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in copy] == ["k", cell, cell, cell]


def test_constants_keep_their_dtypes_after_a_run(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": normal(40)})
    frame["day"] = pandas.Timestamp("1965-03-01")
    frame["yes"] = True
    frame["span"] = pandas.Timedelta(hours=5)
    frame["n"] = pandas.array([3] * 40, dtype="Int64")
    frame.to_parquet(tmp_path / "table.parquet")
    run = str(tmp_path / "run")
    command = ["fit", "independent", str(tmp_path / "table.parquet"), "--types", "auto"]
    assert main([*command, "--run", run, "--quiet"]) == 0
    for subject in (run, frame):
        reading = INDEPENDENT if subject is frame else None
        copy: Any = synthesise(subject, 5, reading=reading).frame
        assert copy.dtypes.tolist() == frame.dtypes.tolist()
        assert copy.iloc[:, 1:].equals(frame.iloc[:5, 1:])


# ----------------------------------------------------------------------------------------- booleans


def test_booleans_with_gaps_are_no_unknown_categories(tmp_path: Path) -> None:
    cells = [("TRUE", "FALSE", "FALSE", "")[i % 4] for i in range(80)]
    table = written(tmp_path / "table.csv", {"b": cells, "x": normal(80)})
    space = pf.read(table, types="auto").space
    assert space.columns[0].categories == ("False", "True")
    filled = fill(table, out=tmp_path / "filled.csv", reading=INDEPENDENT)
    assert filled.gaps == 20
    found = pandas.read_csv(tmp_path / "filled.csv")["b"]
    assert found.dtype == bool
    assert 0 < found[3::4].sum() < 20


def test_objects_that_are_booleans_stay_so() -> None:
    frame = pandas.DataFrame({"b": [True, False, None] * 20, "x": normal(60)})
    assert frame["b"].dtype == object
    copy: Any = synthesise(frame, reading=INDEPENDENT).frame
    assert set(copy["b"]) == {True, False}
    assert 10 < copy["b"].sum() < 50


# ----------------------------------------------------------------------- columns that are all alike


@pytest.mark.parametrize("model", ["mixed", "independent", "copula"])
def test_tables_of_categories_alone_are_filled_and_judged(model: str) -> None:
    stream = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {"a": stream.choice(list("abc"), 60), "b": stream.choice(["u", "v"], 60)}
    )
    frame.loc[::7, "a"] = None
    reading = TableReading(model=model)
    filled: Any = fill(frame, reading=reading).frame
    assert not filled.isna().any().any()
    assert odd(frame, top=2, folds=0, reading=reading).top[0].reasons


def test_tables_without_a_column_to_model_say_why() -> None:
    frame = pandas.DataFrame({"id": [f"K{i}" for i in range(30)], "k": ["a"] * 30})
    with pytest.raises(PushforwardError, match=r"id \(identifier\), k \(constant\)"):
        synthesise(frame)


def test_gaps_of_columns_that_are_not_modelled_are_told() -> None:
    frame = pandas.DataFrame(
        {"id": [f"K{i}" if i % 5 else None for i in range(30)], "x": normal(30)}
    )
    frame.loc[3, "x"] = None
    filled = fill(frame, reading=INDEPENDENT)
    assert "columns that are not modelled keep their gaps: id (6)" in filled.sentences


# ---------------------------------------------------------------------------------------- relations


@pytest.mark.parametrize(
    "relations",
    [
        ["a <= b", "a >= b + 1"],
        ["a < b", "a >= b"],
        ["a = b", "a = b + 2"],
        ["n <= -1"],
        ["a < b", "b < c", "c < a"],
    ],
)
def test_relations_that_contradict_each_other_are_refused(relations: list[str]) -> None:
    frame = pandas.DataFrame({name: normal(30, k) for k, name in enumerate("abc")})
    frame["n"] = range(1, 31)
    frame["n"] = frame["n"] % 7
    with pytest.raises(InvalidValue, match="no row can obey"):
        synthesise(frame, reading=TableReading(model="independent", relation=relations))


def test_relations_that_meet_in_one_place_are_obeyed() -> None:
    frame = pandas.DataFrame({"a": normal(30), "b": normal(30, 1)})
    reading = TableReading(model="independent", relation=["a <= b", "a >= b"])
    copy: Any = synthesise(frame, reading=reading).frame
    assert np.allclose(copy["a"], copy["b"])


def test_relations_with_infinite_numbers_are_refused() -> None:
    frame = pandas.DataFrame({"a": normal(30)})
    with pytest.raises(InvalidValue, match="1e400"):
        synthesise(frame, reading=TableReading(relation="a <= 1e400"))


@pytest.mark.parametrize("source", ["digits", "moons:50"])
@pytest.mark.parametrize("declared", [{"relation": ["a <= b"]}, {"types": ["a=count"]}])
def test_what_is_declared_of_columns_is_not_ignored(source: str, declared: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="columns of a table"):
        pf.read(source, **declared)
    assert len(pf.read(source, types="auto")) > 0


# ------------------------------------------------------------------------------------- command line


def test_types_with_arguments_are_read_from_the_command_line(tmp_path: Path) -> None:
    table = written(tmp_path / "table.csv", {"a": np.abs(normal(40)), "b": ["low", "high"] * 20})
    types = "a=bounded(0, 9),b=ordered(low < high)"
    out = tmp_path / "copy.csv"
    command = ["synthesise", str(table), "--model", "independent", "--types", types]
    assert main([*command, "-o", str(out), "--quiet"]) == 0
    assert len(out.read_text().splitlines()) == 41


def test_tables_are_written_into_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    table = written(tmp_path / "table.csv", {"a": normal(40), "b": normal(40, 1)})
    out = tmp_path / "no" / "such" / "groups.csv"
    command = ["describe", str(table), "--groups", "2", "--model", "kmeans"]
    assert main([*command, "-o", str(out), "--quiet"]) == 0
    assert out.read_text().startswith("group,")


# ------------------------------------------------------------------------------------------ compare


def related(n: int = 100) -> Any:
    x = normal(n)
    return pandas.DataFrame({"a": x, "b": (x + 0.5 * normal(n, 1)).round(3)})


def test_columns_that_the_real_table_lacks_are_told(tmp_path: Path) -> None:
    real, more = related(), related().assign(extra=1.0, further=2.0)
    more.to_csv(tmp_path / "more.csv", index=False)
    real.to_csv(tmp_path / "real.csv", index=False)
    for first, second in ((real, more), (tmp_path / "real.csv", tmp_path / "more.csv")):
        notes = pf.compare_tables(first, second).notes
        assert any("extra and further" in note and "left out" in note for note in notes)
        assert not any("no such column" in note for note in pf.compare_tables(second, first).notes)


def test_a_constant_synthetic_column_has_lost_its_associations() -> None:
    report = pf.compare_tables(related(), related().assign(a=0.0))
    by_name = {record.quantity: record for record in report.records}
    assert by_name["association a × b"].details["of_synthetic"] == 0
    assert by_name["association a × b"].value < 0.6
    assert next(v for v in report.verdicts if v.subject == "relations").grade == "bad"


# ---------------------------------------------------------------------------------------- condition


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("runs")
    table = written(place / "table.csv", {"id": [f"K{i}" for i in range(100)], **related()})
    words = ["fit", "copula", str(table), "--types", "auto", "--run", str(place / "run")]
    assert main([*words, "--quiet"]) == 0
    return pf.experiments.open_run(place / "run")


def test_values_beyond_all_probability_are_too_far_to_condition_on(run: Any) -> None:
    """Their normal score would be that of the least probability in float64: another value's."""
    with pytest.raises(InvalidValue, match="too far from the data"):
        condition(run, {"a": "1e300"})
    nearer = condition(run, {"a": 12.0})
    assert float(nearer.distribution.sample(500, rng=0).std()) > 0


def test_columns_that_are_not_modelled_cannot_be_conditioned_on(run: Any) -> None:
    with pytest.raises(InvalidValue, match=r"id is no part of the model: .* identifier \(every"):
        condition(run, {"id": "K3"})


def test_tiny_and_huge_numbers_are_written_with_exponents() -> None:
    assert few_digits(1.23456e-30) == "1.235e-30"
    assert few_digits(1.5e-20, 1e-21) == "1.5e-20"
    assert in_words(1e300, Column("a", decimals=3)) == "1e+300"
    assert in_words(1e20, Column("a", "integer")) == "1e+20"
    assert in_words(123456.0, Column("a", "integer")) == "123456"


def test_identifiers_whose_rows_are_lost_are_not_said_to_have_no_pattern(tmp_path: Path) -> None:
    table = written(tmp_path / "table.csv", {"id": [f"K{i}" for i in range(40)], "x": normal(40)})
    words = ["fit", "independent", str(table), "--types", "auto", "--run", str(tmp_path / "run")]
    assert main([*words, "--quiet"]) == 0
    table.unlink()
    notes = synthesise(tmp_path / "run", 3).notes
    assert "identifiers in 'id' are new: numbered from 1, as the table's own are lost" in notes


@pytest.mark.parametrize("model", ["copula", "mixed"])
def test_conditionals_far_out_have_a_spread_and_follow_the_tails(model: str) -> None:
    """A score beyond 8.3, where 1 - Φ rounds to 0 in float64, is no score of 37."""
    fitted = open_model(related(), TableReading(model=model)).model
    upper = fitted.marginal(["b"]).margins_
    far = torch.linspace(4, 30, 261, dtype=torch.float64)
    z = torch.cat([-far.flip(0), far])[:, None]
    x = upper.inverse(z, snap=False)
    assert torch.allclose(upper.scores(x).z, z, atol=1e-6), "the inverse of far scores is exact"
    assert bool((x.diff(dim=0) > 0).all())
    given = fitted.condition({"a": 12.0}).sample(500, rng=0)
    assert float(given.std()) > 0.05
    assert 5 < float(given.median()) < 20


def test_an_impossible_value_is_the_reason_and_no_other_is_named() -> None:
    frame = pandas.DataFrame({"n": [3, 1, 2, 0, 4] * 20, "a": normal(100), "b": normal(100, 1)})
    model = open_model(frame, INDEPENDENT)
    row = torch.tensor([-5.0, 0.1, 0.2], dtype=torch.float64)
    every, named = explain(model.model, row, model.rules)
    assert [reason.column for reason in named] == [0]
    rest, _ = explain(model.model, torch.tensor([torch.nan, 0.1, 0.2]).double(), model.rules)
    alone = {reason.column: reason.surprise for reason in rest}
    for reason in every[1:]:  # as if the impossible value were not there; other draws
        assert reason.surprise == pytest.approx(alone[reason.column], abs=0.15)
