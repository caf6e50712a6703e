"""Checkpoints: what goes in comes out, and something whole is there at every moment."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import BadRun
from pushforward.fitting.checkpoint import Checkpoints, copy_tree, flatten, unflatten
from pushforward.fitting.log import Log
from pushforward.fitting.streams import restore_random_states, save_random_states

TREE = {
    "step": 3,
    "rate": 0.1,
    "worst": float("-inf"),
    "name": "é",
    "none": None,
    "on": True,
    "nested": {
        0: [torch.arange(3), (1, 2.5, torch.ones(2, 2, dtype=torch.float64))],
        "empty": {},
        "bytes": torch.zeros(0, dtype=torch.uint8),
    },
    "scalar": torch.tensor(2.0),
}


def _equal(one: object, two: object) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return (
            isinstance(two, dict)
            and list(one) == list(two)
            and all(_equal(one[k], two[k]) for k in one)
        )
    if isinstance(one, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(_equal, one, two))  # type: ignore[arg-type]
    return type(one) is type(two) and one == two


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    tensors, skeleton = flatten(TREE)
    assert _equal(unflatten(tensors, skeleton), TREE)
    Checkpoints(tmp_path).save(TREE, 10)
    assert _equal(Checkpoints(tmp_path).newest(), TREE)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a set at /a/0 cannot be stored"):
        flatten({"a": [{1, 2}]})


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for samples in (5, 50, 7, 900):
        checkpoints.save({"at": samples}, samples)
    assert sorted(p.name for p in (tmp_path / "state").iterdir()) == [
        "000000000000007.safetensors",
        "000000000000900.safetensors",
    ]
    assert checkpoints.newest() == {"at": 900}


def test_after_going_back_the_new_checkpoint_is_the_newest(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for samples in (10, 20, 30, 15):
        checkpoints.save({"at": samples}, samples)
    assert checkpoints.newest() == {"at": 15}


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"at": torch.ones(9)}, 1)
    path = checkpoints.save({"at": torch.zeros(9)}, 2)
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole[:-1] + b"\x01", b"", b"PK\x03\x04"):
        path.write_bytes(damaged)
        assert torch.equal(checkpoints.newest()["at"], torch.ones(9))
    (tmp_path / "state" / "000000000000001.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadRun):
        checkpoints.newest()


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).newest() is None


def test_a_copy_shares_no_memory() -> None:
    tree = {"a": [torch.zeros(2)]}
    copied = copy_tree(tree)
    tree["a"][0].add_(1)
    assert torch.equal(copied["a"][0], torch.zeros(2))


def test_random_states_go_back_to_the_bit() -> None:
    """Also in the middle of a pair of normal numbers, of which Python and NumPy keep the second."""
    stream = torch.Generator().manual_seed(1)
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.gauss(0, 1)
    np.random.randn()
    before = save_random_states(torch.device("cpu"), {"noise": stream})

    def draw() -> list[float]:
        numbers = [
            random.gauss(0, 1),
            random.random(),
            float(np.random.randn()),
            float(np.random.rand()),
        ]
        return [*numbers, float(torch.rand(())), float(torch.rand((), generator=stream))]

    first = draw()
    draw()
    restore_random_states(before, torch.device("cpu"), {"noise": stream})
    assert draw() == first
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    torch.set_rng_state(kept[2])


def test_the_log_is_on_disk_before_a_checkpoint_counts_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, save = Log.sync, Checkpoints.save

    def synced(self: Log) -> None:
        done.append("log")
        sync(self)

    def saved(self: Checkpoints, *arguments: Any) -> Path:
        done.append("checkpoint")
        return save(self, *arguments)

    monkeypatch.setattr(Log, "sync", synced)
    monkeypatch.setattr(Checkpoints, "save", saved)
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    by = pf.Trainer(steps=3, batch=16, run=tmp_path / "run", save_every=1e-9)
    pf.Autoencoder(latent=1, hidden=(4,)).fit(x, by=by)
    assert len(done) >= 4
    assert done == ["log", "checkpoint"] * (len(done) // 2)
