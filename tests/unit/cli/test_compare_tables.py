"""`pushforward compare` of tables: the table, the verdicts, the page, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def made(tmp_path: Path) -> Path:
    for seed, name in enumerate(("real", "made", "fresh")):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(120, 2))
        lines = [f"{a:.4f},{b:.4f},{'pq'[int(a + b > 0)]}" for a, b in x]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,k", *lines]) + "\n")
    return tmp_path


def test_measures_verdicts_and_files(made: Path, cli) -> None:
    page, results = made / "report.html", made / "results.json"
    done = cli(
        "compare", made / "real.csv", made / "made.csv", "--held-out", made / "fresh.csv",
        "--page", page, "--results", results,
    )  # fmt: skip
    assert done.code == 0, done.err
    for name in ("margins", "contingency", "detection", "TSTR AUC", "copies", "membership"):
        assert name in done.out
    assert "made.csv: good? good; safe? good" in done.err
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(results.read_text("utf-8"))["safe"] == "good"


def test_several_tables_have_a_column_each(made: Path, cli) -> None:
    done = cli("compare", made / "real.csv", made / "made.csv", made / "real.csv")
    assert done.code == 0
    assert "made.csv" in done.out.splitlines()[1]
    copies = next(line for line in done.out.splitlines() if line.strip().startswith("copies"))
    assert copies.split()[1:3] == ["0", "1"]
    assert "no held-out rows" in done.err


def test_metrics_and_features_compare_as_before(made: Path, cli) -> None:
    lines = cli("compare", made / "real.csv", made / "made.csv", "--metrics", "ks", "--json",
                "--categorical", "k").out.splitlines()  # fmt: skip
    assert [json.loads(line)["quantity"] for line in lines] == ["ks a", "ks b", "ks k=p", "ks k=q"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--target", "nope"], "--target nope: no such column"),
        (["--page", "report.txt"], "--page must be a .html file"),
        (["--results", "real.csv"], "--results must be a .json file"),
        (["--metrics", "ks", "--page", "x.html"], "--page is for tables"),
        (["--metrics", "ks", "--held-out", "fresh.csv"], "--held-out is for tables"),
        (["made.csv", "--page", "x.html"], "about one table"),
        (["--held-out", "real.csv"], "100 % of the held-out rows"),
        (["--train", "real.csv", "--held-out", "fresh.csv"], "--held-out has no place"),
        (["--rows", "1"], "--rows must be at least 2"),
        (["--drop", "nope"], "nope"),
        (["--types", "a=colour"], "colour"),
    ],
)
def test_what_cannot_be_done_is_said(
    made: Path, cli, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(made)
    done = cli("compare", "real.csv", "made.csv", *more)
    assert done.code == 2, done.err
    assert said in done.err.replace("\n", " ")
    assert "Traceback" not in done.err
    assert not (made / "x.html").exists()
