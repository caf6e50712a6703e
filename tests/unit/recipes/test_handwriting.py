"""The first minutes from Python: the runs that the commands shown would make, measured alike."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pushforward.cli.main import main
from pushforward.core.errors import Interrupted
from pushforward.core.events import Event, Listener, Started
from pushforward.experiments import Experiment, open_run
from pushforward.recipes.handwriting import MODELS, Handwriting, experiments, run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Handwriting:
    """One epoch of each model."""
    return run(tmp_path_factory.mktemp("study") / "demo", seed=1, epochs=1)


def test_it_leaves_a_run_for_each_model_and_their_records(study: Handwriting) -> None:
    for name in MODELS:
        assert open_run(study.folder / name).manifest is not None
    assert [path.stem for path in study.images] == [
        "samples",
        "reconstructions",
        "plane",
        "interpolations",
    ]
    assert all(path.stat().st_size > 1000 for path in study.images)
    content = json.loads((study.folder / "records.json").read_text())
    assert content["records"] == {
        name: {column: record.as_dict() for column, record in row.items()}
        for name, row in study.records.items()
    }
    codes = [name.partition(",")[0] for name in study.records]
    assert codes == ["PCA", "PCA", "VAE", "VAE"]


@pytest.mark.parametrize("name", ["pca-16", "vae-2"])
def test_the_command_of_an_experiment_fits_the_same(
    study: Handwriting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = experiments(tmp_path, seed=1, epochs=1)[name].command
    assert main([*shlex.split(line)[1:], "--quiet"]) == 0
    weights = "model.safetensors"
    assert (tmp_path / name / weights).read_bytes() == (study.folder / name / weights).read_bytes()


def test_the_seed_is_that_of_networks_and_split(tmp_path: Path) -> None:
    named = experiments(tmp_path, seed=5, epochs=7)
    assert all(experiment.split_seed == 5 for experiment in named.values())
    assert named["vae"].fitter["seed"] == 5
    assert "--epochs 7 " in named["vae-2"].command
    assert "--seed 5 --split-seed 5" in named["vae"].command
    assert experiments(tmp_path, epochs=300)["vae-2"].fitter["epochs"] == 150


def test_an_interrupted_fit_ends_it(tmp_path: Path) -> None:
    fitted = []

    def stop(event: Event) -> None:
        if isinstance(event, Started):  # once: a second signal would end it without saving
            signal.raise_signal(signal.SIGINT)

    @contextmanager
    def progress(name: str, experiment: Experiment) -> Iterator[Listener]:
        fitted.append(name)
        yield stop if name == "vae-2" else lambda event: None

    with pytest.raises(Interrupted) as stopped:
        run(tmp_path / "demo", epochs=2, progress=progress)
    assert stopped.value.saved
    assert fitted == ["pca-16", "pca", "vae-2"]
    assert not (tmp_path / "demo" / "records.json").exists()
