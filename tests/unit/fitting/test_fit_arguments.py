"""Settings of the fitter as arguments of `fit`, the batch that is
used where none is asked for, and progress in Python.
"""

from __future__ import annotations

import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.events import Evaluated, Event, Finished, Progress, Started
from pushforward.fitting import announcer, progress

X = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))


def vae() -> pf.VAE:
    return pf.VAE(latent=1, hidden=(4,))


def equal(one: Any, two: Any) -> bool:
    a, b = one.state_dict(), two.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


# --------------------------------------------------------------------------------- arguments of fit


def test_settings_of_the_trainer_are_arguments_of_fit() -> None:
    named = vae().fit(X, epochs=2, batch=50, seed=4, clip=1.0, quiet=True)
    assert equal(named, vae().fit(X, by=pf.Trainer(epochs=2, batch=50, seed=4, clip=1.0)))
    assert named.fit_result is not None
    assert named.fit_result.samples == 600


def test_settings_of_em_are_arguments_of_fit() -> None:
    named = pf.GMM(2).fit(X, steps=3, tolerance=0.0, seed=1)
    assert equal(named, pf.GMM(2).fit(X, by=pf.EM(steps=3, tolerance=0.0, seed=1)))
    assert named.fit_result is not None
    assert named.fit_result.samples == 900


def test_what_is_not_named_stays_as_the_model_has_it() -> None:
    """A GAN's own fitter keeps an average; an epoch less changes nothing of that."""
    gan = pf.GAN(latent=1, hidden=(4,)).fit(X, epochs=1)
    assert equal(gan, pf.GAN(latent=1, hidden=(4,)).fit(X, by=pf.Trainer(epochs=1, ema=0.999)))
    assert not equal(gan, pf.GAN(latent=1, hidden=(4,)).fit(X, by=pf.Trainer(epochs=1)))


def test_named_settings_override_those_of_by_and_one_budget_replaces_another() -> None:
    by = pf.Trainer(epochs=3, batch=50, seed=2)
    assert equal(
        vae().fit(X, by=by, steps=4, seed=9), vae().fit(X, by=pf.Trainer(steps=4, batch=50, seed=9))
    )
    assert (by.epochs, by.steps, by.seed) == (3, None, 2)


def test_a_run_is_resumed_by_its_name_alone(tmp_path: Path) -> None:
    """The model's own 100 epochs are no new budget for it, nor is its average another setting."""
    pf.GAN(latent=1, hidden=(4,)).fit(X, by=pf.Trainer(epochs=2, ema=0.5, run=tmp_path / "run"))
    again = pf.GAN(latent=1, hidden=(4,)).fit(X, resume=tmp_path / "run")
    assert again.fit_result is not None
    assert again.fit_result.samples == 2 * 256
    more = pf.GAN(latent=1, hidden=(4,)).fit(X, resume=tmp_path / "run", epochs="+1")
    assert equal(more, pf.GAN(latent=1, hidden=(4,)).fit(X, epochs=3, ema=0.5))


class _Plain:
    def fit(self, model: Any, source: Any) -> None:
        raise AssertionError("it must not get here")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            {"epoch": 3},
            "fit has no argument 'epoch', nor Trainer a setting; did you mean 'epochs'?",
        ),
        ({"weight": X}, "did you mean 'weights'?"),
        (
            {"by": pf.EM(), "epochs": 3},
            "fit has no argument 'epochs', nor EM a setting; did you mean",
        ),
        (
            {"by": _Plain(), "epochs": 3},
            "_Plain takes no settings in fit, got epochs; pass them to its constructor",
        ),
        ({"epochs": 3, "steps": 2}, "give one budget, got epochs and steps"),
        ({"epochs": "many"}, "epochs must be a number"),
        ({"epochs": "3"}, "epochs must be a number, got the text '3'; pass epochs=3"),
        ({"steps": "90"}, "steps must be a number, got the text '90'; pass steps=90"),
        ({"epochs": "+3"}, "epochs='+3' extends a resumed run"),
    ],
)
def test_wrong_names_and_values_are_one_line(named: dict[str, Any], message: str) -> None:
    with pytest.raises((pf.InvalidKind, pf.InvalidValue)) as error:
        vae().fit(X, **named)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# -------------------------------------------------------------------------------- the default batch


@pytest.mark.parametrize(
    ("rows", "settings", "batch", "noted"),
    [
        (300, {}, 128, False),
        (128, {}, 128, False),
        (127, {}, 127, True),
        (50, {}, 50, True),
        (51, {"accumulate": 4}, 48, True),
        (300, {"accumulate": 3}, 126, True),
        (100, {"held_out": 0.3}, 70, True),
        (50, {"batch": 20}, 20, False),
    ],
)
def test_without_a_batch_it_is_the_largest_that_fits(
    rows: int, settings: dict[str, Any], batch: int, noted: bool, tmp_path: Path
) -> None:
    events: list[Event] = []
    vae().fit(X[:rows], steps=3, run=tmp_path / "run", listeners=[events.append], **settings)
    begun, ended = events[0], events[-1]
    assert isinstance(begun, Started)
    assert ended.samples == 3 * batch
    assert begun.note == (
        f"batch {batch}, the largest for {rows if 'held_out' not in settings else 70} rows"
        if noted
        else ""
    )
    assert (
        json.loads((tmp_path / "run" / "run.json").read_text())["fitter"]["settings"]["batch"]
        == batch
    )
    assert (f"; batch {batch}" in progress.format_heading(begun)) == noted


def test_a_batch_that_is_asked_for_and_too_large_is_refused() -> None:
    with pytest.raises(pf.BadSource, match=r"fewer rows \(50\) than a batch takes \(128\)"):
        vae().fit(X[:50], steps=3, batch=128)
    with pytest.raises(pf.BadSource, match=r"fewer rows \(3\) than a batch takes \(4\)"):
        vae().fit(X[:3], steps=3, accumulate=4)


def test_a_run_with_a_settled_batch_is_resumed_to_the_bit(tmp_path: Path) -> None:
    vae().fit(X[:50], steps=3, run=tmp_path / "run")
    again = vae().fit(X[:50], resume=tmp_path / "run", steps=7)
    assert equal(again, vae().fit(X[:50], steps=7, batch=50))


# ----------------------------------------------------------------------------------------- progress

STORY = (
    Started(0, 0.0, 1000, "vae", 42),
    Progress(100, 1.0, 100.0, 9.0, {"rate": 2.5, "<b>": 1.0}),
    Evaluated(500, 6.0, -3.25, True, {"active": 2.0}),
    Progress(600, 6.5, 100.0, 4.0, {"rate": 2.0}),
    Finished(1000, 10.0, "budget", -3.0),
)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """Called in the test itself: pytest puts its own stderr back after fixtures."""
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return screen


def test_a_terminal_shows_a_bar_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    vae().fit(X, epochs=20)
    shown = terminal.getvalue()
    assert "of 5,120 samples" in shown
    assert shown.rstrip().endswith("\x1b[2K")  # the last thing is to clear its lines


@pytest.mark.parametrize("how", ["quiet", "passes, quiet", "piped", "another shows it", "short"])
def test_nothing_is_drawn_where_nobody_wants_it(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    more: dict[str, Any] = {"quiet": True} if "quiet" in how else {}
    if how == "piped":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    if how == "short":
        monkeypatch.setattr(progress, "PATIENCE", 60.0)
    if how == "another shows it":
        more["listeners"] = [progress.Follower()]
    if "passes" in how:
        pf.GMM(2).fit(X, **more)
    else:
        vae().fit(X, epochs=20, **more)
    assert "samples" not in terminal.getvalue()


def test_a_notebook_shows_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    drawn: list[str] = []

    class Handle:
        def update(self, table: str) -> None:
            drawn.append(table)

    def display(table: str, display_id: bool) -> Handle:
        assert display_id
        drawn.append(table)
        return Handle()

    notebook = types.ModuleType("IPython")
    notebook.get_ipython = lambda: types.SimpleNamespace(kernel=1)  # type: ignore[attr-defined]
    module = types.ModuleType("IPython.display")
    module.HTML, module.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    table = progress.default_follower()
    assert isinstance(table, progress.NotebookTable)
    for event in STORY:
        table(event)
    assert len(drawn) >= 2
    assert "<th>samples</th><td>600 of 1,000 (60%)</td>" in drawn[-1]
    assert "&lt;b&gt;" in drawn[-1]
    assert "<th>held-out quality</th><td>-3.25 (best)</td>" in drawn[-1]
    assert "budget, after 10 s" in drawn[-1]
    assert "time left" not in drawn[-1]
    vae().fit(X, epochs=20)
    assert "5,120 of 5,120" in drawn[-1]
    assert "samples" not in terminal.getvalue()
    assert announcer.default_follower is progress.default_follower
