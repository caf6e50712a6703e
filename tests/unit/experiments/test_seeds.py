"""Runs repeated with several seeds: the same fit, its mean and deviation, and a paired test."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.table import Table

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import BadRun
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.seeds import SeedSummary, repeat_run, summarise
from pushforward.experiments.written_tables import FORMS, write_as

SMALL = ["--hidden", "4", "--steps", "3", "--batch", "16"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two VAEs of one table, with seeds 0 and 7."""
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).tolist()
    lines = ["a,b,c", *(",".join(map(str, row)) for row in x)]
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    for name, more in (("one", ["--latent", "1"]), ("two", ["--latent", "2", "--seed", "7"])):
        words = ["fit", "vae", str(tmp_path / "x.csv"), *SMALL, *more, "--quiet"]
        assert main([*words, "--run", str(tmp_path / name)]) == 0
    return tmp_path


def test_repetitions_are_the_same_fit_with_other_seeds(runs: Path) -> None:
    one, two = repeat_run(runs / "one", 2), repeat_run(runs / "two", 2)
    assert [p.name for p in one] == ["one", "one-seed-1"]
    assert [p.name for p in two] == ["two-seed-0", "two-seed-1"]
    weights = [pf.load(p).state_dict() for p in one]
    assert any(not torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    before = [(p / "model.safetensors").stat().st_mtime_ns for p in (*one, *two)]
    assert repeat_run(runs / "one", 2) == one  # nothing is fitted again
    assert [(p / "model.safetensors").stat().st_mtime_ns for p in (*one, *two)] == before

    evaluation = evaluate_runs([*one, *two], draws=0)
    assert len(evaluation.by_rows()) == 1
    lines = summarise([runs / "one", runs / "two"], evaluation, 2)
    bound = next(line for line in lines if line[0].record.quantity == "elbo")
    values = [r.value for records in evaluation.measured for r in records if r.quantity == "elbo"]
    assert [*bound[0].values, *bound[1].values] == values
    assert bound[1].difference == [values[2] - values[0], values[3] - values[1]]


def test_another_fit_in_the_place_is_refused(runs: Path) -> None:
    (runs / "two").rename(runs / "one-seed-1")
    with pytest.raises(pf.BadRun, match=r"one-seed-1 is where .* with seed 1 belongs"):
        repeat_run(runs / "one", 2)


def test_rows_in_memory_cannot_be_repeated(tmp_path: Path) -> None:
    pf.GMM(2).fit(torch.randn(40, 2), by=pf.EM(run=tmp_path / "run"))
    with pytest.raises(pf.BadRun, match="as they were in memory; fit it from a file"):
        repeat_run(tmp_path / "run", 2)


@pytest.mark.parametrize("seeds", [-1, 1, 101])
def test_numbers_of_seeds_have_bounds(seeds: int, tmp_path: Path) -> None:
    with pytest.raises(pf.InvalidValue, match="seeds must lie between 2 and 100"):
        repeat_run(tmp_path, seeds)


def test_the_test_is_students_paired_one() -> None:
    """Two degrees of freedom: p = 1 - t / √(t² + 2), here with t = 2 √3."""
    record = pf.Record("elbo", 1.0)
    found = SeedSummary("b", "vae", [2.0, 4.0, 7.0], record, [1.0, 2.0, 3.0])
    assert found.mean == pytest.approx(13 / 3)
    assert found.deviation == pytest.approx(math.sqrt(19 / 3))
    assert found.p == pytest.approx(1 - math.sqrt(12 / 14), rel=1e-12)
    assert found.as_record().error == pytest.approx(math.sqrt(19) / 3)
    assert found.as_record().details["p"] == found.p


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(("difference", "p"), [([0.0] * 3, math.nan), ([1.0] * 3, 0.0)])
def test_models_without_chance_have_no_p(unit: float, difference: list[float], p: float) -> None:
    scaled = [d * unit for d in difference]
    found = SeedSummary("b", "pca", [3.0 * unit] * 3, pf.Record("x", 3.0 * unit), scaled)
    np.testing.assert_equal(found.p, p)
    assert SeedSummary("a", "pca", [1.0, 1.0], pf.Record("x", 1.0)).p is None


def test_the_command_gives_means_and_the_test(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(runs / "one"), str(runs / "two"), "--seeds", "2", "--draws", "0"]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    elbo = [r for r in records if r["quantity"] == "elbo"]
    assert [r["details"]["run"] for r in elbo] == [str(runs / "one"), str(runs / "two")]
    assert "p" in elbo[1]["details"]
    assert "p" not in elbo[0]["details"]
    assert elbo[0]["value"] == pytest.approx(np.mean(elbo[0]["details"]["values"]))
    assert main([*words, "--table", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["measure"] for row in rows].count("ELBO") == 2
    first = next(row for row in rows if row["measure"] == "ELBO")
    assert float(first["mean ± sd"].removeprefix("≥ ")) == pytest.approx(elbo[0]["value"], rel=1e-3)
    assert main(["evaluate", str(runs / "one"), "--table", "latex"]) == 0
    assert capsys.readouterr().out.startswith("\\begin{tabular}")


def test_seeds_of_gans_show_their_fits_and_what_is_poor(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(runs / "gan")
    assert main(["fit", "gan", str(runs / "x.csv"), *SMALL, "--run", place, "--quiet"]) == 0
    capsys.readouterr()
    assert main(["evaluate", place, "--seeds", "2"]) == 0
    said = capsys.readouterr()
    assert f"fitting {place}-seed-1" in said.err
    assert "ended (budget) after 48 samples" in said.err
    assert "features of samples: raw" in said.err
    assert "recall ↑" in said.out
    assert f"{place}: recall is 0." in said.err
    assert f"next: pushforward resume {place} --steps 1000" in said.err
    assert main(["evaluate", place, "--seeds", "3", "--json"]) == 0
    assert all(json.loads(line)["quantity"] for line in capsys.readouterr().out.splitlines())


# ------------------------------------------------------------------------------------------- forms


def shown() -> Table:
    table = Table("run", "KID ↓", "n")
    table.add_row("a_1 & b", "0.12 ± 0.03 (p 0.2)", "5")
    table.add_row("50%|x", "-", "1")
    return table


def test_latex_escapes_what_it_would_read() -> None:
    text = write_as(shown(), "latex", "KID 50%")
    assert text.splitlines()[0] == "% KID 50%"
    assert r"run & KID $\downarrow$ & n \\" in text
    assert r"a\_1 \& b & 0.12 $\pm$ 0.03 (p 0.2) & 5 \\" in text
    assert r"50\%|x & - & 1 \\" in text


def test_csv_divides_values_and_errors() -> None:
    rows = list(csv.reader(io.StringIO(write_as(shown(), "csv"))))
    assert rows == [
        ["run", "KID ↓", "KID ↓ error", "n"],
        ["a_1 & b", "0.12 (p 0.2)", "0.03", "5"],
        ["50%|x", "-", "", "1"],
    ]


def test_markdown_keeps_its_columns() -> None:
    lines = write_as(shown(), "markdown").splitlines()
    assert lines[1] == "|---|---:|---:|"
    assert lines[3] == "| 50%\\|x | - | 1 |"


@pytest.mark.parametrize("form", FORMS[1:])
def test_comparisons_are_written_in_every_form(
    form: str, tmp_path: Path, command: Callable[..., str]
) -> None:
    for name in ("x", "y"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(len(name)).normal(size=(20, 2)))
    words = ["compare", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--metrics", "fid,ks"]
    out = command(*words, "--table", form)
    assert "fid" in out
    assert out.startswith({"csv": "metric,", "latex": "% features", "markdown": "features"}[form])


def test_a_run_that_does_not_exist_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="does not exist; expected a run folder"):
        repeat_run(tmp_path / "nothing", 2)
