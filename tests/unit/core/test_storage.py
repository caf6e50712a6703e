"""A model on disk: whole or refused, with the reason and the cure."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core import folders, storage


@pytest.fixture
def run(tmp_path: Path) -> Path:
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    pf.VAE(latent=2, hidden=(8,)).fit(x, by=pf.Trainer(epochs=1, batch=32)).save(tmp_path / "run")
    return tmp_path / "run"


def truncate(run: Path) -> None:
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(run: Path) -> None:
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("owned"),))


def put_a_pickle(run: Path) -> None:
    (run / "model.safetensors").write_bytes(pickle.dumps(Hostile()))


def put_a_torch_pickle(run: Path) -> None:
    torch.save({"a": torch.zeros(2)}, run / "model.safetensors")


def edit(run: Path, **changes: Any) -> None:
    path = run / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "damaged"),
        (flip_a_bit, "changed after it was written"),
        (put_a_pickle, "pickle"),
        (put_a_torch_pickle, "pickle"),
        (lambda run: (run / "model.safetensors").unlink(), "missing"),
        (lambda run: (run / "model.json").unlink(), "not a run folder"),
        (lambda run: (run / "model.json").write_text("{"), "damaged"),
        (lambda run: (run / "model.json").write_text("[]"), "does not describe a model"),
        (lambda run: edit(run, format=99), "newer than 2"),
        (lambda run: edit(run, hyperparameters={"latent": 3}), "changed after it was written"),
    ],
)
def test_damage_is_named(
    run: Path, spoil: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    spoil(run)
    with pytest.raises(pf.BadRun, match=message):
        pf.load(run)
    assert not (run.parent / "owned").exists(), "a pickle was executed"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(pf.BadRun, match="does not exist"):
        pf.load(tmp_path / "nothing")


def test_tensors_of_another_model_are_refused(run: Path, tmp_path: Path) -> None:
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    pf.VAE(latent=5, hidden=(8,)).fit(x, by=pf.Trainer(epochs=1, batch=32)).save(tmp_path / "other")
    (run / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(pf.BadRun, match="do not belong together"):
        pf.load(run)


def test_a_failed_write_leaves_the_old_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run / "model.safetensors").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "fsync", full)
    with pytest.raises(pf.BadRun, match="No space left"):
        storage.write_tensors(run / "model.safetensors", {"a": torch.ones(3)})
    assert (run / "model.safetensors").read_bytes() == before
    assert not list(run.glob(".*tmp"))


def test_tensors_that_share_memory_are_stored_apart(tmp_path: Path) -> None:
    x = torch.arange(6.0)
    storage.write_tensors(tmp_path / "a.safetensors", {"a": x, "b": x[:3], "c": x.reshape(2, 3).T})
    back, _ = storage.read_tensors(tmp_path / "a.safetensors")
    assert torch.equal(back["b"], x[:3])
    assert torch.equal(back["c"], x.reshape(2, 3).T)


def test_the_description_says_what_and_with_which_versions(run: Path) -> None:
    content = json.loads((run / "model.json").read_text())
    assert content["model"] == "vae"
    assert content["hyperparameters"]["latent"] == 2
    release, _, _ = torch.__version__.partition("+")  # some builds' metadata leave the rest out
    assert content["versions"]["torch"].partition("+")[0] == release


def test_a_model_shares_no_memory_with_the_tensors_it_is_restored_from(tmp_path: Path) -> None:
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    pf.GMM(2).fit(x).save(tmp_path / "run")
    model, whole = storage.construct(tmp_path / "run"), pf.load(tmp_path / "run")
    tensors, _ = storage.read_tensors(tmp_path / "run" / "model.safetensors")
    model.restore(tensors)
    for tensor in tensors.values():
        tensor.zero_()
    assert torch.equal(model.log_prob(x), whole.log_prob(x))
