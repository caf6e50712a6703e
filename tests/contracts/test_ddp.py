"""Two processes on one machine (gloo): every process ends with the same bits, each draws its own
noise, and without noise the result is the one-process one.

All fits are made in one launch by torchrun of this very file;
the tests then look at what every process left behind.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.events import CancelToken
from pushforward.core.phase import Batch, Phase, Step, Terms, play_together
from pushforward.core.registry import register
from pushforward.fitting.loop import Loop
from tests.tiny_learners import LEARNERS, conditions, data


class _Normed(nn.Module):
    """A network with batch norm: buffers that every forward pass changes."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.norm, self.body = nn.BatchNorm1d(width), body

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.body(self.norm(x.flatten(1)), y)


@register("test_normed_gan")
class NormedGAN(pf.GAN):
    """Batch norm in both players."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        self.generator = _Normed(self.generator, self.latent)
        self.critic = _Normed(self.critic, self.event_size())


@register("test_simultaneous_gan")
class SimultaneousGAN(pf.GAN):
    """Both gradients at the same parameters."""

    def phases(self) -> list[Phase]:
        return play_together(*super().phases())


@register("test_broken_autoencoder")
class BrokenAutoencoder(pf.Autoencoder):
    """A term that is not finite on the second process alone, without a gradient."""

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        terms = super().squared_error(batch, step)
        bad = step.samples >= 200 and os.environ.get("RANK", "0") == "1"
        return Terms(
            error=terms["error"],
            other=torch.full((len(batch.x),), float("inf") if bad else 0.0, dtype=batch.x.dtype),
        )


def _data() -> Tensor:
    return torch.randn(130, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


SHORT: dict[str, Any] = {"epochs": 3, "batch": 20, "precision": "64-true"}

FITS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "vae": (
        lambda: pf.VAE(latent=2, hidden=(8,)),
        {**SHORT, "ema": 0.9, "held_out": 0.2, "keep_best": True},
    ),
    "gan": (lambda: pf.GAN(latent=2, hidden=(8,), critic_steps=2), {**SHORT, "accumulate": 2}),
    "normed": (
        lambda: NormedGAN(
            latent=2, hidden=(8,), critic_steps=2, penalties=("r1", "gradient_penalty")
        ),
        {**SHORT, "accumulate": 2, "ema": 0.9, "held_out": 0.3, "patience": 9},
    ),
    "simultaneous": (lambda: SimultaneousGAN(latent=2, hidden=(8,), game="hinge"), SHORT),
    "autoencoder": (
        lambda: pf.Autoencoder(latent=2, hidden=(8,), activation="tanh"),
        {**SHORT, "clip": 1.0, "accumulate": 2},
    ),
    "single": (
        lambda: pf.VAE(latent=2, hidden=(8,)),
        {"steps": 12, "batch": 20, "precision": "bf16-mixed"},
    ),
}
WEIGHTED = "autoencoder"
TINY = ("pix2pix", "vgan", "lapgan", "srgan")
"""Models of images, with several batch norms and calls of a network in one step."""
FITS |= {name: (LEARNERS[name], {"steps": 12, "batch": 8}) for name in TINY}


def fit(name: str, **more: Any) -> tuple[Any, str]:
    make, settings = FITS[name]
    trainer = pf.Trainer(**more) if "resume" in more else pf.Trainer(**{**settings, **more})
    weights = torch.arange(130) % 4 if name == WEIGHTED else None
    x, y = (data(name), conditions(name)) if name in TINY else (_data(), None)
    model = make().fit(x, y, weights=weights, by=trainer)
    return model, model.fit_result.reason


def work(folder: Path) -> None:
    """What every process does."""
    rank = int(os.environ["RANK"])
    noise: list[Tensor] = []
    play = Loop._play_step

    def listening(loop: Loop, raw: Batch) -> None:
        play(loop, raw)
        noise.append(loop.streams.noise.get_state().double())

    for name in FITS:
        noise.clear()
        Loop._play_step = listening  # type: ignore[method-assign]
        model, _ = fit(name, run=folder / name)
        Loop._play_step = play  # type: ignore[method-assign]
        save_file(
            {
                "noise": torch.stack(noise),
                **{k: v.contiguous() for k, v in model.state_dict().items()},
            },
            folder / f"{name}{rank}.safetensors",
        )

    def stop(loop: Loop, raw: Batch) -> None:
        play(loop, raw)
        if loop.step >= 6 and rank == 0:
            loop.token.cancel()

    for name in ("vae", "normed"):
        Loop._play_step = stop  # type: ignore[method-assign]
        token = CancelToken()
        fit(name, run=folder / f"{name}-again", token=token)
        Loop._play_step = play  # type: ignore[method-assign]
        seen = len(list((folder / f"{name}-again" / "state").glob("*")))
        model, reason = fit(name, resume=folder / f"{name}-again")
        save_file(dict(model.state_dict()), folder / f"{name}-again{rank}.safetensors")
        (folder / f"{name}-again{rank}.txt").write_text(f"{token.cancelled} {seen} {reason}")
    try:
        BrokenAutoencoder(latent=2, hidden=(8,)).fit(_data(), by=pf.Trainer(**SHORT))
    except pf.Diverged as error:
        (folder / f"broken{rank}.txt").write_text(str(error))


def _port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT", "MASTER_ADDR")
    }
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}


@pytest.fixture(scope="module")
def left() -> Iterator[Path]:
    """The folder with what two processes left behind."""
    with tempfile.TemporaryDirectory(
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    ) as place:
        launch = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node=2",
            f"--master_port={_port()}",
        ]
        ended = subprocess.run(
            [*launch, __file__, place],
            capture_output=True,
            text=True,
            timeout=240,
            env=_environment(),
            check=False,
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        yield Path(place)


def _of_both(left: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return load_file(left / f"{name}0.safetensors"), load_file(left / f"{name}1.safetensors")


@pytest.mark.parametrize("name", list(FITS))
def test_all_processes_end_with_the_same_bits_and_their_own_noise(name: str, left: Path) -> None:
    one, two = _of_both(left, name)
    noise, other = one.pop("noise"), two.pop("noise")
    assert len(noise) > 10
    assert not bool((noise == other).all(1).any())
    assert one.keys() == two.keys()
    for key in one:
        assert torch.equal(one[key], two[key]), key
    assert pf.load(left / name).fitted


@pytest.mark.parametrize("name", list(FITS))
def test_the_networks_have_learnt(name: str, left: Path) -> None:
    fresh, _ = fit(name, steps=1, **({"epochs": None} if "epochs" in FITS[name][1] else {}))
    then, now = dict(fresh.state_dict()), _of_both(left, name)[0]
    for key in then:
        if key.endswith("weight"):
            assert not torch.allclose(then[key], now[key], atol=1e-6), key


def test_without_noise_two_processes_end_as_one(left: Path) -> None:
    """Weights included: they are averaged over all processes, not within each."""
    alone, _ = fit("autoencoder")
    two, _ = _of_both(left, "autoencoder")
    for key, value in alone.state_dict().items():
        assert torch.allclose(value, two[key], rtol=0, atol=1e-5), key


@pytest.mark.parametrize("name", ["vae", "normed"])
def test_resumed_by_two_processes_the_result_is_the_same(name: str, left: Path) -> None:
    assert (left / f"{name}-again0.txt").read_text() == "True 1 budget"
    whole, _ = _of_both(left, name)
    for part in _of_both(left, f"{name}-again"):
        for key in part:
            assert torch.equal(whole[key], part[key]), key


def test_a_bad_term_on_one_process_stops_all_with_its_name(left: Path) -> None:
    for rank in (0, 1):
        assert (
            (left / f"broken{rank}.txt")
            .read_text()
            .startswith("term 'other' of phase 'autoencoder' became infinite")
        )


def test_a_run_of_two_processes_is_not_resumed_by_one(left: Path) -> None:
    with pytest.raises(pf.BadRun, match="was made by 2 processes, now there are 1"):
        pf.VAE(latent=2, hidden=(8,)).fit(_data(), by=pf.Trainer(resume=left / "vae"))


SCRIPT = """
import sys, torch, pushforward as pf
torch.set_num_threads(1)
x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
trainer = pf.Trainer(steps=4, batch=16, devices=2, strategy={strategy!r})
first = pf.GAN(latent=2, hidden=(4,)).fit(x, by=trainer)
again = pf.Trainer(steps=4, batch=16, devices=2, strategy={strategy!r}, start=first)
second = pf.GAN(latent=2, hidden=(4,)).fit(x, by=again)
import os
from safetensors.torch import save_file
save_file(dict(second.state_dict()), sys.argv[1] + "/" + os.environ["LOCAL_RANK"])
"""


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("auto", marks=pytest.mark.slow)])
def test_the_trainer_launches_the_processes_itself(strategy: str, tmp_path: Path) -> None:
    """Two fits in a row, the second from the first."""
    (tmp_path / "script.py").write_text(SCRIPT.format(strategy=strategy))
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=_environment(), check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    one, two = load_file(tmp_path / "0"), load_file(tmp_path / "1")
    for key in one:
        assert torch.equal(one[key], two[key]), key


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(Path(sys.argv[1]))
