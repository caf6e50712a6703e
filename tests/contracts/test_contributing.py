"""CONTRIBUTING's worked examples are real models:
the very text is run, and compared with what is known exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core import registry
from pushforward.core.capabilities import capabilities

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def run(name: str, blocks: list[str], folder: Path) -> dict[str, Any]:
    """The names that the code of an example defines, run in a fresh folder."""
    names: dict[str, Any] = {"__name__": name}
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in blocks:
            exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The examples' models are registered for the length of this module only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_models", dict(registry._models))
        yield


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The flow."""
    return run("affine_flow", BLOCKS[:2], tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def adversarial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The GAN with two critics."""
    return run("two_critics", BLOCKS[2:], tmp_path_factory.mktemp("gan"))


def test_it_learns_the_maximum_likelihood_normal(example: dict[str, Any]) -> None:
    x, model = example["x"], example["model"]
    exact = pf.PCA().fit(x).log_prob(x).mean()
    assert float(exact - model.log_prob(x).detach().mean()) == pytest.approx(0, abs=0.02)


def test_it_saves_loads_and_samples(example: dict[str, Any]) -> None:
    x, model, again = example["x"], example["model"], example["again"]
    assert torch.equal(model.log_prob(x), again.log_prob(x))
    samples = again.sample(4000, rng=0)
    assert torch.allclose(samples.double().T.cov(), x.T.cov(), atol=0.25)


def test_its_capabilities_are_seen(example: dict[str, Any]) -> None:
    assert {"Samples", "HasDensity"} <= set(capabilities(example["model"]))


def test_the_gan_samples_each_condition(adversarial: dict[str, Any]) -> None:
    """N(0, .3² I) for label 0 and N((2, 2), .3² I) for label 1."""
    model = adversarial["model"]
    for label in (0, 1):
        samples = model.sample(2000, y=label, rng=0)
        assert torch.allclose(samples.mean(0), torch.full((2,), 2.0 * label), atol=0.25)
        assert 0.1 < float(samples.std(0).mean()) < 0.6
    assert "Samples" in capabilities(model)
    assert "HasDensity" not in capabilities(model)


def test_both_critics_of_the_gan_are_trained(adversarial: dict[str, Any]) -> None:
    model, x, y = (adversarial[name] for name in ("model", "x", "y"))
    assert list(model.networks) == ["critics", "generator"]
    untrained = adversarial["TwoCritics"]().fit(x, y, by=pf.Trainer(steps=1, seed=0))
    for before, after in zip(untrained.critics, model.critics, strict=True):
        assert not torch.allclose(before.layers[0].weight, after.layers[0].weight, atol=1e-2)


def test_the_gan_resumes_to_the_bit(adversarial: dict[str, Any], tmp_path: Path) -> None:
    x, y, make = (adversarial[name] for name in ("x", "y", "TwoCritics"))
    make().fit(x, y, by=pf.Trainer(steps=8, run=tmp_path / "whole", ema=0.9))
    make().fit(x, y, by=pf.Trainer(steps=4, run=tmp_path / "half", ema=0.9))
    make().fit(x, y, by=pf.Trainer(steps=8, resume=tmp_path / "half"))
    whole, half = pf.load(tmp_path / "whole").state_dict(), pf.load(tmp_path / "half").state_dict()
    assert whole.keys() == half.keys()
    assert all(torch.equal(value, half[key]) for key, value in whole.items())


def test_the_layers_it_shows_are_those_that_are_checked() -> None:
    shown = re.search(r"```\n(cli .*?)\n```", TEXT)
    assert shown is not None
    rooms = re.findall(r"\w+", shown.group(1))
    layers = (ROOT / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    others = ("__main__",)  # a module above all rooms
    assert [r for r in re.findall(r"\w+", layers) if r not in others] == rooms
