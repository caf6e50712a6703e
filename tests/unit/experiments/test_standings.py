"""Which run is best by a measure, and which are level with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.records import Record
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.standings import Better, Standing, standings


def line(better: Better, values: Sequence[float | None], error: float = 0.1, **more: Any) -> Any:
    records = tuple(None if v is None else Record("q", v, error) for v in values)
    return Standing("q", better, more.get("ideal"), records)


@pytest.mark.parametrize(
    ("better", "ideal", "best", "level"),
    [
        ("higher", None, 3, (0,)),
        ("lower", None, 1, ()),
        ("near", 2.2, 3, (0,)),
        ("near", 1.55, 0, (1, 3)),
        ("", None, None, ()),
    ],
)
def test_the_best_follows_the_direction_of_the_measure(
    better: Better, ideal: float | None, best: int | None, level: tuple[int, ...]
) -> None:
    standing = line(better, [2.0, 1.0, None, 2.2], ideal=ideal)
    assert (standing.best, standing.level) == (best, level)


def test_level_is_less_than_two_standard_errors_of_the_difference() -> None:
    assert line("higher", [1.0, 1.27]).level == (0,)  # 2 · √2 · 0.1 = 0.283
    assert line("higher", [1.0, 1.29]).level == ()
    assert line("higher", [1.0, 1.0], error=float("nan")).level == (1,)
    assert line("higher", [1.0, 1.1], error=float("nan")).level == ()


def test_one_run_alone_is_not_the_best() -> None:
    assert line("higher", [None, 1.0]).best is None
    assert line("higher", [float("nan"), 1.0]).best is None


def test_standings_of_runs_are_the_records_of_their_evaluation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pf.Experiment(pf.PCA(1), "digits").run(tmp_path / "one")
    pf.Experiment(pf.PCA(20), "digits").run(tmp_path / "twenty")
    evaluation = evaluate_runs([tmp_path / "one", tmp_path / "twenty"], most=100, draws=0)
    sampled = evaluation.sample("raw")
    found = {standing.title: standing for standing in standings(evaluation, [sampled])}
    assert [found[name].better for name in ("log-density", "squared error", "fid")] == [
        "higher", "lower", "lower",
    ]  # fmt: skip
    assert found["recall"].better == "higher"
    assert found["density"].better == "near"
    assert found["log-density"].records == tuple(r[0] for r in evaluation.measured)
    assert found["squared error"].best == 1
    assert found["squared error"].features == ""
    assert found["fid"].features == sampled.space
    fid = tuple(next(r for r in each if r.quantity == "fid") for each in sampled.records)
    assert found["fid"].records == fid
