"""pix2pix against its paper: what each player minimises, what the critic sees, noise, colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.data.colours import rgb_to_lab
from pushforward.fitting.augment import Flip, Jitter

X = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))
Y = X.mean(1, keepdim=True)


def fitted(x: Tensor = X, y: Tensor = Y, **settings: Any) -> pf.Pix2Pix:
    return pf.Pix2Pix(width=4, **settings).fit(x, y, steps=2, batch=4, quiet=True)


def step() -> Step:
    return Step(rng=torch.Generator().manual_seed(1))


def batch_of(model: pf.Pix2Pix, n: int = 4) -> Batch:
    return Batch(model.scaling(X[:n]).float(), model.conditions(Y[:n], n))


def critic_sees(model: pf.Pix2Pix) -> list[tuple[Any, ...]]:
    """What the critic is called with from now on."""
    calls: list[tuple[Any, ...]] = []
    model.critic.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    return calls


def test_the_paper_is_the_default() -> None:
    model = pf.Pix2Pix()
    assert (model.weight, model.dropout, model.conditional) == (100, 0.5, True)
    jitter, flip = model.augmentations(pf.Arrays(X).space)
    assert isinstance(jitter, Jitter)
    assert isinstance(flip, Flip)
    assert jitter.scale == 286 / 256
    assert model.default_fitter().batch == 1
    assert str(model.optimizer) == "adam(rate=0.0002, beta1=0.5)"


def test_the_critic_judges_patches_of_70_pixels_and_the_u_net_ends_in_one() -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    model = pf.Pix2Pix(width=2).fit(x, x[:, :1], steps=1, batch=2, quiet=True)
    strides = [m.stride[0] for m in model.critic.modules() if isinstance(m, nn.Conv2d)]
    assert strides == [2, 2, 2, 1, 1]
    assert len(model.generator.down) == 6


def test_the_players_losses_by_hand() -> None:
    model = fitted(weight=10.0, dropout=0.0)
    batch = batch_of(model)
    made = model.generator(batch.y)
    real, fake = model.critic(batch.x, batch.y), model.critic(made, batch.y)
    critic = model.critic_loss(batch, step())["critic"]
    by_hand = nn.functional.softplus(-real) + nn.functional.softplus(fake)
    torch.testing.assert_close(critic.mean(), by_hand.mean())
    terms = model.generator_loss(batch, step())
    torch.testing.assert_close(terms["generator"].mean(), nn.functional.softplus(-fake).mean())
    torch.testing.assert_close(terms["absolute"], 10 * (made - batch.x).abs())
    assert set(terms) == {"generator", "absolute"}
    assert set(fitted(weight=0.0).generator_loss(batch, step())) == {"generator"}


def test_l1_alone_has_no_critic() -> None:
    model = fitted(game="none")
    assert list(model.networks) == ["generator"]
    assert set(model.generator_loss(batch_of(model), step())) == {"absolute"}
    assert not hasattr(model, "critic")


def test_games_and_penalties_are_values() -> None:
    squares = fitted(game="least_squares", dropout=0.0)
    batch = batch_of(squares)
    fake = squares.critic(squares.generator(batch.y), batch.y)
    loss = squares.generator_loss(batch, step())["generator"]
    torch.testing.assert_close(loss.mean(), (fake - 1).square().mean() / 2)
    assert loss.mean() != nn.functional.softplus(-fake).mean()
    penalised = fitted(penalties=["r1(gamma=2.0)"])
    assert "r1" in penalised.critic_loss(batch_of(penalised), step())


def test_an_unconditional_critic_is_not_shown_the_condition() -> None:
    for conditional in (True, False):
        model = fitted(conditional=conditional)
        calls = critic_sees(model)
        model.critic_loss(batch_of(model), step())
        model.generator_loss(batch_of(model), step())
        shown = [len(inputs) > 1 and inputs[1] is not None for inputs in calls]
        assert shown
        assert all(shown) == any(shown) == conditional


def test_an_unconditional_critic_ignores_y_and_a_conditional_one_does_not() -> None:
    for conditional in (True, False):
        model = fitted(conditional=conditional)
        batch = batch_of(model)
        assert batch.y is not None
        made = model.generator(batch.y).detach()
        model.generator.forward = lambda y, made=made: made  # whatever the condition
        first, second = (
            model.critic_loss(Batch(batch.x, y), step())["critic"].mean()
            for y in (batch.y, batch.y.flip(0))
        )
        assert (float((first - second).detach().abs()) > 1e-7) == conditional


def test_dropout_is_on_in_use_and_can_be_left_out() -> None:
    model = fitted()
    first, second = model.translate(Y[:3], rng=0), model.translate(Y[:3], rng=1)
    assert not torch.equal(first, second)
    assert torch.equal(first, model.translate(Y[:3], rng=0))
    quiet = model.translate(Y[:3], using="mean")
    assert torch.equal(quiet, model.translate(Y[:3], rng=5, using="mean"))
    assert torch.equal(quiet, model.sample(3, Y[:3], using="mean"))
    assert not torch.equal(quiet, first)
    without = fitted(dropout=0.0)
    assert torch.equal(without.translate(Y[:3], rng=0), without.translate(Y[:3], rng=1))
    with pytest.raises(pf.InvalidValue, match="'ancestral' or 'mean'"):
        model.translate(Y[:3], using="truncated")
    assert not model.generator.training


def test_statistics_in_use_are_those_of_each_image_or_of_training() -> None:
    shifted = Y[:1] * 0.5 + 0.2
    own, kept = fitted(dropout=0.0), fitted(dropout=0.0, norm="batch")
    assert not [name for name, _ in own.generator.named_buffers()]
    assert [name for name, _ in kept.generator.named_buffers() if "running_mean" in name]
    for model in (own, kept):
        alone = model.translate(shifted)
        beside = model.translate(torch.cat([shifted, Y[3:5]]))[:1]
        torch.testing.assert_close(alone, beside)


def test_results_need_no_gradients_and_any_size() -> None:
    model = fitted()
    made = model.translate(torch.rand(1, 21, 30), rng=0)
    assert made.shape == (3, 21, 30)
    assert not made.requires_grad
    with pytest.raises(pf.InvalidValue, match="at least 9 pixels a side, got 8x30"):
        model.translate(torch.rand(1, 8, 30))
    with pytest.raises(pf.ShapeMismatch):
        model.translate(torch.rand(2, 16, 16))


def test_vitals_say_how_much_images_vary() -> None:
    vitals = fitted().vitals(batch_of(fitted(), 12), rng=0)
    assert vitals["variation"] > 0
    assert 0 <= vitals["accuracy"] <= 1
    assert fitted(dropout=0.0).vitals(batch_of(fitted()), rng=0)["variation"] == 0


# ------------------------------------------------------------------------------------------- in Lab


def test_coloured_greys_keep_their_lightness(tmp_path: Path) -> None:
    levels = (X * 255).round().to(torch.uint8)
    source = pf.read(levels, y="lightness")
    model = pf.Pix2Pix(width=4, colours="lab").fit(source, steps=3, batch=4, quiet=True)
    y = source.take(torch.arange(12)).y
    assert y is not None
    made = model.translate(y, rng=0)
    assert made.shape == X.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 255
    given = rgb_to_lab((y / 255).double().expand(-1, 3, -1, -1))[:, 0]
    assert float((rgb_to_lab(made.double() / 255)[:, 0] - given).abs().max()) < 0.05
    assert float(rgb_to_lab(made.double() / 255)[:, 1:].abs().max()) > 1
    truth = rgb_to_lab(levels.double() / 255)[:, 0]
    assert float((given - truth).abs().max()) < 0.6  # of one level of grey
    model.save(tmp_path / "run")
    assert torch.equal(pf.load(tmp_path / "run").translate(y, rng=0), made)


def test_networks_see_lab_as_in_the_paper() -> None:
    model = fitted(colours="lab", dropout=0.0)
    calls = critic_sees(model)
    batch = batch_of(model)
    terms = model.generator_loss(batch, step())
    made, condition = calls[-1]
    assert made.shape == (4, 2, 16, 16)
    lab = rgb_to_lab(X[:4].double())
    grey = rgb_to_lab(Y[:4].double().expand(-1, 3, -1, -1))
    torch.testing.assert_close(condition.double(), grey[:, :1] / 50 - 1, atol=1e-4, rtol=0)
    error = 100 * (made.double() - lab[:, 1:] / 110).abs()
    torch.testing.assert_close(terms["absolute"].double(), error, atol=1e-2, rtol=0)


# -------------------------------------------------------------------------------------- as classes


def label_maps() -> tuple[Any, Tensor]:
    """Side-by-side images: a photograph and its map of three colours in squares of four pixels."""
    rng = torch.Generator().manual_seed(3)
    colours = torch.tensor([[0, 48, 252], [252, 80, 1], [250, 240, 4]], dtype=torch.uint8)
    number = torch.randint(3, (12, 4, 4), generator=rng)
    number = number.repeat_interleave(4, 1).repeat_interleave(4, 2)
    maps = colours[number].movedim(-1, 1)
    noise = torch.randint(-20, 21, maps.shape, generator=rng)
    photos = (maps.to(torch.int64) // 2 + 60 + noise).to(torch.uint8)
    return pf.read(torch.cat([photos, maps], 3), y="labels(side='left', maps='right')"), maps


def test_label_maps_are_made_by_their_classes(tmp_path: Path) -> None:
    source, maps = label_maps()
    model = pf.Pix2Pix(width=4, colours="classes", game="none", dropout=0.0)
    model.fit(source, steps=120, batch=6, seed=0, optimizers={"generator": "adam(rate=0.005)"})
    y = source.take(torch.arange(12)).y
    assert y is not None
    made = model.translate(y, rng=0)
    palette = {tuple(c) for c in maps.movedim(1, -1).reshape(-1, 3).tolist()}
    assert {tuple(c) for c in made.movedim(1, -1).reshape(-1, 3).tolist()} <= palette
    assert float((made == maps).all(1).float().mean()) > 0.9
    model.save(tmp_path / "run")
    assert torch.equal(pf.load(tmp_path / "run").translate(y, rng=0), made)


def test_networks_see_a_plane_for_each_class() -> None:
    source, maps = label_maps()
    model = pf.Pix2Pix(width=4, colours="classes", weight=10.0, dropout=0.0)
    model.fit(source, steps=1, batch=4, quiet=True)
    rows = source.take(torch.arange(4))
    batch = Batch(model.scaling(rows.x.float()).float(), model.conditions(rows.y, 4))
    calls = critic_sees(model)
    model.critic_loss(batch, step())
    real, made = (torch.cat([call[0] for call in calls])[part] for part in (slice(4), slice(4, 8)))
    palette = torch.tensor(source.space.extra["palette"])
    for k, colour in enumerate(palette):
        has = (maps[:4] == colour[:, None, None]).all(1)
        assert torch.equal(real[:, k], torch.where(has, 1.0, -1.0))
    logits = 8 * model.generator(batch.y)
    torch.testing.assert_close(made, 2 * logits.softmax(1) - 1)
    number = real.argmax(1)
    by_hand = -10 * logits.log_softmax(1).gather(1, number[:, None])[:, 0]
    terms = model.generator_loss(batch, step())
    torch.testing.assert_close(terms["cross_entropy"], by_hand)


def test_classes_need_label_maps() -> None:
    with pytest.raises(pf.InvalidKind, match="makes label maps, whose colours are known"):
        fitted(colours="classes")


# ------------------------------------------------------------------------------------ what does not


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"game": "none", "weight": 0}, "leaves nothing to learn"),
        ({"weight": -1.0}, "weight must be finite and not below 0"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"critic_layers": 6}, r"must lie in 0\.\.5"),
        ({"colours": "hsv"}, "'rgb', 'lab' or 'classes'"),
        ({"penalties": "r1"}, r"penalties=\['r1'\]"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        pf.Pix2Pix(**settings)


def test_what_cannot_be_translated_is_refused() -> None:
    with pytest.raises(pf.InvalidValue, match=r"needs images of at least 32 pixels"):
        fitted(critic_layers=3)
    with pytest.raises(pf.InvalidValue, match="conditions of the size of the images, 16x16"):
        fitted(y=Y[:, :, ::2, ::2])
    with pytest.raises(pf.InvalidKind, match="got images without conditions"):
        pf.Pix2Pix(width=4).fit(X, steps=1, batch=4, quiet=True)
    with pytest.raises(pf.InvalidKind, match="but its conditions are label"):
        pf.Pix2Pix(width=4).fit(X, ["a", "b"] * 6, steps=1, batch=4, quiet=True)
    with pytest.raises(pf.InvalidValue, match="conditions of 1, got 3 from 3"):
        fitted(y=X, colours="lab")
    with pytest.raises(pf.NotFitted, match="not fitted yet"):
        pf.Pix2Pix().translate(Y)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_condition_that_is_not_finite_is_refused(value: float) -> None:
    x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    model = pf.Pix2Pix(width=4).fit(x, x, steps=1, batch=4, quiet=True)
    y = x[:2].clone()
    y[1, 0, 3, 3] = value
    for ask in (lambda: model.translate(y), lambda: model.sample(2, y=y)):
        with pytest.raises(pf.PushforwardError, match=r"missing|infinite"):
            ask()
