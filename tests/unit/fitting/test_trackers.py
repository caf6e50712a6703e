"""TensorBoard and Weights & Biases get the numbers of the log; without them the error says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.events import Evaluated, Finished, Progress, Started, Warned
from pushforward.fitting.trackers import Tracker, find_tracker

EVENTS = [
    Progress(1, 0.0, terms={"early": 1.0}),
    Started(0, 0.0, 100, "vae", 42, device="cpu"),
    Progress(50, 0.5, 100.0, 0.5, {"kl": 2.5}),
    Evaluated(50, 0.6, -3.0, True, {"active": 2.0}),
    Warned(60, 0.7, "dead dimensions", "fewer"),
    Finished(100, 1.0, "budget", -3.0),
]


class Kept(Tracker):
    """Keeps what a tracker would write."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def _open(self) -> None:
        self.calls.append("open")

    def _numbers(self, values: Any, event: Any) -> None:
        self.calls.append((dict(values), event.samples))

    def _text(self, name: str, text: str, samples: int) -> None:
        self.calls.append((name, text))

    def _close(self) -> None:
        self.calls.append("close")


def test_every_event_is_written_between_open_and_close() -> None:
    kept = Kept()
    for event in EVENTS:
        kept(event)
    assert kept.calls == [
        "open",
        ("started", "vae on cpu, 42 parameters, 100 samples"),
        ({"terms/kl": 2.5, "speed/samples per second": 100.0}, 50),
        ({"held out/quality": -3.0, "vitals/active": 2.0}, 50),
        ("warned", "dead dimensions; try: fewer"),
        ("finished", "budget after 1.0 s"),
        "close",
    ]


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pf.InvalidValue, match="unknown tracker 'tensorbord'; did you mean"):
        find_tracker("tensorbord", tmp_path)


@pytest.mark.parametrize(
    ("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")]
)
def test_a_missing_tracker_is_an_extra_to_install(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(pf.MissingExtra, match=r"which is not installed; run: .*trackers"):
        find_tracker(name, tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1.5,2\n2.5,3\n3.5,1\n4.5,2\n1.25,2\n")
    run = tmp_path / "run"
    assert main(["fit", "pca", str(tmp_path / "x.csv"), "--track", name, "--run", str(run)]) == 2
    assert not run.exists()


def fit_with(name: str, run: Path) -> list[dict[str, Any]]:
    """A short fit with a tracker; its log."""
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    by = pf.Trainer(steps=6, batch=20, held_out=0.2, run=run, listeners=[find_tracker(name, run)])
    pf.VAE(2, hidden=(4,)).fit(x, by=by)
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_tensorboard_has_the_numbers_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = fit_with("tensorboard", tmp_path / "run")
    read = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    read.Reload()
    quality = [(e["samples"], e["quality"]) for e in log if e["event"] == "evaluated"]
    found = [(e.step, e.value) for e in read.Scalars("held_out/quality")]
    assert quality
    assert found == [(samples, pytest.approx(value, rel=1e-6)) for samples, value in quality]
    terms = {f"terms/{name}" for e in log if e["event"] == "progress" for name in e["terms"]}
    assert terms <= set(read.Tags()["scalars"])


def test_weights_and_biases_runs_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    fit_with("wandb", tmp_path / "run")
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
