"""What to say when a fit has ended: what is still wrong, what has passed, whether it was too short,
and the command that comes next. Everything is read from the run's log and its last vital signs.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.core.learner import Learner
from pushforward.experiments.opened import OpenedRun
from pushforward.fitting.log import read_log

__all__ = ["Closing", "closing"]

FEW_EVALUATIONS = 5
"""Fewer evaluations say nothing about a trend."""
RISING = 0.05
"""Share of the rise of quality in the last fifth of a fit above which the fit is too short."""
FALLEN = 0.1
"""Share of the whole rise by which the last quality is below the best after overfitting."""
GAME_STEPS = 3000
"""Steps that a GAN of images needs at least, as a rule of thumb."""


@dataclass(frozen=True)
class Closing:
    """The last words about a fit.

    Args:
        problems: each a sentence.
        passed: names of what the fit warned of and what is over.
        command: what to do about the first problem, without `pushforward`; '' if there is none.
    """

    problems: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    command: str = ""


def closing(run: OpenedRun) -> Closing:
    """The last words about a fit by gradients; empty for others.

    Args:
        run: with its log.
    """
    if not isinstance(run.model, Learner) or run.manifest is None:
        return Closing()
    if run.manifest.fitter != "Trainer":
        return Closing()
    log = read_log(run.folder)
    if not log:
        return Closing()
    evaluated = [event for event in log if event["event"] == "evaluated"]
    standing = run.model.symptoms(_numbers(evaluated[-1]["vitals"])) if evaluated else ()
    still = {symptom.name for symptom in standing}
    warned = [str(e["symptom"]).partition(":")[0] for e in log if e["event"] == "warned"]
    names = [name for name in dict.fromkeys(warned) if name not in still] if evaluated else []
    passed = tuple(name for name in names if name != "diverged")
    problems = [f"{s.name}: {s.observed}; try: {s.advice}" for s in standing]
    command = ""
    known = [_numbers(event)["quality"] for event in evaluated]
    qualities = [float(quality) for quality in known if math.isfinite(quality)]
    for find in (_too_few_steps, _unfinished, _overfitted):
        sentence, what = find(run, log, qualities)
        if sentence:
            problems.append(sentence)
            command = command or what
            break
    return Closing(tuple(problems), passed, command)


def _numbers(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the log with NaN for what its JSON could not hold."""
    return {key: math.nan if value is None else value for key, value in event.items()}


def _too_few_steps(
    run: OpenedRun, log: Sequence[Mapping[str, Any]], qualities: Sequence[float]
) -> tuple[str, str]:
    """A GAN of images that has hardly begun."""
    assert isinstance(run.model, Learner)
    told = run.model.condition_space
    is_game = len(run.model.phases()) > 1 and run.model.fitted_space().kind == "images"
    steps = _steps(run, log)
    if not is_game or (told is not None and told.kind == "images") or steps >= GAME_STEPS:
        return "", ""
    return (
        f"{steps:,} steps are few: GANs of images need some thousands before samples look real",
        f"resume {shlex.quote(str(run.folder))} --steps {GAME_STEPS}",
    )


def _unfinished(
    run: OpenedRun, log: Sequence[Mapping[str, Any]], qualities: Sequence[float]
) -> tuple[str, str]:
    """Quality on held-out rows still rises at the end."""
    if len(qualities) < FEW_EVALUATIONS:
        return "", ""
    low, high = min(qualities), max(qualities)
    before = max(qualities[: -max(1, len(qualities) // 5)])
    if high - before <= RISING * (high - low):
        return "", ""
    return (
        "quality on held-out rows was still rising when the budget ended: a longer fit is better",
        f"resume {shlex.quote(str(run.folder))} {_as_much_again(run)}",
    )


def _overfitted(
    run: OpenedRun, log: Sequence[Mapping[str, Any]], qualities: Sequence[float]
) -> tuple[str, str]:
    """Quality on held-out rows has fallen since its best, and the best weights were not kept."""
    if len(qualities) < FEW_EVALUATIONS or _settings(run).get("keep_best"):
        return "", ""
    low, high = min(qualities), max(qualities)
    best = qualities.index(high) + 1
    if high - qualities[-1] <= FALLEN * (high - low) or best > 0.8 * len(qualities):
        return "", ""
    return (
        f"quality on held-out rows was best after {best / len(qualities):.0%} of the fit and has"
        " fallen since: the model overfits; fit again with --keep-best",
        "",
    )


def _steps(run: OpenedRun, log: Sequence[Mapping[str, Any]]) -> int:
    return int(log[-1]["samples"]) // int(_settings(run)["batch"])


def _as_much_again(run: OpenedRun) -> str:
    """The flag that doubles the budget."""
    settings = _settings(run)
    unit = next(u for u in ("epochs", "steps", "samples", "minutes") if settings.get(u))
    return f"--{unit} +{settings[unit]:g}"


def _settings(run: OpenedRun) -> Mapping[str, Any]:
    assert run.manifest is not None
    return run.manifest.settings
