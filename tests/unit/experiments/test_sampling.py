"""Samples of a run from Python: those that the command writes, under conditions of every form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.argument_names import arguments_named, keyword
from pushforward.experiments import OpenedRun
from pushforward.experiments.sampling import condition_rows, sample


def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], tmp_path: Path
) -> None:
    samples = sample(opened("faces"), y=["a", "b", "b"], seed=3)
    command("sample", opened("faces").folder, "--y", "a,b,b", "--seed", 3, "--out", "s.npz")
    with np.load(tmp_path / "s.npz") as written:
        assert np.array_equal(written["x"], np.round(samples.x.numpy()).astype(written["x"].dtype))
        assert written["label"].tolist() == ["a", "b", "b"]
    assert samples.y is not None
    assert samples.y.tolist() == [0, 1, 1]


def test_one_condition_is_that_of_all_samples(opened: Callable[[str], OpenedRun]) -> None:
    run = opened("faces")
    some = sample(run, 5, y="b", seed=1)
    assert some.y is not None
    assert some.y.tolist() == [1] * 5
    assert torch.equal(some.x, sample(run, 5, y=["b"] * 5, seed=1).x)
    assert len(sample(run, y="b").x) == 64


def test_several_conditions_are_repeated_in_turn(opened: Callable[[str], OpenedRun]) -> None:
    codes, n = condition_rows(opened("faces").model, ["a", "b"], 5)
    assert n == 5
    assert codes is not None
    assert codes.tolist() == [0, 1, 0, 1, 0]


def test_an_archive_gives_its_labels_or_the_array_that_is_named(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], tmp_path: Path
) -> None:
    faces = opened("faces")
    images = np.zeros((3, 1, 6, 6))
    np.savez(tmp_path / "c.npz", x=images, y=["b", "a", "b"], other=["a", "a", "a"])
    for address, codes in (("c.npz", [1, 0, 1]), ("c.npz:other", [0, 0, 0])):
        samples = sample(faces, y=tmp_path / address)
        assert samples.y is not None
        assert samples.y.tolist() == codes
        written = f"{codes[0]}.npz"
        command("sample", faces.folder, "--y", address, "--out", written)
        with np.load(tmp_path / written) as archive:
            assert archive["label"].tolist() == ["ab"[code] for code in codes]


def test_numbers_and_files_of_numbers_are_conditions(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 2, generator=generator), torch.randn(40, 2, generator=generator)
    pf.VAE(latent=1, hidden=(4,)).fit(x, y, steps=2, batch=16).save(tmp_path / "run")
    run = pf.experiments.open_run(tmp_path / "run")
    rows = np.array([[0.5, 1.0], [2.0, -1.0]], dtype=np.float32)
    np.save(tmp_path / "y.npy", rows)
    one, of_file = sample(run, 3, y=[0.5, 1.0]), sample(run, y=tmp_path / "y.npy")
    assert one.y is not None
    assert one.y.tolist() == [[0.5, 1.0]] * 3
    assert of_file.y is not None
    assert of_file.y.tolist() == rows.tolist()
    assert torch.equal(sample(run, y=torch.from_numpy(rows)).x, of_file.x)


def test_errors_name_arguments_as_the_caller_knows_them(
    opened: Callable[[str], OpenedRun],
) -> None:
    with arguments_named(keyword):
        with pytest.raises(pf.InvalidValue, match=r"^y='c' is none of the labels"):
            sample(opened("faces"), y="c")
        with pytest.raises(pf.InvalidValue, match="leave y out"):
            sample(opened("pca"), y=1.0)
        with pytest.raises(pf.InvalidValue, match=r"^n must be at least 1, got 0; pass n=64, say"):
            sample(opened("pca"), 0)
        with pytest.raises(pf.InvalidValue, match="pass y with one of: a, b"):
            sample(opened("faces"))


def test_an_open_run_is_its_folder_and_its_model(opened: Callable[[str], OpenedRun]) -> None:
    run = opened("gmm")
    assert repr(run) == f"OpenedRun({str(run.folder)!r}: {run.model!r})"
    assert "manifest" not in repr(run).lower()
