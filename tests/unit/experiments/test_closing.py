"""The last words about a fit: what is wrong at its end, what has passed, what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.experiments import OpenedRun, open_run
from pushforward.experiments.closing import Closing, closing


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closing") / "run"
    pf.VAE(2, hidden=(4,)).fit("moons:60", epochs=2, batch=20, run=folder)
    return folder


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closing") / "run"
    pf.GAN(latent=2, hidden=(4,)).fit("digits", steps=2, batch=20, run=folder)
    return folder


HEALTHY = {"accuracy": 0.6, "diversity": 1.0, "overfitting": 0.0, "slope": 0.5}
"""Vital signs of a GAN without symptoms."""


def logged(
    run: Path, qualities: list[float], *, warned: str = "", active: float = 2.0, scale: int = 1
) -> OpenedRun:
    """The run with a log of these evaluations."""
    began = {"event": "started", "samples": 0, "seconds": 0.0}
    events = [began]
    if warned:
        events.append({**began, "event": "warned", "symptom": f"{warned}: seen", "advice": "wait"})
    for i, quality in enumerate(qualities):
        at = {"samples": 60 * scale * (i + 1), "seconds": 1.0 + i}
        events.append(
            {
                "event": "evaluated",
                **at,
                "quality": quality,
                "vitals": {"active": active, **HEALTHY},
            }
        )
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return open_run(run)


def test_a_fit_that_has_settled_has_no_problems(vae: Path) -> None:
    assert closing(logged(vae, [-9, -5, -3, -2, -2.01, -2.0, -2.02, -2.0])) == Closing()


def test_a_warning_that_has_passed_is_withdrawn_and_one_that_stands_is_repeated(vae: Path) -> None:
    settled = [-9, -5, -3, -2, -2, -2, -2, -2]
    name = "posterior collapse"
    assert closing(logged(vae, settled, warned=name)).passed == (name,)
    still = closing(logged(vae, settled, warned=name, active=0.0))
    assert still.passed == ()
    assert still.problems[0].startswith(f"{name}: ")


def test_quality_that_still_rises_asks_for_a_longer_fit(vae: Path) -> None:
    last = closing(logged(vae, [-9, -8, -7, -6, -5, -4, -3, -2]))
    assert "still rising" in last.problems[0]
    assert last.command == f"resume {vae} --epochs +2"


def test_quality_that_has_fallen_asks_for_the_best_weights(vae: Path) -> None:
    (problem,) = closing(logged(vae, [-9, -5, -2, -3, -4, -5, -6, -7])).problems
    assert "best after 38% of the fit" in problem
    assert "--keep-best" in problem


def test_few_evaluations_say_nothing_about_a_trend(vae: Path) -> None:
    assert closing(logged(vae, [-9, -5, -2])) == Closing()


def test_a_gan_of_images_needs_thousands_of_steps(gan: Path) -> None:
    last = closing(open_run(gan))
    assert any("2 steps are few" in problem for problem in last.problems)
    assert last.command == f"resume {gan} --steps 3000"


def test_a_gan_of_points_needs_a_thousand_steps_and_does_not_overfit(tmp_path: Path) -> None:
    run = tmp_path / "run"
    pf.GAN(latent=2, hidden=(4,)).fit("moons:80", steps=2, batch=20, run=run)
    last = closing(open_run(run))
    assert any("2 steps are few" in problem for problem in last.problems)
    assert " would take " in " ".join(last.problems)
    assert last.command == f"resume {run} --steps 1000"
    qualities = [-9.0, -5, -2, -3, -4, -5, -6, -7]
    (problem,) = closing(logged(run, qualities, scale=1000)).problems
    assert "moved away from the data" in problem
    assert "overfits" not in problem


def test_images_from_images_need_a_thousand_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    model = pf.Pix2Pix(width=4)
    model.fit("digits", y="edges", steps=2, batch=20, run=run)
    last = closing(open_run(run))
    assert any("2 steps are few: images from images" in problem for problem in last.problems)
    assert last.command == f"resume {run} --steps 1000"


def test_models_without_a_log_by_gradients_have_no_last_words(tmp_path: Path) -> None:
    pf.PCA(2).fit("moons:50").save(tmp_path / "run")
    assert closing(open_run(tmp_path / "run")) == Closing()
