"""SRResNet and SRGAN: factors, losses by hand, tiles, what starts from what, what is stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.argument_names import arguments_named, flag
from pushforward.core.errors import MissingExtra
from pushforward.core.phase import Batch, Step
from pushforward.core.registry import Value
from pushforward.data.resampling import enlarge, reduce
from pushforward.models.deep.srgan import SRGAN, _cut
from pushforward.models.parts import enlarger
from pushforward.nets.feature_networks import FeatureNetwork

SMALL: dict[str, Any] = {"width": 4, "blocks": 1}
CRITIC: dict[str, Any] = {"critic_width": 4, "critic_hidden": 8}


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    FeatureNetwork.members.pop("halves_of_a_test", None)


def stripes(n: int = 32, side: int = 24, seed: int = 0) -> Tensor:
    """Stripes of two grey levels: images (n, 1, side, side), bytes, whose edges can be restored."""
    stream = torch.Generator().manual_seed(seed)
    angle, phase = (torch.rand(n, 1, 1, generator=stream) * 6.28 for _ in range(2))
    down, right = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = (0.35 * (angle.cos() * down + angle.sin() * right) + phase).sin()
    return torch.where(wave > 0, 200, 50).to(torch.uint8)[:, None]


def fitted(model: Any, factor: int = 2, **settings: Any) -> Any:
    how = {"steps": 2, "batch": 8, "quiet": True, **settings}
    return model.fit(stripes(), y=f"low_resolution({factor})", **how)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_factor_is_that_of_the_spaces(factor: int, norm: str) -> None:
    model = fitted(pf.SRResNet(**SMALL, norm=norm), factor)
    assert model.factor == factor
    assert model.translate(255 * torch.rand(1, 5, 7)).shape == (1, 5 * factor, 7 * factor)
    assert model.translate(255 * torch.rand(2, 1, 6, 5)).shape == (2, 1, 6 * factor, 5 * factor)


def test_it_learns_more_than_bicubic_interpolation() -> None:
    x = stripes(128)
    model = pf.SRResNet(width=8, blocks=1, loss="squared").fit(
        x,
        y="low_resolution(4)",
        steps=100,
        batch=16,
        quiet=True,
        optimizers={"generator": "adam(rate=0.005)"},
    )
    new = stripes(32, seed=5)
    y = reduce(new, 4)
    made = model.translate(y.float())
    error = float((made - new).square().mean())
    assert error < 0.85 * float((enlarge(y, 4).float() - new.float()).square().mean())
    assert float(made.min()) >= 0
    assert float(made.max()) <= 255


def test_losses_of_an_srresnet_by_hand() -> None:
    for loss in ("squared", "absolute"):
        model = fitted(pf.SRResNet(**SMALL, loss=loss))
        x = model.to_model(stripes())
        y = model.conditions(reduce(stripes(), 2), 32)
        terms = model.generator_loss(Batch(x, y), Step())
        error = model.generator(y) - x
        expected = error.square() if loss == "squared" else error.abs()
        assert list(terms) == [loss]
        assert torch.equal(terms[loss], expected)


def test_losses_of_an_srgan_by_hand() -> None:
    class Halves(FeatureNetwork, name="halves_of_a_test"):
        def build(self) -> nn.Module:
            return nn.AvgPool2d(2)

    model = fitted(
        SRGAN(**SMALL, **CRITIC, features=Halves(), weight=0.5, perceptual=3.0, pixel=2.0)
    )
    x, y = model.to_model(stripes()), model.conditions(reduce(stripes(), 2), 32)
    made = model.generator(y)
    terms = model.generator_loss(Batch(x, y), Step(rng=torch.Generator().manual_seed(4)))
    score = model.critic(made).squeeze(1)
    game = model.game.generator(score, score)
    assert torch.allclose(terms["generator"], 0.5 * game, atol=1e-6)
    cut = _cut((x, made), torch.Generator().manual_seed(4))
    assert cut[0].shape[-2:] != x.shape[-2:]
    halves = [nn.functional.avg_pool2d((u + 1) / 2, 2) for u in cut]
    gap = (halves[1] - halves[0]).square() / halves[0].square().mean()
    assert torch.allclose(terms["perceptual"], 3 * gap, atol=1e-6)
    assert torch.allclose(terms["pixel"], 2 * (made - x).abs(), atol=1e-6)
    assert set(model.critic_loss(Batch(x, y), Step())) == {"critic"}


def test_images_are_cut_alike_at_places_of_the_grid_of_the_maps_that_differ() -> None:
    x = torch.arange(40 * 30.0).reshape(1, 1, 40, 30)
    rng = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(300):
        one, two = _cut((x, -x), rng)
        assert torch.equal(one, -two)
        assert one.shape == (1, 1, 33, 23)
        places.add((int(one[0, 0, 0, 0]) // 30, int(one[0, 0, 0, 0]) % 30))
    assert places == {(top, left) for top in range(8) for left in range(8)}
    assert _cut((x[..., :3, :3],), rng)[0].shape == (1, 1, 3, 3)


def test_the_feature_network_is_neither_trained_nor_stored(tmp_path: Path) -> None:
    built: list[nn.Module] = []

    class Counted(FeatureNetwork, name="halves_of_a_test"):
        def build(self) -> nn.Module:
            torch.manual_seed(1)
            built.append(nn.Conv2d(1, 2, 3))
            return built[-1]

    assert issubclass(Counted, Value)
    model = fitted(SRGAN(**SMALL, **CRITIC, features="halves_of_a_test"), run=tmp_path / "run")
    torch.manual_seed(1)
    untouched = nn.Conv2d(1, 2, 3)
    assert torch.equal(built[0].weight, untouched.weight)
    assert not any("maps" in name for name in model.state_dict())
    assert not any(p is built[0].weight for p in model.parameters())
    loaded = pf.load(tmp_path / "run")
    assert len(built) == 1, "use needs no feature network"
    y = 255 * torch.rand(1, 6, 6)
    assert torch.equal(loaded.translate(y), model.translate(y))


def test_an_srgan_starts_from_an_srresnet() -> None:
    first = fitted(pf.SRResNet(**SMALL))
    gan = SRGAN(**SMALL, **CRITIC, features="none")
    before = {k: v.clone() for k, v in first.generator.state_dict().items()}
    model = fitted(gan, start=first, optimizers={"generator": "adam(rate=0.0)"})
    for name, value in model.generator.state_dict().items():
        assert torch.equal(value, before[name])
    with pytest.raises(pf.InvalidValue, match="cannot start from this SRGAN: 'critic"):
        fitted(pf.SRResNet(**SMALL), start=model)
    with pytest.raises(pf.InvalidValue, match="cannot start from this SRResNet: 'generator"):
        fitted(SRGAN(width=5, blocks=1, features="none", **CRITIC), start=first)


def test_large_images_are_enlarged_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(pf.SRResNet(**SMALL, norm="batch"))
    y = 255 * torch.rand(1, 40, 61, generator=torch.Generator().manual_seed(0))
    whole, sizes = model.translate(y), []
    model.generator.register_forward_hook(lambda network, args, out: sizes.append(args[0].shape))
    tiled = model.translate(y, tile=16)
    assert len(sizes) == 3 * 4
    assert max(size[-1] for size in sizes) <= 16 + 2 * model.generator.reach
    assert float((tiled - whole).abs().max()) < 255 * 1e-5
    monkeypatch.setattr(enlarger, "ACTIVATIONS", 1)
    assert model.tile == enlarger.LEAST_TILE


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (stripes(), None, "low_resolution"),
        (stripes(), stripes()[..., ::5, ::5], "24x24 are conditioned on ones of 5x5"),
        (stripes(), stripes()[..., ::2, ::3], "24x24 are conditioned on ones of 12x8"),
        (stripes(), stripes(), "24x24 are conditioned on ones of 24x24"),
        (
            stripes().expand(-1, 3, -1, -1),
            stripes()[..., ::2, ::2],
            "channels of the images, 3, got 1",
        ),
        (torch.rand(32, 3), None, "got images without conditions"),
    ],
)
def test_data_that_do_not_fit(x: Tensor, y: Tensor | None, message: str) -> None:
    with pytest.raises(pf.PushforwardError, match=message) as error:
        pf.SRResNet(**SMALL).fit(x, y, steps=1, batch=8)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "layer"}, "norm must be 'none' or 'batch', got 'layer'"),
        ({"width": 0}, "width"),
        ({"weight": -1.0}, "weight must be finite and not below 0"),
        ({"penalties": "r1"}, "penalties is a list"),
        ({"features": "classifier(weights=a/b.pt)"}, "quote a text: 'a/b.pt'"),
        ({"features": "vgg"}, "unknown feature network 'vgg'; did you mean 'vgg19'"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        SRGAN(**arguments)


def test_a_run_to_start_from_is_opened_first() -> None:
    with pytest.raises(pf.InvalidKind, match=r"open a run: start=pf.load\('runs/first'\)"):
        pf.Trainer(start="runs/first")  # type: ignore[arg-type]


def test_another_loss_is_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="loss must be 'squared' or 'absolute', got 'l1'"):
        pf.SRResNet(loss="l1")  # type: ignore[arg-type]


def test_without_the_extra_it_is_said_what_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    x = torch.rand(8, 3, 16, 16)
    with arguments_named(flag), pytest.raises(MissingExtra) as raised:
        SRGAN(**SMALL, **CRITIC).fit(x, y="low_resolution(4)", steps=1, batch=4, quiet=True)
    assert "the perceptual loss of SRGAN needs" in str(raised.value)
    assert "[metrics]" in str(raised.value)
    assert str(raised.value).endswith("(or go without: --features none)")
