"""Runs of clips: evaluated, compared, and plotted with their layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.experiments.compare import Comparison, compare
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.experiments.opened import open_run
from pushforward.experiments.views import model_view
from pushforward.metrics.feature_names import find_features

OF_MASKS = ["mask", "foreground variance", "background variance"]
"""Without the IoU of masks with what moves: these samples stand still."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "run"
    data = pf.read("moving-shapes:40", size=16, frames=4)
    by = pf.Trainer(steps=2, batch=8, quiet=True)
    pf.Experiment(pf.VGAN(latent=2, width=2), data, fitter=by).fit(folder)
    return folder


def test_motion_masks_and_features_are_evaluated(run: Path) -> None:
    evaluation = evaluate_runs([run])
    records = {r.quantity: r for r in evaluation.records}
    assert list(records) == ["motion", "consistency", *OF_MASKS]
    for record in records.values():
        assert (record.details["frames"], record.details["length"]) == (4, 4)
        assert record.details["run"] == str(run)
    assert evaluation.sample_spaces() == ["frames", "movement"]
    sampled = evaluation.sample("movement")
    assert sampled.records[0][0].quantity == "fid"
    assert "movement of pca" in sampled.space


def test_comparisons_have_motion_and_consistency(run: Path) -> None:
    (records,), _ = compare(Comparison("moving-shapes:30", [str(run)], metrics=["motion"]))
    assert [r.quantity for r in records] == ["motion"]
    usual, _ = compare(Comparison("moving-shapes:30", [str(run)], rows=30))
    quantities = [r.quantity for r in usual[0]]
    assert quantities.count("fid") == 2
    assert quantities[-2:] == ["motion", "consistency"]


def test_layers_are_plotted(run: Path) -> None:
    view = model_view(open_run(run))
    assert view.kind == "layers"
    names = [label.get_text() for label in view.figure.axes[0].get_yticklabels()]
    assert names[:4] == ["sample", "mask", "foreground", "background"]


def test_a_model_without_layers_has_none(tmp_path: Path) -> None:
    pf.PCA(1).fit("ring:50").save(tmp_path / "run")
    with pytest.raises(pf.InvalidKind, match=r"composes no clips of layers; models that do: vgan"):
        model_view(open_run(tmp_path / "run"), "layers")


def test_features_of_evaluations_scale_the_range_of_values(run: Path) -> None:
    """Distances are then at most of the order of the number of pixels."""
    for space in ("frames", "movement"):
        sampled = evaluate_runs([run]).sample(space)
        assert "0..255 to [0, 1]" in sampled.space
        assert sampled.records[0][0].value < 3 * 16 * 16
    x = pf.read("moving-shapes:40", size=16, frames=4).all().x
    for name in ("frames", "movement"):
        in_levels, scaled = find_features(name, x), find_features(name, x, low=0, high=255)
        assert torch.allclose(scaled(x).abs() * 255, in_levels(x).abs(), atol=1e-6)
