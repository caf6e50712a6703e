"""Looking changes nothing: over every registered learner and network, sampling, encoding and
measuring leave the state as it is, give the same in either mode, and a fit that is looked at ends
with the bits of one that is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.capabilities import Decodes, Encodes, HasBound, Samples
from pushforward.core.events import Event
from pushforward.core.global_random import GLOBAL_STREAMS, FairLock
from pushforward.core.learner import Learner
from pushforward.core.modes import evaluation_mode
from pushforward.core.phase import Batch, Phase, Step, Terms
from tests.tiny_learners import LEARNERS, MODELS, conditions, data, images

NAMES = [
    *LEARNERS,
    *(
        n
        for n in MODELS
        if n in ("hack-batch_norm", "hack-dropout", "gan-veegan", "gan-infogan", "hack-labels")
    ),
]
SHORT: dict[str, Any] = {"steps": 3, "batch": 16, "seed": 2}


class _Reader(nn.Module):
    """Batch norm and dropout before and after a network."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.norm, self.body, self.dropout = nn.BatchNorm1d(width), body, nn.Dropout(0.4)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.body(self.dropout(self.norm(x.flatten(1))), y)


class Normed(pf.Autoencoder):
    """Every look at it passes batch norm and dropout; its loss goes through the verbs."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        self.encoder = _Reader(self.encoder, self.event_size())
        self.decoder = _Reader(self.decoder, self.latent)

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        assert self.encoder.training
        return super().squared_error(batch, step)

    def sample(self, n: int, *, rng: Any = None) -> Tensor:
        return self.decode(pf.core.random.normal(n, self.latent, rng=rng, dtype=self.floating()))

    def vitals(self, batch: Batch, *, rng: Any = None) -> dict[str, float]:
        return {"error": float(-self.quality(batch).mean())}


def _normed() -> Normed:
    return Normed(latent=3, hidden=(8,))


def _spectral() -> pf.GAN:
    return pf.GAN(latent=3, hidden=(8,), penalties=("spectral",))


MAKERS: dict[str, Callable[[], Any]] = {
    **{name: MODELS[name] for name in NAMES},
    "normed": _normed,
    "spectral": _spectral,
}


def _fitted(name: str, **settings: Any) -> Any:
    return MAKERS[name]().fit(data(name), conditions(name), by=pf.Trainer(**{**SHORT, **settings}))


def _looks(model: Any, name: str) -> dict[str, Tensor]:
    """Everything the model shows, by every public method that shows something."""
    x, y = data(name, 8), conditions(name, 8)
    z = (
        model.encode(x, y)
        if isinstance(model, Encodes)
        else torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    )
    batch = Batch(model.to_model(x), None if y is None else model.to_condition(y, 8))
    found = {"z": z}
    if isinstance(model, Samples):
        found["sample"] = model.sample(8, rng=0, **({} if y is None else {"y": y}))
    if isinstance(model, Decodes) and z.shape[1] == getattr(model, "code_width", z.shape[1]):
        found["decode"] = model.decode(z, y)
    if isinstance(model, HasBound):
        found |= {
            "elbo": model.elbo(x, rng=0),
            "posterior": model.posterior(batch.x).mean,
            "likelihood": model.likelihood(z).mean,
        }
    if hasattr(model, "energy"):
        found["energy"] = model.energy(x)
    found["quality"] = model.quality(batch, rng=0)
    return found | {
        k: torch.tensor(v)
        for k, v in model.vitals(batch, rng=0).items()
        if not k.startswith("gradient")
    }


def _state(model: Any) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in [*model.named_parameters(), *model.named_buffers()]}


def _equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert list(one) == list(two)
    for key in one:
        assert torch.equal(one[key], two[key]), key


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_fit_that_is_looked_at_is_the_same_fit(name: str) -> None:
    modes: list[bool] = []

    def look(event: Event, model: Any) -> None:
        model.networks[next(iter(model.networks))]  # the networks themselves, too
        modes.extend(part.training for part in model.modules() if part is not model)
        _looks(model, name)
        if isinstance(model, Samples):
            # draws its seed from the global stream
            y = conditions(name, 4)
            model.sample(4, **({} if y is None else {"y": y}))
        torch.rand(3), np.random.rand()

    plain, looked_at = _fitted(name), _fitted(name, callbacks=[look])
    assert modes
    assert not any(modes)
    _equal(_state(plain), _state(looked_at))


@pytest.mark.parametrize("name", list(MAKERS))
def test_looks_neither_depend_on_the_mode_nor_change_anything(name: str) -> None:
    model = _fitted(name)
    assert not any(part.training for part in model.modules())
    before, seen = _state(model), _looks(model, name)
    model.train()
    again = _looks(model, name)
    assert all(part.training for part in model.modules())
    model.eval()
    _equal(before, _state(model))
    _equal(seen, again)
    _equal(seen, _looks(model, name))


@pytest.mark.parametrize(
    "make",
    [
        lambda: pf.PCA(2),
        lambda: pf.GMM(2),
        lambda: pf.KMeans(2),
        lambda: pf.KDE(),
        lambda: pf.Gaussian(),
    ],
)
def test_models_without_networks_end_in_evaluation_mode_too(
    make: Callable[[], Any], tmp_path: Any
) -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    model = make().fit(x)
    model.save(tmp_path / "run")
    assert not model.training
    assert not pf.load(tmp_path / "run").training
    again = make()
    if isinstance(again.default_fitter(), pf.EM):
        again.default_fitter().fit(again, pf.read(x))
        assert not again.training


def test_a_fit_that_fails_leaves_evaluation_mode() -> None:
    model = _normed()

    def fail(event: Event, model: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(images(), by=pf.Trainer(**SHORT, callbacks=[fail]))
    assert not any(part.training for part in model.modules())


# ------------------------------------------------------------------------------ what does not learn


class Perceptual(pf.Autoencoder):
    """The error is measured in the features of a network that does not learn."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        self.features = _Reader(nn.Identity(), self.event_size())
        self.features.body.forward = lambda x, y=None: x  # type: ignore[method-assign]
        self.noise_layer = nn.Dropout(0.5)

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        assert not any(part.training for part in self.features.modules())
        assert self.encoder.training
        assert self.noise_layer.training  # holds nothing that could be frozen
        restored = self.decoder(self.encoder(batch.x))
        return Terms(error=(self.features(restored) - self.features(batch.x)).square().sum(1))


@pytest.mark.parametrize("watched", [False, True])
def test_networks_in_no_phase_stay_in_evaluation_mode(watched: bool) -> None:
    model = Perceptual(latent=3, hidden=(8,))
    model.fit(
        images(),
        by=pf.Trainer(**SHORT, callbacks=[lambda e, m: m.encode(images(4))] if watched else []),
    )
    assert int(model.features.norm.num_batches_tracked) == 0
    assert torch.equal(model.features.norm.running_mean, torch.zeros(256))


class Verbal(Normed):
    """A loss through the public methods: these must keep the mode of the loss."""

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        restored = self.scaling(self.decode(self.encode(self.to_user(batch.x))))
        assert self.encoder.training
        return Terms(error=(restored - batch.x).square().flatten(1).sum(1))


def test_a_loss_through_public_methods_learns_statistics() -> None:
    model = Verbal(latent=3, hidden=(8,)).fit(images(), by=pf.Trainer(**SHORT))
    assert int(model.encoder.norm.num_batches_tracked) == 3
    assert int(model.decoder.norm.num_batches_tracked) == 3


class Outer(pf.Autoencoder):
    """A learner within a learner, which learns with it."""

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        self.inner = _normed()
        self.inner.assemble(space, condition_space)
        self.inner.scaling = self.scaling

    def phases(self) -> list[Phase]:
        return [Phase("autoencoder", ("inner", "encoder", "decoder"), self.squared_error)]

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        codes = self.inner.encode(self.to_user(batch.x))
        return Terms(
            error=(self.decoder(codes) - batch.x).square().flatten(1).sum(1)
            + 0 * self.encoder(batch.x).sum(1)
        )


def test_a_learner_within_a_learner_learns_too() -> None:
    model = Outer(latent=3, hidden=(8,)).fit(images(), by=pf.Trainer(**SHORT))
    assert int(model.inner.encoder.norm.num_batches_tracked) == 3


def test_evaluating_puts_back_each_parts_own_mode() -> None:
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    network[1].eval()
    with evaluation_mode(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == [True, True, False]


# ------------------------------------------------------------------------------------------ threads


class Drawing(pf.Autoencoder):
    """Draws from the global streams (Python's is also drawn from
    by the run-time type checks of the tests).
    """

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        error = super().squared_error(batch, step)["error"]
        return Terms(
            error=error * (1 + 0.1 * torch.rand(len(error)) + 0.1 * float(np.random.rand()))
        )


def _draws(out: dict[Any, Any], key: Any, **settings: Any) -> None:
    out[key] = _state(
        Drawing(latent=2, hidden=(8,)).fit(
            images(), by=pf.Trainer(**{"steps": 25, "batch": 16, **settings})
        )
    )


def _globals() -> list[Any]:
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()]


@pytest.mark.parametrize("callbacks", [[], [lambda event, model: pf.core.random.normal(2)]])
def test_fits_in_several_threads_are_those_of_one(callbacks: list[Any]) -> None:
    before = _globals()
    found: dict[Any, Any] = {}
    _draws(found, "alone")
    fits = [
        threading.Thread(target=_draws, args=(found, i), kwargs={"callbacks": callbacks})
        for i in range(4)
    ]
    for fit in fits:
        fit.start()
    for fit in fits:
        fit.join(60)
    for i in range(4):
        _equal(found["alone"], found[i])
    if not callbacks:  # what a callback draws is the caller's
        assert _globals() == before


def test_a_fit_and_loading_in_another_thread_do_not_meet(tmp_path: Any) -> None:
    found: dict[Any, Any] = {}
    _draws(found, "alone")
    pf.VAE(latent=2, hidden=(8,)).fit(images(), by=pf.Trainer(**SHORT)).save(tmp_path / "run")
    fit = threading.Thread(target=_draws, args=(found, "thread"))
    fit.start()
    while fit.is_alive():
        pf.load(tmp_path / "run")
    fit.join()
    _equal(found["alone"], found["thread"])


def test_a_fit_within_a_callback_and_a_thread_that_it_waits_for() -> None:
    found: dict[Any, Any] = {}
    _draws(found, "alone")

    def nested(event: Event, model: Any) -> None:
        if type(event).__name__ == "Started":
            _draws(found, "inner")
            other = threading.Thread(target=_draws, args=(found, "other"))
            other.start()
            other.join(60)

    _draws(found, "outer", callbacks=[nested])
    for key in ("inner", "other", "outer"):
        _equal(found["alone"], found[key])


def test_the_lock_is_acquired_in_the_order_of_requests() -> None:
    turn, order = FairLock(), []
    turn.acquire()
    turn.acquire()

    def ask(name: int) -> None:
        with turn:
            order.append(name)

    asking = []
    for name in range(3):
        asking.append(threading.Thread(target=ask, args=(name,)))
        asking[-1].start()
        while len(turn._waiting) <= name:
            pass
    turn.release()
    assert turn.has_waiters
    assert not order
    turn.release()
    for thread in asking:
        thread.join(10)
    assert order == [0, 1, 2]
    assert not turn.has_waiters
    assert not GLOBAL_STREAMS.has_waiters


def test_every_learner_that_comes_with_the_package_is_here() -> None:
    assert set(LEARNERS) <= set(MAKERS)
    assert all(issubclass(type(make()), Learner) for make in MAKERS.values())
