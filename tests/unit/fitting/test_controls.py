"""Control of a running fit: pause, single steps, phases, pace and visits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import InvalidValue
from pushforward.fitting.controls import Controls

X = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))


class Background:
    """A fit in a thread of its own."""

    def __init__(self, model: Any, by: Any) -> None:
        self.error: BaseException | None = None
        self.model = model
        self._thread = threading.Thread(target=self._fit, args=(by,), daemon=True)
        self._thread.start()

    def _fit(self, by: Any) -> None:
        try:
            self.model.fit(X, by=by)
        except BaseException as error:
            self.error = error

    def join(self) -> Any:
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error
        return self.model


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """First names of the tensors that differ."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def gan(controls: Controls, steps: int = 40, **settings: Any) -> Background:
    by = pf.Trainer(steps=steps, batch=16, token=controls, quiet=True, **settings)
    return Background(pf.GAN(latent=2, hidden=(8,)), by)


def settled(controls: Controls, steps: int) -> None:
    """Wait until so many steps are admitted and the last is over."""
    until = time.monotonic() + 30
    while controls.steps < steps:
        assert time.monotonic() < until
        time.sleep(0.005)
    controls.visit(lambda model: None).result(30)


def test_a_controlled_fit_ends_with_the_weights_of_an_uncontrolled_one() -> None:
    plain = pf.GAN(latent=2, hidden=(8,)).fit(X, by=pf.Trainer(steps=40, batch=16, quiet=True))
    controls = Controls(paused=True)
    fit = gan(controls)
    for _ in range(3):
        controls.step(5)
        controls.visit(lambda model: (model.sample(4), torch.rand(3))).result(30)
    controls.proceed()
    assert not changed(weights(plain), weights(fit.join()))


def test_a_paused_fit_stands_still_and_steps_are_counted() -> None:
    controls = Controls(paused=True)
    fit = gan(controls)
    before = controls.visit(weights).result(30)
    time.sleep(0.1)
    assert not changed(before, controls.visit(weights).result(30))
    controls.step(3)
    settled(controls, 3)
    assert controls.paused
    assert changed(before, controls.visit(weights).result(30))
    controls.proceed()
    assert controls.steps <= 40
    assert fit.join().fit_result.reason == "budget"
    assert controls.steps == 40


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_steps_of_one_player_leave_the_other_alone(player: str) -> None:
    controls = Controls(paused=True)
    fit = gan(controls)
    before = controls.visit(weights).result(30)
    controls.step(2, phases=[player])
    settled(controls, 2)
    assert changed(before, controls.visit(weights).result(30)) == {player}
    controls.proceed()
    fit.join()


def test_a_pace_holds_up_each_step() -> None:
    controls = Controls()
    controls.slow(0.02)
    began = time.monotonic()
    gan(controls, steps=5).join()
    assert time.monotonic() - began >= 0.1
    with pytest.raises(InvalidValue, match="seconds must be finite and not below 0, got -1"):
        controls.slow(-1)


def test_a_paused_fit_can_be_cancelled() -> None:
    controls = Controls(paused=True)
    fit = gan(controls)
    controls.visit(lambda model: None).result(30)
    controls.cancel()
    assert fit.join().fit_result.reason == "interrupted"
    assert controls.steps == 0


def test_errors_of_visits_belong_to_visitors_and_late_visits_are_cancelled() -> None:
    controls = Controls(paused=True)
    fit = gan(controls, steps=2)
    with pytest.raises(ZeroDivisionError):
        controls.visit(lambda model: 1 / 0).result(30)
    controls.proceed()
    fit.join()
    with pytest.raises(CancelledError):
        controls.visit(lambda model: None).result(1)


def test_visits_see_the_average_that_samples_use() -> None:
    controls = Controls(paused=True)
    fit = gan(controls, ema=0.9)
    controls.step(10)
    settled(controls, 10)
    seen = controls.visit(lambda model: (model.training, weights(model))).result(30)
    assert seen[0] is False
    raw = pf.GAN(latent=2, hidden=(8,)).fit(X, by=pf.Trainer(steps=10, batch=16, quiet=True))
    assert "generator" in changed(weights(raw), seen[1])
    controls.proceed()
    fit.join()


def test_passes_are_admitted_one_by_one() -> None:
    controls = Controls(paused=True)
    fit = Background(pf.GMM(3), pf.EM(steps=6, tolerance=0.0, token=controls, quiet=True))
    controls.step(2)
    settled(controls, 2)
    means = controls.visit(weights).result(30)
    controls.step()
    settled(controls, 3)
    assert changed(means, controls.visit(weights).result(30))
    controls.cancel()
    assert fit.join().fit_result.reason == "interrupted"
    assert controls.steps == 3
