"""Progress from events: a live bar on a terminal, lines elsewhere, JSON, or nothing."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pushforward.cli import progress
from pushforward.cli.console import Voice
from pushforward.core.events import Evaluated, Finished, Progress, Started, Warned

STORY = (
    Started(0, 0.0, 1000, "vae", 42),
    Progress(100, 1.0, 100.0, 9.0, {"rate": 2.5, "distortion": float("nan")}),
    Evaluated(500, 6.0, -3.25, True, {"active": 2.0}),
    Warned(500, 6.0, "dead dimensions: 3 of 5", "latent=2"),
    Progress(600, 6.5, 100.0, 4.0, {"rate": 2.0}),
    Progress(700, 6.6, 100.0, 3.0, {"rate": 1.5}),
    Finished(1000, 10.0, "budget", -3.0),
)


def told(voice: Voice) -> None:
    with progress.display(voice) as drawn:
        for event in STORY:
            drawn(event)


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    told(Voice())
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "fitting vae, 42 parameters, 1,000 samples"
    assert lines[1].startswith("100 samples of 1,000 (10%), 100/s, 9.0 s left  rate 2.5")
    assert "warning: dead dimensions: 3 of 5; try: latent=2" in lines
    assert "held-out quality -3.25 (best)  active 2" in lines[3]
    assert lines[-1] == "ended (budget) after 1,000 samples, 10 s"


def test_quiet_says_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    told(Voice(quiet=True))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "warning: dead dimensions: 3 of 5; try: latent=2\n")


def test_json_lines_have_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    told(Voice(as_json=True))
    out, err = capsys.readouterr()
    assert err == ""
    events = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert len(events) == len(STORY)
    assert events[1]["terms"] == {"rate": 2.5, "distortion": None}


@pytest.mark.parametrize("colour", [True, False])
def test_a_live_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    screen = io.StringIO()
    if colour:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(
        progress,
        "stderr",
        lambda: Console(
            file=screen, force_terminal=True, width=120, color_system="standard", highlight=False
        ),
    )
    told(Voice())
    shown = screen.getvalue()
    assert "1,000 of 1,000 samples" in shown
    assert "held-out quality -3.25" in shown
    assert "dead dimensions" in shown
    assert ("\x1b[32m" in shown or "\x1b[35m" in shown or "\x1b[33m" in shown) is colour


def test_durations() -> None:
    assert [progress.format_duration(s) for s in (None, 3.21, 42, 250, 7500)] == [
        "",
        "3.2 s",
        "42 s",
        "4 min 10 s",
        "2 h 5 min",
    ]
