"""One signature of each verb for every model:
conditions in all that can have them, one sampler, nothing left as a stub.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.registry import Value
from pushforward.core.verbs import CONDITIONED

MODELS = {
    name: cls for name, cls in pf.registered_models() if cls.__module__.startswith("pushforward.")
}
SAMPLE = ["n", "y", "rng", "using"]


@pytest.mark.parametrize("name", MODELS)
def test_signatures_are_alike(name: str) -> None:
    cls = MODELS[name]
    if hasattr(cls, "sample"):
        parameters = inspect.signature(cls.sample).parameters
        assert [p for p in parameters if p != "self"] == SAMPLE
        assert all(parameters[p].default is None for p in SAMPLE[1:])
    for verb in CONDITIONED:
        if hasattr(cls, verb):
            assert list(inspect.signature(getattr(cls, verb)).parameters)[2] == "y", verb


@pytest.mark.parametrize("verb", ["encode", "log_prob", "assign"])
def test_conditions_that_a_model_does_not_have_are_refused_in_one_way(verb: str) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    model: Any = pf.KMeans(2).fit(x) if verb == "assign" else pf.PCA(1).fit(x)
    ask = getattr(model, verb)
    assert torch.equal(ask(x, None), ask(x))
    assert torch.equal(ask(x, y=None), ask(x))
    with pytest.raises(InvalidValue, match="was fitted without conditions; leave y out"):
        ask(x, y=3)


# ----------------------------------------------------------------------------------------- samplers


def images(n: int = 64) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )


def points(n: int = 64) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1))


def fitted(make: Callable[[], Any], x: torch.Tensor, y: Any = None) -> Any:
    return make().fit(x, y, by=pf.Trainer(steps=2, batch=16))


def vae() -> pf.VAE:
    return pf.VAE(latent=2, hidden=(8,))


def test_images_of_a_vae_are_means_unless_noise_is_asked_for() -> None:
    model = fitted(vae, images())
    mean, noisy = model.sample(5, rng=0, using="mean"), model.sample(5, rng=0, using="ancestral")
    assert torch.equal(model.sample(5, rng=0), mean)
    assert torch.equal(mean, model.decode(model.prior(5).rsample(rng=0)))
    assert float((noisy - mean).abs().mean()) > 1
    assert not mean.requires_grad
    of_points = fitted(vae, points())
    assert torch.equal(of_points.sample(5, rng=0), of_points.sample(5, rng=0, using="ancestral"))
    assert not torch.equal(of_points.sample(5, rng=0), of_points.sample(5, rng=0, using="mean"))


def test_truncated_codes_lie_within_the_threshold_and_have_its_distribution() -> None:
    model = fitted(lambda: pf.GAN(latent=2, hidden=(4,)), points())
    codes: list[torch.Tensor] = []
    model.decode = lambda z, y=None, rng=None: codes.append(z) or z  # type: ignore[func-returns-value]
    model.sample(40_000, rng=0, using="truncated(threshold=0.5)")
    z = codes[0].to(torch.float64)
    assert float(z.abs().max()) <= 0.5
    # Var of N(0, 1) truncated to ±t: 1 - 2 t φ(t) / (2 Φ(t) - 1)
    t = torch.tensor(0.5, dtype=torch.float64)
    phi = (-0.5 * t * t).exp() / (2 * torch.pi) ** 0.5
    expected = 1 - 2 * t * phi / (2 * torch.special.ndtr(t) - 1)
    assert float(z.var()) == pytest.approx(float(expected), rel=0.03)
    assert abs(float(z.mean())) < 0.01


def test_truncated_samples_have_the_generators_own_noise_too() -> None:
    """With dropout as noise, samples differ from what their codes decode to without it."""
    make = lambda: pf.GAN(latent=2, hidden=(16,), hacks=["dropout"])  # noqa: E731
    model, codes = fitted(make, points()), []
    decode = model.decode
    model.decode = lambda z, y=None, rng=None: codes.append(z) or decode(z, y, rng=rng)
    one, two = (model.sample(50, rng=0, using="truncated") for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.allclose(one, decode(codes[0]))


@pytest.mark.parametrize("using", ["mean", "truncated(threshold=1.0)", "ancestral"])
def test_samplers_take_conditions_counts_and_seeds_alike(using: str) -> None:
    model = fitted(vae, points(), ["a", "b"] * 32)
    one, two = (model.sample(4, y=["a", "b", "a", "b"], rng=3, using=using) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (4, 2)
    assert model.sample(0, y="a", using=using).shape == (0, 2)
    with pytest.raises(InvalidValue, match="pass y"):
        model.sample(2, using=using)


def test_what_a_model_cannot_do_is_one_line() -> None:
    kde, mixture = (
        pf.KDE().fit(points()),
        fitted(lambda: pf.VAE(latent=2, hidden=(4,), prior="mixture(components=2)"), points()),
    )
    with pytest.raises(
        InvalidKind, match="decodes codes, which KDE does not have; use 'ancestral'"
    ):
        kde.sample(3, using="mean")
    with pytest.raises(InvalidKind, match="needs standard normal codes, which VAE does not have"):
        mixture.sample(3, using="truncated")
    with pytest.raises(InvalidValue, match="did you mean 'ancestral'"):
        kde.sample(3, using="ancestrl")
    with pytest.raises(InvalidValue, match="threshold must be above 0"):
        mixture.sample(3, using="truncated(threshold=0.0)")
    assert torch.equal(kde.sample(3, rng=0), kde.sample(3, rng=0, using="ancestral"))


# ----------------------------------------------------------------------------------------- no stubs


def families(base: type = Value) -> list[type]:
    return [cls for cls in base.__subclasses__() if cls.__module__.startswith("pushforward.")]


def test_unfinished_classes_cannot_be_made() -> None:
    """What a subclass must define is abstract, in families of values as in learners:
    said when it is made, not when it is used.
    """

    class NoPhases(pf.Learner):
        pass

    with pytest.raises(TypeError, match=r"abstract method '?phases"):
        NoPhases()  # type: ignore[abstract]
    abstract = [cls for cls in families() if inspect.isabstract(cls)]
    assert len(abstract) > 6
    for cls in abstract:
        with pytest.raises(TypeError, match="abstract"):
            cls()


def test_a_learner_that_cannot_say_how_good_it_is_takes_no_held_out_rows() -> None:
    class Silent(pf.Learner):
        def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
            self.map = torch.nn.Linear(2, 2)

        def phases(self) -> list[pf.Phase]:
            return [
                pf.Phase(
                    "map",
                    ("map",),
                    lambda b, s: pf.Terms(error=(self.map(b.x) - b.x).square().sum(1)),
                )
            ]

    Silent().fit(points(), by=pf.Trainer(steps=1, batch=16))
    with pytest.raises(
        InvalidValue, match=r"evaluated by quality\(batch\), which Silent does not define"
    ):
        Silent().fit(points(), by=pf.Trainer(steps=1, batch=16, held_out=0.2))
    assert Silent().default_fitter().epochs == 20  # type: ignore[attr-defined]
