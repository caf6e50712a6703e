"""The 17 hacks: each changes what it says, at the one place it says, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.core.registry import read
from pushforward.densities.normals import Normal
from pushforward.models.deep.hacks import NOT_SWITCHES, Hack, list_hacks, read_hacks
from pushforward.objectives.games import FGAN, Game, Hinge, Minimax, NonSaturating

X = torch.randn(128, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(128) % 3
PLACES = [name for name in vars(Hack) if not name.startswith("_") and callable(getattr(Hack, name))]
ACTS = {
    "normalise": {"scaling", "squash"},
    "modified_loss": {"game"},
    "spherical_z": {"codes"},
    "batch_norm": {"generator", "critic"},
    "no_sparse_gradients": {"generator", "critic"},
    "soft_labels": {"game"},
    "replay": {"old"},
    "sgd_critic": {"critic_optimizer"},
    "labels": {"check", "conditioning"},
    "input_noise": {"show"},
    "more_critic_steps": {"critic_steps"},
    "batch_discrimination": {"trunk"},
    "embedded_conditions": {"check", "conditioning"},
    "dropout": {"generator"},
}


def fitted(*hacks: str, steps: int = 2, x: Tensor = X, y: Any = None, **arguments: Any) -> pf.GAN:
    settings = {"latent": 3, "hidden": (8, 8), "penalties": (), "activation": "relu", **arguments}
    return pf.GAN(**settings, hacks=list(hacks)).fit(
        x, y, by=pf.Trainer(steps=steps, batch=32, precision="64-true")
    )


def step(fraction: float = 0.0) -> Step:
    return Step(0, fraction, torch.Generator().manual_seed(0))


def losses(model: pf.GAN, fraction: float = 0.0) -> tuple[float, float]:
    batch = Batch(model.to_model(X[:16]))
    critic, player = (
        model.critic_loss(batch, step(fraction))["critic"],
        model.generator_loss(batch, step(fraction))["generator"],
    )
    return float(critic.detach().mean()), float(player.detach().mean())


def test_all_seventeen_are_listed_once() -> None:
    rows = list_hacks()
    assert [number for number, *_ in rows] == list(range(1, 18))
    assert len({name for _, name, *_ in rows}) == 17
    assert all(does for _, _, does, _ in rows)
    assert all(applies.startswith("n/a") for number, _, _, applies in rows if number in (7, 10, 11))
    assert "n/a on points" in rows[15][3]


@pytest.mark.parametrize("name", list(ACTS))
def test_each_acts_in_its_own_place_and_in_no_other(name: str) -> None:
    cls = Hack.members[name]
    assert {place for place in PLACES if getattr(cls, place) is not getattr(Hack, place)} == ACTS[
        name
    ]
    assert read(Hack, str(cls())) == cls()


def test_every_switch_is_covered_and_off_by_default() -> None:
    assert set(ACTS) == set(Hack.members)
    assert pf.GAN().hacks == pf.DCGAN().hacks == pf.R3GAN().hacks == ()


@pytest.mark.parametrize("name", [name for name, _, _ in NOT_SWITCHES.values()])
def test_what_is_no_switch_says_why(name: str) -> None:
    with pytest.raises(pf.InvalidValue, match="n/a"):
        read_hacks([name])


def test_contradictions_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="given twice"):
        read_hacks(["replay", "replay(capacity=3)"])
    with pytest.raises(pf.InvalidValue, match="choose one"):
        read_hacks(["labels", "embedded_conditions"])
    with pytest.raises(pf.InvalidValue, match=r"hacks is a list.*\['replay'\]"):
        pf.GAN(hacks="replay")


def test_normalise_brings_data_and_samples_to_minus_one_to_one() -> None:
    model = fitted("normalise")
    u = model.to_model(X)
    assert (float(u.min()), float(u.max())) == (pytest.approx(-1), pytest.approx(1))
    made = model.push(100 * torch.randn(50, 3, dtype=torch.float64))
    assert float(made.detach().abs().max()) <= 1
    twice = pf.DCGAN(latent=2, width=2, hacks=["normalise"]).fit(
        torch.rand(32, 1, 8, 8), by=pf.Trainer(steps=1, batch=16)
    )
    z = torch.randn(3, 2)
    assert torch.equal(twice.push(z), twice.generator(z)), (
        "a network that ends in tanh gets no second one"
    )


def test_the_modified_loss_is_the_non_saturating_one() -> None:
    hack = read(Hack, "modified_loss")
    assert hack.game(Minimax()) == NonSaturating()
    assert hack.game(FGAN("js")) == FGAN("js", non_saturating=True)
    with pytest.raises(pf.InvalidValue, match="leave this hack out"):
        hack.game(Hinge())
    model = fitted("modified_loss", game="minimax")
    assert (str(model.game), str(model.adversary.game)) == ("minimax", "non_saturating")


def test_spherical_codes_lie_on_the_sphere_and_straight_paths_become_great_circles() -> None:
    codes = read(Hack, "spherical_z").codes(torch.randn(50, 3, dtype=torch.float64))
    assert torch.allclose(codes.norm(dim=1), torch.full((50,), 3**0.5, dtype=torch.float64))
    model, z = fitted("spherical_z"), torch.randn(2, 3, dtype=torch.float64)
    assert torch.allclose(model.decode(z), model.decode(7 * z))
    on_line, on_arc = (pf.interpolate(z[0], z[1], 9, along=along) for along in ("line", "sphere"))
    arc = read(Hack, "spherical_z").codes(on_arc)
    normal_to_plane = torch.linalg.cross(arc[0], arc[-1])
    assert float((read(Hack, "spherical_z").codes(on_line) @ normal_to_plane).abs().max()) < 1e-12


def test_batch_norm_is_in_both_players() -> None:
    model = fitted("batch_norm")
    assert [
        sum(isinstance(m, nn.BatchNorm1d) for m in n.modules())
        for n in (model.generator, model.critic)
    ] == [2, 1]
    z = torch.randn(4, 3, dtype=torch.float64)
    assert torch.allclose(model.decode(z)[:1], model.decode(z[:1])), (
        "one code alone is decoded as among others"
    )


def test_no_sparse_gradients_leaves_no_unit_without_one() -> None:
    model = fitted("no_sparse_gradients")
    kinds = [type(m) for n in (model.generator, model.critic) for m in n.modules()]
    assert nn.ReLU not in kinds
    assert kinds.count(nn.LeakyReLU) == 4
    assert nn.ReLU in [type(m) for m in fitted().generator.modules()]


def test_soft_labels_by_hand() -> None:
    """With labels in one point the loss is the cross-entropy;
    spread out, its mean is that of the mean label.
    """
    c = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    hack, d = (
        read(Hack, "soft_labels(real=(0.9, 0.9), fake=(0.2, 0.2), flip=0.0)"),
        torch.sigmoid(c),
    )
    expected = -(0.9 * d.log() + 0.1 * (1 - d).log()) - (0.2 * d.log() + 0.8 * (1 - d).log())
    assert torch.allclose(hack.game(NonSaturating()).critic(c, c, rng=0), expected)
    many = torch.full((100_000,), 0.7, dtype=torch.float64)
    noisy = read(Hack, "soft_labels(flip=0.0)").game(NonSaturating()).critic(many, many, rng=0)
    mean = NonSaturating().labelled(many[:1], torch.tensor(0.95)) + NonSaturating().labelled(
        many[:1], torch.tensor(0.15)
    )
    assert float(noisy.mean()) == pytest.approx(float(mean), abs=2e-3)
    flipped = read(Hack, "soft_labels(flip=0.25)").game(NonSaturating()).critic(many, -many, rng=0)
    real, fake = 0.95 * 0.75 + 0.15 * 0.25, 0.15 * 0.75 + 0.95 * 0.25
    both = NonSaturating().labelled(many[:1], torch.tensor(real)) + NonSaturating().labelled(
        -many[:1], torch.tensor(fake)
    )
    assert float(flipped.mean()) == pytest.approx(float(both), abs=4e-3)


@pytest.mark.parametrize("name", ["non_saturating", "least_squares"])
def test_hard_labels_are_the_game_itself(name: str) -> None:
    game, real, fake = (
        read(Game, name),
        torch.randn(20, dtype=torch.float64),
        torch.randn(20, dtype=torch.float64),
    )
    assert torch.allclose(
        game.labelled(real, torch.ones(())) + game.labelled(fake, torch.zeros(())),
        game.critic(real, fake),
    )


def test_games_without_labels_refuse_soft_ones() -> None:
    with pytest.raises(
        pf.InvalidValue, match="'hinge' has no labels to soften; games that have: non_saturating"
    ):
        fitted("soft_labels", game="hinge")


def test_replay_mixes_old_samples_into_the_critics_batch_only() -> None:
    model = fitted("replay(capacity=64, share=0.25)", steps=4)
    assert int(model.old.count) == 128
    batch = Batch(model.to_model(X[:16]))
    rows = model.fake_rows(batch, step())
    x, z = rows.x, rows.z
    fresh = model.push(model.prior(16).rsample(rng=step().rng))
    assert torch.equal(x[:12], fresh[4:])
    assert z is None
    held = model.old.held()[0]
    assert all(bool((held == row).all(1).any()) for row in x[12:])
    assert losses(model)[1] == losses_without(model)


def losses_without(model: pf.GAN) -> float:
    """The generator's loss as it is with nothing remembered."""
    model.share = 0.0
    return losses(model)[1]


def test_sgd_moves_the_critic_and_adam_the_generator() -> None:
    assert [str(p.optimizer) for p in fitted("sgd_critic(rate=0.03)").phases()] == [
        "sgd(rate=0.03)",
        "adam(rate=0.0002, beta1=0.5)",
    ]
    assert [str(p.optimizer) for p in fitted().phases()] == ["adam(rate=0.0002, beta1=0.5)"] * 2


def test_labels_are_used_or_asked_for() -> None:
    model = fitted("labels", y=Y)
    batch = Batch(model.to_model(X[:16]), model.to_condition(Y[:16], 16))
    assert "labels" in model.critic_loss(batch, step())
    with pytest.raises(pf.InvalidValue, match="needs data with labels"):
        fitted("labels")


def test_input_noise_falls_to_nothing_over_the_budget() -> None:
    hack, x = read(Hack, "input_noise(sigma=0.5)"), torch.zeros(20_000, dtype=torch.float64)
    assert float(hack.show(x, step()).std()) == pytest.approx(0.5, rel=0.03)
    assert float(hack.show(x, step(0.8)).std()) == pytest.approx(0.1, rel=0.03)
    assert torch.equal(hack.show(x, step(1.0)), x)
    model = fitted("input_noise(sigma=0.5)")
    noisy, plain = losses(model), losses(model, 1.0)
    assert all(a != b for a, b in zip(noisy, plain))


def test_the_critic_is_trained_more() -> None:
    assert [p.every for p in fitted("more_critic_steps").phases()] == [1, 5]
    assert [p.every for p in fitted("more_critic_steps(steps=2)", critic_steps=3).phases()] == [
        1,
        3,
    ]


def test_batch_discrimination_makes_the_critic_see_the_batch() -> None:
    model, plain = fitted("batch_discrimination"), fitted()
    x = torch.randn(6, 3, dtype=torch.float64)
    alike = torch.cat([x[:1], x[:1].expand(5, -1)])
    assert not torch.allclose(
        model.adversary.judge(model.critic, x, None).output[:1],
        model.adversary.judge(model.critic, alike, None).output[:1],
    )
    assert torch.allclose(
        plain.adversary.judge(plain.critic, x, None).output[:1],
        plain.adversary.judge(plain.critic, alike, None).output[:1],
    )


def test_embedded_conditions_enter_images_as_channels() -> None:
    x = torch.rand(128, 1, 8, 8, dtype=torch.float64)
    model = fitted("embedded_conditions", x=x, y=Y, network="dcgan(width=2)")
    assert model.critic.layers[0].in_channels == 1 + 3
    assert model.critic.embedding.weight.shape == (3, 3)
    with pytest.raises(pf.InvalidValue, match="n/a on points"):
        fitted("embedded_conditions", y=Y)


def test_dropout_in_the_generator_draws_when_sampling_and_only_then() -> None:
    model, z = fitted("dropout"), torch.zeros(400, 3, dtype=torch.float64)
    assert len(model.decode(z).unique(dim=0)) == 1
    assert len(model.decode(z, rng=0).unique(dim=0)) > 20
    assert torch.equal(model.sample(9, rng=1), model.sample(9, rng=1))
    before = torch.random.get_rng_state()
    model.sample(9, rng=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not any(isinstance(m, nn.Dropout) for m in model.critic.modules())


def test_dropout_in_the_generator_is_off_after_a_draw_and_on_in_what_is_trained() -> None:
    model = fitted("dropout")
    layers = [m for m in model.generator.modules() if isinstance(m, nn.Dropout)]
    model.sample(9, rng=1)
    assert layers
    assert not any(layer.training for layer in layers)
    batch = Batch(torch.zeros(400, 3, dtype=torch.float64))
    with pytest.MonkeyPatch.context() as patch:  # every code is the same
        patch.setattr(
            model, "prior", lambda n: Normal(torch.zeros(n, 3), torch.full((n, 3), -99.0))
        )
        assert len(model.generate(batch, 0).unique(dim=0)) > 20


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    from pushforward.cli.main import main

    assert main(["hacks", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, 18))
    assert [line["number"] for line in lines if not line["switch"]] == [7, 10, 11]
    assert main(["hacks"]) == 0
    assert "soft_labels" in capsys.readouterr().out
