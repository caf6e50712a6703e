"""Columns of every dtype: read for what they are, and given back as they came."""

import datetime
import decimal

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.data import read, write

DAYS, SECONDS = "days since 1970-01-01", "seconds since 1970-01-01"


def there_and_back(series, **asked):
    frame = pandas.DataFrame({"a": series})
    source = read(frame, **asked)
    return source.space.columns[0], source.space.export(source.all().x)["a"]


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint16",
        "int64",
        "float32",
        "float64",
        "Int64",
        "UInt8",
        "boolean",
        "Float32",
        "int64[pyarrow]",
        "double[pyarrow]",
    ],
)
def test_numbers_come_back_in_their_dtype(dtype):
    given = pandas.Series([0, 1, 1, 0], dtype=dtype)
    _, back = there_and_back(given)
    pandas.testing.assert_series_equal(back, given, check_names=False)


@pytest.mark.parametrize(
    "dtype", ["Int64", "boolean", "Float64", "int64[pyarrow]", "bool[pyarrow]"]
)
def test_missing_values_come_back_in_nullable_dtypes(dtype):
    given = pandas.Series([0, None, 1], dtype=dtype)
    column, back = there_and_back(given)
    assert column.kind == "continuous"
    pandas.testing.assert_series_equal(back, given, check_names=False)


@pytest.mark.parametrize(
    ("given", "categories"),
    [
        (pandas.Series([3, 7, 3]), ("3", "7")),
        (pandas.Series([10, 9, 10], dtype="Int64"), ("9", "10")),
        (pandas.Series([3.0, 7.5, 3.0]), ("3", "7.5")),
        (pandas.Series([True, False, True]), ("False", "True")),
        (pandas.Series(["u", "v", "u"]), ("u", "v")),
        (pandas.Series(["u", "v", "u"], dtype="category"), ("u", "v")),
        (pandas.Series(pandas.Categorical(["v", "u", "v"], categories=["v", "u"])), ("v", "u")),
    ],
)
def test_categories_come_back_as_what_they_were(given, categories):
    column, back = there_and_back(given, categorical="a")
    assert (column.kind, column.categories) == ("categorical", categories)
    assert back.tolist() == given.tolist()
    # pandas before 3.0 has no dtype for text: objects come back as categories
    assert back.dtype == ("category" if given.dtype == object else given.dtype)


@pytest.mark.parametrize(
    ("given", "unit", "kind", "numbers"),
    [
        (
            pandas.to_datetime(pandas.Series(["1970-01-02", "2020-02-29"])),
            DAYS,
            "integer",
            [1, 18321],
        ),
        (
            pandas.to_datetime(pandas.Series(["1970-01-01 00:00:01", "1970-01-02 00:00:00"])),
            SECONDS,
            "integer",
            [1, 86400],
        ),
        (
            pandas.to_datetime(
                pandas.Series(["1970-01-01 00:00:01.25", "1970-01-02"]), format="ISO8601"
            ),
            SECONDS,
            "continuous",
            [1.25, 86400],
        ),
        (
            pandas.to_datetime(pandas.Series(["1970-01-02"])).astype("datetime64[ns]"),
            DAYS,
            "integer",
            [1],
        ),
        (
            pandas.to_datetime(pandas.Series(["1970-01-01T01:00:00+01:00"])).dt.tz_convert(
                "Europe/Paris"
            ),
            SECONDS,
            "integer",
            [0],
        ),
        (
            pandas.to_datetime(pandas.Series(["1970-01-03", None])),
            DAYS,
            "integer",
            [2, float("nan")],
        ),
        (pandas.to_timedelta(pandas.Series(["1s", "1h"])), "seconds", "integer", [1, 3600]),
    ],
)
def test_dates_are_numbers_and_come_back_as_dates(given, unit, kind, numbers):
    column, back = there_and_back(given)
    assert (column.unit, column.kind) == (unit, kind)
    source = read(pandas.DataFrame({"a": given}))
    assert (
        source.all().x[:, 0].nan_to_num(-1).tolist()
        == torch.tensor(numbers, dtype=torch.float64).nan_to_num(-1).tolist()
    )
    pandas.testing.assert_series_equal(back, given, check_names=False)
    assert f"read as {unit}" in source.notes[0]
    queried = source.space.conform(pandas.DataFrame({"a": given}))
    assert torch.equal(queried.double().nan_to_num(-1), source.all().x.double().nan_to_num(-1))


@pytest.mark.parametrize(
    ("texts", "unit", "first"),
    [
        (["1970-01-02", "1970-01-05"], DAYS, 1),
        (["1970-01-01T00:00:05", "1970-01-01T00:00:06"], SECONDS, 5),
        (["1970-01-01 00:00:05.5", "1970-01-02 00:00:06"], SECONDS, 5.5),
        (["1970-01-01T02:00:00+02:00", "1970-01-01T00:00:06Z"], SECONDS, 0),
        (["1970-01-01", "1970-01-01 12:00"], SECONDS, 0),
    ],
)
def test_iso_dates_in_a_file_are_numbers_and_are_written_as_dates(tmp_path, texts, unit, first):
    (tmp_path / "t.csv").write_text("when,b\n" + "".join(f"{t},{i}\n" for i, t in enumerate(texts)))
    source = read(tmp_path / "t.csv")
    assert source.space.columns[0].unit == unit
    assert source.all().x[0, 0] == first
    write(source.all().x, source.space, tmp_path / "back.csv")
    again = read(tmp_path / "back.csv")
    assert torch.equal(again.all().x, source.all().x)
    assert again.space.columns[0] == source.space.columns[0]
    as_frame = source.space.export(source.all().x)["when"]
    assert as_frame.dtype.kind == "M"
    later = read(tmp_path / "t.csv", like=source.space)
    assert torch.equal(later.all().x, source.all().x)
    with pytest.raises(BadSource, match="column 'when' holds text"):
        read(tmp_path / "t.csv", dates=False)


def test_what_is_no_date_stays_text(tmp_path):
    for text in ("2020-02-30", "12-01-2020", "2020-13-01"):
        (tmp_path / "t.csv").write_text(f"when,b\n2020-01-01,1\n{text},2\n")
        with pytest.raises(BadSource, match="column 'when' holds text"):
            read(tmp_path / "t.csv")
    fitted = read(pandas.DataFrame({"when": pandas.to_datetime(["2020-01-01"])}))
    with pytest.raises(ShapeMismatch, match="column 'when' holds text"):
        fitted.space.conform(pandas.DataFrame({"when": ["no date"]}))
    with pytest.raises(ShapeMismatch, match="column 'a' holds dates where numbers are expected"):
        read(pandas.DataFrame({"a": [1.0]})).space.conform(
            pandas.DataFrame({"a": pandas.to_datetime(["2020-01-01"])})
        )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5, None], [1, 2.5, -1]),
        ([True, None, False], [1, -1, 0]),
        ([decimal.Decimal("1.5"), decimal.Decimal("2")], [1.5, 2]),
        ([datetime.date(1970, 1, 2), datetime.date(1970, 1, 3)], [1, 2]),
        ([datetime.timedelta(seconds=2)], [2]),
    ],
)
def test_object_columns_are_what_their_entries_are(values, expected):
    frame = pandas.DataFrame({"a": pandas.Series(values, dtype=object)})
    source = read(frame)
    assert source.all().x[:, 0].nan_to_num(-1).tolist() == expected
    assert source.space.conform(frame)[:, 0].nan_to_num(-1).tolist() == expected


@pytest.mark.parametrize("values", [[1 + 2j, 0j], np.array([1 + 2j, 0], dtype=object)])
def test_complex_columns_are_refused(values):
    frame = pandas.DataFrame({"a": values})
    for reader in (read, pf.data.report, pf.Gaussian().fit):
        with pytest.raises(InvalidKind, match="complex numbers; pass real and imaginary parts"):
            reader(frame)


def test_a_written_table_reads_as_it_was(tmp_path):
    frame = pandas.DataFrame(
        {
            "flag": [True, False, True],
            "count": [1, 2, 3],
            "single": np.array([0.1, 0.2, 0.3], dtype=np.float32),
            "maybe": pandas.array([1, None, 3], dtype="Int64"),
            "zone": [3, 7, 3],
            "day": pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]),
        }
    )
    source = read(frame, categorical="zone")
    for name in ("t.parquet", "t.csv"):
        write(source.all().x, source.space, tmp_path / name)
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "t.parquet"), frame)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[:2] == ["flag,count,single,maybe,zone,day", "True,1,0.1,1,3,2020-01-01"]
    assert lines[2] == "False,2,0.2,,7,2020-01-02"


def test_percents_are_written_as_percents(tmp_path):
    (tmp_path / "t.csv").write_text("p,q\n12.5%,1\n7%,2\n")
    source = read(tmp_path / "t.csv")
    write(source.all().x, source.space, tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_text() == "p,q\n12.5%,1\n7.0%,2\n"


def test_samples_keep_to_their_dtype():
    frame = pandas.DataFrame(
        {"a": np.array([0, 255, 3, 9], dtype=np.uint8), "b": [True, False, True, True]}
    )
    space = read(frame).space
    back = space.export(torch.tensor([[-4.2, 1.7], [300.0, -0.3], [2.6, 0.6]]))
    assert back["a"].tolist() == [0, 255, 3]
    assert back["b"].tolist() == [True, False, True]
    assert [str(t) for t in back.dtypes] == ["uint8", "bool"]


def arrow(frame):
    return pytest.importorskip("pyarrow").Table.from_pandas(frame)


def polars(frame):
    return pytest.importorskip("polars").from_pandas(frame)


CONTAINERS = {
    "pandas": lambda f: f,
    "arrow": arrow,
    "arrow batch": lambda f: arrow(f).to_batches()[0],
    "polars": polars,
    "polars lazy": lambda f: polars(f).lazy(),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_frames_of_every_make_are_matched_by_name(kind):
    make = CONTAINERS[kind]
    frame = pandas.DataFrame(
        {"a": [1.0, 2.0, 4.0, 8.0], "b": [10.0, 20.0, 5.0, 7.0], "t": ["u", "v", "u", "v"]}
    )
    source = read(make(frame), categorical="t")
    assert source.space.names == ("a", "b", "t")
    assert source.all().x.tolist() == [[1, 10, 0], [2, 20, 1], [4, 5, 0], [8, 7, 1]]
    numbers = frame[["a", "b"]]
    model = pf.Gaussian().fit(make(numbers))
    assert torch.equal(model.log_prob(make(numbers[["b", "a"]])), model.log_prob(numbers))
    assert pf.Gaussian().fit(numbers).space.names == model.space.names
    assert pf.data.report(make(numbers)).count == 4
    with pytest.raises(ShapeMismatch, match="column 'a' is missing"):
        model.log_prob(make(frame[["b"]]))


def test_wide_tables_take_linear_time(tmp_path, monkeypatch):
    """20 000 columns, some of text: no column is looked for among the others,
    and pandas makes no series for plain numbers.
    """
    columns = 20_000
    names = [f"c{i}" for i in range(columns)]
    path = tmp_path / "wide.csv"
    path.write_text(
        ",".join(names)
        + "\n"
        + "\n".join(",".join(["1.5"] * (columns - 1) + [t]) for t in ("u", "v", "w"))
        + "\n"
    )
    made = []
    from pushforward.data.tables.table import Table

    series = Table.series
    monkeypatch.setattr(
        Table,
        "series",
        lambda self, chunk, place, *rest: made.append(place) or series(self, chunk, place, *rest),
    )
    found = pf.data.report(path, categorical=names[-1])
    assert (found.count, len(found.columns)) == (3, columns)
    assert set(made) == {columns - 1}
    assert len(str(found).splitlines()) < 80


def test_a_wide_frame_is_conformed_as_one_block(monkeypatch):
    columns = 20_000
    frame = pandas.DataFrame(np.ones((2, columns)), columns=[f"c{i}" for i in range(columns)])
    space = read(frame).space
    monkeypatch.setattr("pushforward.core.space.column_numbers", None)
    assert space.conform(frame[frame.columns[::-1]]).shape == (2, columns)
    assert space.conform(frame).shape == (2, columns)
