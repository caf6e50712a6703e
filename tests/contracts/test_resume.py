"""Exact resume: a fit that is stopped, interrupted or killed at any moment and gone on with ends
with the bits of one that was not.

The kills happen in children of a nursery: one process that has everything imported and forks a
child for every attempt. A child counts its moments (steps begun, files synced, files renamed) and
kills itself with SIGKILL at a random one, also with a checkpoint half written.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.events import CancelToken, Event
from pushforward.core.phase import Batch, Step, Terms
from pushforward.core.registry import register
from pushforward.fitting import loop as loop_module
from pushforward.fitting.augment import Augment
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.log import read_log
from pushforward.fitting.loop import Loop


class _Noisy(nn.Module):
    """Dropout, batch norm, and numbers from the global streams of Python and NumPy."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.norm = body, nn.BatchNorm1d(width)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        z = torch.dropout(self.norm(self.body(x, y)), 0.2, self.training)
        return (
            z * (1 + 0.1 * random.random() + 0.1 * float(np.random.rand())) if self.training else z
        )


@register("test_noisy_autoencoder")
class NoisyAutoencoder(pf.Autoencoder):
    """An auto-encoder that draws from every global stream there is."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        self.encoder = _Noisy(self.encoder, self.latent)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        self.seen += len(batch.x)
        return super().squared_error(batch, step)


def _points() -> Tensor:
    return torch.randn(203, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _images() -> Tensor:
    return torch.randint(
        0, 17, (203, 1, 6, 6), generator=torch.Generator().manual_seed(2), dtype=torch.uint8
    )


def _vae() -> pf.VAE:
    return pf.VAE(latent=2, hidden=(8,))


def _gan() -> pf.GAN:
    return pf.GAN(latent=2, hidden=(8,), critic_steps=2)


def _autoencoder() -> NoisyAutoencoder:
    return NoisyAutoencoder(latent=3, hidden=(8,))


RECIPES: dict[str, tuple[Callable[[], Any], Callable[[], Tensor], dict[str, Any]]] = {
    "vae": (_vae, _points, {"epochs": 4, "clip": 1.0, "schedule": "cosine(warmup=0.2)"}),
    "gan": (
        _gan,
        _points,
        {"steps": 25, "ema": 0.9, "precision": "64-true", "on_divergence": "rollback"},
    ),
    "autoencoder": (
        _autoencoder,
        _images,
        {
            "samples": 40 * 20,
            "augment": ["flip", "crop(padding=1)", "dequantise", "binarise"],
            "schedule": {"autoencoder": "linear(start=0.5)"},
            "clip": 2.0,
            "accumulate": 2,
            "held_out": 0.2,
            "keep_best": True,
            "patience": 12,
            "evaluate_every": 0.4,
        },
    ),
}
WORSENING = {"held_out": 0.2, "keep_best": True, "evaluate_every": 0.5, "samples": 800, "batch": 40}


@register("test_worsening_autoencoder")
class WorseningAutoencoder(NoisyAutoencoder):
    """Best when first judged, so that what is best must survive."""

    def quality(self, batch: Batch, *, rng: Any = None) -> Tensor:
        return -self.seen.to(torch.float64)


def fitted(name: str, **more: Any) -> Any:
    """The recipe's model, fitted; `more` goes to the trainer."""
    make, data, settings = RECIPES[name]
    trainer = (
        pf.Trainer(**more)
        if "resume" in more
        else pf.Trainer(**{"batch": 40, "seed": 3, **settings, **more})
    )
    with pytest.MonkeyPatch.context() as patch:
        # reports every few steps, so that stops and kills fall between them
        patch.setattr(loop_module, "REPORTS", 6)
        model = make().fit(data(), by=trainer)
    model.reason = model.fit_result.reason
    return model


def state(run: Path) -> dict[str, Any]:
    """The newest checkpoint, without what the clock decides."""
    content = dict(Checkpoints(run).newest())
    good = content.pop("good", None)
    for name in ("seconds", "log"):
        content.pop(name)
    content["good"] = (
        None if good is None else {k: v for k, v in good.items() if k not in ("seconds", "log")}
    )
    return content


def same(one: Any, two: Any, path: str = "") -> None:
    """Fails, with the path, at the first bit that differs."""
    assert type(one) is type(two), path
    if isinstance(one, Tensor):
        assert one.dtype == two.dtype, path
        assert torch.equal(one.nan_to_num(), two.nan_to_num()), path
    elif isinstance(one, dict):
        assert list(one) == list(two), path
        for key in one:
            same(one[key], two[key], f"{path}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two), path
        for i, (a, b) in enumerate(zip(one, two)):
            same(a, b, f"{path}/{i}")
    else:
        assert one == two, path


def story(run: Path) -> list[dict[str, Any]]:
    """The log, without the times and without the beginnings of later sittings."""
    told = [
        {k: v for k, v in e.items() if k not in ("seconds", "rate", "remaining")}
        for e in read_log(run)
    ]
    return [e for e in told if e["event"] != "started" or e["samples"] == 0]


def same_run(one: Path, two: Path) -> None:
    """Two runs ended alike: everything a resume needs, what sampling uses, and the log."""
    same(state(one), state(two))
    a, b = pf.load(one), pf.load(two)
    same(dict(a.state_dict()), dict(b.state_dict()))
    assert story(one) == story(two)


class _StopAfter:
    """Asks the fit to stop once it has seen so many steps."""

    def __init__(self, steps: int, token: CancelToken, monkeypatch: pytest.MonkeyPatch) -> None:
        play = Loop._play_step

        def counted(loop: Loop, raw: Batch) -> None:
            play(loop, raw)
            if loop.step + 1 >= steps:
                token.cancel()

        monkeypatch.setattr(Loop, "_play_step", counted)


@pytest.fixture(scope="module")
def whole() -> Iterator[dict[str, Path]]:
    """The uninterrupted run of every recipe, on one thread as in the children."""
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in RECIPES:
        fitted(name, run=place / name)
    yield {name: place / name for name in RECIPES}
    torch.set_num_threads(threads)
    shutil.rmtree(place)


@pytest.mark.parametrize("steps", [1, 3, 11])
@pytest.mark.parametrize("name", list(RECIPES))
def test_a_stopped_fit_goes_on_to_the_same_bits(
    name: str, steps: int, whole: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = CancelToken()
    with monkeypatch.context() as patched:
        _StopAfter(steps, token, patched)
        assert fitted(name, run=folder / "run", token=token).reason == "interrupted"
    assert read_log(folder / "run")[-1]["event"] == "finished"
    model = fitted(name, resume=folder / "run")
    assert model.reason == "budget"
    same_run(whole[name], folder / "run")
    stored = {
        k: v for k, v in pf.load(folder / "run").state_dict().items() if not k.startswith("scaling")
    }
    same(stored, {k: v for k, v in model.state_dict().items() if not k.startswith("scaling")})


def test_stopping_and_going_on_at_every_single_step(
    whole: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sitting makes one step."""
    play, token = Loop._play_step, CancelToken()

    def once(loop: Loop, raw: Batch) -> None:
        play(loop, raw)
        token.cancel()

    monkeypatch.setattr(Loop, "_play_step", once)
    model = fitted("vae", run=folder / "run", token=token)
    while model.reason == "interrupted":
        token = CancelToken()
        model = fitted("vae", resume=folder / "run", token=token)
    same_run(whole["vae"], folder / "run")


def test_the_best_weights_survive_a_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WorseningAutoencoder(latent=3, hidden=(8,)).fit(
        _images(), by=pf.Trainer(**WORSENING, run=folder / "whole")
    )
    token = CancelToken()
    with monkeypatch.context() as patched:
        _StopAfter(11, token, patched)
        WorseningAutoencoder(latent=3, hidden=(8,)).fit(
            _images(), by=pf.Trainer(**WORSENING, run=folder / "run", token=token)
        )
    WorseningAutoencoder(latent=3, hidden=(8,)).fit(_images(), by=pf.Trainer(resume=folder / "run"))
    same_run(folder / "whole", folder / "run")


def test_saving_changes_nothing(whole: dict[str, Path], folder: Path) -> None:
    for name in RECIPES:
        fitted(name, run=folder / name, save_every=1e-9)
        same_run(whole[name], folder / name)


def test_a_finished_run_that_is_resumed_stays_as_it_is(
    whole: dict[str, Path], folder: Path
) -> None:
    for name in RECIPES:
        shutil.copytree(whole[name], folder / name)
        fitted(name, resume=folder / name)
        same_run(whole[name], folder / name)


def test_extending_a_run_equals_one_long_run(folder: Path) -> None:
    """With a constant schedule; the learning rates do not know the budget then."""
    settings = {"steps": None, "epochs": 5, "evaluate_every": 1.0, "ema": 0.9}
    fitted("gan", run=folder / "long", **{**settings, "epochs": 8})
    fitted("gan", run=folder / "short", **settings)
    fitted("gan", resume=folder / "short", epochs="+3")
    same(state(folder / "long")["networks"], state(folder / "short")["networks"])
    same(state(folder / "long")["optimizers"], state(folder / "short")["optimizers"])
    same(dict(pf.load(folder / "long").state_dict()), dict(pf.load(folder / "short").state_dict()))
    assert (
        json.loads((folder / "short" / "run.json").read_text())["fitter"]["settings"]["epochs"] == 8
    )


def test_a_run_that_lost_patience_ends_again_and_an_extension_gives_it_new_patience(
    folder: Path,
) -> None:
    settings = {
        "patience": 1,
        "evaluate_every": 0.2,
        "samples": 4000,
        "optimizers": {"autoencoder": "sgd(rate=1e-9)"},
    }
    first = fitted("autoencoder", run=folder / "run", **settings)
    assert first.reason == "patience"
    seen = state(folder / "run")["step"]
    assert fitted("autoencoder", resume=folder / "run").reason == "patience"
    assert state(folder / "run")["step"] == seen
    fitted("autoencoder", resume=folder / "run", samples="+4000")
    assert state(folder / "run")["step"] > seen


def test_the_log_forgets_what_was_done_after_the_checkpoint(
    whole: dict[str, Path], folder: Path
) -> None:
    """Lines written after the last checkpoint are cut,
    so the log tells of the weights and nothing else.
    """

    def fail(event: Event, model: Any) -> None:
        if type(event).__name__ == "Progress" and event.samples >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted("vae", run=folder / "run", callbacks=[fail], save_every=1e-9)
    assert len(read_log(folder / "run")) > 3
    # back to a checkpoint that is a few steps older
    for damaged in (folder / "run" / "state").glob("*"):
        newest = max(folder.glob("run/state/*"))
        if damaged == newest:
            damaged.write_bytes(damaged.read_bytes()[:-100])
    fitted("vae", resume=folder / "run")
    same_run(whole["vae"], folder / "run")


def test_a_checkpoint_of_another_layout_is_refused_and_kept(
    whole: dict[str, Path], folder: Path
) -> None:
    shutil.copytree(whole["vae"], folder / "run")
    checkpoints = Checkpoints(folder / "run")
    newest = max((folder / "run" / "state").glob("*"))
    for other in (folder / "run" / "state").glob("*"):
        if other != newest:
            other.unlink()
    old = checkpoints.newest()
    old["networks"]["encoder.layers.weight"] = old["networks"].pop(next(iter(old["networks"])))
    checkpoints.save(old, int(newest.stem))
    with pytest.raises(pf.BadRun, match="other tensors"):
        fitted("vae", resume=folder / "run", epochs="+1")
    same(checkpoints.newest()["networks"], old["networks"])


# -------------------------------------------------------------------------------------------- kills


class _Moments:
    """Counts steps begun, files synced and files renamed; kills the process at the chosen one."""

    def __init__(self, fatal: int) -> None:
        self.left = fatal
        sync, rename, play = os.fsync, os.replace, Loop._play_step

        def fsync(handle: int) -> None:
            if (
                self.left == 1
                and os.fstat(handle).st_size > 100
                and os.get_inheritable(handle) is False
                and _is_file(handle)
            ):
                os.truncate(handle, os.fstat(handle).st_size // 2)  # half written
            self.tick()
            sync(handle)

        def replace(old: Any, new: Any) -> None:
            self.tick()
            rename(old, new)
            self.tick()

        def step(loop: Loop, raw: Batch) -> None:
            self.tick()
            play(loop, raw)
            self.tick()

        os.fsync, os.replace, Loop._play_step = fsync, replace, step  # type: ignore[assignment, method-assign]

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _is_file(handle: int) -> bool:
    import stat

    return stat.S_ISREG(os.fstat(handle).st_mode) and not os.readlink(
        f"/proc/self/fd/{handle}"
    ).endswith(".jsonl")


def _child(order: dict[str, Any]) -> None:
    if order["fatal"]:
        _Moments(order["fatal"])
    run = Path(order["run"])
    begun = (run / "run.json").exists()
    if order.get("interrupt"):
        play = Loop._play_step

        def step(loop: Loop, raw: Batch) -> None:
            play(loop, raw)
            if loop.step == order["interrupt"]:
                os.kill(os.getpid(), signal.SIGINT)

        Loop._play_step = step  # type: ignore[method-assign]
    model = fitted(
        order["name"],
        **({"resume": run} if begun else {"run": run, "save_every": order["save_every"]}),
    )
    run.parent.mkdir(exist_ok=True)
    (run.parent / "reason").write_text(model.reason)


def serve() -> None:
    """Fork a child for every order (a line of JSON) and answer with how it ended."""
    torch.set_num_threads(1)
    import lightning_fabric  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _child(json.loads(line))
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Callable[..., int]]:
    """Runs a child with an order; returns its exit status."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(**order: Any) -> int:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield run
    process.stdin.close()
    process.stdout.close()
    process.wait()


@pytest.fixture(scope="module")
def apart(nursery: Callable[..., int]) -> Iterator[dict[str, Path]]:
    """The uninterrupted run of every recipe, by a child too: the run-time checks of the tests' own
    process draw from Python's global stream, which one of the recipes uses.
    """
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    for name in RECIPES:
        assert nursery(name=name, run=str(place / name / "run"), fatal=0, save_every=1e9) == 0
    yield {name: place / name / "run" for name in RECIPES}
    shutil.rmtree(place)


def _killed_again_and_again(
    name: str,
    kills: int,
    seed: int,
    run: Path,
    nursery: Callable[..., int],
    save_every: float = 1e-9,
) -> int:
    """Kill a fit `kills` times at random moments, then let it end; the number of kills."""
    chance, done = random.Random(seed), 0
    while done < kills:
        status = nursery(
            name=name, run=str(run), fatal=chance.randint(1, 60), save_every=save_every
        )
        if status == 0:  # the moment lay beyond the end
            break
        assert status == -signal.SIGKILL
        done += 1
        if (run / "model.safetensors").exists():
            pf.load(run)
    assert nursery(name=name, run=str(run), fatal=0, save_every=save_every) == 0
    return done


@pytest.mark.parametrize(("name", "seed"), [("vae", 1), ("gan", 2), ("autoencoder", 3)])
def test_killed_at_random_moments_the_result_is_the_same(
    name: str, seed: int, apart: dict[str, Path], folder: Path, nursery: Callable[..., int]
) -> None:
    done = _killed_again_and_again(name, 4, seed, folder / "run", nursery)
    assert done >= 3
    same_run(apart[name], folder / "run")


@pytest.mark.parametrize("fatal", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
def test_killed_at_each_of_the_first_moments(
    fatal: int, apart: dict[str, Path], folder: Path, nursery: Callable[..., int]
) -> None:
    """The writing of run.json, model.json and the first checkpoint:
    before, in the middle, after.
    """
    assert (
        nursery(name="vae", run=str(folder / "run"), fatal=fatal, save_every=1e-9)
        == -signal.SIGKILL
    )
    assert nursery(name="vae", run=str(folder / "run"), fatal=0, save_every=1e9) == 0
    same_run(apart["vae"], folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", list(RECIPES))
def test_killed_many_times(
    name: str, seed: int, apart: dict[str, Path], folder: Path, nursery: Callable[..., int]
) -> None:
    _killed_again_and_again(
        name, 12, 100 + seed, folder / "run", nursery, save_every=1e-9 if seed % 2 else 0.05
    )
    same_run(apart[name], folder / "run")


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_ctrl_c_saves_and_the_fit_goes_on_to_the_same_bits(
    name: str, apart: dict[str, Path], folder: Path, nursery: Callable[..., int]
) -> None:
    assert nursery(name=name, run=str(folder / "run"), fatal=0, interrupt=7, save_every=1e9) == 0
    assert (folder / "reason").read_text() == "interrupted"
    assert read_log(folder / "run")[-1]["reason"] == "interrupted"
    pf.load(folder / "run")
    assert state(folder / "run")["step"] == 8
    assert nursery(name=name, run=str(folder / "run"), fatal=0, save_every=1e9) == 0
    assert (folder / "reason").read_text() == "budget"
    same_run(apart[name], folder / "run")


def test_the_recipes_use_what_they_claim() -> None:
    """Guards the tests above: every recipe's noise, order and augmentation matter."""
    assert all(
        a.name in {m.name for m in Augment.members.values()}
        for a in pf.Trainer(**RECIPES["autoencoder"][2]).augment or ()
    )
    one, two = fitted("vae", epochs=1), fitted("vae", epochs=1, seed=4)
    assert not torch.equal(one.encoder.network.heads.weight, two.encoder.network.heads.weight)
    assert int(fitted("autoencoder", samples=80).seen) >= 80


if __name__ == "__main__":
    serve()


# begun with, resumed with, what to do instead; 120 rows in batches of 40
SPENT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"steps": 9},
        {"steps": 4},
        r"is at step 9, already past 4 steps; pass steps='\+4' to go on for 4 more",
    ),
    ({"epochs": 3}, {"epochs": 1}, r"past 1 epochs; pass epochs='\+1' to go on"),
    ({"samples": 360}, {"samples": 80}, r"past 80 samples; pass samples='\+80'"),
    (
        {"epochs": 3},
        {"steps": 4},
        r"past 4 steps; pass steps=13 to go on for 4 more",
    ),
    ({"steps": 9}, {"epochs": 0.5}, r"past 0.5 epochs; pass epochs=3.5 to go on"),
    ({"steps": 9}, {"minutes": 1e-9}, r"past 1e-09 minutes; pass minutes="),
]


@pytest.mark.parametrize(("begun", "given", "message"), SPENT, ids=str)
def test_a_budget_that_is_spent_already_is_refused_and_nothing_is_changed(
    begun: dict[str, Any], given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    x = _points()[:120]
    _vae().fit(x, by=pf.Trainer(batch=40, run=tmp_path / "run", **begun))
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(pf.InvalidValue, match=message):
        _vae().fit(x, by=pf.Trainer(resume=tmp_path / "run", **given))
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before
    # the same budget is no error: there is nothing left to do
    _vae().fit(x, by=pf.Trainer(resume=tmp_path / "run", **begun))


def test_a_trained_run_without_its_state_is_not_begun_again(tmp_path: Path) -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "x.npy", x.numpy())
    model = pf.VAE(latent=1, hidden=(4,))
    pf.Experiment(model, str(tmp_path / "x.npy"), fitter={"epochs": 2, "batch": 16}).run(
        tmp_path / "run"
    )
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run" / "state")
    with pytest.raises(pf.BadRun, match="no state to resume from"):
        pf.experiments.resume(tmp_path / "run", budget={"epochs": "+1"})
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights
