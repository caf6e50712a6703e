"""Marks between digits mean what they can mean: groups of three, no more;
what can be read in two ways is refused.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import pushforward as pf
from pushforward.cli.main import main

MARKS = {",": ".", ".": ",", "'": ".", "’": ".", " ": ".", "\u00a0": ","}
"""Marks between groups of digits, and the decimal mark that goes with each."""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize(
    "cell",
    [
        "01{0}02{0}2020",
        "10{0}0{0}0{0}1",
        "1{0}2{0}3",
        "12{0}5",
        "0{0}0",
        "1{0}23",
        "0{0}234",
        "030{0}123{0}456",
    ],
)
def test_a_mark_that_stands_between_no_groups_is_never_taken_out(
    mark: str, cell: str, tmp_path: Path
) -> None:
    point = MARKS[mark]
    odd = cell.format(mark)
    rows = [
        f"1{mark}234{point}5;2{mark}345{point}25",
        f"17;{odd}",
        f"2{mark}000{mark}000;3{mark}000{point}5",
    ]
    path = written(tmp_path / "x.csv", "\n".join(["a;b", *rows]) + "\n")
    with pytest.raises(pf.PushforwardError, match=r"column 'b' holds"):
        pf.read(path)
    with pytest.raises(pf.PushforwardError):
        pf.read(path, thousands=mark, decimal=point)
    assert main(["fit", "gaussian", str(path), "--run", str(tmp_path / "run"), "-q"]) == 2
    source = pf.read(path, drop="b")
    assert source.all().x[:, 0].tolist() == [1234.5, 17.0, 2_000_000.0]


@pytest.mark.parametrize("mark", MARKS)
def test_groups_of_three_are_numbers(mark: str, tmp_path: Path) -> None:
    point = MARKS[mark]
    cells = [
        f"-1{mark}234{point}5",
        f"12{mark}345",
        "7",
        f"0{point}5",
        f"123{mark}456{mark}789{point}25",
        "",
    ]
    path = written(
        tmp_path / "x.csv", "\n".join(["a;b", *(f"{c};{i}" for i, c in enumerate(cells))]) + "\n"
    )
    found = pf.read(path).all().x[:, 0].tolist()
    assert found[:5] == [-1234.5, 12345.0, 7.0, 0.5, 123456789.25]
    assert found[5] != found[5]


@pytest.mark.parametrize("late", ["3.75", "01.02.2020", "1.23"])
def test_a_late_cell_is_named_with_its_row(late: str, tmp_path: Path) -> None:
    rows = ["1.234,5;1", *(f"{i},5;{i}" for i in range(400)), f"{late};2"]
    path = written(tmp_path / "x.csv", "\n".join(["a;b", *rows]) + "\n")
    for memory in ("1GB", 2000):
        with pytest.raises(pf.PushforwardError, match=rf"column 'a' holds '{late}' in row 401"):
            pf.read(path, memory=memory)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a  b  c\n1  2  3\n4     6\n7  8  9\n", "a line has 2 of 3 fields"),
        ("1 2 3\n4 5\n6 7 8\n", "a line has 2 of 3 fields"),
        ("a b c\n" + "1 2 3\n" * 300 + "4 5\n", "a line has 2 of 3 fields"),
        (
            "a b\n" + "".join(f"r{i} 1 2\n" for i in range(300)) + "z 5\n",
            "a line has 2 of 3 fields",
        ),
        ("a\n1,5\n2,5\n3,5\n", "specify decimal=',' or separator=','"),
        ('a,b\n1,2\n3,"4"5\n5,6\n', "a quote ends in the middle"),
        ("a;b\n0.234;5,5\n2.345;6,5\n", "column 'b' holds text"),
        ("a;b\n" + "1,5;2,5\n" * 100 + "2,5;-\n7,5;3.75\n", "column 'b' holds '3.75' in row 101"),
        ("Sales of 2020\n\na;b\n1;2\n", "remove lines above the header"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(pf.PushforwardError, match=message):
        pf.read(written(tmp_path / "x.csv", text))


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a b\nx 1 2\ny 3 4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a b c\n1 2 3\n\n4 5 6\n", ("a", "b", "c"), [[1, 2, 3], [4, 5, 6]]),
        ("sep=;\na;b\n1;2\n3;4\n", ("a", "b"), [[1, 2], [3, 4]]),
        ("a\n1,5\n7,25\n3,5\n", ("a",), [[1.5], [7.25], [3.5]]),
        ("a\n1.001,5\n7,25\n", ("a",), [[1001.5], [7.25]]),
        ('a,b\n"1","2"\n3,"4"\n', ("a", "b"), [[1, 2], [3, 4]]),
    ],
)
def test_what_can_be_read_in_one_way_is_read(
    text: str, names: tuple[str, ...], rows: list[list[float]], tmp_path: Path
) -> None:
    source = pf.read(written(tmp_path / "x.csv", text))
    assert source.space.names == names
    assert source.all().x.tolist() == rows


def test_both_readings_of_one_column_can_be_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "a\n1,5\n2,5\n3,5\n")
    assert pf.read(path, decimal=",").all().x[:, 0].tolist() == [1.5, 2.5, 3.5]
    assert pf.read(path, separator=",").all().x[:, 0].tolist() == [5, 5, 5]
