"""InfoGAN: what its code is, what L_I is, whom it moves, what is refused;
by hand or against a closed form.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.core.phase import Batch, Step
from pushforward.nets.critics import row_by_row
from pushforward.objectives.views import shared_information

X = torch.randn(128, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(128) % 3
IMAGES = torch.rand(64, 1, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fitted(steps: int = 3, x: Tensor = X, y: Any = None, **arguments: Any) -> pf.InfoGAN:
    settings = {"latent": 2, "categories": (4, 3), "continuous": 2, "hidden": (8, 8), **arguments}
    return pf.InfoGAN(**settings).fit(
        x, y, by=pf.Trainer(steps=steps, batch=32, precision="64-true")
    )


def step() -> Step:
    return Step(0, 0.0, torch.Generator().manual_seed(0))


def test_a_code_is_noise_then_categories_then_numbers() -> None:
    model = fitted()
    assert model.code_width == 2 + 7 + 2
    z = model.prior(5).rsample(rng=0)
    assert torch.equal(model.prior(5).rsample(rng=0), z)
    assert torch.isfinite(model.prior(5).log_prob(z)).all()
    assert model.decode(z).shape == (5, 3)
    with pytest.raises(
        pf.ShapeMismatch,
        match=(
            r"expected codes \(n, 11\): 2 of noise, 4\+3 of categories, 2 continuous; got shape"
            r" \(5, 2\)"
        ),
    ):
        model.decode(z[:, :2])


def test_narrow_noise_is_drawn_and_stored(tmp_path: Path) -> None:
    model = fitted(noise_scale=0.25)
    assert torch.allclose(
        model.prior(500).rsample(rng=0)[:, :2], 0.25 * fitted().prior(500).rsample(rng=0)[:, :2]
    )
    model.save(tmp_path / "model")
    again = pf.load(tmp_path / "model")
    assert again.noise_scale == 0.25
    assert torch.equal(again.sample(5, rng=0), model.sample(5, rng=0))
    with pytest.raises(pf.InvalidValue, match="noise_scale must be"):
        fitted(noise_scale=0.0)


def test_two_views_of_real_images_are_compared_by_their_categories() -> None:
    x, model = IMAGES, fitted(x=IMAGES, critic_augment=["flip"], view_weight=0.5, penalties=())
    given = Batch(model.to_model(x[:16]))
    rng = step()
    model.prior(16).rsample(rng=rng.rng)
    # of real images, of generated ones, of real ones again
    views = [model.adversary.show(given.x, rng) for _ in range(3)]
    logits = [model.critic(view)[-1] for view in (views[0], views[2])]
    expected = sum(
        shared_information(one, two)
        for one, two in zip(logits[0][:, :7].split([4, 3], 1), logits[1][:, :7].split([4, 3], 1))
    )
    terms = model.critic_loss(given, step())
    assert torch.allclose(terms["views"], -0.5 * expected)
    assert float(terms.logged["information_views"]) == pytest.approx(
        float(expected.detach().mean())
    )
    assert "views" not in model.generator_loss(given, step())
    assert "views" not in fitted(x=x, critic_augment=["flip"]).critic_loss(given, step())


def test_vitals_report_what_views_share() -> None:
    model = fitted(x=IMAGES, critic_augment=["flip(share=1.0)"], view_weight=0.5, penalties=())
    given, never = Batch(model.to_model(IMAGES[:16])), fitted(x=IMAGES, critic_augment=["flip"])
    with torch.no_grad():
        model.critic.heads[-1][-1].weight *= 20  # far from knowing nothing
        logits = model.critic(given.x.flip(-1))[-1][:, :7].split([4, 3], 1)
    expected = sum(float(shared_information(each, each).mean()) for each in logits)
    assert expected > 0.01
    assert model.vitals(given, rng=3)["information_views"] == pytest.approx(expected)
    assert "information_views" not in never.vitals(given, rng=3)


@pytest.mark.parametrize(
    "given", [{"critic_augment": ()}, {"critic_augment": ["flip"], "categories": ()}]
)
def test_views_take_changes_and_categories(given: dict[str, Any]) -> None:
    with pytest.raises(
        pf.InvalidValue,
        match=(
            r"view_weight=0.5 compares the categories of two views of an image, so it needs both"
        ),
    ):
        pf.InfoGAN(view_weight=0.5, **given)


def test_encode_gives_what_q_reads_in_the_same_layout() -> None:
    model = fitted()
    noise, (four, three), numbers = model.parts(model.encode(X))
    said = model.critic(model.to_model(X))[-1]
    assert torch.equal(noise, torch.zeros(128, 2, dtype=torch.float64))
    assert torch.allclose(four, said[:, :4].softmax(1))
    assert torch.allclose(three, said[:, 4:7].softmax(1))
    assert torch.equal(numbers, said[:, 7:9])
    assert torch.allclose(model.encode(X[:1]), model.encode(X)[:1])
    assert model.decode(model.encode(X)).shape == X.shape


def test_information_by_hand() -> None:
    """log Q + H: cross-entropies of the categories, a normal density of the numbers."""
    model = fitted()
    z = model.prior(6).rsample(rng=0)
    said = torch.randn(6, 7 + 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = model.information(said, z)
    entropy = torch.nn.CrossEntropyLoss(reduction="none")
    expected = math.log(12) - entropy(said[:, :4], z[:, 2:6]) - entropy(said[:, 4:7], z[:, 6:9])
    assert torch.allclose(found["categories"], expected)
    distribution = torch.distributions.Normal(said[:, 7:9], said[:, 9:11].exp())
    assert torch.allclose(
        found["continuous"], distribution.log_prob(z[:, 9:]).sum(1) + 2 * math.log(2), atol=1e-6
    )


def test_a_code_that_is_read_without_error_has_its_whole_entropy() -> None:
    model = fitted(continuous=0)
    z = model.prior(50).rsample(rng=0)
    assert model.information(1e4 * z[:, 2:], z)["categories"].tolist() == pytest.approx(
        [math.log(12)] * 50
    )
    assert model.information(0 * z[:, 2:], z)["categories"].tolist() == pytest.approx([0] * 50)


def test_minus_lambda_information_is_in_both_losses() -> None:
    model = fitted(weight=0.7, continuous_weight=0.2, penalties=())
    batch = Batch(model.to_model(X[:12]))
    z = model.prior(12).rsample(rng=step().rng)
    known = model.information(model.critic(model.push(z))[-1], z)
    for terms in (model.critic_loss(batch, step()), model.generator_loss(batch, step())):
        assert torch.allclose(terms["categories"], -0.7 * known["categories"])
        assert torch.allclose(terms["continuous"], -0.2 * known["continuous"])
        assert float(terms.logged["information_categories"]) == pytest.approx(
            float(known["categories"].detach().mean())
        )


def test_the_critics_step_teaches_q_and_the_trunk_and_the_generators_the_generator() -> None:
    model = fitted(penalties=())
    batch = Batch(model.to_model(X[:12]))
    model.critic_loss(batch, step())["categories"].sum().backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert float(model.critic.layers[0].weight.grad.abs().sum()) > 0
    assert float(model.critic.heads[-1][0].weight.grad.abs().sum()) > 0
    model.generator_loss(batch, step())["categories"].sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in model.generator.parameters())


def test_two_optimisers_with_the_papers_rates() -> None:
    assert [(p.networks, str(p.optimizer)) for p in fitted().phases()] == [
        (("critic",), "adam(rate=0.0002, beta1=0.5)"),
        (("generator",), "adam(beta1=0.5)"),
    ]


def test_vitals_report_the_information_and_its_share() -> None:
    model = fitted()
    found = model.vitals(Batch(model.to_model(X)), rng=0)
    assert found["information_share"] == pytest.approx(
        found["information_categories"] / math.log(12)
    )
    assert math.isfinite(found["information_continuous"])
    healthy = {
        "accuracy": 0.8,
        "diversity": 1.0,
        "overfitting": 0.0,
        "slope": 0.5,
        "information_share": 0.9,
    }
    assert model.symptoms(healthy) == []
    (found_out,) = model.symptoms({**healthy, "information_share": 0.01})
    assert (found_out.name, "weight=2" in found_out.advice) == ("the categories are not used", True)
    (collapse,) = model.symptoms({**healthy, "diversity": 0.0})
    assert not any(word in collapse.advice for word in ("packing", "replay"))
    assert fitted(weight=0.0).symptoms({**healthy, "information_share": 0.0}) == []


@pytest.mark.parametrize("mode", ["concatenation", "embedding", "projection", "auxiliary"])
def test_conditions_go_with_codes(mode: str, tmp_path: Path) -> None:
    model = fitted(y=Y, conditioning=mode)
    assert model.encode(X, Y).shape == (128, 11)
    model.save(tmp_path / "run")
    again = pf.load(tmp_path / "run")
    assert torch.equal(again.sample(4, y=1, rng=0), model.sample(4, y=1, rng=0))
    assert torch.equal(again.encode(X, Y), model.encode(X, Y))


@pytest.mark.parametrize("network", ["dcgan(width=4)", "r3gan(width=8, blocks=1)"])
def test_an_images_code_is_its_own(network: str) -> None:
    x = torch.rand(64, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = fitted(2, x, network=network)
    assert torch.allclose(model.encode(x)[:1], model.encode(x[:1]), atol=1e-9)
    assert row_by_row(model.critic)


@pytest.mark.parametrize(
    "kinds", [{"categories": ()}, {"continuous": 0}, {"categories": (5,), "continuous": 0}]
)
def test_either_kind_of_code_may_be_left_out(kinds: dict[str, Any]) -> None:
    model = fitted(**kinds)
    assert model.encode(X).shape == (128, model.code_width)
    assert ("categories" in model.generator_loss(Batch(model.to_model(X[:8])), step())) == (
        kinds.get("categories") != ()
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"categories": (), "continuous": 0}, "got neither; use GAN"),
        ({"categories": (1,)}, "each of categories must be a whole number, 2 or more, got 1"),
        ({"continuous": -1}, "continuous must not be below 0, got -1"),
        ({"weight": -1.0}, "weight must be finite and not negative, got -1.0"),
        (
            {"hacks": ["replay"]},
            "'replay' does not go with InfoGAN: old samples are stored without their codes",
        ),
        ({"hacks": ["spherical_z"]}, "do not lie on a sphere"),
        ({"hacks": ["batch_discrimination"]}, "depend on the rest of its batch"),
        ({"hacks": ["batch_norm"]}, "depend on the rest of its batch"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(pf.PushforwardError, match=says):
        pf.InfoGAN(**given)
