"""Runs side by side from Python: the records that the command writes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import DataWarning
from pushforward.experiments import OpenedRun
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.measure import Annealing


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """A record but for the time that measuring it took."""
    details = {name: value for name, value in record["details"].items() if name != "seconds"}
    return {**record, "details": details}


@pytest.mark.parametrize(
    ("names", "arguments", "flags"),
    [
        (["pca", "gmm"], {"most": 7}, ["--rows", 7]),
        (["vae"], {"draws": 3, "estimators": ["naive"]}, ["--draws", 3, "--also", "naive"]),
    ],
)
def test_the_command_writes_what_python_gets(
    place: Path,
    command: Callable[..., str],
    names: list[str],
    arguments: dict[str, Any],
    flags: list[object],
) -> None:
    folders = [place / name for name in names]
    evaluation = evaluate_runs(folders, **arguments)
    written = command("evaluate", *folders, *flags, "--json")
    lines = [json.loads(line) for line in written.splitlines()]
    expected = json.loads(json.dumps([record.as_dict() for record in evaluation.records]))
    assert [without_times(r) for r in lines] == [without_times(r) for r in expected]
    assert {record.n for record in evaluation.records} == {arguments.get("most", 5)}
    assert evaluation.sample_spaces() == []


def test_samples_are_compared_where_a_run_has_no_measure(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    evaluation = evaluate_runs([opened("gan"), opened("gmm")])
    assert [bool(records) for records in evaluation.measured] == [False, True]
    assert evaluation.sample_spaces() == ["raw"]
    assert evaluation.sample_spaces(["scaled"]) == ["scaled"]
    left_out: list[str] = []
    sampled = evaluation.sample("raw", left_out.append)
    assert [len(rows.x) for rows in sampled.samples] == [12, 12]
    assert {r.details["run"] for records in sampled.records for r in records} == {
        str(place / name) for name in ("gan", "gmm")
    }


def test_other_rows_may_be_measured(place: Path) -> None:
    with pytest.warns(DataWarning, match="was fitted to .*people.csv, and so has seen"):
        evaluation = evaluate_runs([place / "gmm"], data=str(place / "people.csv"))
    assert evaluation.records[0].n == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"most": 0}, "most must be at least 1, got 0"),
        ({"annealing": Annealing(rows=0)}, r"annealing\.rows must be at least 1, got 0"),
        ({"draws": -1}, "draws must be at least 0, got -1"),
        ({"estimators": ["nope"]}, "estimators takes naive, ais, bdmc, got 'nope'"),
        ({"data": "ring:9", "source": "ring:9"}, "data gives other rows to measure on, source"),
    ],
)
def test_settings_out_of_range_are_refused_by_the_names_of_arguments(
    place: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        evaluate_runs([place / "gmm"], **arguments)


def test_runs_are_gathered_by_the_rows_they_are_measured_on(place: Path) -> None:
    evaluation = evaluate_runs([place / name for name in ("codes", "vae", "pca")])
    tables, images = evaluation.by_rows()
    assert [run.folder for run in tables.runs] == [place / "codes", place / "pca"]
    assert [run.folder for run in images.runs] == [place / "vae"]
    assert {r.data for r in tables.records} == {tables.data}
    assert tables.data.startswith("people.csv test (12 rows")
    assert len(tables.records) + len(images.records) == len(evaluation.records)
    with pytest.raises(pf.InvalidValue, match="evaluate them apart, or on the same data"):
        evaluation.sample("raw")  # in one table


def test_other_measures_of_the_same_rows_are_refused(tmp_path: Path) -> None:
    for name in ("gaussian", "discretised_logistic"):
        model = pf.VAE(latent=1, hidden=(4,), likelihood=name)
        fitted = pf.Experiment(model, "digits", fitter={"steps": 1})
        fitted.run(tmp_path / name)
    with pytest.raises(pf.InvalidValue, match="evaluate them apart, or on the same data"):
        evaluate_runs([tmp_path / "gaussian", tmp_path / "discretised_logistic"], draws=0, most=20)


def test_clusters_alone_cannot_be_measured(place: Path) -> None:
    with pytest.raises(pf.InvalidValue, match="none of these runs has a density"):
        evaluate_runs([place / "kmeans"]).sample("raw")


def test_samples_of_a_table_of_different_units_are_compared_standardised(tmp_path: Path) -> None:
    rows = [f"{20 + i % 7},{20000 + 1000 * (i % 40)}" for i in range(80)]
    (tmp_path / "pay.csv").write_text("\n".join(["age,income", *rows]) + "\n")
    model = pf.GAN(latent=1, hidden=(8,))
    pf.Experiment(model, str(tmp_path / "pay.csv"), fitter={"steps": 2}).run(tmp_path / "run")
    assert evaluate_runs([tmp_path / "run"]).sample_spaces() == ["scaled"]


def measure_nothing(*arguments: object, **named: object) -> None:
    raise AssertionError("a name was checked only after something was measured or fitted")


@pytest.mark.parametrize("more", [[], ["--seeds", "2"]])
def test_unknown_features_are_refused_before_anything_is_measured(
    place: Path,
    more: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for late in ("evaluation.measure_run", "evaluation.compare_with_data", "seeds.repeat_run"):
        monkeypatch.setattr(f"pushforward.experiments.{late}", measure_nothing)
    assert main(["evaluate", str(place / "gmm"), "--features", "raw,foo", *more]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: unknown features 'foo'; known: classifier,")
    with pytest.raises(pf.InvalidValue, match=r"raw takes no number, got 'raw\(5\)'"):
        evaluate_runs([place / "gmm"], features=["raw(5)"])


def test_unknown_features_of_a_run_with_code_say_what_to_import(
    place: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(place / "gmm", run)
    described = json.loads((run / "run.json").read_text())
    described["model"]["imports"] = ["/mine/spaces.py"]
    (run / "run.json").write_text(json.dumps(described))
    with pytest.raises(pf.InvalidValue, match=r"import /mine/spaces\.py first .*'mine'"):
        evaluate_runs([run], features=["mine"])


def test_the_number_of_rows_that_were_measured_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = evaluate_runs([place / "gmm"], most=5)
    assert evaluation.data.startswith("the first 5 of people.csv test (12 rows")
    assert {r.data for r in evaluation.records} == {evaluation.data}
    for more in ([], ["--seeds", "2"]):
        assert main(["evaluate", str(place / "gmm"), "--rows", "5", *more]) == 0
        assert "measured on the first 5 of people.csv test (12 rows" in capsys.readouterr().err


def test_only_rows_that_are_not_there_have_moved(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    table = tmp_path / "rows.csv"
    shutil.copy(place / "people.csv", table)
    pf.Experiment(pf.PCA(1), str(table), reading={"drop": ["team"]}).run(run)
    table.unlink()
    with pytest.raises(pf.BadSource, match="if they have moved, pass source=FILE"):
        evaluate_runs([run])

    def list_what_is_missing(*arguments: object, **named: object) -> None:
        raise pf.BadSource("line 3 of the list: no such file or folder")

    monkeypatch.setattr("pushforward.experiments.opened.read", list_what_is_missing)
    with pytest.raises(pf.BadSource, match=r"^line 3 of the list"):
        evaluate_runs([run])


def test_rows_that_a_run_was_fitted_to_are_pointed_out(tmp_path: Path) -> None:
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)).numpy()
    for name in ("mine.npy", "others.npy"):
        np.save(tmp_path / name, x)
    pf.Experiment(pf.PCA(1), str(tmp_path / "mine.npy")).run(tmp_path / "run")
    with pytest.warns(DataWarning, match="was fitted to .*mine.npy, and so has seen"):
        evaluate_runs([tmp_path / "run"], data=tmp_path / "mine.npy")
    evaluate_runs([tmp_path / "run"], data=tmp_path / "others.npy")
    evaluate_runs([tmp_path / "run"])
