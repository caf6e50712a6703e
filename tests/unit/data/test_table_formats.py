"""Text tables as people write them: what is sniffed, what is said of it,
what can be told instead.
"""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas
import pytest
import torch

from pushforward.core.errors import (
    BadSource,
    InvalidKind,
    InvalidValue,
    MissingExtra,
    ShapeMismatch,
)
from pushforward.data import read, report
from pushforward.data.tables.text_format import TableFormat

NAN = float("nan")
savetxt = io.StringIO()
np.savetxt(savetxt, [[1.0, 2.5], [3.0, 4.5]], header="a b")
bare = io.StringIO()
np.savetxt(bare, [[1.0, 2.5], [3.0, 4.5]])

CASES = {
    "plain": ("a,b\n1,2.5\n3,4.5\n", ("a", "b"), [[1, 2.5], [3, 4.5]], ""),
    "semicolon": ("a;b\n1;2.5\n3;4.5\n", ("a", "b"), [[1, 2.5], [3, 4.5]], "separated by ';'"),
    "tab": ("a\tb\n1\t2.5\n3\t4.5\n", ("a", "b"), [[1, 2.5], [3, 4.5]], "separated by tab"),
    "pipe": ("a|b\n1|2.5\n3|4.5\n", ("a", "b"), [[1, 2.5], [3, 4.5]], "separated by '|'"),
    "aligned": (
        "   a    b\n 1.0  2.5\n 3.0  4.5\n",
        ("a", "b"),
        [[1, 2.5], [3, 4.5]],
        "separated by whitespace",
    ),
    "savetxt": (
        savetxt.getvalue(),
        ("a", "b"),
        [[1, 2.5], [3, 4.5]],
        "names are in a comment line",
    ),
    "savetxt without a header": (bare.getvalue(), ("x0", "x1"), [[1, 2.5], [3, 4.5]], "no header"),
    "decimal comma": (
        "a;b\n1;2,5\n-3;4,5e0\n",
        ("a", "b"),
        [[1, 2.5], [-3, 4.5]],
        "decimal mark is ','",
    ),
    "decimal comma, or thousands": (
        "a;b\n32,029;2\n7,995;4\n",
        ("a", "b"),
        [[32.029, 2], [7.995, 4]],
        "(32,029 is 32.029; if it is 32029, specify thousands=',')",
    ),
    "decimal comma, tab": (
        "a\tb\n1\t2,5\n3\t4,5\n",
        ("a", "b"),
        [[1, 2.5], [3, 4.5]],
        "decimal mark is ','",
    ),
    "decimal comma, spaces": (
        "1,5 2,5\n3,5 4,5\n",
        ("x0", "x1"),
        [[1.5, 2.5], [3.5, 4.5]],
        "decimal mark is ','",
    ),
    "decimal comma, quoted": (
        'a,b\n"1,5","2,5"\n"3,25","4,5"\n',
        ("a", "b"),
        [[1.5, 2.5], [3.25, 4.5]],
        "decimal mark is ','",
    ),
    "German": (
        "a;b\n1.234,5;2\n1.234.567,25;4\n",
        ("a", "b"),
        [[1234.5, 2], [1234567.25, 4]],
        "'.' stands between groups",
    ),
    "thousands": (
        'a,b\n"1,234",2\n"1,234,567",4\n',
        ("a", "b"),
        [[1234, 2], [1234567, 4]],
        "',' stands between groups",
    ),
    "thousands and decimals": (
        'a,b\n"1,234.5",2\n"17",4\n',
        ("a", "b"),
        [[1234.5, 2], [17, 4]],
        "',' stands between groups",
    ),
    "French": (
        "a;b\n1 234,5;2\n17,5;4\n",
        ("a", "b"),
        [[1234.5, 2], [17.5, 4]],
        "space stands between groups",
    ),
    "Swiss": (
        "a;b\n1'234.5;2\n17.5;4\n",
        ("a", "b"),
        [[1234.5, 2], [17.5, 4]],
        "stands between groups",
    ),
    "percents": (
        "a,b\n12.5%,1\n7 %,2\n",
        ("a", "b"),
        [[12.5, 1], [7, 2]],
        "percentages are read as numbers (12% is 12): a",
    ),
    "percents with a comma": (
        "a;b\n12,5%;1\n7%;2\n",
        ("a", "b"),
        [[12.5, 1], [7, 2]],
        "percentages",
    ),
    "comments before": ("# made by hand\n# on a Friday\na,b\n1,2\n", ("a", "b"), [[1, 2]], ""),
    "comments between": (
        "a,b\n1,2\n# half time\n3,4\n",
        ("a", "b"),
        [[1, 2], [3, 4]],
        "lines that begin with '#' are comments",
    ),
    "missing": (
        "a,b\n-,1\n?,3\n4,N/A\nNA,null\n",
        ("a", "b"),
        [[NAN, 1], [NAN, 3], [4, NAN], [NAN, NAN]],
        "read as missing in column 'a': '-', '?'",
    ),
    "first row with a gap": ("1.5,NA\n2,3\n", ("x0", "x1"), [[1.5, NAN], [2, 3]], "no header"),
    "quoted header": ('"length, in cm","b"\n1,2\n', ("length, in cm", "b"), [[1, 2]], ""),
    "blanks around names": (" a , b \n1, 2\n", ("a", "b"), [[1, 2]], ""),
    "trailing separator": (
        "a,b\n1.5,2.25,\n3,4,\n",
        ("a", "b"),
        [[1.5, 2.25], [3, 4]],
        "every line ends with a separator",
    ),
    "R": ('a b\n"1" 1.5 2\n"2" 3 4\n', ("a", "b"), [[1.5, 2], [3, 4]], "row names"),
    "years": (
        "2017,2018\n1.5,2\n4,5.5\n",
        ("2017", "2018"),
        [[1.5, 2], [4, 5.5]],
        "read as column names",
    ),
    "counted columns": (
        "0,1,2\n0.5,.25,1\n",
        ("0", "1", "2"),
        [[0.5, 0.25, 1]],
        "read as column names",
    ),
    "edges of a graph": (
        "0,1\n0,2\n1,2\n",
        ("x0", "x1"),
        [[0, 1], [0, 2], [1, 2]],
        "is read as a row",
    ),
    "whole rows": (
        "1,2,3\n4,5,6\n",
        ("x0", "x1", "x2"),
        [[1, 2, 3], [4, 5, 6]],
        "is read as a row",
    ),
    "one column": ("a\n1\n2\n", ("a",), [[1], [2]], ""),
    "Windows": ("a;b\r\n1;2\r\n3;4\r\n", ("a", "b"), [[1, 2], [3, 4]], "separated by ';'"),
    "short line": ("a,b\n1,2\n3\n", ("a", "b"), [[1, 2], [3, NAN]], "a line has 1 of 2 fields"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_table_is_read_as_it_is_written_and_what_was_decided_is_said(tmp_path, case):
    text, names, expected, said = CASES[case]
    (tmp_path / "t.csv").write_bytes(text.encode())
    source = read(tmp_path / "t.csv")
    assert source.space.names == names
    assert torch.equal(
        source.all().x.double().nan_to_num(-7),
        torch.tensor(expected, dtype=torch.float64).nan_to_num(-7),
    )
    assert said in " / ".join(source.notes)
    assert bool(source.notes) == bool(said)
    shown = str(report(tmp_path / "t.csv"))
    assert all(note in shown for note in source.notes)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("cp1252", "Latin-1"),
        ("latin-1", "Latin-1"),
    ],
)
def test_encodings_are_told_apart(tmp_path, encoding, said):
    (tmp_path / "t.csv").write_bytes("größe,été\n1,2\n3,4\n".encode(encoding))
    source = read(tmp_path / "t.csv")
    assert source.space.names == ("größe", "été")
    assert said in " ".join(source.notes)
    assert bool(source.notes) == bool(said)


def test_a_byte_that_is_not_utf8_far_down_is_found(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n" + b"1,x\n" * 40_000 + "2,é\n".encode("latin-1"))
    source = read(tmp_path / "t.csv", categorical="b")
    assert source.space.columns[1].categories == ("x", "é")
    assert "Latin-1" in source.notes[0]


@pytest.mark.parametrize(
    ("text", "told", "expected"),
    [
        ("a,b\n1,2\n", {"header": False, "drop": ()}, None),
        ("2017,2018\n1.5,2.5\n", {"header": False}, [[2017, 2018], [1.5, 2.5]]),
        ("1,2\n3,4\n", {"header": True}, [[3, 4]]),
        ("a,b\n-999,2\n3,-999.0\n", {"na": -999}, [[NAN, 2], [3, NAN]]),
        ("a,b\n-999,2\n3,x\n", {"na": ["-999", "x"]}, [[NAN, 2], [3, NAN]]),
        ("a;b\n1.234;2\n5.678;3\n", {"thousands": ".", "decimal": ","}, [[1234, 2], [5678, 3]]),
        ("a;b\n1,234;2\n", {"decimal": ","}, [[1.234, 2]]),
        ("a;b\n1,234;2\n", {"thousands": ","}, [[1234, 2]]),
        ("a b;c\n1;2\n", {"separator": ";"}, [[1, 2]]),
        ("a:b\n1:2\n", {"separator": ":"}, [[1, 2]]),
        ("a\tb\n1\t2\n", {"separator": "tab"}, [[1, 2]]),
        ("a,b\n1,2 % of all\n", {"comment": "%"}, [[1, 2]]),
        ("% a\n% b\na,b\n1,2\n", {"comment": "%"}, [[1, 2]]),
        ("a,b\n1,2\n".encode("utf-16-be"), {"encoding": "utf-16-be"}, [[1, 2]]),
    ],
)
def test_what_is_told_goes_before_what_is_seen(tmp_path, text, told, expected):
    (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    if expected is None:
        with pytest.raises(BadSource, match="holds text"):
            read(tmp_path / "t.csv", **told)
        return
    x = read(tmp_path / "t.csv", **told).all().x
    assert torch.equal(x.nan_to_num(-7), torch.tensor(expected, dtype=torch.float64).nan_to_num(-7))


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({"separator": "ab"}, InvalidValue, "one character"),
        ({"decimal": ";"}, InvalidValue, "decimal must be '.' or ','"),
        ({"decimal": ",", "thousands": ","}, InvalidValue, "must differ"),
        ({"thousands": "ab"}, InvalidValue, "one character"),
        ({"encoding": "klingon"}, InvalidValue, "unknown encoding 'klingon'"),
        ({"header": "yes"}, InvalidKind, "True or False"),
        ({"na": object()}, InvalidKind, "na must be"),
        ({"separator": 3}, InvalidKind, "separator must be a text"),
    ],
)
def test_formats_that_cannot_be_are_refused(told, error, words):
    with pytest.raises(error, match=words):
        TableFormat.check(**told)


def test_a_format_is_refused_where_there_is_no_text_table(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    pandas.DataFrame({"a": [1, -999]}).to_parquet(tmp_path / "a.parquet")
    for source in (
        np.zeros((2, 2)),
        "digits",
        tmp_path / "a.npy",
        pandas.DataFrame({"a": [1.0]}),
        tmp_path / "a.parquet",
    ):
        with pytest.raises(InvalidValue, match="text table"):
            read(source, separator=";")
    for source in (tmp_path / "a.parquet", pandas.DataFrame({"a": [1, -999]})):
        assert read(source, na=-999).all().x.isnan().flatten().tolist() == [False, True]


# ------------------------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1.5,2.25,9\n3,4,9\n", "more fields than its header names"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields where 2 are expected"),
        ("a,b\n1,2,\n3,4,5\n", "more fields than its header names"),
        ("a,b,a\n1,2,3\n", "column 'a' appears twice"),
        (
            "a,b\n1,x\n2,3\n3,4\n4,5\n",
            "column 'b' holds 'x' in row 0 (the first is row 0) where most others are numbers",
        ),
        ("a,b\n1,2\n2,3\n3,4.5.6\n4,5\n", "column 'b' holds '4.5.6' in row 2"),
        ("a,b\n1,2\n2,12%\n3,4\n4,5\n", "column 'b' holds '12%' in row 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadSource) as caught:
        read(tmp_path / "t.csv")
    assert words in str(caught.value)


def test_a_bad_cell_in_a_later_chunk_and_in_a_later_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.data.tables.text_files.CHUNK_ROWS", 10)
    rows = ["1"] * 34 + ["oops"] + ["2"] * 5
    (tmp_path / "t.csv").write_text("a\n" + "\n".join(rows) + "\n")
    with pytest.raises(BadSource, match=r"'oops' in row 34 "):
        read(tmp_path / "t.csv", memory=10)
    fitted = read(pandas.DataFrame({"a": [1.5, 2.5]}))
    with pytest.raises(ShapeMismatch, match=r"column 'a' holds text \('oops' in row 34"):
        read(tmp_path / "t.csv", like=fitted, memory=10)
    with pytest.raises(ShapeMismatch, match=r"column 'a' holds text \('oops' in row 1"):
        fitted.space.conform(pandas.DataFrame({"a": ["1", "oops"]}))


@pytest.mark.parametrize("entry", ["frame", "csv"])
def test_shuffled_row_numbers_are_noted(tmp_path, entry):
    frame = pandas.DataFrame({"a": np.arange(6) / 2}).sample(frac=1, random_state=1)
    frame.to_csv(tmp_path / "t.csv")
    source = read(tmp_path / "t.csv" if entry == "csv" else pandas.read_csv(tmp_path / "t.csv"))
    assert source.space.names == ("Unnamed: 0", "a")
    assert "like row numbers of a table that was shuffled" in source.notes[0]
    frame.sort_index().to_csv(tmp_path / "s.csv")
    counted = read(tmp_path / "s.csv" if entry == "csv" else pandas.read_csv(tmp_path / "s.csv"))
    assert counted.space.names == ("a",)
    assert "numbers the rows and is left out" in counted.notes[0]


# -------------------------------------------------------------------------------------------- files


def pack_zip(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.csv", content)
        archive.writestr("__MACOSX/._inner.csv", b"\0")


PACKERS = {
    "t.csv.gz": lambda p, c: p.write_bytes(gzip.compress(c)),
    "T.CSV.GZ": lambda p, c: p.write_bytes(gzip.compress(c)),
    "t.csv.xz": lambda p, c: p.write_bytes(lzma.compress(c)),
    "t.csv.bz2": lambda p, c: p.write_bytes(bz2.compress(c)),
    "t.csv.zip": pack_zip,
    "t.data": lambda p, c: p.write_bytes(c),
    "t.dat": lambda p, c: p.write_bytes(c),
    "t.TXT": lambda p, c: p.write_bytes(c),
    "t.tab": lambda p, c: p.write_bytes(c),
}


@pytest.mark.parametrize("name", PACKERS)
def test_names_and_packings_people_use(tmp_path, name):
    PACKERS[name](tmp_path / name, b"a;b\n1;2,5\n3;4,5\n")
    for memory in (2**30, 10):
        source = read(tmp_path / name, memory=memory)
        assert source.space.names == ("a", "b")
        assert source.take(torch.arange(2)).x.tolist() == [[1, 2.5], [3, 4.5]]
    assert report(tmp_path / name).count == 2


def test_zstandard(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    (tmp_path / "t.csv.zst").write_bytes(zstandard.ZstdCompressor().compress(b"a,b\n1,2\n"))
    assert read(tmp_path / "t.csv.zst").all().x.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("name", "module"),
    [("t.csv.zst", "zstandard"), ("t.xlsx", "openpyxl"), ("t.parquet", "pyarrow")],
)
def test_what_needs_a_package_says_which(tmp_path, name, module, monkeypatch):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtra, match=f"reading {name} needs {module}"):
        read(tmp_path / name)


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    with pandas.ExcelWriter(tmp_path / "t.xlsx") as book:
        pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}).to_excel(
            book, index=False, sheet_name="one"
        )
        pandas.DataFrame({"c": [1]}).to_excel(book, index=False, sheet_name="two")
    source = read(tmp_path / "t.xlsx")
    assert source.all().x.tolist() == [[1, 0.5], [2, 1.5]]
    assert "of its 2 sheets the first is read; the others are two" in source.notes[0]


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.jsonl.gz"])
def test_json_lines(tmp_path, name):
    text = (
        b'{"a": 1, "id": "007", "t": true, "timestamp": 1600000000}\n{"a": 2.5, "id": "008", "t":'
        b' false, "timestamp": 1600000001}\n'
    )
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    source = read(tmp_path / name, categorical="id")
    assert source.space.columns[1].categories == ("007", "008")
    assert source.all().x.tolist() == [[1, 0, 1, 1.6e9], [2.5, 1, 0, 1.6e9 + 1]]
    (tmp_path / name).write_bytes(gzip.compress(b"{no") if name.endswith(".gz") else b"{no")
    with pytest.raises(BadSource, match="one object per line"):
        read(tmp_path / name)


def test_partitioned_parquet_is_a_table_and_not_images(tmp_path):
    for year, values in ((2019, [1.0, 2.0]), (2020, [3.0])):
        folder = tmp_path / "d" / f"year={year}"
        folder.mkdir(parents=True)
        pandas.DataFrame({"a": values}).to_parquet(folder / "part-0.parquet")
    (tmp_path / "d" / "_SUCCESS").write_text("")
    source = read(tmp_path / "d")
    assert source.space.names == ("a", "year")
    assert source.all().x.tolist() == [[1, 2019], [2, 2019], [3, 2020]]
    assert report(tmp_path / "d").count == 3
    assert "2 Parquet files" in source.notes[0]
    pandas.DataFrame({"a": [1.5]}).to_parquet(tmp_path / "e.pq")
    assert read(tmp_path / "e.pq").all().x.tolist() == [[1.5]]
