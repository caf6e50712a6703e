"""Exact resume over every registered learner, network and hack,
in the memory formats they really have.

A checkpoint holds every tensor contiguous; the weights of the convolutional networks are not. What
comes back must be laid out as the weights are, or fused kernels pair it with other numbers.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.events import CancelToken, Event
from pushforward.core.fused_adam import FusedAdam, is_dense, match_layout
from pushforward.core.phase import adam, adamw, rmsprop, sgd
from pushforward.fitting.checkpoint import Checkpoints
from tests.tiny_learners import MODELS, all_are_here, conditions, data, images

SHORT: dict[str, Any] = {"steps": 4, "batch": 16, "seed": 5}
FULL: dict[str, Any] = {**SHORT, "ema": 0.8, "accumulate": 2, "clip": 0.5, "augment": ["flip"]}
"""Everything that has a state or a shape of its own: an average, pieces, clipping."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class _After:
    """Asks the fit to stop, by a token or a signal, at the first report after so many steps."""

    def __init__(
        self, steps: int, token: CancelToken | None = None, number: signal.Signals | None = None
    ) -> None:
        self.steps, self.token, self.number = steps, token, number

    def __call__(self, event: Event, model: Any) -> None:
        if type(event).__name__ == "Progress" and event.samples >= self.steps * 16:
            if self.token:
                self.token.cancel()
            if self.number:
                os.kill(os.getpid(), self.number)
                self.number = None


def _fit(name: str, **settings: Any) -> Any:
    return MODELS[name]().fit(data(name), conditions(name), by=pf.Trainer(**settings))


def _stopped_and_resumed(name: str, run: Path, at: int = 2, **settings: Any) -> Any:
    token = CancelToken()
    _fit(name, run=run, token=token, callbacks=[_After(at, token)], **settings)
    assert Checkpoints(run).newest()["step"] == at
    return _fit(name, resume=run)


def _equal(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> None:
    assert list(one) == list(two)
    for key in one:
        assert torch.equal(one[key], two[key]), key


def test_nothing_that_is_registered_is_missing() -> None:
    all_are_here()


@pytest.mark.parametrize("name", list(MODELS))
def test_a_stopped_fit_goes_on_to_the_same_bits(name: str, folder: Path) -> None:
    whole = _fit(name, **SHORT)
    _equal(whole.state_dict(), _stopped_and_resumed(name, folder / "run", **SHORT).state_dict())


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        *(("dcgan", text) for text in ("adam", "adamw", "sgd(momentum=0.9)", "rmsprop")),
        ("gan", "adam"),
        ("r3gan", "adamw"),
    ],
)
def test_with_an_average_pieces_clipping_and_any_optimizer(
    name: str, optimizer: str, folder: Path
) -> None:
    settings = {**FULL, "optimizers": dict.fromkeys(("critic", "generator"), optimizer)}
    whole = _fit(name, **settings)
    _equal(whole.state_dict(), _stopped_and_resumed(name, folder / "run", **settings).state_dict())


def test_going_back_after_divergence_uses_the_same_state(folder: Path) -> None:
    """The good state that a rollback returns to comes from the file too."""
    settings = {**FULL, "on_divergence": "rollback", "evaluate_every": 0.34}
    whole = _fit("dcgan", run=folder / "whole", **settings)
    resumed = _stopped_and_resumed("dcgan", folder / "run", **settings)
    _equal(whole.state_dict(), resumed.state_dict())


def test_a_longer_budget_equals_one_long_run(folder: Path) -> None:
    whole = _fit("dcgan", **{**FULL, "steps": None, "epochs": 4})
    _fit("dcgan", run=folder / "run", **{**FULL, "steps": None, "epochs": 2})
    _equal(whole.state_dict(), _fit("dcgan", resume=folder / "run", epochs="+2").state_dict())


def test_ctrl_c_saves_what_goes_on_to_the_same_bits(folder: Path) -> None:
    whole = _fit("dcgan", **FULL)
    _fit("dcgan", run=folder / "run", callbacks=[_After(2, number=signal.SIGINT)], **FULL)
    assert Checkpoints(folder / "run").newest()["step"] < 4
    _equal(whole.state_dict(), _fit("dcgan", resume=folder / "run").state_dict())


KILLED = ("dcgan", "gan", "r3gan", "vae")


def test_killed_after_the_second_checkpoint(folder: Path) -> None:
    """SIGKILL, in children of a process of their own."""
    ended = subprocess.run(
        [sys.executable, "-m", __name__, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(KILLED)
    for name in KILLED:
        assert Checkpoints(folder / name).newest()["step"] == 2
        _equal(_fit(name, **FULL).state_dict(), _fit(name, resume=folder / name).state_dict())


def _be_killed(folder: Path) -> None:
    torch.set_num_threads(1)
    for name in KILLED:
        child = os.fork()
        if child == 0:
            saved: list[Event] = []

            def count(event: Event, model: Any, saved: list[Event] = saved) -> None:
                saved += [event] if type(event).__name__ == "Saved" else []
                if len(saved) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            _fit(name, run=folder / name, save_every=1e-9, callbacks=[count], **FULL)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


# ------------------------------------------------------------------------------------ the optimiser


LAYOUTS = {
    "channels last": lambda: torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last),
    "transposed": lambda: torch.randn(6, 4).t(),
    "permuted": lambda: torch.randn(2, 3, 4, 5).permute(3, 1, 0, 2),
    "one channel": lambda: torch.randn(4, 1, 3, 3).to(memory_format=torch.channels_last),
    "with gaps": lambda: torch.randn(4, 8)[:, ::2],
    "scalar": lambda: torch.randn(()),
    "contiguous": lambda: torch.randn(4, 3),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize(
    "make", [adam(0.1), adamw(0.1), sgd(0.1, momentum=0.9), rmsprop(0.1)], ids=str
)
def test_moments_come_back_in_the_layout_of_their_parameter(make: Any, layout: str) -> None:
    torch.manual_seed(0)
    start = LAYOUTS[layout]()
    gradients = [torch.randn(start.shape) for _ in range(4)]

    def moved(value: Tensor, reload_at: int | None) -> Tensor:
        parameter = torch.nn.Parameter(value)
        optimizer = make.build([parameter])
        for step, gradient in enumerate(gradients):
            if step == reload_at:
                stored = optimizer.state_dict()
                for part in stored["state"].values():
                    part.update(
                        {
                            k: v.clone(memory_format=torch.contiguous_format)
                            for k, v in part.items()
                            if isinstance(v, Tensor)
                        }
                    )
                optimizer = make.build([parameter])
                optimizer.load_state_dict(stored)
                match_layout(optimizer)
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
            optimizer.step()
        return parameter.detach()

    contiguous = moved(start.clone(memory_format=torch.contiguous_format), None)
    assert torch.allclose(moved(start.clone(), None), contiguous, rtol=1e-5, atol=1e-6)
    assert torch.allclose(moved(start.clone(), 2), contiguous, rtol=1e-5, atol=1e-6)


def test_the_fused_step_mends_moments_that_were_put_in_by_hand() -> None:
    start = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    one, two = (
        torch.nn.Parameter(start.clone().to(memory_format=f))
        for f in (torch.contiguous_format, torch.channels_last)
    )
    for parameter in (one, two):
        optimizer = FusedAdam([parameter], 0.1, (0.9, 0.999), 1e-8)
        parameter.grad = torch.empty_like(parameter).copy_(start.sin())
        mean, square = start.cos(), start.square()
        optimizer.state[parameter] = {
            "step": torch.tensor(3.0),
            "exp_avg": mean,
            "exp_avg_sq": square,
        }
        optimizer.step()
    assert torch.allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_parameter_with_gaps_is_not_given_to_the_fused_kernel() -> None:
    parameter = torch.nn.Parameter(torch.randn(4, 8)[:, ::2])
    assert not is_dense(parameter)
    assert not isinstance(adam().build([parameter]), FusedAdam)


# ------------------------------------------------------------------------------- other runs' states


OTHERS: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "seed": ("dcgan", {"seed": 6}, 48, "another seed: '6', not '5'"),
    "data": ("dcgan", {}, 47, "the data differ"),
    "batch": ("dcgan", {"batch": 8}, 48, "another batch: '8', not '16'"),
    "model": ("gan-dcgan", {}, 48, "another model: 'GAN', not 'DCGAN'"),
    "settings": ("dcgan", {"clip": 0.1}, 48, "another clip"),
}


@pytest.mark.parametrize("what", list(OTHERS))
def test_another_runs_state_is_refused_by_name(what: str, folder: Path) -> None:
    name, settings, rows, message = OTHERS[what]
    _fit("dcgan", run=folder / "run", **SHORT)
    MODELS[name]().fit(
        data(name)[:rows], by=pf.Trainer(run=folder / "other", **{**SHORT, **settings})
    )
    shutil.rmtree(folder / "run" / "state")
    shutil.copytree(folder / "other" / "state", folder / "run" / "state")
    with pytest.raises(pf.BadRun, match=message):
        _fit("dcgan", resume=folder / "run", steps="+1")


def test_other_held_out_data_are_refused(folder: Path) -> None:
    _fit("vae-mlp", run=folder / "run", held_out=pf.read(images(20)), **SHORT)
    with pytest.raises(pf.BadRun, match="held-out data differ"):
        _fit("vae-mlp", resume=folder / "run", held_out=pf.read(images(19)), steps="+1")
    _fit("vae-mlp", resume=folder / "run", held_out=pf.read(images(20)), steps="+1")


def test_a_state_of_the_same_model_with_other_arguments_is_refused(folder: Path) -> None:
    _fit("vae-mlp", run=folder / "run", **SHORT)
    pf.VAE(latent=3, network="mlp(hidden=(8,))", objective="elbo(beta=4.0)").fit(
        images(), by=pf.Trainer(run=folder / "other", **SHORT)
    )
    shutil.rmtree(folder / "run" / "state")
    shutil.copytree(folder / "other" / "state", folder / "run" / "state")
    with pytest.raises(pf.BadRun, match="another model's objective"):
        _fit("vae-mlp", resume=folder / "run", steps="+1")


if __name__ == "__main__":
    _be_killed(Path(sys.argv[1]))
