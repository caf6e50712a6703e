"""Progress from events: a live bar on a terminal, lines elsewhere, JSON, or nothing."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

import pushforward as pf
from pushforward.cli import progress
from pushforward.cli.console import Voice
from pushforward.cli.recipe import recipe
from pushforward.core.events import Evaluated, Finished, Progress, Started, Warned
from pushforward.fitting.progress import default_follower, summarise

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
    assert lines[3].startswith("600 samples of 1,000 (60%)")
    assert lines[4] == "  rate 2  held-out quality -3.25 (best)  active 2"
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


TERMS = {
    "critic1.critic": 1.312, "critic1.accuracy": 0.5586, "generator1.generator": 1.074,
    "critic0.critic": 1.383, "critic0.accuracy": 0.5078, "generator0.generator": 0.6472,
}  # fmt: skip


def test_lines_have_the_numbers_that_matter_within_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vitals = {"accuracy": 0.98, "accuracy0": 0.98, "distance": 1.5, "diversity": 0.25}
    with progress.display(Voice()) as shown:
        shown(Started(0, 0.0, 7680, "lapgan", 42))
        shown(Evaluated(1024, 6.0, -1.23456, True, vitals))
        shown(Progress(2560, 8.0, 169.0, 30.0, TERMS))
    _, first, second = capsys.readouterr().err.splitlines()
    assert first == "2,560 samples of 7,680 (33%), 169/s, 30 s left"
    assert second == "  critic1 1.312  generator1 1.074  held-out quality -1.2346 (best)"


def test_the_first_terms_of_all_phases_come_before_others() -> None:
    assert summarise(TERMS, None, 66) == (
        "critic1 1.312  generator1 1.074  critic0 1.383  generator0 0.6472"
    )
    losses = {"critic.critic": 1.0, "critic.accuracy": 0.5, "generator.absolute": 33.0}
    assert summarise(losses, None, 37) == "critic 1  generator.absolute 33"
    own = {"critic": 1.0, "critic.accuracy": 0.5, "generator": 1.8, "generator.mask": 0.03}
    assert summarise(own, None, 24) == "critic 1  generator 1.8"
    assert summarise(losses) == "critic 1  critic.accuracy 0.5  generator.absolute 33"


def test_fits_of_a_recipe_are_shown_once_they_take_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(voice: Voice) -> str:
        with progress.several_displayed(voice):
            pf.GAN(latent=2, hidden=(4,)).fit("ring:64", by=pf.Trainer(steps=4, batch=8))
        return capsys.readouterr().err

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "samples" not in fit(Voice())
        monkeypatch.setattr(progress, "PLAIN_EVERY", 0.0)
        lines = fit(Voice()).splitlines()
        assert lines[0].startswith("fitting gan")
        assert [line.split(" of ")[0] for line in lines if " of 32" in line][-1] == "32 samples"
        assert "samples" not in fit(Voice(quiet=True))


def test_recipes_show_their_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[object] = []

    def fake(name: str, **settings: object) -> NoReturn:
        shown.append(default_follower())
        raise pf.InvalidValue("enough")

    monkeypatch.setattr("pushforward.recipes.registry.run", fake)
    with pytest.raises(pf.InvalidValue):
        recipe("day-night", out=str(tmp_path))
    assert isinstance(shown[0], progress.Belated)
    assert default_follower() is None
