"""Requests to stop that other processes leave in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.events import Event, Progress
from pushforward.fitting import stop_request
from pushforward.fitting.log import read_log
from pushforward.fitting.stop_request import StopRequest

X = torch.randn(300, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_request, "EVERY", 0.0)


def asking(folder: Path, report: int) -> Any:
    """A callback that asks the fit to stop at one of its reports."""
    seen: list[Event] = []

    def listen(event: Event, model: Any) -> None:
        seen.extend([event] if isinstance(event, Progress) else [])
        if len(seen) == report and (folder / "run.json").is_file():
            StopRequest(folder).make()

    return listen


def test_a_fit_by_gradients_that_is_asked_to_stop_goes_on_to_the_bit(tmp_path: Path) -> None:
    def fitted(**how: Any) -> pf.VAE:
        return pf.VAE(2, hidden=(8,)).fit(X, by=pf.Trainer(quiet=True, **how))

    settings: dict[str, Any] = {"steps": 60, "batch": 32, "seed": 2}
    whole, run = fitted(**settings), tmp_path / "run"
    fitted(**settings, run=run, callbacks=[asking(run, 10)])
    last = read_log(run)[-1]
    assert (last["event"], last["reason"]) == ("finished", "interrupted")
    assert 0 < last["samples"] < 60 * 32
    assert not StopRequest(run).pending, "the request is removed once it is heeded"
    resumed = fitted(resume=run)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_fit_by_passes_that_is_asked_to_stop_goes_on_to_the_bit(tmp_path: Path) -> None:
    def fitted(**how: Any) -> pf.GMM:
        return pf.GMM(3).fit(X, by=pf.EM(quiet=True, **how))

    settings: dict[str, Any] = {"steps": 40, "tolerance": 0}
    whole, run = fitted(**settings), tmp_path / "run"
    fitted(**settings, run=run, save_every=1e-9, callbacks=[asking(run, 8)])
    last = read_log(run)[-1]
    assert (last["event"], last["reason"]) == ("finished", "interrupted")
    assert not StopRequest(run).pending
    resumed = fitted(resume=run)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_request_from_before_is_not_for_this_fit(tmp_path: Path) -> None:
    run = tmp_path / "run"
    by: dict[str, Any] = {"batch": 32, "quiet": True}
    pf.VAE(2, hidden=(8,)).fit(X, by=pf.Trainer(steps=20, run=run, **by))
    StopRequest(run).make()
    model = pf.VAE(2, hidden=(8,)).fit(X, by=pf.Trainer(steps=20, run=run, overwrite=True, **by))
    assert model.fit_result is not None
    assert model.fit_result.reason == "budget"
    assert not StopRequest(run).pending


def test_a_request_is_looked_for_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_request, "EVERY", 1e6)
    request = StopRequest(tmp_path)
    assert not request.noticed
    StopRequest(tmp_path).make()
    assert request.pending
    assert not request.noticed, "only once in so many seconds"
    assert StopRequest(tmp_path).noticed


def test_a_request_that_cannot_be_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pf.BadRun, match="cannot write"):
        StopRequest(tmp_path / "missing").make()
