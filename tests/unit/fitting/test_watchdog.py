"""What goes wrong is found at once and named; what can be mended by going back is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, Diverged
from pushforward.core.events import Event, Progress, Warned
from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.core.registry import register
from pushforward.fitting.loop import Loop
from pushforward.fitting.watchdog import Watchdog

X = torch.randn(120, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SHORT: dict[str, Any] = {"steps": 12, "batch": 20, "precision": "64-true"}


class _Bad(pf.Autoencoder):
    """Well for four steps; then `fault` happens, `times` times."""

    fault, times = "nan", 99

    def build(self, space: Any, condition_space: Any = None) -> None:
        super().build(space, condition_space)
        if self.fault == "output":
            self.decoder = _Overflowing(self.decoder)

    def phases(self) -> list[Phase]:
        return [Phase("restoring", ("encoder", "decoder"), self.squared_error, pf.adam(1e-3))]

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        code = self.encoder(batch.x)
        error = (self.decoder(code) - batch.x).square().sum(1)
        extra = torch.zeros_like(error)
        if step.samples >= 80 and self.times > 0:
            if self.fault == "nan":
                extra = extra / 0
            if self.fault == "inf":
                extra = -extra.log()
            if self.fault == "gradient":
                extra = (0 * code.sum(1)).sqrt()
            if self.fault == "noise":
                drawn = float(torch.rand((), generator=step.rng))
                self.unlucky = getattr(self, "unlucky", drawn)
                extra = extra / (0 if drawn == self.unlucky else 1)
            if self.fault != "output":
                self.times -= 1
        return Terms(error=error, extra=extra)


@register("test_sound")
class _Sound(_Bad):
    """Without a fault."""

    times = 0


class _Overflowing(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.calls = body, 0

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        self.calls += 1
        return self.body(z, y) * (math.inf if self.calls > 4 else 1)


def _fit(fault: str, times: int = 99, **more: Any) -> tuple[_Bad, list[Event]]:
    class Bad(_Bad):
        pass

    Bad.fault, Bad.times = fault, times
    events: list[Event] = []
    more.setdefault("listeners", [events.append])
    model = Bad(latent=2, hidden=(4,))
    model.events = events
    return model.fit(X, by=pf.Trainer(**{**SHORT, **more})), events


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "nan",
            (
                r"term 'extra' of phase 'restoring' became NaN .*term 'extra' is not finite"
                r" although every network's output is\) after 80"
            ),
        ),
        (
            "noise",
            (
                r"became NaN .*\(term 'extra' is not finite although every network's output is\)"
                r" after 80 samples"
            ),
        ),
        ("inf", r"term 'extra' of phase 'restoring' became infinite"),
        (
            "gradient",
            r"the gradient of network 'encoder' of phase 'restoring' became NaN \(term 'extra' is"
            r" finite, but its gradient in network "
            r"'encoder' is not\) after 80 samples",
        ),
        (
            "output",
            (
                r"term 'error' of phase 'restoring' became infinite.*\(network 'decoder' was the"
                r" first with a value that is not"
            ),
        ),
    ],
)
def test_the_term_the_phase_and_the_network_are_named(fault: str, message: str) -> None:
    with pytest.raises(Diverged, match=message) as error:
        _fit(fault)
    assert (
        "a lower rate (optimizers={'restoring': 'adam(rate=1e-4)'}), clip=1.0, or"
        " on_divergence='rollback'" in str(error.value)
    )


def test_with_several_pieces_the_bad_one_is_found() -> None:
    with pytest.raises(Diverged, match="term 'extra' of phase 'restoring' became NaN"):
        _fit("nan", accumulate=4)


def test_rolling_back_restores_the_last_good_state_and_halves_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one fault: the bits of a fit that was stopped at the
    last evaluation and went on at half the rate.
    """
    model, events = _fit("nan", times=2, on_divergence="rollback", evaluate_every=0.5)
    (warned,) = [e for e in events if isinstance(e, Warned)]
    assert "term 'extra' of phase 'restoring' became NaN" in warned.symptom
    assert warned.advice == "went back to 60 samples and halved the learning rate"

    _Sound(latent=2, hidden=(4,)).fit(
        X, by=pf.Trainer(**{**SHORT, "steps": 3}, run=tmp_path / "run")
    )
    restore = Loop.restore

    def halved(loop: Loop, state: Any, log: bool = True) -> None:
        restore(loop, state, log)
        loop.players.rates = {
            name: [rate / 2 for rate in rates] for name, rates in loop.players.rates.items()
        }

    monkeypatch.setattr(Loop, "restore", halved)
    again = _Sound(latent=2, hidden=(4,)).fit(X, by=pf.Trainer(resume=tmp_path / "run", steps=12))
    for one, two in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)


def test_it_gives_up_after_three_times() -> None:
    events: list[Event] = []
    with pytest.raises(Diverged, match=r"became NaN .* 3 times over; try a lower rate"):
        _fit("nan", on_divergence="rollback", listeners=[events.append])
    warned = [e for e in events if isinstance(e, Warned)]
    assert [w.advice.startswith("went back") for w in warned] == [True, True, True, False]


def test_three_faults_are_survived() -> None:
    # each fault is played twice: once to find where it began
    _, events = _fit("gradient", times=6, on_divergence="rollback")
    assert sum(isinstance(e, Warned) for e in events) == 3


def test_the_reported_speed_is_never_negative() -> None:
    """Also in the report after a roll back, which went behind the report before."""
    _, events = _fit("nan", times=2, on_divergence="rollback", evaluate_every=3.0)
    rates = [e.rate for e in events if isinstance(e, Progress)]
    assert rates
    assert all(rate >= 0 for rate in rates)


def test_rows_that_are_not_finite_are_named(tmp_path: Path) -> None:
    """In data too many to be looked through before: the row, not the network that met it."""
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    written = np.load(tmp_path / "x.npy", mmap_mode="r+")
    source = Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert not source.resident

    def spoil(event: Event, model: Any) -> None:
        if type(event).__name__ == "Started":
            written[211] = np.nan
            written.flush()

    model = pf.Autoencoder(latent=1, hidden=(4,))
    trainer = pf.Trainer(epochs=2, batch=20, on_divergence="rollback", callbacks=[spoil])
    with pytest.raises(
        BadSource,
        match=(
            r"row 211 of the data holds NaN or infinity \(term 'error' of phase 'autoencoder'"
            r" became NaN"
        ),
    ):
        model.fit(source, by=trainer)


def test_later_looks_find_the_first_of_many() -> None:
    watchdog = Watchdog(at_once=False)
    for step in range(20):
        watchdog.watch(
            f"phase {step}",
            {"a": torch.tensor(1.0), "b": torch.tensor(math.nan if step > 6 else 1.0)},
            {},
        )
    with pytest.raises(Diverged, match=r"^term 'b' of phase 'phase 7' became NaN$"):
        watchdog.look()
    watchdog.look()


def test_later_looks_come_by_themselves() -> None:
    watchdog = Watchdog(at_once=False)
    for _ in range(24):
        watchdog.watch("p", {"a": torch.tensor(math.inf)}, {})
    with pytest.raises(Diverged, match="term 'a' of phase 'p' became infinite"):
        watchdog.watch("p", {"a": torch.tensor(1.0)}, {})


def test_large_numbers_are_not_infinite() -> None:
    Watchdog(at_once=True).watch("p", {"a": torch.tensor(3e38), "b": torch.tensor(3e38)}, {})


# ----------------------------------------------------------------------------------------- collapse


def _warnings(model: Any, x: Tensor, **settings: Any) -> list[Warned]:
    events: list[Event] = []
    model.fit(x, by=pf.Trainer(batch=32, listeners=[events.append], **settings))
    return [e for e in events if isinstance(e, Warned)]


def test_a_vae_whose_posterior_collapses_is_told() -> None:
    x = torch.randn(320, 2, generator=torch.Generator().manual_seed(0))
    found = _warnings(
        pf.VAE(latent=2, hidden=(8,), likelihood="gaussian(sigma=30.0)"),
        x,
        epochs=20,
        optimizers={"vae": "adam(rate=0.01)"},
    )
    assert [w.symptom for w in found if "collapse" in w.symptom] == [
        "posterior collapse: no latent dimension depends on the data"
    ]
    assert "lower the likelihood's sigma" in found[-1].advice


def test_a_vae_with_dead_dimensions_is_told_how_many() -> None:
    x = torch.randn(320, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(4)
    x += 0.01 * torch.randn(320, 4, generator=torch.Generator().manual_seed(1))
    found = _warnings(
        pf.VAE(latent=12, hidden=(16,), likelihood="gaussian(sigma=0.3)"),
        x,
        epochs=30,
        optimizers={"vae": "adam(rate=0.01)"},
    )
    assert len(found) == 1
    assert "of 12 latent dimensions are dead" in found[0].symptom
    assert "otherwise latent=" in found[0].advice


def test_a_critic_that_has_won_and_samples_that_are_alike_are_told_once() -> None:
    x = torch.randn(320, 2, generator=torch.Generator().manual_seed(0))
    still = {"generator": "sgd(rate=1e-12)", "critic": "adam(rate=0.02)"}

    class Stuck(pf.GAN):
        """A generator that gives one point far from the data."""

        def build(self, space: Any, condition_space: Any = None) -> None:
            super().build(space, condition_space)
            last = self.generator.layers[-1]
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, 9.0)

    found = _warnings(Stuck(latent=2, hidden=(16,), penalties=()), x, epochs=10, optimizers=still)
    assert sorted(w.symptom.split(":")[0] for w in found) == ["collapse", "the critic dominates"]
    assert all("r1(gamma=10)" in w.advice for w in found)


def test_a_healthy_fit_is_told_nothing() -> None:
    x = torch.randn(320, 2, generator=torch.Generator().manual_seed(0))
    assert _warnings(pf.GAN(latent=2, hidden=(16,)), x, epochs=5) == []
    assert (
        _warnings(pf.VAE(latent=1, hidden=(16,), likelihood="gaussian(sigma=0.3)"), x, epochs=10)
        == []
    )


@pytest.mark.parametrize("scale", [1.0, 1e14, 1e16, 1e25, math.inf, math.nan])
@pytest.mark.parametrize("where", ["term", "gradient"])
def test_a_number_is_bad_at_once_if_it_is_bad_later(scale: float, where: str) -> None:
    """The short way for small numbers finds what the norms of all networks find."""
    parameters = [nn.Parameter(torch.ones(4)) for _ in range(3)]
    for parameter in parameters:
        parameter.grad = torch.full((4,), scale if where == "gradient" else 1.0)
    terms = {"error": torch.tensor(scale if where == "term" else 1.0)}
    messages = []
    for at_once in (True, False):
        watchdog = Watchdog(at_once)
        try:
            watchdog.watch("phase", terms, {"net": parameters})
            watchdog.look()
            messages.append("")
        except Diverged as error:
            messages.append(str(error))
    assert messages[0] == messages[1]
    fine = scale < (1e19 if where == "gradient" else math.inf)  # 1e25 squared is above float32
    assert (messages[0] == "") == fine
