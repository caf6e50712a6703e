"""The room Runs: states, stop and resume across processes, films and comparisons."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.core.folder_lock import locked
from pushforward.experiments.evaluation import evaluate_runs
from pushforward.fitting.film import film_folder, read_frames
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    by: dict[str, Any] = {"steps": 30, "batch": 32, "quiet": True}
    pf.Experiment(pf.VAE(2, hidden=(16,)), "digits", fitter={**by, "film": 9}).run(place / "vae")
    pf.Experiment(pf.GAN(latent=2, hidden=(8,)), "moons:200", fitter={**by, "film": 20}).run(
        place / "gan"
    )
    pf.Experiment(pf.PCA(3), "digits").run(place / "pca")
    pf.Experiment(pf.PCA(3), "digits", split_seed=1).run(place / "otherwise")
    pf.Experiment(pf.PCA(2), "digits", held_out=0).run(place / "all")
    for age, name in enumerate(("pca", "gan", "vae", "otherwise", "all")):
        then = time.time() - 100 * age
        os.utime(place / name / "model.json", (then, then))
    return place


@pytest.fixture
def studio(folder: Path) -> Iterator[Studio]:
    made = Studio(folder)
    yield made
    made.close()


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content))


def shown(studio: Studio, run: str) -> Any:
    return ask(studio, "runs.show", run=run).content


def until(found: Any, seconds: float = 60.0) -> Any:
    """The first true answer of a function."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


# ------------------------------------------------------------------------------------ what there is


def test_the_latest_run_comes_first(studio: Studio) -> None:
    runs = ask(studio, "runs.list").content["runs"]
    assert [run["name"] for run in runs] == ["pca", "gan", "vae", "otherwise", "all"]
    assert [run["state"] for run in runs] == ["finished"] * 5
    assert runs[1]["reason"] == "budget"
    assert runs[2]["extendable"]
    assert not runs[0]["extendable"], "fitted in one go"


def test_a_fit_is_there_before_it_has_saved_or_knows_its_rows(tmp_path: Path) -> None:
    studio, run = Studio(tmp_path), tmp_path / "run"
    by = pf.Trainer(steps=5, batch=16, run=run, quiet=True)
    pf.VAE(2, hidden=(4,)).fit(torch.randn(64, 3), by=by)
    (run / "model.safetensors").unlink()
    with locked(run):
        early = shown(studio, "run")
    assert (early["model"], early["able"]) == ("vae", [])
    assert "3 dimensions" in early["space"]
    (run / "model.json").unlink()
    (run / "log.jsonl").unlink()
    with locked(run):
        earlier = shown(studio, "run")
    assert (earlier["model"], earlier["space"], earlier["state"]) == ("vae", "", "running")
    assert shown(studio, "run")["state"] == "stopped"


def test_a_damaged_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.json").write_text("{")
    assert "damaged" in ask(Studio(tmp_path), "runs.list").content["runs"][0]["error"]


# --------------------------------------------------------------------------------------------- film


def test_a_frame_is_what_the_film_holds(studio: Studio, folder: Path) -> None:
    frames = read_frames(film_folder(folder / "vae"))
    times = shown(studio, "vae")["film"]
    assert times == [frame.samples for frame in frames]
    answer = ask(studio, "runs.frame", run="vae", samples=times[1])
    levels = torch.as_tensor(answer.arrays["images"])[..., 0]
    assert torch.equal(levels, frames[1].tensors["x"][:, 0])
    points = ask(studio, "runs.frame", run="gan", samples=shown(studio, "gan")["film"][-1])
    last = read_frames(film_folder(folder / "gan"))[-1].tensors["x"]
    assert torch.equal(torch.as_tensor(points.arrays["points"]), last)
    assert shown(studio, "pca")["film"] == []
    with pytest.raises(PushforwardError, match="no frame of 7 samples"):
        ask(studio, "runs.frame", run="vae", samples=7)


def test_a_film_that_leads_out_of_the_run_is_not_followed(
    studio: Studio, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "000000000000000.safetensors").write_bytes(b"secret")
    link = folder / "pca" / "images" / "film"
    link.symlink_to(tmp_path)
    try:
        assert shown(studio, "pca")["film"] == []
        with pytest.raises(PushforwardError, match="no frame"):
            ask(studio, "runs.frame", run="pca", samples=0)
    finally:
        link.unlink()


# ---------------------------------------------------------------------------------- stop and resume


def test_the_fit_of_another_process_is_seen_stopped_and_resumed_to_the_bit(tmp_path: Path) -> None:
    studio, run = Studio(tmp_path), tmp_path / "run"
    settings: dict[str, Any] = {"steps": 300, "batch": 8, "seed": 4}
    code = (
        "import time, pushforward as pf\n"
        "def slow(event, model): time.sleep(0.05)\n"
        f"by = {{**{settings!r}, 'quiet': True, 'callbacks': [slow]}}\n"
        f"pf.Experiment(pf.VAE(1, hidden=(4,)), 'moons:200', fitter=by).run({str(run)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        until(run.is_dir)
        assert shown(studio, "run")["state"] == "running"
        until(lambda: len(shown(studio, "run")["curves"]) > 1)
        with pytest.raises(PushforwardError, match="being fitted already"):
            ask(studio, "runs.resume", run="run")
        assert ask(studio, "runs.stop", run="run").content["state"] in ("stopping", "interrupted")
        assert process.wait(60) == 0
    finally:
        process.kill()
    stopped = shown(studio, "run")
    assert (stopped["state"], stopped["resumable"]) == ("interrupted", True)
    assert 0 < stopped["samples"] < 300 * 8
    with pytest.raises(PushforwardError, match="nothing to stop"):
        ask(studio, "runs.stop", run="run")
    going = ask(studio, "runs.resume", run="run").content
    assert (going["state"], going["here"]) == ("running", True)
    until(lambda: shown(studio, "run")["state"] == "finished" and not studio.is_resumed(run))
    ended = shown(studio, "run")
    assert (ended["reason"], ended["samples"], ended["problem"]) == ("budget", 300 * 8, "")
    whole = pf.Experiment(pf.VAE(1, hidden=(4,)), "moons:200", fitter={**settings, "quiet": True})
    pairs = zip(whole.fit().state_dict().values(), pf.load(run).state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def started(folder: Path, steps: int) -> Path:
    """A run of so many steps, spent."""
    run = folder / "run"
    by = {"steps": steps, "batch": 16, "quiet": True}
    pf.Experiment(pf.VAE(1, hidden=(4,)), "moons:100", fitter=by).run(run)
    return run


def test_a_fit_of_the_studio_goes_on_for_more_is_stopped_and_saves(tmp_path: Path) -> None:
    run, studio = started(tmp_path, 20), Studio(tmp_path)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for more in ({}, {"more": -3}):
        with pytest.raises(PushforwardError, match="by how much more"):
            ask(studio, "runs.resume", run="run", **more)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert shown(studio, "run")["unit"] == "steps"
    ask(studio, "runs.resume", run="run", more=10**7)
    until(lambda: (shown(studio, "run")["samples"] or 0) > 20 * 16)
    with pytest.raises(PushforwardError, match="going on already"):
        studio.resume("run", {})
    studio.leave(grace=0.01)  # pages may go; the fit of a run goes on
    assert studio.is_resumed(run)
    studio.free()
    assert studio.is_resumed(run)
    studio.close()
    assert not studio.is_resumed(run)
    left = shown(Studio(tmp_path), "run")
    assert (left["state"], left["resumable"]) == ("interrupted", True)
    assert left["samples"] > 20 * 16
    assert not (run / "stop").exists()


def test_what_goes_wrong_with_a_resumed_fit_is_told(tmp_path: Path) -> None:
    run, studio = started(tmp_path, 20), Studio(tmp_path)
    for path in (run / "state").iterdir():
        path.unlink()
    by = pf.Trainer(steps=2, batch=8, run=tmp_path / "rows", quiet=True)
    pf.VAE(1, hidden=(4,)).fit(torch.randn(20, 2), by=by)
    with pytest.raises(PushforwardError, match="rows in memory"):
        ask(studio, "runs.resume", run="rows", more=1)
    ask(studio, "runs.resume", run="run", more=5)
    until(lambda: not studio.is_resumed(run))
    assert "no state to resume from" in shown(studio, "run")["problem"]


@pytest.mark.parametrize("verb", ["runs.stop", "runs.resume"])
@pytest.mark.parametrize("name", ["..", "/etc", "none", "vae/images"])
def test_nothing_but_runs_of_the_folder_is_touched(studio: Studio, verb: str, name: str) -> None:
    with pytest.raises(PushforwardError, match="there is no run"):
        ask(studio, verb, run=name, more=1)


# ---------------------------------------------------------------------------------------- comparing


def test_runs_compare_as_evaluate_measures_them(studio: Studio, folder: Path) -> None:
    choices = ask(studio, "runs.features", runs=["vae", "pca"]).content["features"]
    assert choices == ["raw", "pca(20)", "scaled"]
    found = ask(studio, "runs.compare", runs=["vae", "pca"], features="pca(20)", rows=100).content
    assert found["runs"] == ["vae", "pca"]
    lines = {line["title"]: line for line in found["lines"]}
    evaluation = evaluate_runs([folder / "vae", folder / "pca"], draws=0, most=100)
    sampled = evaluation.sample("pca(20)")
    fids = [next(r for r in each if r.quantity == "fid") for each in sampled.records]
    assert [value["value"] for value in lines["fid"]["values"]] == [r.value for r in fids]
    assert [value["error"] for value in lines["fid"]["values"]] == [r.error for r in fids]
    assert lines["fid"]["better"] == "lower"
    assert lines["fid"]["best"] == min((0, 1), key=lambda i: fids[i].value)
    assert lines["squared error"]["best"] == 1
    assert lines["log-density"]["values"][0] is None
    assert found["data"] == evaluation.data


def test_features_follow_the_data(studio: Studio, tmp_path: Path) -> None:
    assert ask(studio, "runs.features", runs=["gan"]).content["features"] == ["raw", "scaled"]
    conditional = pf.Experiment(pf.VAE(1, hidden=(4,)), "digits", y=True, fitter={"steps": 2})
    conditional.run(tmp_path / "run")
    labelled = ask(Studio(tmp_path), "runs.features", runs=["run"]).content["features"]
    assert "classifier" in labelled


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"runs": ["vae", "gan"]}, "vae makes images .* but gan makes points"),
        ({"runs": ["pca", "otherwise"]}, "held out different rows.*pca on .*; otherwise on "),
        ({"runs": ["all"]}, "fitted on all its rows"),
        ({"runs": []}, "choose 1 to 8 runs"),
        ({"runs": "vae"}, "names of runs|no run 'v'|choose"),
        ({"runs": ["vae"], "rows": 6000}, "rows must be a whole number from 20 to 5000"),
        ({"runs": ["vae"], "features": "pixels"}, "unknown features 'pixels'"),
    ],
)
def test_runs_that_do_not_compare(studio: Studio, content: dict[str, Any], text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "runs.compare", **{"features": "raw", "rows": 50, **content})
