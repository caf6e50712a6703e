"""LAPGAN: levels trained apart on real coarse images, and chained only in sampling."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.nets.pyramids import expand, shrink

SMALL: dict[str, Any] = {"latent": 3, "width": 4, "base": "mlp(hidden=(8,))"}


def _images(n: int = 32, shape: tuple[int, ...] = (3, 16, 12)) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))


def _fit(x: Tensor, y: Any = None, steps: int = 2, **settings: Any) -> pf.LAPGAN:
    model = pf.LAPGAN(**{**SMALL, **settings})
    return model.fit(x, y, steps=steps, batch=16, quiet=True)


@lru_cache(maxsize=1)
def _two_levels() -> pf.LAPGAN:
    """Fitted, with two levels above 4x3 pixels, never changed."""
    return _fit(_images(), depth=2)


def test_every_level_has_two_phases_the_coarsest_first() -> None:
    model = _two_levels()
    phases = model.phases()
    assert [p.name for p in phases] == [
        *("critic2", "generator2", "critic1", "generator1", "critic0", "generator0")
    ]
    assert phases[-1].networks == ("levels.0.generator",)
    assert str(phases[0].optimizer) == "adam(rate=0.0002, beta1=0.5)"
    assert str(phases[-1].optimizer) == "sgd(rate=0.02, momentum=0.5)"


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_level_is_trained_by_itself(k: int) -> None:
    """No other level has a part in its losses, whatever its weights are."""
    model = _fit(_images(), depth=2).train()
    batch = Batch(model.to_model(_images()))

    def losses() -> list[Tensor]:
        torch.manual_seed(0)
        phases = [p for p in model.phases() if p.name.endswith(str(k))]
        rng = torch.Generator().manual_seed(1)
        return [sum(p.loss(batch, Step(rng=rng)).values()).mean() for p in phases]  # type: ignore[misc]

    before = losses()
    for loss in losses():
        model.zero_grad()
        loss.backward()
        moved = {n for n, p in model.named_parameters() if p.grad is not None}
        assert moved
        assert all(name.startswith(f"levels.{k}.") for name in moved)
    with torch.no_grad():
        for other in {0, 1, 2} - {k}:
            for p in model.level(other).parameters():
                p.fill_(float("nan"))
    assert all(torch.equal(a, b) for a, b in zip(losses(), before))


def test_a_fit_moves_only_the_levels_that_are_played() -> None:
    """A rate of 0 for two levels leaves them as they began, and the third as in a usual fit."""
    still = {f"{who}{k}": "sgd(rate=0.0)" for who in ("critic", "generator") for k in (0, 2)}
    one = pf.LAPGAN(**SMALL, depth=2).fit(_images(), steps=3, batch=16, quiet=True)
    other = pf.LAPGAN(**SMALL, depth=2).fit(
        _images(), steps=3, batch=16, optimizers=still, quiet=True
    )
    a, b = one.state_dict(), other.state_dict()
    same = {n for n in a if torch.equal(a[n], b[n])}
    assert {n for n in a if n.startswith("levels.1.")} <= same
    assert not any(n.startswith(("levels.0.", "levels.2.")) for n in same)


def test_levels_are_chained_in_sampling() -> None:
    model = _two_levels()
    z = model.prior(4).sample(rng=0)
    coarse, middle, fine = model.stages(z)
    assert [x.shape[1:] for x in (coarse, middle, fine)] == [(3, 4, 3), (3, 8, 6), (3, 16, 12)]
    assert torch.equal(fine, model.decode(z))
    noise = model.prior(4).sample(rng=1)
    other = torch.cat([noise[:, :3], z[:, 3:]], 1)  # another coarsest image, the same noise maps
    for before, after in zip((coarse, middle, fine), model.stages(other)):
        assert not torch.allclose(before, after)
    last = torch.cat([z[:, : 3 + 8 * 6], noise[:, 3 + 8 * 6 :]], 1)
    changed = [not torch.equal(a, b) for a, b in zip((coarse, middle, fine), model.stages(last))]
    assert changed == [False, False, True], "the finest noise changes the finest images alone"


def test_stages_take_the_networks_as_sampling_does() -> None:
    model = _fit(_images(shape=(1, 16, 16)), base="dcgan(width=4)")
    z = model.prior(4).sample(rng=0)
    before = model.stages(z)
    assert model.train().stages(z)[-1].equal(before[-1]), "batch norm as fitted"


@pytest.mark.parametrize("level", [0, 1])
def test_residuals_follow_their_coarse_images(level: int) -> None:
    model, x = _two_levels(), _images(4)
    for _ in range(level):
        x = shrink(x)
    coarse, size = shrink(x), (x.shape[-2], x.shape[-1])
    detail = model.residuals(coarse, level=level, rng=0)
    assert detail.shape == x.shape
    assert torch.equal(detail, model.residuals(coarse, level=level, rng=0))
    assert not torch.allclose(detail, model.residuals(coarse.flip(0), level=level, rng=0))
    network = model.level(level).generator
    stream = torch.Generator().manual_seed(0)
    u = expand(model.scaling(coarse), size)
    z = 2 * torch.rand(4, 1, *size, generator=stream) - 1
    with torch.no_grad():
        expected = model.to_user(u + network(z, u)) - expand(coarse, size)
    torch.testing.assert_close(detail, expected, rtol=0, atol=1e-5)


def test_a_generator_blind_to_its_coarse_image_has_the_same_residuals_for_all() -> None:
    model, x = _fit(_images()), shrink(_images(4))
    with torch.no_grad():
        model.level(0).generator.layers[0].weight[:, 1:] = 0  # type: ignore[union-attr, index]
    one = model.residuals(x, rng=0)
    assert torch.allclose(one, model.residuals(x.flip(0), rng=0), atol=1e-6)


def test_labels_reach_every_level(tmp_path: Path) -> None:
    y = ["cat", "dog"] * 16
    model = _fit(_images(), y, depth=2)
    z = model.prior(2).sample(rng=0)
    cats, dogs = model.stages(z, y="cat"), model.stages(z, y="dog")
    assert all(not torch.allclose(a, b) for a, b in zip(cats, dogs))
    coarse = shrink(_images(2))
    one, other = (model.residuals(coarse, y, rng=0) for y in ("cat", "dog"))
    assert not torch.allclose(one, other)
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert torch.equal(again.sample(3, y="dog", rng=0), model.sample(3, y="dog", rng=0))


@pytest.mark.parametrize("base", ["dcgan(width=4)", "infogan(width=4)", "r3gan(width=8, blocks=1)"])
def test_the_coarsest_level_is_any_gan(base: str) -> None:
    game = {"game": "relativistic", "base_penalties": ["r1", "r2"]} if "r3gan" in base else {}
    model = _fit(_images(shape=(1, 16, 16)), torch.arange(32) % 2, base=base, **game)
    assert model.sample(2, y=1, rng=0).shape == (2, 1, 16, 16)
    assert str(model.hyperparameters()["base"]) == base


@pytest.mark.parametrize(("name", "held"), [("penalties", [0]), ("base_penalties", [1])])
def test_penalties_hold_at_their_levels(name: str, held: list[int]) -> None:
    model = _fit(_images(), game="wasserstein", **{name: ["clip(limit=0.01)"]})
    within = [
        k for k in (0, 1) if all(p.abs().max() <= 0.01 for p in model.level(k).critic.parameters())
    ]
    assert within == held


def test_a_dominant_critic_and_a_collapse_are_named() -> None:
    model = _two_levels()
    healthy = {"accuracy0": 0.6, "accuracy1": 0.7, "accuracy2": 0.7, "diversity": 0.9}
    assert not model.symptoms(healthy)
    (won,) = model.symptoms({**healthy, "accuracy1": 0.99})
    assert won.name == "the critic dominates"
    assert "level 1" in won.observed
    assert won.advice.startswith("penalties=")
    (base,) = model.symptoms({**healthy, "accuracy2": 0.99})
    assert "base_penalties=" in base.advice
    (flat,) = model.symptoms({**healthy, "diversity": 0.01})
    assert flat.name == "collapse"
    vitals = model.vitals(Batch(model.to_model(_images())), rng=0)
    assert {"accuracy0", "accuracy2", "diversity", "slope"} <= set(vitals)


REFUSED: list[tuple[dict[str, Any], tuple[int, ...], str]] = [
    ({"depth": 0}, (3, 16, 12), "depth must be above 0"),
    ({"depth": 6}, (3, 16, 12), "16x12 pixels can be halved 4 times, got depth=6"),
    (
        {"base": "dcgan"},
        (3, 8, 8),
        "the coarsest images have 4x4 pixels with depth=1, which dcgan networks do not make; use"
        " base='mlp'",
    ),
    (
        {"base": "dcgan", "depth": 2},
        (3, 16, 16),
        "4x4 pixels with depth=2, which dcgan networks do not make; use a smaller depth, or base=",
    ),
    ({"base": "nosuch"}, (3, 16, 12), "unknown adversaries 'nosuch'"),
    ({"penalties": "r1"}, (3, 16, 12), "penalties is a list"),
    ({}, (5,), "LAPGAN makes images, but the data are"),
]


@pytest.mark.parametrize(("settings", "shape", "message"), REFUSED)
def test_what_does_not_fit_is_one_line(
    settings: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(pf.PushforwardError, match=message):
        _fit(_images(shape=shape), **settings)


def test_coarse_images_of_another_size_are_refused() -> None:
    model = _two_levels()
    with pytest.raises(pf.ShapeMismatch, match="level 0 takes coarse images 3×8×6, got 3×16×12"):
        model.residuals(_images(2))
    with pytest.raises(pf.InvalidValue, match=r"level must lie in 0\.\.1, got 2"):
        model.residuals(_images(2), level=2)
    with pytest.raises(pf.InvalidKind, match="labels and points as conditions"):
        _fit(_images(), _images(), depth=1)
