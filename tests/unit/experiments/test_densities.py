"""Densities of rows from Python: the table that the command writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.argument_names import arguments_named, keyword
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.densities import densities
from pushforward.metrics.likelihood import elbo, iwae


def as_csv(table: Any) -> str:
    """Columns as the text of a CSV file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values()))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "top"), [("gmm", "people.csv", None), ("faces", "photos", 5)]
)
def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun],
    command: Callable[..., str],
    place: Path,
    name: str,
    data: str,
    top: int | None,
) -> None:
    likely = densities(opened(name), str(place / data), draws=3)
    flags = ["--draws", 3, *(["--top", top] if top else [])]
    assert command("density", place / name, place / data, *flags) == as_csv(likely.table(top))
    assert likely.exact == (name == "gmm")


def test_ranks_start_at_the_least_likely_and_leave_out_rows_that_miss_a_value(
    opened: Callable[[str], OpenedRun],
) -> None:
    x = torch.tensor([[1.75, 70.0], [9.0, 70.0], [float("nan"), 70.0], [1.7, 71.0]])
    likely = densities(opened("gmm"), x.double())
    assert likely.incomplete.tolist() == [False, False, True, False]
    table = likely.table()
    assert table["rank"][1] == 1
    assert table["rank"][2] is None
    assert sorted(rank for rank in table["rank"] if rank is not None) == [1, 2, 3]
    assert likely.table(top=2)["row"][0] == 1
    expected = opened("gmm").model.log_prob(x.double())
    assert torch.allclose(torch.tensor(table["log_density"]).double(), expected)


def test_a_bound_is_that_of_so_many_posterior_samples(
    opened: Callable[[str], OpenedRun], place: Path
) -> None:
    run = opened("vae")
    x = pf.read(str(place / "photos"), label=False).take(torch.arange(24)).x
    bound = densities(run, str(place / "photos"), draws=5)
    assert bound.values.tolist() == iwae(run.model, x, k=5, rng=0).values.tolist()
    single = densities(run, str(place / "photos"), draws=1)
    assert single.values.tolist() == elbo(run.model, x, rng=0).values.tolist()


def test_what_cannot_be_measured_is_said(opened: Callable[[str], OpenedRun], place: Path) -> None:
    people = str(place / "people.csv")
    with arguments_named(keyword):
        with pytest.raises(pf.InvalidValue, match="top must be at least 1, got 0; pass top=10"):
            densities(opened("gmm"), people).table(0)
        with pytest.raises(pf.InvalidValue, match="draws must be at least 1, got 0"):
            densities(opened("gmm"), people, draws=0)
    with pytest.raises(pf.InvalidKind, match="the kmeans model has neither a density nor a bound"):
        densities(opened("kmeans"), people)


def test_the_shape_of_unlike_rows_is_that_of_all(tmp_path: Path) -> None:
    pf.PCA(2).fit("digits", run=tmp_path / "run", quiet=True)
    with pytest.raises(pf.ShapeMismatch, match=r"got \(500, 1, 9, 9\)$"):
        densities(open_run(tmp_path / "run"), torch.zeros(500, 1, 9, 9, dtype=torch.uint8))
