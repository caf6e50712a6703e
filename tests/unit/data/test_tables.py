"""Data frames, .csv and .parquet."""

import gzip
import lzma

import numpy as np
import pandas
import pytest
import torch

from pushforward.core.errors import BadSource, InvalidValue, MissingExtra, ShapeMismatch
from pushforward.data import read


@pytest.fixture
def frame():
    return pandas.DataFrame(
        {
            "length": [1.5, 2.5, 3.5, 4.5],
            "count": [3, 1, 2, 7],
            "team": ["red", "blue", "red", "green"],
            "made": [True, False, True, True],
        }
    )


def test_text_columns_are_declared_dropped_or_refused(frame):
    with pytest.raises(BadSource) as caught:
        read(frame)
    for words in (
        "column 'team' holds text ('red', 'blue', 'green')",
        "categorical=['team']",
        "drop=['team']",
    ):
        assert words in str(caught.value)
    assert read(frame, drop="team").space.names == ("length", "count", "made")


def test_categories_become_codes_and_come_back(frame):
    source = read(frame, categorical=["team"])
    column = source.space.columns[2]
    assert (column.kind, column.categories) == ("categorical", ("blue", "green", "red"))
    assert source.all().x[:, 2].tolist() == [2, 0, 2, 1]
    back = source.space.export(source.all().x)
    assert back["team"].astype(str).tolist() == frame["team"].tolist()
    assert back["count"].tolist() == [3, 1, 2, 7]


def test_kinds_and_ranges_are_those_of_the_columns(frame):
    space = read(frame, drop=["team"]).space
    assert [c.kind for c in space.columns] == ["continuous", "integer", "integer"]
    assert (space.columns[0].low, space.columns[0].high) == (1.5, 4.5)


def test_a_pandas_categorical_declares_itself_in_its_own_order(frame):
    frame["team"] = pandas.Categorical(frame["team"], categories=["red", "green", "blue"])
    assert read(frame).space.columns[2].categories == ("red", "green", "blue")


def test_label_weights_and_conditions_are_columns(frame):
    source = read(frame, label="team", weights="count", drop="made")
    assert source.space.names == ("length",)
    assert source.condition_space.columns[0].categories == ("blue", "green", "red")
    assert source.y.tolist() == [2, 0, 2, 1]
    assert source.weights.tolist() == [3, 1, 2, 7]
    paired = read(frame, y="count,made", drop="team")
    assert paired.space.names == ("length",)
    assert paired.condition_space.names == ("count", "made")
    assert paired.all().y[:, 0].tolist() == [3, 1, 2, 7]


@pytest.mark.parametrize(
    "asked",
    [
        {"drop": "teem"},
        {"categorical": "teem"},
        {"columns": "teem"},
        {"label": "teem"},
        {"weights": "teem"},
    ],
)
def test_a_column_that_is_not_there_suggests_one(frame, asked):
    with pytest.raises(InvalidValue, match="no column 'teem'; did you mean 'team'"):
        read(frame, **asked)


def test_names_may_hold_commas():
    frame = pandas.DataFrame({"a,b": ["u", "v"], "a": [1, 2], "b": [3, 4]})
    assert read(frame, categorical="a,b", drop=["a"]).space.names == ("a,b", "b")
    assert read(frame, drop="a,b").space.names == ("a", "b")
    assert read(frame.rename(columns={"a,b": "c"}), drop=["a,b"], categorical="c").space.names == (
        "c",
    )


def test_columns_are_chosen_in_the_order_asked(frame):
    source = read(frame, columns="count,length")
    assert source.space.names == ("count", "length")
    assert source.all().x[0].tolist() == [3, 1.5]


def test_missing_values_are_kept_as_nan_also_in_categories():
    frame = pandas.DataFrame(
        {"a": [1.0, np.nan, 3.0], "b": ["x", None, "y"], "c": [True, None, False]}
    )
    x = read(frame, categorical="b").all().x
    assert torch.equal(x.isnan(), torch.tensor([[False] * 3, [True] * 3, [False] * 3]))


def test_infinity_is_refused_by_name():
    with pytest.raises(BadSource, match=r"column 'a' holds infinity \(first in row 1\)"):
        read(pandas.DataFrame({"a": [1.0, -np.inf]}))


def test_zero_rows_and_double_names_are_refused(tmp_path):
    with pytest.raises(
        BadSource, match=r"the table has no rows; expected at least one below the header \(a, b\)"
    ):
        read(pandas.DataFrame({"a": [], "b": []}))
    with pytest.raises(BadSource, match="column 'a' appears twice"):
        read(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    (tmp_path / "e.csv").write_text("")
    with pytest.raises(BadSource, match="the file is empty"):
        read(tmp_path / "e.csv")
    (tmp_path / "h.csv").write_text("a,b\n")
    with pytest.raises(BadSource, match="no rows"):
        read(tmp_path / "h.csv")


def test_a_label_that_is_missing_is_refused():
    with pytest.raises(BadSource, match="label 'b' is missing in 1 of 2 rows"):
        read(pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", None]}), label="b")


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".xz", lzma.open)])
def test_csv_is_read_packed_or_not(tmp_path, suffix, opener):
    path = tmp_path / f"d.csv{suffix}"
    with opener(path, "wt") as file:
        file.write("a;b\n1;2.5\n3;4.5\n")
    source = read(path)
    assert source.space.names == ("a", "b")
    assert source.all().x.tolist() == [[1, 2.5], [3, 4.5]]


def test_csv_without_a_header_and_with_row_numbers(tmp_path):
    (tmp_path / "n.csv").write_text("1,2.5\n3,4.5\n")
    source = read(tmp_path / "n.csv")
    assert len(source) == 2
    assert source.space.names == ("x0", "x1")
    (tmp_path / "r.csv").write_text('"","a"\n"1",5.5\n"2",6.5\n')
    assert read(tmp_path / "r.csv").space.names == ("a",)
    (tmp_path / "s.csv").write_text('"","a"\n"1",5.5\n"7",6.5\n')
    assert len(read(tmp_path / "s.csv").space.names) == 2


def test_tables_larger_than_memory_are_spooled_and_equal(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.data.tables.text_files.CHUNK_ROWS", 50)
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "a": rng.normal(size=333),
            "b": rng.integers(0, 9, 333),
            "t": rng.choice(["u", "v", "w"], 333),
        }
    )
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_parquet(tmp_path / "d.parquet")
    whole = read(frame, categorical="t")
    for name in ("d.csv", "d.parquet"):
        source = read(tmp_path / name, categorical="t", memory=4000)
        assert not source.resident
        assert source.space == whole.space
        assert torch.equal(source.take(torch.arange(333)).x, whole.all().x)


def test_tables_that_are_not_tables_are_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\0\0\0")
    (tmp_path / "b.parquet").write_bytes(b"nothing")
    (tmp_path / "c.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-20])
    (tmp_path / "e.csv").write_bytes("a,b\n1,2\n\xe9,4\n".encode("latin-1"))
    for name in ("a.csv", "b.parquet", "c.csv", "d.csv.gz", "e.csv"):
        with pytest.raises(BadSource, match=name):
            read(tmp_path / name)


def test_without_pandas_the_message_holds_the_install_line(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("a\n1\n")
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"reading a.csv needs pandas.*pip install .*\[tables\]"):
        read(tmp_path / "a.csv")


def test_a_model_s_columns_and_categories_are_kept(frame):
    known = read(frame, categorical="team", columns="team,length", label="count")
    new = pandas.DataFrame({"length": [9.0], "extra": ["z"], "team": ["red"]})
    source = read(new, like=known, label=False)
    assert source.space is known.space
    assert source.all().x.tolist() == [[2.0, 9.0]]
    with pytest.raises(
        ShapeMismatch, match="column 'team' holds 'pink', which is none of blue, green, red"
    ):
        read(pandas.DataFrame({"length": [9.0], "team": ["pink"]}), like=known)
    with pytest.raises(ShapeMismatch, match="column 'length' is missing"):
        read(pandas.DataFrame({"team": ["red"]}), like=known)


def test_real_tables(shared):
    shots = read(
        shared / "nba_shots" / "NBA_2016_Shots.csv.xz", columns="LOC_X,LOC_Y", label="SHOT_MADE"
    )
    assert len(shots) == 207_893
    assert shots.condition_space.columns[0].categories == ("False", "True")
    faithful = read(shared / "density" / "faithful.csv")
    assert faithful.space.names == ("eruptions", "waiting")
    assert len(faithful) == 272
