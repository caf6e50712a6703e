"""synthesise, fill, odd and describe from the command line: files, streams, one line of error."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def table(tmp_path: Path) -> Path:
    r = np.random.default_rng(0)
    games = r.integers(1, 83, 90)
    started = r.binomial(games, 0.5)
    points = np.round(games * r.normal(10, 2, 90), 1)
    rows = [[f"P{i:03d}", g, s, p] for i, (g, s, p) in enumerate(zip(games, started, points))]
    for i in (4, 9, 22):
        rows[i][3] = ""
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["id", "G", "GS", "PTS"], *rows])
    return tmp_path / "t.csv"


MODEL = ("--model", "gmm")


def test_a_copy_goes_to_stdout_or_to_a_file_with_a_table_and_a_picture(cli, table, tmp_path):
    done = cli("synthesise", table, *MODEL, "-n", 7, "--relation", "GS <= G")
    assert done.code == 0
    lines = list(csv.DictReader(done.out.splitlines()))
    assert [line["id"] for line in lines] == [f"P{i:03d}" for i in range(90, 97)]
    assert all(int(line["GS"]) <= int(line["G"]) for line in lines)
    assert "fitted gmm" in done.err
    done = cli("synthesise", table, *MODEL, "-o", "copy.csv", "--gaps", "--plot", "copy.png")
    assert done.code == 0
    assert len((tmp_path / "copy.csv").read_text().splitlines()) == 91
    assert (tmp_path / "copy.png").stat().st_size > 5000
    assert "PTS" in done.out
    done = cli("synthesise", table, *MODEL, "-o", "copy.csv")
    assert (done.code, "exists; choose another name" in done.err) == (2, True)
    assert len((tmp_path / "copy.csv").read_text().splitlines()) == 91


def test_gaps_are_filled_and_nothing_else(cli, table, tmp_path):
    before = table.read_text().splitlines()
    done = cli("fill", table, *MODEL)
    assert done.code == 0
    after = done.out.splitlines()
    changed = [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
    assert changed == [5, 10, 23]
    assert all(after[i].startswith(before[i]) and len(after[i]) > len(before[i]) for i in changed)
    flags = ("-o", "f.csv", "--imputations", 3, "--intervals", 0.8, "--plot", "f.png", "--json")
    done = cli("fill", table, *MODEL, *flags)
    assert done.code == 0
    assert {p.name for p in tmp_path.glob("f*")} == {
        "f-1.csv", "f-2.csv", "f-3.csv", "f-means.csv", "f-intervals.csv", "f.png",
    }  # fmt: skip
    assert json.loads(done.out.splitlines()[0])["gaps"] == 3
    rows = list(csv.DictReader((tmp_path / "f-intervals.csv").read_text().splitlines()))
    assert [row["row"] for row in rows] == ["4", "9", "22"]
    assert all(float(row["low"]) < float(row["high"]) for row in rows)


def test_odd_rows_and_groups_are_tables_with_sentences(cli, table, tmp_path):
    text = table.read_text().splitlines()
    text[31] = "P030,40,99,400"
    table.write_text("\n".join(text) + "\n")
    done = cli("odd", table, *MODEL, "--top", 3, "--plot", "odd.png")
    assert done.code == 0
    first = next(csv.DictReader(done.out.splitlines()))
    assert (first["row"], first["id"], first["column1"]) == ("30", "P030", "GS")
    assert "row 30 (id P030): GS is 99" in done.err
    done = cli("describe", table, *MODEL, "--groups", 2, "-o", "g.csv", "--plot", "g.png")
    assert done.code == 0
    assert "90 rows in 2 groups" in done.err
    assert {row["group"] for row in csv.DictReader((tmp_path / "g.csv").open())} == {"0", "1"}
    assert all((tmp_path / name).stat().st_size > 3000 for name in ("odd.png", "g.png"))


def test_a_run_keeps_its_relations(cli, table, tmp_path):
    line = ("fit", "gmm", "t.csv", "--types", "auto", "--components", 2, "--run", "run", "-q")
    assert cli(*line, "--relation", "GS <= G").code == 0
    done = cli("synthesise", "run", "-n", 20)
    assert done.code == 0
    assert "all rows obey GS <= G" in done.err
    assert cli("odd", "run", "--top", 2).code == 0
    assert "held out" in cli("odd", "run", "--top", 2).err
    assert cli("describe", "run").code == 0
    assert cli("fill", "run", "t.csv", "--using", "mean").code == 0
    done = cli("condition", "run", "G=300", "--plot", "c.png")
    assert done.code == 0
    assert "this is extrapolation" in done.err
    assert "no row is near" in done.err
    assert (tmp_path / "c.png").exists()
    assert "rows are near" in cli("condition", "run", "G=40").err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["synthesise", "t.csv", "-n", "0"], "-n must be at least 1, got 0"),
        (["synthesise", "t.csv", "-o", "x.png"], "cannot write a table to 'x.png'"),
        (["synthesise", "t.csv", "--plot", "x.txt"], "cannot draw 'x.txt'"),
        (["synthesise", "t.csv", "--relation", "GS <="], "one side is empty"),
        (["synthesise", "t.csv", "--relation", "GS <= H"], "no column 'H'"),
        (["synthesise", "t.csv", "--model", "gnm"], "did you mean"),
        (["synthesise", "nowhere.csv"], "nowhere.csv"),
        (["fill", "t.csv", "--imputations", "3"], "pass --out filled.csv"),
        (["fill", "t.csv", "--using", "mean", "--imputations", "3", "-o", "f.csv"], "needs draws"),
        (["fill", "t.csv", "--intervals", "2", "-o", "f.csv"], "must lie between 0 and 1"),
        (["fill", "t.csv", "other.csv"], "column 'PTS' is missing"),
        (["odd", "t.csv", "--top", "0"], "--top must be at least 1"),
        (["odd", "t.csv", "--folds", "1"], "--folds must be at least 2"),
        (["odd", "t.csv", "--folds", "200", "--model", "gmm"], "more than the 90 rows"),
        (["odd", "t.csv", "--model", "kmeans", "--drop", "PTS"], "has no exact density"),
        (["describe", "t.csv", "--groups", "0"], "--groups must be at least 1"),
        (["describe", "t.csv", "--model", "gaussian", "--drop", "PTS"], "finds no groups"),
        (["describe", "digits"], "expected a table"),
    ],
)
def test_mistakes_are_one_line(cli, table, tmp_path, arguments, said):
    (tmp_path / "other.csv").write_text("id,G,GS\nP1,3,2\n")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    done = cli(*arguments)
    assert done.code == 2
    assert said in done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_relations_that_hold_and_are_not_declared_are_the_next_command(cli, tmp_path):
    r = np.random.default_rng(0)
    a, b = r.poisson(4, 120), r.poisson(6, 120)
    rows = [f"{i},{j},{i + j}" for i, j in zip(a, b)]
    (tmp_path / "sums.csv").write_text("\n".join(["a,b,all in all", *rows]) + "\n")
    done = cli("synthesise", "sums.csv", "-o", "copy.csv", "--model", "copula")
    assert "all 120 rows obey `all in all` = a + b, which " in done.err
    line = next(line for line in done.err.splitlines() if line.startswith("if rows must, next: "))
    words = shlex.split(line.partition("next: ")[2])
    assert words == ["pushforward", "synthesise", "sums.csv", "--relation", "`all in all` = a + b"]
    done = cli(*words[1:], "-o", "again.csv", "--model", "copula")
    assert done.code == 0, done.err
    assert "next:" not in done.err
    copy = np.loadtxt("again.csv", delimiter=",", skiprows=1)
    assert (copy[:, 2] == copy[:, 0] + copy[:, 1]).all()
