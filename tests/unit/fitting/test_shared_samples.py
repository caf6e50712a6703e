"""Samples that two phases of a step share: made once, with the gradients that the later needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch, Phase, Step, Terms, sgd
from pushforward.core.registry import catalogue, register

X = torch.randn(32, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Pair(Learner):
    """A generator of one layer and a critic of one layer, by the losses of Wasserstein."""

    every = 1

    def build(self, space: Any, condition_space: Any = None) -> None:
        self.generator, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)
        self.calls: list[bool] = []
        self.generator.register_forward_hook(lambda *a: self.calls.append(a[2].requires_grad))

    def phases(self) -> list[Phase]:
        makers = ("generator",)
        return [
            Phase("critic", ("critic",), self.critic_loss, sgd(0.1), shares=makers),
            Phase("generator", makers, self.generator_loss, sgd(0.1), every=self.every),
        ]

    def _samples(self, batch: Batch, step: Step) -> Tensor:
        return step.share("samples", lambda: self.generator(batch.x.flip(1)))

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        made = self._samples(batch, step).detach()
        return Terms(critic=self.critic(made)[:, 0] - self.critic(batch.x)[:, 0])

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        return Terms(generator=-self.critic(self._samples(batch, step))[:, 0])

    def quality(self, batch: Batch, *, rng: Any = None) -> Tensor:
        return batch.x[:, 0]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = dict(catalogue)
    register("pair_of_a_test")(Pair)
    yield
    catalogue.clear()
    catalogue.update(before)


def _fit(model: Pair, **settings: Any) -> Pair:
    usual = {"batch": 8, "steps": 5, "seed": 0, "precision": "64-true"}
    return model.fit(X, by=pf.Trainer(**{**usual, **settings}))


def _parameters(model: Pair) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


class Apart(Pair):
    """The same, but for samples that every phase makes itself."""

    def _samples(self, batch: Batch, step: Step) -> Tensor:
        return self.generator(batch.x.flip(1))


def test_samples_are_made_once_and_the_fit_is_the_same() -> None:
    shared, apart = _fit(Pair()), _fit(Apart())
    assert shared.calls == [True] * 5
    assert apart.calls == [True] * 10
    for one, two in zip(_parameters(shared), _parameters(apart), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(_parameters(shared)[0], _parameters(_fit(Pair(), steps=1))[0])


def test_pieces_of_a_batch_share_nothing() -> None:
    whole, pieces = _fit(Pair()), _fit(Pair(), accumulate=4)
    assert pieces.calls == ([False] * 4 + [True] * 4) * 5
    for one, two in zip(_parameters(whole), _parameters(pieces), strict=True):
        assert torch.allclose(one, two, atol=1e-12)


def test_without_a_later_phase_nothing_is_kept() -> None:
    """In four of five steps the critic learns alone: no gradients of the generator are recorded."""

    class Seldom(Pair):
        every = 5

    assert _fit(Seldom()).calls == [False] * 4 + [True]


def test_a_step_alone_makes_what_is_asked_for() -> None:
    step, made = Step(), []
    for _ in range(2):
        step.share("x", lambda: made.append(1))
    assert made == [1, 1]
    step = Step(shared={})
    assert [step.share("x", lambda: object()) for _ in range(2)] == [step.share("x", object)] * 2


def test_unknown_networks_are_refused() -> None:
    class Unknown(Pair):
        def phases(self) -> list[Phase]:
            return [Phase("critic", ("critic",), self.critic_loss, shares=("maker",))]

    with pytest.raises(pf.InvalidValue, match="names network 'maker'"):
        _fit(Unknown())
