"""Those who follow a fit: what reaches them, in which order,
and that none of them ends or slows it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.events import (
    CancelToken,
    Evaluated,
    Event,
    Finished,
    Progress,
    Saved,
    Started,
    Warned,
)
from pushforward.fitting import announcer as module
from pushforward.fitting.announcer import Announcer

X = torch.randn(96, 2, generator=torch.Generator().manual_seed(0))


def gradients(**more: Any) -> Any:
    settings = {"steps": 40, "batch": 16, "held_out": 0.2, "seed": 2, **more}
    return pf.VAE(latent=1, hidden=(4,)).fit(X, by=pf.Trainer(**settings))


def passes(**more: Any) -> Any:
    return pf.GMM(2, start="random").fit(X, by=pf.EM(**{"steps": 40, "tolerance": 0.0, **more}))


FITS: dict[str, Callable[..., Any]] = {"gradients": gradients, "passes": passes}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end waits for a moment only."""
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.3)


def equal(one: Any, two: Any) -> bool:
    a, b = one.state_dict(), two.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


# ------------------------------------------------------------------------------------- what arrives


@pytest.mark.parametrize("fit", list(FITS))
def test_listeners_get_what_callbacks_get_in_the_same_order(fit: str, tmp_path: Path) -> None:
    heard: list[Event] = []
    called: list[Event] = []
    threads = set()

    def listen(event: Event) -> None:
        threads.add(threading.current_thread().name)
        heard.append(event)

    def call(event: Event, model: Any) -> None:
        assert threading.current_thread() is threading.main_thread()
        called.append(event)

    FITS[fit](listeners=[listen], callbacks=[call], run=tmp_path / "run", save_every=1e-9)
    assert heard == called
    assert isinstance(heard[0], Started)
    assert isinstance(heard[-1], Finished)
    assert any(isinstance(event, Saved) for event in heard)
    assert threads == {"listener"}


def test_a_full_queue_drops_the_oldest_progress_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_EVENTS", 4)
    gate, heard = threading.Event(), []

    def listen(event: Event) -> None:
        gate.wait(5)
        heard.append(event)

    announcer = Announcer([listen])
    announcer.tell(Started(0, 0.0))
    time.sleep(0.1)  # it is with the listener now, and not in the queue
    others = [Evaluated(1, 0.0), Saved(1, 0.0), Evaluated(2, 0.0), Saved(2, 0.0), Evaluated(3, 0.0)]
    announcer.tell(others[0])
    for n in range(6):
        announcer.tell(Progress(n, 0.0))
    assert announcer._queues[0]._events == module.deque(
        [others[0], *(Progress(n, 0.0) for n in (3, 4, 5))]
    )
    for event in [*others[1:], Progress(9, 0.0), Finished(9, 0.0)]:
        announcer.tell(event)
    gate.set()
    announcer.close()
    assert heard == [Started(0, 0.0), *others, Finished(9, 0.0)]


# -------------------------------------------------------------------------- raising, slow, blocking


@pytest.mark.parametrize("fit", list(FITS))
@pytest.mark.parametrize("who", ["listeners", "callbacks"])
def test_what_raises_is_named_once_and_ends_nothing(fit: str, who: str) -> None:
    called = []

    def spoil(*arguments: Any) -> None:
        called.append(arguments[0])
        raise RuntimeError("broken page")

    plain = FITS[fit]()
    with pytest.warns(pf.FitWarning) as said:
        model = FITS[fit](**{who: [spoil]})
    texts = [str(w.message) for w in said if "spoil" in str(w.message)]
    assert len(texts) == 1
    assert f"the {who.removesuffix('s')} " in texts[0]
    assert "raised RuntimeError: broken page" in texts[0]
    assert next(w for w in said if "spoil" in str(w.message)).filename == __file__
    assert isinstance(called[-1], Finished)
    assert equal(plain, model)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("fit", list(FITS))
def test_one_that_blocks_for_ever_is_left_behind_and_the_others_are_told(fit: str) -> None:
    forever, heard = threading.Event(), []

    def block(event: Event) -> None:
        forever.wait(60)

    began = time.monotonic()
    with pytest.warns(
        pf.FitWarning, match="block did not return in time, and .* events were not delivered"
    ):
        model = FITS[fit](listeners=[block, heard.append])
    assert time.monotonic() - began < 10
    forever.set()
    assert isinstance(heard[-1], Finished)
    assert equal(model, FITS[fit]())


@pytest.mark.usefixtures("short")
def test_events_that_did_not_reach_a_listener_are_counted() -> None:
    """Of three events, one is with the listener for ever and two are waiting."""
    forever = threading.Event()
    announcer = Announcer([lambda event: forever.wait(60) and None])
    for event in (Started(0, 0.0), Progress(1, 0.0), Finished(1, 0.0)):
        announcer.tell(event)
    with pytest.warns(pf.FitWarning, match="and 3 events were not delivered"):
        announcer.close()
    forever.set()


def test_a_slow_one_gets_everything_and_slows_nothing() -> None:
    heard: list[Event] = []

    def slow(event: Event) -> None:
        time.sleep(0.02)
        heard.append(event)

    events: list[Event] = []
    gradients(listeners=[slow, events.append])
    assert heard == events
    assert events[-1].seconds < 0.02 * len(events)  # the fit itself was over before its listener


# -------------------------------------------------------------------------------- what goes through


@pytest.mark.parametrize("fit", list(FITS))
def test_ctrl_c_in_a_callback_ends_the_fit(fit: str) -> None:
    def stop(event: Event, model: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FITS[fit](callbacks=[stop])


@pytest.mark.parametrize("fit", list(FITS))
@pytest.mark.parametrize("who", ["listeners", "callbacks"])
def test_a_token_cancelled_by_any_of_them_ends_the_fit(fit: str, who: str) -> None:
    token = CancelToken()
    more = {"steps": 10**6} if fit == "gradients" else {"steps": 10**5}
    model = FITS[fit](**{who: [lambda *event: token.cancel()]}, token=token, **more)
    assert model.fit_result.reason == "interrupted"


@pytest.fixture
def spoilt() -> torch.Tensor:
    return torch.cat([X, torch.full((1, 2), 1e6)])


def test_every_warning_of_a_fit_is_a_warning_of_python_unless_it_is_shown(
    spoilt: torch.Tensor,
) -> None:
    heard: list[Event] = []
    with pytest.warns(pf.FitWarning) as said:
        pf.GMM(3).fit(spoilt, by=pf.EM(listeners=[heard.append]))
    warned = [event for event in heard if isinstance(event, Warned)]
    assert warned
    assert [str(w.message) for w in said] == [f"{w.symptom}; try: {w.advice}" for w in warned]


def test_a_resumed_fit_has_the_same_bits_whoever_listens(tmp_path: Path) -> None:
    def spoil(event: Event) -> None:
        raise RuntimeError("broken")

    def stop(event: Event, model: Any) -> None:
        if event.samples >= 160:
            token.cancel()

    token = CancelToken()
    with pytest.warns(pf.FitWarning, match="broken"):
        gradients(run=tmp_path / "run", listeners=[spoil], callbacks=[stop], token=token)
    by = pf.Trainer(resume=tmp_path / "run", listeners=[spoil])
    with pytest.warns(pf.FitWarning, match="broken"):
        again = pf.VAE(latent=1, hidden=(4,)).fit(X, by=by)
    assert equal(again, gradients())


def test_the_documentation_has_every_event_and_field() -> None:
    text = (Path(module.__file__).parents[2] / "docs" / "events.md").read_text()
    kinds = (Started, Progress, Evaluated, Saved, Warned, Finished)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    fields: dict[str, list[str]] = {}
    for row in rows:
        if row[0].startswith("`"):
            fields[row[0].strip("`")] = []
        if len(row) == 4 and row[2].startswith("`"):
            list(fields.values())[-1].append(row[2].strip("`"))
    wanted = {
        kind.__name__.lower(): [f.name for f in dataclasses.fields(kind)][2:] for kind in kinds
    }
    assert fields == wanted
