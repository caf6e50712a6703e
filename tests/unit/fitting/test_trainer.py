"""The trainer: budgets, what it refuses, and that a step is the step it claims to be."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from torch import Tensor

import pushforward as pf
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadRun, BadSource, InvalidKind, InvalidValue, ShapeMismatch
from pushforward.core.events import CancelToken, Evaluated, Event, Finished, Progress, Started
from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.fitting.log import read_log
from pushforward.fitting.loop import Loop
from pushforward.fitting.streams import BorrowedStreams

X = torch.randn(120, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DOUBLE: dict[str, Any] = {"batch": 20, "precision": "64-true"}


def _autoencoder() -> pf.Autoencoder:
    return pf.Autoencoder(latent=2, hidden=(4,), activation="tanh")


def _fit(
    model: Any = None, x: Any = X, weights: Any = None, **settings: Any
) -> tuple[Any, list[Any]]:
    events: list[Event] = []
    trainer = pf.Trainer(**{**DOUBLE, "listeners": [events.append], **settings})
    return (model or _autoencoder()).fit(x, weights=weights, by=trainer), events


def _of(events: list[Event], kind: type) -> list[Any]:
    return [e for e in events if isinstance(e, kind)]


def _same(one: Any, two: Any) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )


def _close(one: Any, two: Any, atol: float = 1e-12) -> bool:
    return all(
        torch.allclose(a, b, rtol=0, atol=atol)
        for a, b in zip(one.parameters(), two.parameters(), strict=True)
    )


# ------------------------------------------------------------------------------------------ budgets


@pytest.mark.parametrize(
    ("budget", "samples"),
    [
        ({"epochs": 2}, 240),
        ({"epochs": 0.5}, 60),
        ({"epochs": 0.7}, 100),
        ({"steps": 7}, 140),
        ({"samples": 100}, 100),
        ({"samples": 101}, 120),
        ({"epochs": 1.1}, 140),
        ({"epochs": 1 + 1 / 6}, 140),
    ],
)
def test_budgets_end_where_they_say(budget: dict[str, Any], samples: int) -> None:
    _, events = _fit(**budget)
    assert events[-1].samples == samples
    assert events[-1].reason == "budget"
    assert _of(events, Started)[0].budget == samples


def test_without_a_budget_it_is_twenty_epochs() -> None:
    assert _fit(batch=120)[1][-1].samples == 20 * 120


def test_minutes_end_by_the_clock() -> None:
    began = time.perf_counter()
    _, events = _fit(minutes=0.005, schedule="linear")
    assert 0.25 < time.perf_counter() - began < 10
    assert events[-1].reason == "budget"
    assert events[-1].samples > 20
    assert _of(events, Started)[0].budget is None


def test_minutes_count_all_sittings(tmp_path: Path) -> None:
    """Stopped early and resumed, the rest of the time is spent, not the whole again."""
    token = CancelToken()
    timer = threading.Timer(0.3, token.cancel)
    # preparing is not counted
    begins = [lambda event, model: timer.start() if isinstance(event, Started) else None]
    _fit(minutes=0.01, run=tmp_path / "run", token=token, callbacks=begins)
    events: list[Event] = []
    _autoencoder().fit(X, by=pf.Trainer(resume=tmp_path / "run", listeners=[events.append]))
    assert events[0].samples > 0
    assert 0.55 <= events[-1].seconds < 3
    assert events[0].seconds >= 0.25


# ----------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1, "steps": 3}, "give one budget, got epochs and steps; leave the others out"),
        ({"epochs": 0}, "epochs must be above 0, got 0"),
        ({"steps": -3}, "steps must be above 0, got -3"),
        ({"minutes": float("nan")}, "minutes must be finite"),
        ({"epochs": float("inf")}, "epochs must be finite"),
        ({"epochs": "many"}, "epochs must be a number, or '+number' when resuming, got 'many'"),
        ({"epochs": "+5"}, "extends a resumed run; without resume, pass the whole budget"),
        ({"batch": 0}, "batch must be above 0, got 0"),
        ({"batch": 12.5}, "batch must be a whole number or None, got 12.5"),
        ({"batch": 10, "accumulate": 3}, "batch must be a multiple of accumulate, got 10 and 3"),
        ({"clip": -1.0}, "clip must be above 0"),
        ({"save_every": 0}, "save_every must be above 0"),
        ({"ema": 1.0}, "ema is the decay per step"),
        ({"held_out": 1.5}, "held_out is a share of the rows between 0 and 1"),
        ({"patience": 3}, "keep_best and patience need held-out data; pass held_out=0.1"),
        ({"keep_best": True}, "need held-out data"),
        ({"patience": 0, "held_out": 0.1}, "patience must be above 0"),
        ({"evaluate_every": -1.0}, "evaluate_every must be above 0"),
        ({"on_divergence": "ignore"}, "on_divergence must be 'stop' or 'rollback', got 'ignore'"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ({"schedule": {"critic": "linea"}}, "did you mean 'linear'?"),
        ({"optimizers": {"critic": "adm"}}, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"augment": ["flop"]}, "unknown augmentation 'flop'; did you mean 'flip'?"),
    ],
)
def test_settings_out_of_range_are_refused_when_they_are_made(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidValue) as error:
        pf.Trainer(**settings)
    assert message in str(error.value)


def test_functions_are_no_settings() -> None:
    with pytest.raises((InvalidKind, BeartypeCallHintViolation)):
        pf.Trainer(schedule=lambda t: 1 - t)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {"optimizers": {"critic": "adam"}},
            InvalidValue,
            "there is no phase 'critic'; this model's phases are autoencoder",
        ),
        ({"schedule": {"vae": "cosine"}}, InvalidValue, "there is no phase 'vae'"),
        (
            {"batch": 121},
            BadSource,
            "fewer rows (120) than a batch takes (121); pass batch=120, or bring more data",
        ),
        ({"batch": 120, "held_out": 0.5}, BadSource, "fewer rows (60)"),
        ({"held_out": 0.999}, BadSource, "leaves no training rows"),
        (
            {"precision": "65-true"},
            InvalidValue,
            "precision='65-true' is not available on this machine",
        ),
        ({"accelerator": "abacus"}, InvalidValue, "accelerator 'abacus' is not available"),
        ({"accelerator": "tpu"}, InvalidValue, "accelerator 'tpu' is not available"),
        ({"devices": 0}, InvalidValue, "devices=0"),
        ({"strategy": "hope"}, InvalidValue, "strategy='hope'"),
        ({"augment": ["flip"]}, InvalidValue, "flip changes images or clips"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_learnt(
    settings: dict[str, Any], kind: type, message: str
) -> None:
    with pytest.raises(kind) as error:
        _fit(**{"epochs": 1, **settings})
    assert message in str(error.value)


def test_a_model_that_does_not_learn_by_gradients_is_refused() -> None:
    with pytest.raises(InvalidValue, match="PCA is not trained by gradients; leave `by` out"):
        pf.PCA(1).fit(X, by=pf.Trainer(epochs=1))


def test_a_folder_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidValue, match="exists and is not empty; choose another folder"):
        _fit(epochs=1, run=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    _fit(epochs=2, run=folder)
    return folder


@pytest.mark.parametrize(
    ("model", "x", "settings", "kind", "message"),
    [
        (_autoencoder, X + 1, {}, BadRun, "the data differ from those the run was started with"),
        (_autoencoder, X[:100], {}, BadRun, "the data differ"),
        (_autoencoder, X[:, :2], {}, ShapeMismatch, "expected 3 columns"),
        (
            lambda: pf.Autoencoder(latent=1, hidden=(4,), activation="tanh"),
            X,
            {},
            BadRun,
            "was started with",
        ),
        (lambda: pf.VAE(latent=2, hidden=(4,)), X, {}, BadRun, "resume it with the same model"),
        (
            _autoencoder,
            X,
            {"steps": "+5"},
            InvalidValue,
            "the run's budget is in epochs, so it cannot be extended in steps",
        ),
        (_autoencoder, X, {"epochs": "+-1"}, InvalidValue, "epochs must be above 0"),
    ],
)
def test_a_run_is_resumed_with_what_it_was_begun_with(
    run: Path, model: Any, x: Tensor, settings: Any, kind: type, message: str
) -> None:
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    with pytest.raises(kind) as error:
        model().fit(x, by=pf.Trainer(resume=run, **settings))
    assert message in str(error.value)
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_run_is_not_resumed_with_other_weights(tmp_path: Path) -> None:
    weights = torch.arange(1.0, len(X) + 1)
    _fit(weights=weights, epochs=1, run=tmp_path / "run")
    for other in (weights.flip(0), None):
        with pytest.raises(BadRun, match="the data differ from those the run was started with"):
            _autoencoder().fit(X, weights=other, by=pf.Trainer(resume=tmp_path / "run"))
    _autoencoder().fit(X, weights=weights, by=pf.Trainer(resume=tmp_path / "run"))


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="holds no settings of a fit"):
        pf.Trainer(resume=tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BadRun, match="is damaged"):
        pf.Trainer(resume=tmp_path)


def test_the_settings_of_a_run_come_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "epochs": 3.0,
        "batch": 10,
        "seed": 7,
        "optimizers": {"autoencoder": "sgd(momentum=0.5)"},
        "schedule": {"autoencoder": "cosine(final=0.1)"},
        "clip": 0.5,
        "ema": 0.9,
        "held_out": 0.25,
        "keep_best": True,
        "patience": 50,
    }
    first = pf.Trainer(**settings, run=tmp_path / "run")
    _autoencoder().fit(X, by=first)
    assert pf.Trainer(resume=tmp_path / "run").settings() == first.settings()


def test_held_out_data_of_ones_own_are_asked_for_again(tmp_path: Path) -> None:
    _fit(epochs=1, held_out=Arrays(X[:30]), keep_best=True, run=tmp_path / "run")
    with pytest.raises(
        InvalidValue, match="was started with separate held-out data; pass the same as held_out"
    ):
        pf.Trainer(resume=tmp_path / "run")
    model = _autoencoder().fit(
        X, by=pf.Trainer(resume=tmp_path / "run", held_out=Arrays(X[:30]), epochs="+1")
    )
    assert model.fitted


def test_the_default_budget_can_be_extended(tmp_path: Path) -> None:
    _fit(run=tmp_path / "run", batch=120)
    trainer = pf.Trainer(resume=tmp_path / "run", epochs="+2")
    assert trainer.epochs == 22


# ----------------------------------------------------------------------------------------- the step


def _by_hand(
    steps: int, rate: float = 0.1, clip: float | None = None, factors: Any = None, seed: int = 0
) -> pf.Autoencoder:
    """The same fit, written out: the order, the mean squared error, plain gradient descent."""
    from pushforward.fitting.batches import Batches

    model, _ = _fit(steps=1, optimizers={"autoencoder": "sgd(rate=1e-300)"}, seed=seed)
    u = model.scaling(X)
    batches = Batches(Arrays(X), 20, seed)
    for step in range(steps):
        x = u[batches.rows(step)]
        loss = (model.decoder(model.encoder(x)) - x).square().sum(1).mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()
        scale = 1.0 if clip is None else min(1.0, clip / (float(norm) + 1e-6))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients):
                p -= rate * (factors(step) if factors else 1) * scale * g
    return model


SGD = {"autoencoder": "sgd(rate=0.1)"}


def test_a_fit_is_what_one_would_write_out() -> None:
    assert _close(_fit(steps=15, optimizers=SGD)[0], _by_hand(15))


def test_clipping_bounds_the_norm_of_a_phases_gradient() -> None:
    model, _ = _fit(steps=9, optimizers=SGD, clip=0.05)
    assert _close(model, _by_hand(9, clip=0.05))
    assert not _close(model, _by_hand(9), 1e-4)


def test_a_schedule_sets_the_rate_by_the_share_of_the_budget_used() -> None:
    model, _ = _fit(steps=10, optimizers=SGD, schedule="linear")
    assert _close(model, _by_hand(10, factors=lambda step: 1 - step / 10))


def test_accumulated_pieces_make_the_step_of_the_whole_batch() -> None:
    whole, _ = _fit(steps=9, optimizers=SGD)
    pieces, _ = _fit(steps=9, optimizers=SGD, accumulate=5)
    assert _close(whole, pieces)


def test_accumulated_pieces_share_out_the_weights_of_the_whole_batch() -> None:
    weights = torch.arange(120) % 5
    whole, one = _fit(steps=9, optimizers=SGD, weights=weights)
    pieces, five = _fit(steps=9, optimizers=SGD, weights=weights, accumulate=5)
    assert _close(whole, pieces)
    assert _of(one, Progress)[-1].terms["error"] == pytest.approx(
        _of(five, Progress)[-1].terms["error"], rel=1e-6
    )


def test_whole_weights_are_repetitions() -> None:
    """One step over all rows: with weights, and with the rows repeated."""
    weights = torch.arange(120) % 4
    weighted, one = _fit(steps=3, optimizers=SGD, weights=weights, batch=120)
    n = int(weights.sum())
    repeated, two = _fit(steps=3, optimizers=SGD, x=X.repeat_interleave(weights, 0), batch=n)
    assert _close(weighted, repeated)
    assert _of(one, Progress)[-1].terms["error"] == pytest.approx(
        _of(two, Progress)[-1].terms["error"], rel=1e-6
    )


def test_a_batch_without_weight_moves_nothing() -> None:
    weights = torch.zeros(120)
    weights[0] = 1
    model, _ = _fit(epochs=1, weights=weights)
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_phases_have_optimisers_and_schedules_of_their_own() -> None:
    start, _ = _fit(
        pf.GAN(latent=2, hidden=(4,)),
        steps=1,
        optimizers={"critic": "sgd(rate=1e-300)", "generator": "sgd(rate=1e-300)"},
    )
    still, _ = _fit(
        pf.GAN(latent=2, hidden=(4,)), steps=8, optimizers={"critic": "sgd(rate=1e-300)"}
    )
    assert _close(start.critic, still.critic, 1e-100)
    assert not _close(start.generator, still.generator, 1e-5)
    late, _ = _fit(
        pf.GAN(latent=2, hidden=(4,)),
        steps=8,
        schedule={"generator": "linear(start=0.0)"},
        optimizers={"critic": "rmsprop"},
    )
    assert not _close(late.generator, still.generator, 1e-9)


class _Rounds(pf.GAN):
    """Notes who learnt in which step, and who was frozen."""

    def phases(self) -> list[Phase]:
        self.moves: list[tuple[str, int, tuple[str, ...]]] = []
        return super().phases()

    def _note(self, name: str, step: Step) -> None:
        free = tuple(
            n
            for n in ("generator", "critic")
            if all(p.requires_grad for p in getattr(self, n).parameters())
        )
        self.moves.append((name, step.samples // 20, free))

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        self._note("critic", step)
        return super().critic_loss(batch, step)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        self._note("generator", step)
        return Terms(generator=super().generator_loss(batch, step)["generator"] * 0 + 8.0)


def test_players_take_turns_and_everyone_else_is_frozen() -> None:
    model, events = _fit(_Rounds(latent=2, hidden=(4,), critic_steps=3), steps=7)
    assert [(name, step) for name, step, _ in model.moves] == [
        ("critic", 0),
        ("critic", 1),
        ("critic", 2),
        ("generator", 2),
        ("critic", 3),
        ("critic", 4),
        ("critic", 5),
        ("generator", 5),
        ("critic", 6),
    ]
    assert all(free == (name,) for name, _, free in model.moves)
    assert all(p.requires_grad for p in model.parameters())
    assert all(e.terms["generator"] == 8.0 for e in _of(events, Progress) if "generator" in e.terms)


def test_reported_means_are_over_the_times_a_phase_was_played(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Loop._play_step

    def every_four_steps(loop: Loop, raw: Batch) -> None:
        loop.report_every = 4
        play(loop, raw)

    monkeypatch.setattr(Loop, "_play_step", every_four_steps)
    _, events = _fit(_Rounds(latent=2, hidden=(4,), critic_steps=3), steps=20)
    assert [e.terms["generator"] for e in _of(events, Progress)] == [8.0] * 5


class _Codebook(pf.Autoencoder):
    """After every other update its decoder's bias is the mean of the batch it was updated on."""

    def phases(self) -> list[Phase]:
        self.batches, self.samples = [], []
        return [
            Phase("autoencoder", ("encoder", "decoder"), self._seen, every=2, after=self._take_mean)
        ]

    def _seen(self, batch: Batch, step: Step) -> Terms:
        self.batches.append(batch.x.clone())
        return self.squared_error(batch, step)

    def _take_mean(self, batch: Batch, step: Step) -> None:
        self.samples.append(step.samples)
        self.decoder.layers[2].bias.copy_(batch.x.mean(0))


def test_what_follows_an_update_has_its_batch() -> None:
    model, _ = _fit(_Codebook(latent=2, hidden=(4,)), steps=6)
    assert model.samples == [20, 60, 100]
    assert torch.equal(model.decoder.layers[2].bias, model.batches[-1].mean(0))


class _HalfFrozen(pf.Autoencoder):
    """Only the decoder learns; in it, one layer was frozen by its maker."""

    def phases(self) -> list[Phase]:
        self.decoder.layers[0].requires_grad_(False)
        return [Phase("autoencoder", ("decoder",), self.squared_error)]


def test_who_is_in_no_phase_and_what_its_maker_froze_stays() -> None:
    start, _ = _fit(
        _HalfFrozen(latent=2, hidden=(4,)), steps=1, optimizers={"autoencoder": "sgd(rate=1e-300)"}
    )
    model, _ = _fit(_HalfFrozen(latent=2, hidden=(4,)), steps=9)
    assert _close(start.encoder, model.encoder, 0)
    assert torch.equal(start.decoder.layers[0].weight, model.decoder.layers[0].weight)
    assert not torch.equal(start.decoder.layers[2].weight, model.decoder.layers[2].weight)
    assert not model.decoder.layers[0].weight.requires_grad
    assert model.encoder.layers[0].weight.requires_grad


# --------------------------------------------------------------------------- seeds and global state


def test_the_seed_decides_and_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()  # type: ignore[index]
    one, _ = _fit(pf.VAE(latent=2, hidden=(4,)), epochs=1, seed=1)
    assert (np.random.get_state()[1] == states[0]).all()  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), states[1])
    torch.manual_seed(6)
    assert _same(one, _fit(pf.VAE(latent=2, hidden=(4,)), epochs=1, seed=1)[0])
    assert not _same(one, _fit(pf.VAE(latent=2, hidden=(4,)), epochs=1, seed=2)[0])


def test_pythons_random_numbers_are_put_back() -> None:
    before = random.getstate()
    with BorrowedStreams(torch.device("cpu")):
        random.seed(1)
    assert random.getstate() == before


def test_fit_begins_afresh_every_time() -> None:
    model, _ = _fit(epochs=3)
    again, _ = _fit(model, epochs=3)
    assert again is model
    assert _same(again, _fit(epochs=3)[0])


def test_signals_and_training_mode_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    model, _ = _fit(epochs=1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not any(m.training for m in model.networks.values())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_whatever_would_measure_the_model_next(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Where there is a run to go on from, the fit returns;
    where there is none, what it learnt is in the model.
    """

    def stop(event: Any, model: Any) -> None:
        if type(event).__name__ == "Started":
            os.kill(os.getpid(), number)

    model = pf.Autoencoder(latent=1, hidden=(4,))
    with pytest.raises(KeyboardInterrupt):
        model.fit(torch.randn(64, 2), by=pf.Trainer(epochs=1000, batch=32, callbacks=[stop]))
    assert model.encode(torch.randn(3, 2)).shape == (3, 1)
    kept = pf.Trainer(epochs=1000, batch=32, callbacks=[stop], run=tmp_path / "run")
    model.fit(torch.randn(64, 2), by=kept)
    assert model.fit_result is not None
    assert model.fit_result.reason == "interrupted"


def test_a_fit_in_another_thread_is_the_same() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(_fit(epochs=1)[0]))
    thread.start()
    thread.join()
    assert _same(found[0], _fit(epochs=1)[0])


# -------------------------------------------------------------------------------------- fine-tuning


def test_fine_tuning_begins_from_the_given_weights_and_scaling() -> None:
    first, _ = _fit(epochs=2)
    still = {"autoencoder": "sgd(rate=1e-300)"}
    tuned, _ = _fit(x=X * 3 + 1, epochs=1, start=first, optimizers=still)
    assert _same(first, tuned)
    further, _ = _fit(x=X * 3 + 1, epochs=1, start=first)
    assert not _close(first, further, 1e-6)


def test_a_model_can_be_fine_tuned_in_place() -> None:
    first, _ = _fit(epochs=2)
    other, _ = _fit(epochs=2)
    assert _same(_fit(first, epochs=1, start=first)[0], _fit(epochs=1, start=other)[0])


def test_a_fine_tuned_run_is_resumed_without_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any step, the weights it began from are in the run."""
    first, _ = _fit(epochs=2)
    whole, _ = _fit(epochs=1, start=first)
    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_run", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            _fit(epochs=1, start=first, run=tmp_path / "run")
    assert _same(whole, _autoencoder().fit(X, by=pf.Trainer(resume=tmp_path / "run")))


def test_fine_tuning_from_another_shape_is_refused() -> None:
    first, _ = _fit(pf.Autoencoder(latent=1, hidden=(4,)), epochs=1)
    with pytest.raises(
        InvalidValue,
        match=(
            r"cannot start from this Autoencoder: '.*' differs; start from the same model on the"
            r" same space"
        ),
    ):
        _fit(epochs=1, start=first)


# ------------------------------------------------------------------------------------ held-out data


class _Judged(pf.Autoencoder):
    """Quality follows a script: what is kept and when it stops does not hang on luck."""

    script: tuple[float, ...] = (1.0, 3.0, 2.0, 2.5, 0.0, 2.9, 1.0, 1.0, 1.0)

    def quality(self, batch: Batch, *, rng: Any = None) -> Tensor:
        self.judged = getattr(self, "judged", [])
        self.judged.append(self.encoder.layers[0].weight.detach().clone())
        return torch.tensor(self.script[(len(self.judged) - 1) % len(self.script)])


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_best_weights_are_kept(ema: float | None, tmp_path: Path) -> None:
    """Averaged ones if an average is kept: what was judged is what one gets."""
    from pushforward.core.registry import register

    register("test_judged")(_Judged)
    model, events = _fit(
        _Judged(latent=2, hidden=(4,)),
        epochs=6,
        evaluate_every=1,
        held_out=0.5,
        keep_best=True,
        ema=ema,
        run=tmp_path / "run",
    )
    assert [e.quality for e in _of(events, Evaluated)] == pytest.approx(
        [1.0, 3.0, 2.0, 2.5, 0.0, 2.9]
    )
    assert [e.best for e in _of(events, Evaluated)] == [True, True, False, False, False, False]
    assert torch.equal(model.encoder.layers[0].weight, model.judged[1])
    assert torch.equal(pf.load(tmp_path / "run").encoder.layers[0].weight, model.judged[1])
    assert _of(events, Finished)[0].quality == 3.0


def test_patience_stops_after_so_many_without_a_better_one() -> None:
    _, events = _fit(
        _Judged(latent=2, hidden=(4,)), epochs=30, evaluate_every=1, held_out=0.5, patience=3
    )
    assert len(_of(events, Evaluated)) == 5
    assert _of(events, Finished)[0].reason == "patience"
    assert events[-1].samples == 5 * 60


class _Sampling(pf.GAN):
    """Counts the rows it is evaluated on."""

    def quality(self, batch: Batch, *, rng: Any = None) -> Tensor:
        self.counts = [*getattr(self, "counts", []), len(batch)]
        return super().quality(batch, rng=rng)

    def vitals(self, batch: Batch, *, rng: Any = None) -> dict[str, float]:
        self.counts = [*getattr(self, "counts", []), len(batch)]
        return super().vitals(batch, rng=rng)


def test_evaluating_samples_takes_at_most_half_as_many_rows_as_training() -> None:
    x = torch.randn(3000, 2, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"seed": 0, "held_out": pf.Arrays(x[:2000]), "batch": 20}
    model = _Sampling(latent=2, hidden=(4,)).fit(x[2000:], by=pf.Trainer(steps=120, **settings))
    # 2400 rows: every 52 steps of 20 for 2 * 256 rows, and at the end
    assert model.counts == [256] * 2 * 3

    asked = pf.Trainer(steps=120, evaluate_every=0.2, **settings)
    model = _Sampling(latent=2, hidden=(4,)).fit(x[2000:], by=asked)
    assert model.counts == [256] * 2 * 12

    likelihood = pf.Autoencoder(latent=2, hidden=(4,))
    events: list[Event] = []
    likelihood.fit(x[2000:], by=pf.Trainer(steps=120, listeners=[events.append], **settings))
    assert len(_of(events, Evaluated)) == 20


@pytest.mark.parametrize(("side", "rows"), [(16, 40), (400, 26), (800, 8)])
def test_large_images_are_evaluated_by_fewer_samples(side: int, rows: int) -> None:
    x = torch.randint(0, 256, (41, 1, side, side), dtype=torch.uint8)
    settings: dict[str, Any] = {"seed": 0, "held_out": pf.Arrays(x[:40]), "batch": 1}
    model = _Sampling(latent=1, hidden=(1,)).fit(x[40:].repeat(2, 1, 1, 1), steps=1, **settings)
    assert model.counts == [rows] * 2


def test_held_out_rows_are_never_learnt_from() -> None:
    seen: list[Tensor] = []

    class Watching(pf.Autoencoder):
        def squared_error(self, batch: Batch, step: Step) -> Terms:
            seen.append(self.scaling.inverse(batch.x))
            return super().squared_error(batch, step)

        def quality(self, batch: Batch, *, rng: Any = None) -> Tensor:
            held.append(self.scaling.inverse(batch.x))
            return super().quality(batch, rng=rng)

    held: list[Tensor] = []
    _fit(Watching(latent=2, hidden=(4,)), epochs=4, held_out=0.25, evaluate_every=1)
    learnt, judged = (torch.cat(part).round(decimals=9).unique(dim=0) for part in (seen, held))
    assert len(judged) == 30
    assert len(torch.cat([learnt, judged]).unique(dim=0)) == len(learnt) + len(judged)


def test_every_held_out_row_is_judged() -> None:
    """Also those beyond the last full thousand."""
    x = torch.randn(1300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, events = _fit(
        x=X[:, :2], epochs=1, held_out=Arrays(x, weights=torch.arange(1300) >= 1290)
    )
    u = model.to_model(x[1290:])
    error = (model.decoder(model.encoder(u)) - u).square().sum(1).mean()
    assert _of(events, Evaluated)[-1].quality == pytest.approx(-float(error.detach()), rel=1e-9)


# ---------------------------------------------------------------------------- precision and storing


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32-true", torch.float32), ("64-true", torch.float64), ("bf16-mixed", torch.float32)],
)
def test_precisions_train_and_are_saved(precision: str, dtype: torch.dtype, tmp_path: Path) -> None:
    seen: list[torch.dtype] = []

    class Watching(pf.GAN):
        def critic_loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
            terms = super().critic_loss(batch, step)
            seen.append(terms["critic"].dtype)
            return terms

    start, _ = _fit(
        pf.GAN(latent=2, hidden=(8,)), steps=1, precision=precision, run=tmp_path / "run"
    )
    _fit(Watching(latent=2, hidden=(8,)), steps=3, precision=precision)
    assert {p.dtype for p in start.parameters()} == {dtype}
    assert {p.dtype for p in pf.load(tmp_path / "run").parameters()} == {dtype}
    assert set(seen) == {dtype}
    assert torch.isfinite(start.sample(4, rng=0)).all()


def test_mixed_precision_really_multiplies_in_bfloat16() -> None:
    full, _ = _fit(steps=5, precision="32-true")
    mixed, _ = _fit(steps=5, precision="bf16-mixed")
    assert not _close(full, mixed, 1e-7)
    assert _close(full, mixed, 5e-2)


def test_the_folder_holds_what_the_model_is(tmp_path: Path) -> None:
    for ema in (None, 0.9):
        model, events = _fit(steps=9, run=tmp_path / f"{ema}", ema=ema)
        assert _same(model, pf.load(tmp_path / f"{ema}"))
        told = [json.loads(json.dumps(e.as_dict())) for e in events if type(e).__name__ != "Saved"]
        assert read_log(tmp_path / f"{ema}") == told


def test_an_unregistered_learner_can_be_fitted() -> None:
    class Mine(pf.Autoencoder):
        pass

    _, events = _fit(Mine(latent=1, hidden=(2,)), epochs=1)
    assert _of(events, Started)[0].model == "Mine"


def test_cancelling_ends_after_the_step() -> None:
    token = CancelToken()
    token.cancel()
    model, events = _fit(epochs=3, token=token)
    assert events[-1].samples == 0
    assert events[-1].reason == "interrupted"
    assert model.fitted


def test_in_a_notebook_an_interrupted_fit_leaves_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))

    def stop(event: object, model: object) -> None:
        if not stopped:
            os.kill(os.getpid(), signal.SIGINT)
        stopped.append(event)

    stopped: list[object] = []
    monkeypatch.setattr("pushforward.fitting.gradient_fit.in_notebook", lambda: True)
    model = pf.VAE(2, (8,)).fit(x, steps=50, batch=8, quiet=True, callbacks=[stop])
    assert model.fit_result is not None
    assert model.fit_result.reason == "interrupted"
    assert model.sample(3, rng=0).shape == (3, 2)
    stopped.clear()
    monkeypatch.setattr("pushforward.fitting.gradient_fit.in_notebook", lambda: False)
    with pytest.raises(KeyboardInterrupt):
        pf.VAE(2, (8,)).fit(x, steps=50, batch=8, quiet=True, callbacks=[stop])
