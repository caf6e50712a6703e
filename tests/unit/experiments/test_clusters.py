"""Clusters of rows from Python: the table that the command writes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.experiments import OpenedRun
from pushforward.experiments.clusters import assign


def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    people = place / "people.csv"
    clusters = assign(opened("gmm"), str(people), responsibilities=True)
    lines = list(csv.reader(command("assign", place / "gmm", people, "-r").splitlines()))
    assert lines[0] == list(clusters.table) == ["row", "cluster", "p0", "p1"]
    assert [list(map(str, row)) for row in zip(*clusters.table.values())] == lines[1:]
    assert clusters.responsibilities is not None
    assert torch.equal(clusters.responsibilities.argmax(1), clusters.cluster)


def test_sizes_count_the_rows_of_each_cluster(opened: Callable[[str], OpenedRun]) -> None:
    centres = opened("kmeans").model.centres_
    clusters = assign(opened("kmeans"), centres[[0, 1, 1]])
    assert clusters.cluster.tolist() == [0, 1, 1]
    assert clusters.sizes == {0: 1, 1: 2}
    assert clusters.responsibilities is None


def test_a_model_without_clusters_is_refused(
    opened: Callable[[str], OpenedRun], place: Path
) -> None:
    with pytest.raises(
        pf.InvalidKind, match="the pca model has no clusters; models that do: gmm, kmeans"
    ):
        assign(opened("pca"), str(place / "people.csv"))
