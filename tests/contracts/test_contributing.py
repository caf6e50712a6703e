"""CONTRIBUTING's worked example is a real model: the very text is run, and held to the closed form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.capabilities import capabilities

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the example's code leaves behind, run in a fresh folder."""
    define, use = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    names: dict[str, Any] = {"__name__": "affine_flow"}
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("example"))
        exec(compile(define, "CONTRIBUTING.md", "exec"), names)
        exec(compile(use, "CONTRIBUTING.md", "exec"), names)
    return names


def test_it_learns_the_maximum_likelihood_normal(example: dict[str, Any]) -> None:
    x, model = example["x"], example["model"]
    exact = pf.PCA().fit(x).log_prob(x).mean()
    assert float(exact - model.log_prob(x).detach().mean()) == pytest.approx(0, abs=0.02)


def test_it_saves_loads_and_samples(example: dict[str, Any]) -> None:
    x, model, again = example["x"], example["model"], example["again"]
    assert torch.equal(model.log_prob(x), again.log_prob(x))
    drawn = again.sample(4000, rng=0)
    assert torch.allclose(drawn.double().T.cov(), x.T.cov(), atol=0.25)


def test_its_promises_are_seen(example: dict[str, Any]) -> None:
    assert {"Samples", "HasDensity"} <= set(capabilities(example["model"]))


def test_the_layers_it_shows_are_those_that_are_checked() -> None:
    shown = re.search(r"```\n(cli .*?)\n```", TEXT)
    assert shown is not None
    rooms = re.findall(r"\w+", shown.group(1))
    layers = (Path(__file__).parents[2] / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    assert [r for r in re.findall(r"\w+", layers) if r != "studio"] == rooms
