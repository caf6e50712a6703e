"""What a Trainer that resumes was given is the run's own, is honoured,
or is refused by name: nothing is dropped.
"""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.events import CancelToken, Event
from pushforward.fitting.processes import require_script
from pushforward.fitting.signals import STOPPING, interruptible

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
OWN: dict[str, Any] = {
    "steps": 3, "batch": 16, "seed": 4, "clip": 1.0, "ema": 0.9, "held_out": 0.25,
    "schedule": "cosine", "accumulate": 2, "optimizers": {"autoencoder": "adam(rate=0.002)"},
    "evaluate_every": 0.5, "keep_best": True, "patience": 9,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    pf.Autoencoder(latent=2, hidden=(4,)).fit(X, by=pf.Trainer(**OWN, run=folder))
    return folder


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch", 32, "batch=16, not 32"),
        ("batch", 128, "batch=16, not 128"),  # the default, when asked for, is asked for
        ("seed", 0, "seed=4, not 0"),
        ("precision", "64-true", "precision=32-true, not 64-true"),
        ("clip", None, "clip=1.0, not None"),
        ("clip", 2.0, "clip=1.0, not 2.0"),
        ("optimizers", {"autoencoder": "sgd"}, "optimizers="),
        ("optimizers", {}, "optimizers="),
        ("schedule", "constant", "schedule=cosine, not constant"),
        ("accumulate", 4, "accumulate=2, not 4"),
        ("ema", 0.5, "ema=0.9, not 0.5"),
        ("augment", ["flip"], "augment=None"),
        ("held_out", 0.5, "held_out=0.25, not 0.5"),
        ("held_out", pf.read(X[:8]), "held_out=0.25"),
        ("evaluate_every", 1.0, "evaluate_every=0.5"),
        ("keep_best", False, "keep_best=True, not False"),
        ("patience", 3, "patience=9, not 3"),
        ("on_divergence", "rollback", "on_divergence=stop, not rollback"),
        ("run", "elsewhere", "leave run out"),
        ("overwrite", True, "leave overwrite out"),
        ("start", pf.GMM(1), "leave start out"),
    ],
)
def test_what_is_not_the_runs_own_is_refused_by_name(
    name: str, value: Any, said: str, run: Path
) -> None:
    with pytest.raises(pf.InvalidValue, match=said):
        pf.Trainer(resume=run, **{name: value})


def test_the_runs_own_settings_may_be_given_in_any_form(run: Path) -> None:
    given = {
        **OWN,
        "optimizers": {
            "autoencoder": pf.fitting.trainer.read(pf.core.phase.Optimizer, "adam(rate=2e-3)")
        },
        "steps": None,
    }
    assert pf.Trainer(resume=run, run=run, **given).settings() == pf.Trainer(resume=run).settings()


def test_what_does_not_shape_the_result_may_be_new(run: Path) -> None:
    trainer = pf.Trainer(
        resume=run, save_every=5.0, devices=1, accelerator="auto", strategy="auto", steps="+2"
    )
    assert (trainer.save_every, trainer.accelerator, trainer.steps) == (5.0, "auto", 5)


def test_given_names_survive_copies() -> None:
    trainer = pf.Trainer(3.0, batch=8)
    assert trainer.given == {"epochs", "batch"}
    assert copy.copy(trainer).given == pickle.loads(pickle.dumps(trainer)).given == trainer.given


# ------------------------------------------------------------------------------------------ signals


@pytest.mark.parametrize("number", STOPPING, ids=lambda n: n.name)
def test_signals_that_announce_an_end_save_and_stop(number: signal.Signals, tmp_path: Path) -> None:
    def send(event: Event, model: Any) -> None:
        if type(event).__name__ == "Progress":
            os.kill(os.getpid(), number)

    def mine(number: int, frame: Any) -> None:
        raise AssertionError("the signal is the fit's while it runs")

    trainer = pf.Trainer(steps=200, batch=16, seed=1, run=tmp_path / "run", callbacks=[send])
    before = signal.signal(number, mine)  # whatever the tests were started with, such as nohup
    try:
        stopped = pf.Autoencoder(latent=2, hidden=(4,)).fit(X, by=trainer)
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)
    assert stopped.fit_result is not None
    assert stopped.fit_result.reason == "interrupted"
    resumed = pf.Autoencoder(latent=2, hidden=(4,)).fit(X, by=pf.Trainer(resume=tmp_path / "run"))
    whole = pf.Autoencoder(latent=2, hidden=(4,)).fit(X, by=pf.Trainer(steps=200, batch=16, seed=1))
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    token = CancelToken()
    try:
        with interruptible(token, decides=True):
            os.kill(os.getpid(), signal.SIGHUP)
            assert not token.cancelled
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_are_left_alone_in_other_threads() -> None:
    seen: list[Any] = []

    def work() -> None:
        with interruptible(CancelToken(), decides=True):
            seen.extend(map(signal.getsignal, STOPPING))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == list(map(signal.getsignal, STOPPING))


# ---------------------------------------------------------------------------------- several devices

FITS = {
    "ddp": (
        "pf.GAN(latent=2, hidden=(4,)).fit(x, by=pf.Trainer(steps=1, batch=16, devices=2,"
        " strategy='ddp'))"
    ),
    "auto": "pf.GAN(latent=2, hidden=(4,)).fit(x, by=pf.Trainer(steps=1, batch=16, devices='2'))",
    "em": "pf.GMM(2).fit(x, by=pf.EM(devices=2))",
}
CHILD = """
import torch, pushforward as pf
x = torch.randn(64, 3)
for words in {fits!r}:
    try:
        eval(words)
        print("no error")
    except pf.InvalidValue as error:
        print(error)
"""


def test_several_devices_without_a_script_say_what_to_do() -> None:
    """From `python -c`, where the program cannot be started a second time."""
    code = CHILD.format(fits=list(FITS.values()))
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    said = ended.stdout.splitlines()
    assert len(said) == len(FITS), ended.stderr[-1000:]
    assert all("script.py" in line and "devices=1" in line for line in said)


@pytest.mark.parametrize("devices", [1, "1", "auto", -1, "0,", [0]])
def test_one_device_needs_no_script(devices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    require_script(devices)
    with pytest.raises(pf.InvalidValue, match="script"):
        require_script(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    require_script(2)
