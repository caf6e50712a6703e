"""The worked examples: models that a user could write in one file
of at most sixty lines, fitted, resumed, saved and sampled.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.registry import catalogue
from pushforward.core.storage import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def images(n: int = 48, size: int = 32) -> Tensor:
    return torch.randint(
        0, 256, (n, 1, size, size), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )


def points(n: int = 48) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1))


MODELS: dict[str, tuple[Callable[[Any], Any], Callable[[], tuple[Tensor, Tensor | None]]]] = {
    "translation": (lambda m: m.Enlarger(width=4), lambda: (images(), images()[:, :, ::2, ::2])),
    "bigan": (lambda m: m.BiGAN(hidden=8), lambda: (points(), None)),
    "levels": (lambda m: m.Pyramid(), lambda: (images(size=16), None)),
}


@pytest.fixture
def example() -> Iterator[Callable[[str], Any]]:
    """The module of an example, whose models are registered for the length of a test."""
    before = dict(catalogue)

    def loaded(name: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield loaded
    catalogue.clear()
    catalogue.update(before)


def test_every_example_is_tested_and_short() -> None:
    assert set(MODELS) == set(NAMES)
    for name in NAMES:
        assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 60, name


@pytest.mark.parametrize("name", NAMES)
def test_examples_learn_resume_to_the_bit_and_come_back(
    name: str, example: Any, tmp_path: Path
) -> None:
    module = example(name)
    make, data = MODELS[name]
    (x, y), settings = data(), {"batch": 16, "ema": 0.9, "accumulate": 2}
    whole = make(module).fit(x, y, by=pf.Trainer(steps=8, run=tmp_path / "whole", **settings))
    make(module).fit(x, y, by=pf.Trainer(steps=4, run=tmp_path / "half", **settings))
    make(module).fit(x, y, by=pf.Trainer(steps=8, resume=tmp_path / "half"))
    begun, ended = load(tmp_path / "whole"), load(tmp_path / "half")
    assert begun.state_dict().keys() == ended.state_dict().keys()
    for key, value in begun.state_dict().items():
        assert torch.equal(value, ended.state_dict()[key]), key
    n = 5
    asked = None if y is None else y[:n]
    drawn = begun.sample(n, y=asked, rng=0)
    assert drawn.shape == (n, *x.shape[1:])
    assert torch.allclose(drawn, whole.sample(n, y=asked, rng=0))
    assert not any(part.training for part in whole.modules())


def test_an_image_condition_reaches_every_network_in_its_own_shape(example: Any) -> None:
    model = example("translation").Enlarger(width=4)
    x = images()
    model.fit(x, x[:, :, ::2, ::2], by=pf.Trainer(steps=1, batch=16))
    assert model.conditions.shape == (1, 16, 16)
    assert model.conditions(x[:2, :, ::2, ::2], 2).abs().max() <= 1
    one = model.sample(3, y=x[:1, :, ::2, ::2])
    assert torch.equal(one[0], one[1])
    with pytest.raises(InvalidValue, match="y must have length 3, or 1 for all, got 2"):
        model.sample(3, y=x[:2, :, ::2, ::2])


def test_fixed_networks_stay_as_they_are(example: Any) -> None:
    """Neither steps, nor averages, nor modes, nor `requires_grad_` reach them;
    devices and types do.
    """
    model = example("levels").Pyramid()
    seen: list[tuple[bool, Tensor]] = []

    def look(event: Any, model: Any) -> None:
        seen.append((model.features.network.training, model.features.network.weight.clone()))

    model.fit(images(size=16), by=pf.Trainer(steps=3, batch=16, ema=0.5, callbacks=[look]))
    model.train().requires_grad_(True)
    assert torch.equal(seen[0][1], seen[-1][1])
    assert torch.equal(seen[0][1], model.features.network.weight)
    assert not model.features.network.weight.requires_grad
    assert not any(
        [
            *(training for training, _ in seen),
            model.features.training,
            model.features.network.training,
        ]
    )
    assert list(model.networks) == [
        f"levels.{i}.{n}" for i in range(2) for n in ("critic", "generator")
    ]
    assert "features.network.weight" in model.state_dict()
    assert model.double().features.network.weight.dtype == torch.float64


def test_a_fixed_network_that_is_known_by_name_is_not_stored() -> None:
    network = nn.BatchNorm1d(3)
    fixed = pf.Fixed(network, stored=False)
    assert not fixed.state_dict()
    assert not list(fixed.parameters())
    assert fixed.double().train()(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64
    assert int(network.num_batches_tracked) == 0
    x = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    fixed(x).sum().backward()
    assert x.grad is not None


def test_networks_that_overlap_or_do_not_exist_are_refused(example: Any) -> None:
    module = example("levels")

    class Overlapping(module.Pyramid):  # type: ignore[name-defined, misc]
        def phases(self) -> list[pf.Phase]:
            return [
                *super().phases(),
                pf.Phase("all", ("levels",), lambda b, s: self.loss(b, s, 0, True)),
            ]

    class Unknown(module.Pyramid):  # type: ignore[name-defined, misc]
        def phases(self) -> list[pf.Phase]:
            return [pf.Phase("more", ("levels.7.critic",), lambda b, s: self.loss(b, s, 0, True))]

    with pytest.raises(InvalidValue, match=r"'levels' and 'levels.0.critic' overlap"):
        Overlapping().fit(images(size=16), by=pf.Trainer(steps=1, batch=16))
    with pytest.raises(
        InvalidValue,
        match=r"phase 'more' names network 'levels.7.critic'; this model has levels, features",
    ):
        Unknown().fit(images(size=16), by=pf.Trainer(steps=1, batch=16))
