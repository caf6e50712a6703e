"""`pushforward fit auto`: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pushforward as pf
from pushforward.cli.main import main


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2)) + 5 * rng.integers(0, 2, 120)[:, None]
    pd.DataFrame(x, columns=["a", "b"]).to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINE = ["fit", "auto", "t.csv", "--candidates", "gmm"]


def test_it_prints_the_table_of_all_and_the_run(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*LINE, "--folds", "2", "--run", "mine"]) == 0
    said = capsys.readouterr()
    assert "gmm(components=1)" in said.out
    assert "chosen" in said.out
    assert said.out.rstrip().endswith("mine")
    assert "trying gmm(components=1)" in said.err
    assert "chosen: gmm(components=2), fitted to all rows" in said.err
    assert pf.load(table / "mine").components == 2


def test_as_json_it_is_one_object(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LINE, "--folds", "2", "--json", "-q", "--run", "mine"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["winner"] == "gmm(components=2)"
    assert content["run"] == "mine"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--candidates", "gnm,gmm"], "did you mean 'gmm'"),
        (["--budget", "0"], "budget must be above 0"),
        (["--folds", "0"], "folds must be above 0"),
        (["--folds", "99"], "at most half the rows"),
        (["--run", "."], "exists"),
        (["--drop", "c"], "no column 'c'"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main([*LINE, *more]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
