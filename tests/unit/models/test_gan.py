"""The adversarial engine: packs, conditions, constraints, memory,
vital signs; each by hand or against a closed form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.core.events import CancelToken
from pushforward.core.phase import Batch, Step
from pushforward.fitting.loop import Loop
from pushforward.models.deep.vital_signs import distances, overfitting, slope, symptoms
from pushforward.nets.critics import row_by_row
from pushforward.nets.mlp import MLP
from pushforward.objectives.games import Hinge, Minimax, NonSaturating

X = torch.randn(128, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(128) % 3
IMAGES = torch.rand(64, 1, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def fitted(steps: int = 3, x: Tensor = X, y: Any = None, **arguments: Any) -> pf.GAN:
    by = {
        k: arguments.pop(k)
        for k in ("run", "resume", "token", "ema", "held_out", "optimizers", "seed")
        if k in arguments
    }
    settings = {"latent": 2, "hidden": (8, 8), **arguments}
    by = (
        pf.Trainer(**by)
        if "resume" in by
        else pf.Trainer(steps=steps, batch=32, precision="64-true", **by)
    )
    return pf.GAN(**settings).fit(x, y, by=by)


def batch(model: pf.GAN, n: int = 12, y: Any = None) -> Batch:
    return Batch(model.to_model(X[:n]), None if y is None else model.to_condition(y[:n], n))


def step(seed: int = 0, fraction: float = 0.0) -> Step:
    return Step(0, fraction, torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------- what the critic is shown


def test_the_critic_is_shown_augmented_images_of_both_kinds_and_samples_stay_as_they_are() -> None:
    model = fitted(x=IMAGES, critic_augment=["flip(share=1.0)"], penalties=())
    given, plain = Batch(model.to_model(IMAGES[:12])), fitted(x=IMAGES, penalties=())
    plain.generator.load_state_dict(model.generator.state_dict())
    plain.critic.load_state_dict(model.critic.state_dict())
    codes = model.prior(12).rsample(rng=step().rng)
    fake = model.push(codes)
    assert torch.equal(fake, plain.push(codes))
    expected = NonSaturating().critic(
        model.critic(given.x.flip(-1))[:, 0], model.critic(fake.flip(-1))[:, 0]
    )
    assert torch.allclose(model.critic_loss(given, step())["critic"], expected)
    assert not torch.allclose(plain.critic_loss(given, step())["critic"], expected)
    loss = model.generator_loss(given, step())["generator"]
    assert torch.allclose(
        loss, NonSaturating().generator(model.critic(fake.flip(-1))[:, 0], fake[:, 0, 0, 0])
    )


def test_vital_signs_are_of_images_as_the_critic_is_shown_them() -> None:
    model = fitted(x=IMAGES, critic_augment=["flip(share=1.0)"])
    given = Batch(model.to_model(IMAGES[:20]))
    model.recent(given.x.flip(-1) + 1, None)
    fake = model.generate(given, 7)
    real_output, fake_output = (
        model.critic(given.x.flip(-1))[:, 0],
        model.critic(fake.flip(-1))[:, 0],
    )
    found = model.vitals(given, rng=7)
    assert found["accuracy"] == pytest.approx(
        float(model.adversary.game.right(real_output, fake_output).mean())
    )
    assert found["slope"] == pytest.approx(
        float(slope(model.adversary.game, fake_output, real_output))
    )


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("make", [pf.GAN, pf.DCGAN, pf.InfoGAN, pf.EBGAN, pf.R3GAN])
def test_vital_signs_of_networks_in_bfloat16(make: Any, labelled: bool) -> None:
    """Also of rows remembered in single precision; distances,
    which bfloat16 does not have, are near the single precision's.
    """
    images = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.arange(32) % 3 if labelled else None
    model = make().fit(images, y, by=pf.Trainer(steps=2, batch=16, precision="bf16-true"))
    assert model.floating() == torch.bfloat16
    given = Batch(model.to_model(images), model.to_condition(y, 32))
    rounded = model.vitals(given, rng=0)
    assert all(torch.isfinite(torch.tensor(value)) for value in rounded.values())
    with torch.no_grad():
        single = distances(
            model.generate(given, torch.Generator().manual_seed(0)).float(), given.x.float()
        )
    assert {name: rounded[name] for name in single} == pytest.approx(single, rel=1e-5)


def test_a_generator_learns_through_what_is_done_to_its_samples() -> None:
    model = fitted(x=IMAGES, critic_augment=["affine", "crop(padding=1)"])
    model.generator.train()
    model.generator_loss(Batch(model.to_model(IMAGES[:12])), step())["generator"].mean().backward()
    assert all(
        p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.generator.parameters()
    )


@pytest.mark.parametrize(
    ("augment", "why"),
    [
        (
            ["flip"],
            (
                r"critic_augment=\['flip.*changes images, but the data are points in 3 dimensions;"
                r" leave it out"
            ),
        ),
        (
            ["dequantise"],
            "'dequantise' is for data in their own units, not for samples; use augment=",
        ),
        ("flip", r"critic_augment is a list, got 'flip'; write critic_augment=\['flip'\]"),
        (["flop"], "unknown augmentation 'flop'; did you mean 'flip'"),
    ],
)
def test_what_the_critic_cannot_be_shown_is_refused(augment: Any, why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        fitted(critic_augment=augment)


# ------------------------------------------------------------------------------------------ packing


def test_packs_are_neighbours_side_by_side() -> None:
    model = fitted(packing=2)
    rows = torch.arange(12.0).reshape(4, 3)
    packs, _ = model.adversary.pack(rows, None)
    assert packs.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    images, conditions = model.adversary.pack(
        torch.arange(16.0).reshape(4, 1, 2, 2), torch.arange(4.0)[:, None]
    )
    assert images.shape == (2, 2, 2, 2)
    assert images[1, 1].tolist() == [[12, 13], [14, 15]]
    assert conditions.tolist() == [[0, 1], [2, 3]]  # type: ignore[union-attr]


def test_a_packed_loss_is_the_mean_over_packs() -> None:
    model = fitted(packing=2, penalties=())
    given = batch(model)
    fake = model.push(model.prior(12).rsample(rng=step().rng))
    loss = model.critic_loss(given, step())["critic"]
    real_outputs, fake_outputs = (
        model.critic(given.x.reshape(6, 6)),
        model.critic(fake.reshape(6, 6)),
    )
    assert loss.shape == (12,)
    expected = NonSaturating().critic(real_outputs, fake_outputs).detach()
    assert float(loss.detach().mean()) == pytest.approx(float(expected.mean()), rel=1e-12)


def test_a_batch_that_fills_no_packs_is_refused() -> None:
    with pytest.raises(
        pf.InvalidValue,
        match=(
            "32 rows cannot be split into packs of 3; choose a batch that is a multiple of"
            " packing=3"
        ),
    ):
        fitted(packing=3)
    for mode in ("projection", "auxiliary"):
        with pytest.raises(pf.InvalidValue, match="a pack has no single condition"):
            pf.GAN(packing=2, conditioning=mode)


# --------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize("mode", ["concatenation", "embedding", "projection", "auxiliary"])
def test_every_way_of_conditioning_learns_the_condition(mode: str, tmp_path: Path) -> None:
    x = 0.3 * X[:, :1] + 2.0 * Y[:, None]
    rate = {"critic": "adam(rate=0.01, beta1=0.5)", "generator": "adam(rate=0.01, beta1=0.5)"}
    model = fitted(200, x, Y, conditioning=mode, optimizers=rate, penalties=("r1(gamma=0.1)",))
    means = [float(model.sample(200, y=k, rng=0).mean()) for k in range(3)]
    assert means == pytest.approx([0, 2, 4], abs=0.8), mode
    model.save(tmp_path / "run")
    assert torch.equal(pf.load(tmp_path / "run").sample(5, y=1, rng=0), model.sample(5, y=1, rng=0))


def test_the_auxiliary_classifiers_losses_by_hand() -> None:
    """Both players lower the cross-entropy of labels;
    the critic on real and generated samples (Odena et al. 2017, Eq. 3).
    """
    model = fitted(x=X, y=Y, conditioning="auxiliary", penalties=())
    given = batch(model, y=Y)
    fake = model.push(model.prior(12).rsample(rng=step().rng), given.y)
    entropy = torch.nn.CrossEntropyLoss(reduction="none")
    on_real, on_fake = (
        entropy(model.critic(given.x)[1], Y[:12]),
        entropy(model.critic(fake)[1], Y[:12]),
    )
    assert torch.allclose(model.critic_loss(given, step())["labels"], on_real + on_fake)
    assert torch.allclose(model.generator_loss(given, step())["labels"], on_fake)


def test_the_projection_critic_sees_the_condition_only_in_the_projection() -> None:
    model = fitted(x=X, y=Y, conditioning="projection")
    given, v = batch(model, y=Y), model.critic.projection.weight
    features = given.x
    *trunk, head = model.critic.layers
    for layer in trunk:
        features = layer(features)
    assert torch.allclose(
        model.adversary.judge(model.critic, given.x, given.y).output,
        (head(features) + (v.T[Y[:12]] * features).sum(1, keepdim=True)).squeeze(1),
    )


def test_an_auxiliary_classifier_needs_labels() -> None:
    with pytest.raises(pf.InvalidValue, match="classifies labels"):
        fitted(x=X, y=X[:, :2], conditioning="auxiliary")
    with pytest.raises(pf.InvalidValue, match="did you mean 'projection'"):
        pf.GAN(conditioning="projecton")


def test_categories_are_shares_that_sum_to_one() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {"size": X[:, 0].numpy(), "kind": [("a", "b", "c")[i % 3] for i in range(128)]}
    )
    source = pf.read(frame, categorical=["kind"], label=False)
    model = pf.GAN(latent=2, hidden=(8,), hacks=["normalise"]).fit(
        source, by=pf.Trainer(steps=2, batch=32)
    )
    u = model.push(model.prior(6).rsample(rng=0))
    assert u.shape == (6, 4)
    assert torch.allclose(u[:, 1:].sum(1), torch.ones(6))
    assert set(model.space.export(model.sample(20, rng=0))["kind"]) <= {"a", "b", "c"}


@pytest.mark.parametrize("mode", ["concatenation", "projection", "auxiliary"])
def test_real_and_generated_judged_at_once_are_judged_as_apart(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(x=X, y=Y, conditioning=mode)
    given = batch(model, y=Y)
    assert row_by_row(model.critic)
    at_once = model.critic_loss(given, step())
    monkeypatch.setattr("pushforward.models.parts.adversary.row_by_row", lambda network: False)
    apart = model.critic_loss(given, step())
    assert at_once.keys() == apart.keys()
    assert all(torch.allclose(at_once[name], apart[name]) for name in apart)
    for hack in ("batch_norm", "batch_discrimination"):
        assert not row_by_row(fitted(hacks=[hack]).critic)


# -------------------------------------------------------------------------------------- constraints


@pytest.mark.parametrize("steps", [1, 7])
def test_clipped_weights_are_within_the_limit_after_every_step(steps: int) -> None:
    big = {"critic": "sgd(rate=10.0)", "generator": "sgd(rate=0.1)"}
    model = fitted(
        steps, penalties=("clip(limit=0.02)",), game="wasserstein", optimizers=big, critic_steps=3
    )
    weights = torch.cat([p.detach().flatten() for p in model.critic.parameters()])
    assert float(weights.abs().max()) == 0.02
    assert float(max(p.detach().abs().max() for p in model.generator.parameters())) > 0.02


def test_the_average_of_clipped_weights_is_within_the_limit_too() -> None:
    model = fitted(5, penalties=("clip(limit=0.02)",), ema=0.9, single_step=True)
    assert max(float(p.detach().abs().max()) for p in model.critic.parameters()) <= 0.02


@pytest.mark.parametrize("kind", ["points", "images"])
def test_spectral_norms_are_one(kind: str) -> None:
    x = (
        X
        if kind == "points"
        else torch.rand(
            128, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
    )
    model = fitted(
        60,
        x,
        penalties=("spectral",),
        network=None if kind == "points" else "dcgan(width=4)",
        game="hinge",
    )
    layers = [
        m for m in model.critic.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))
    ]
    assert len(layers) >= 2
    norms = [
        float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) for layer in layers
    ]
    # a step of the power method behind weights that move; without it .1
    assert norms == pytest.approx([1] * len(layers), abs=0.2)
    for layer in layers:
        layer.train()
        for _ in range(300):
            weight = layer.weight.detach()
        assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1, abs=1e-3)
    assert not any("parametrizations" in key for key in model.generator.state_dict())


# ------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize(
    "settings",
    [
        {
            "hacks": ["replay(capacity=40)", "input_noise", "soft_labels"],
            "penalties": ("spectral", "clip(limit=0.5)"),
        },
        {
            "hacks": ["dropout", "batch_norm", "batch_discrimination", "spherical_z"],
            "packing": 2,
            "critic_steps": 2,
            "ema": 0.9,
        },
        {"x": IMAGES, "critic_augment": ["affine", "flip"], "penalties": ()},
    ],
    ids=["remembering", "drawing", "augmenting"],
)
def test_a_stopped_fit_goes_on_to_the_same_bits(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted(11, run=tmp_path / "whole", held_out=0.2, **settings)
    token, play = CancelToken(), Loop._play_step

    def stopping(loop: Loop, raw: Batch) -> None:
        play(loop, raw)
        if loop.step == 4:
            token.cancel()

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_play_step", stopping)
        fitted(11, run=tmp_path / "run", held_out=0.2, token=token, **settings)
    model_settings = {k: v for k, v in settings.items() if k != "ema"}
    again = fitted(resume=tmp_path / "run", **model_settings)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    for (name, one), two in zip(whole.named_buffers(), again.buffers()):
        assert torch.equal(one, two), name
    assert torch.equal(whole.sample(4, rng=0), again.sample(4, rng=0))
    timeless = [
        [
            line.split('"seconds"')[0]
            for line in (tmp_path / run / "log.jsonl").read_text().splitlines()
            if "evaluated" in line
        ]
        for run in ("whole", "run")
    ]
    assert timeless[0] == timeless[1]


def test_what_is_remembered_is_no_part_of_the_stored_model() -> None:
    model = fitted(hacks=["replay"])
    assert int(model.old.count) == 96
    assert not any(key.startswith(("old", "recent")) for key in model.tensors())


# -------------------------------------------------------------------------------------- vital signs


def test_distances_of_known_sets() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    found = distances(torch.tensor([[0.5], [0.5]]), real)
    assert found == {"diversity": 0.0, "nearest_row": 0.5, "nearest_sample": pytest.approx(0.5)}
    assert distances(real, real)["diversity"] == pytest.approx(1)


def test_overfitting_is_the_margin_that_only_seen_rows_have() -> None:
    wobble = 0.01 * torch.linspace(-1, 1, 50)
    assert overfitting(4 + wobble, 1 + wobble, -2 + wobble) == pytest.approx(0.5)
    assert overfitting(4 + wobble, 4 + wobble, -2 + wobble) == 0
    assert overfitting(torch.randn(50), torch.randn(50), wobble) == 0  # chance


def test_the_slope_tells_saturation() -> None:
    lost = torch.full((4,), -6.0)
    assert slope(Minimax(), lost, lost) == pytest.approx(0.0024726, rel=1e-4)
    assert slope(NonSaturating(), lost, lost) == pytest.approx(0.9975274, rel=1e-4)
    assert slope(Hinge(), lost, lost) == 1


@pytest.mark.parametrize(
    ("vital", "value", "name", "cure"),
    [
        ("accuracy", 0.99, "the critic dominates", "optimizers="),
        ("diversity", 0.01, "collapse", "packing=2"),
        ("overfitting", 0.7, "the critic overfits", "augment="),
        ("slope", 0.001, "saturation", "non_saturating"),
    ],
)
def test_each_trouble_is_named_with_what_to_try(
    vital: str, value: float, name: str, cure: str
) -> None:
    healthy = {"accuracy": 0.91, "diversity": 1.0, "overfitting": 0.1, "slope": 0.5}
    assert symptoms(healthy) == []
    (found,) = symptoms({**healthy, vital: value})
    assert found.name == name
    assert cure in found.advice


def test_a_critic_that_learns_its_rows_by_heart_is_found_out() -> None:
    class Perfect(pf.GAN):
        """Samples from the data's own distribution, which only memory can tell from data."""

        def build(self, space: Any, condition_space: Any = None) -> None:
            super().build(space, condition_space)
            self.generator = MLP(20, (20,), ())
            nn.init.eye_(self.generator.layers[0].weight)

    x = torch.randn(80, 20, generator=torch.Generator().manual_seed(0))
    model = Perfect(latent=20, hidden=(128, 128), penalties=())
    fast = {"critic": "adam(rate=0.01)", "generator": "sgd(rate=1e-9)"}
    told: list[Any] = []
    model.fit(
        x,
        by=pf.Trainer(epochs=80, batch=32, held_out=0.5, optimizers=fast, listeners=[told.append]),
    )
    assert any("the critic overfits" in getattr(event, "symptom", "") for event in told)


def test_single_step_takes_both_gradients_at_the_same_parameters() -> None:
    assert [p.simultaneous for p in fitted(single_step=True).phases()] == [False, True]
    assert [p.simultaneous for p in fitted().phases()] == [False, False]
    with pytest.raises(pf.InvalidValue, match="single_step updates both players at every step"):
        pf.GAN(single_step=True, critic_steps=2)
    with pytest.raises(pf.InvalidValue, match="single_step"):
        pf.GAN(single_step=True, hacks=["more_critic_steps"])


@pytest.mark.parametrize("name", ["dcgan", "r3gan"])
def test_registered_pairs_have_their_papers_settings(name: str) -> None:
    model = pf.DCGAN() if name == "dcgan" else pf.R3GAN()
    rates = {str(p.optimizer) for p in model.phases()}
    if name == "dcgan":
        assert (str(model.game), model.penalties, rates) == (
            "non_saturating",
            (),
            {"adam(rate=0.0002, beta1=0.5)"},
        )
    else:
        assert rates == {"adam(rate=0.0002, beta1=0.0, beta2=0.99)"}
        assert (str(model.game), [str(p) for p in model.penalties]) == (
            "relativistic",
            ["r1(gamma=1.0)", "r2(gamma=1.0)"],
        )
        assert model.default_fitter().ema == 0.999
