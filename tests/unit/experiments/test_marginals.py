"""Runs with labels beside runs without: one table, of what both say of x alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pushforward.core.records import Record
from pushforward.experiments import OpenedRun
from pushforward.experiments.compare import Comparison, compare
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.marginals import MARGINAL, drawn_labels, training_labels


def elbo(records: list[Record]) -> Record:
    return next(record for record in records if record.quantity == "elbo")


def test_a_run_with_labels_is_measured_beside_one_without(
    place: Path, opened: Callable[[str], OpenedRun]
) -> None:
    apart = evaluate_runs([place / "faces"], draws=3)
    both = evaluate_runs([place / "vae", place / "faces"], draws=3)
    assert len(both.by_rows()) == 1
    given, alone = elbo(list(apart.measured[0])), elbo(list(both.measured[1]))
    run = opened("faces")
    labels, held = training_labels(run), both.held_out[1]
    shares = (torch.bincount(labels, minlength=2).double() + 1) / (len(labels) + 2)
    y = held.take(torch.arange(len(held))).y
    assert y is not None
    expected = given.value + float(shares.log()[y.flatten().long()].mean())
    assert alone.value == pytest.approx(expected, rel=1e-12)
    assert (alone.bound, alone.details["likelihood"]) == ("lower bound", MARGINAL)
    plain = elbo(list(evaluate_runs([place / "vae"], draws=3).measured[0]))
    assert elbo(list(both.measured[0])).value == plain.value
    (note,) = both.notes
    assert note.startswith(f"{place / 'faces'}: fitted with labels")
    assert MARGINAL in note
    assert apart.notes == []


def test_samples_of_both_are_compared_with_the_same_rows(place: Path) -> None:
    both = evaluate_runs([place / "vae", place / "faces"], draws=0)
    sampled = both.sample("raw")
    assert len({record.data for records in sampled.records for record in records}) == 1
    assert len({len(rows.x) for rows in sampled.samples}) == 1


def test_the_command_writes_one_table_and_the_note(
    place: Path, command: Callable[..., str]
) -> None:
    written = command("evaluate", place / "vae", place / "faces", "--draws", 2)
    assert written.count("ELBO") == 1


@pytest.mark.parametrize("names", [("vae", "faces"), ("faces", "vae")])
def test_two_runs_compare_under_labels_drawn_as_in_the_data(
    place: Path, names: tuple[str, str]
) -> None:
    real, generated = (str(place / name) for name in names)
    comparison = Comparison(real, [generated], spaces=["raw"], metrics=["kid"], rows=8)
    records, samples = compare(comparison, warn=lambda text: None)
    assert len(samples[0].x) == 8
    described = f"{records[0][0].data} {samples[0].description}"
    assert described.count("under labels drawn as in its training rows") == 1


def test_labels_are_drawn_in_the_shares_of_the_training_rows(
    opened: Callable[[str], OpenedRun],
) -> None:
    run = opened("faces")
    labels, drawn = training_labels(run), drawn_labels(run, 4000, 0)
    share = float((labels == 1).double().mean())
    assert float((drawn == 1).double().mean()) == pytest.approx(share, abs=0.04)
