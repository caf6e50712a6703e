"""Flags of text tables: on `fit`, `data` and every command that reads one; a run remembers them."""

import json

import pytest

from pushforward.cli.main import main
from pushforward.data.tables.text_format import SETTINGS
from pushforward.experiments.settings import data_settings


def run(*arguments):
    try:
        code = main(list(map(str, arguments)))
    except SystemExit as end:
        code = end.code
    return code or 0


@pytest.fixture
def german(tmp_path):
    """Groups of digits with points, which nothing but a word of the user's tells from fractions."""
    path = tmp_path / "g.csv"
    path.write_text("x;y\n" + "".join(f"{1 + i}.{100 + 7 * i};{i % 3 + 1}\n" for i in range(24)))
    return path


def test_every_setting_of_a_table_is_a_flag():
    assert set(SETTINGS) <= {setting.name for setting in data_settings()}


def test_data_shows_what_was_decided_and_takes_flags(german, capsys):
    assert run("data", german) == 0
    seen = capsys.readouterr().out
    assert "columns are separated by ';'" in seen
    assert run("data", german, "--json", "--thousands", ".", "--decimal", ",") == 0
    (content,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert content["columns"][0]["low"] == 1100
    assert "columns are separated by ';'" in content["notes"]


def test_a_run_remembers_how_its_table_is_written(german, tmp_path, capsys):
    folder = tmp_path / "run"
    assert (
        run(
            "fit",
            "gaussian",
            german,
            "--run",
            folder,
            "--thousands",
            ".",
            "--decimal",
            ",",
            "--na",
            "-999",
        )
        == 0
    )
    assert "columns are separated by ';'" in capsys.readouterr().err
    for command in (["density", folder, german], ["evaluate", folder, "--data", german, "--json"]):
        assert run(*command) == 0
    out = capsys.readouterr().out
    low = min(float(line.split(",")[1]) for line in out.splitlines() if line[:1].isdigit())
    # read with the decimal point of other tables the rows would
    # lie hundreds of standard deviations away
    assert low > -30
    assert run("density", folder, german, "--thousands", "'", "--decimal", ".") == 0
    out = capsys.readouterr().out
    assert min(float(line.split(",")[1]) for line in out.splitlines() if line[:1].isdigit()) < low


def test_no_header_and_tabs(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("2017\t2018\n1.5\t2.5\n3.5\t4.5\n")
    assert run("data", tmp_path / "t.csv", "--json", "--no-header", "--separator", "\t") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 3
    assert run("data", tmp_path / "t.csv", "--json", "--header", "--separator", "tab") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 2


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (["--separator", "abc"], "separator must be one character"),
        (["--decimal", "x"], "decimal must be"),
        (["--encoding", "klingon"], "unknown encoding"),
        (["--thousands", ",", "--decimal", ","], "must differ"),
    ],
)
def test_a_wrong_setting_is_one_line(german, capsys, told, words):
    for command in (["data", german], ["fit", "gaussian", german, "--run", german.with_name("r")]):
        assert run(*command, *told) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert words in lines[-1]
        assert "Traceback" not in "".join(lines)


def test_settings_are_refused_where_there_is_no_table(capsys):
    assert run("data", "digits", "--separator", ";") == 2
    assert "separator describes the format of a text table" in capsys.readouterr().err
