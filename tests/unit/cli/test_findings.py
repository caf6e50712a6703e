"""What fit, evaluate and compare say of poor results, and the command that comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf


def test_compare_and_evaluate_say_it(tmp_path: Path, cli: Any) -> None:
    place = tmp_path / "run"
    pf.GAN(latent=2, hidden=(4,)).fit("moons:200", steps=2, batch=20, run=place)
    for command in (("compare", "moons:60", place), ("evaluate", place, "--data", "moons:60")):
        done = cli(*command)
        assert done.code == 0, done.err
        assert "recall is 0." in done.err
        assert f"next: pushforward resume {place} --steps 1000" in done.err.replace("\n", " ")


@pytest.mark.parametrize("form", ["csv", "latex"])
def test_tables_for_papers_stay_tables(form: str, tmp_path: Path, cli: Any) -> None:
    place = tmp_path / "run"
    pf.GAN(latent=2, hidden=(4,)).fit("moons:200", steps=2, batch=20, run=place)
    assert "recall is" not in cli("compare", "moons:60", place, "--table", form).out


def test_fit_says_that_a_bandwidth_blurs_groups(tmp_path: Path, cli: Any) -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(300, 2, generator=stream) + 9.0 * (torch.arange(300) % 2)[:, None]
    np.save(tmp_path / "x.npy", x.numpy())
    done = cli("fit", "kde", tmp_path / "x.npy", "--run", tmp_path / "run")
    assert "too smooth" in done.err
    assert "--bandwidth likelihood" in done.err.replace("\n", " ")
