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
from pushforward.experiments.smoothness import oversmoothed
from pushforward.fitting.log import read_log
from pushforward.fitting.progress import format_duration

__all__ = ["Closing", "closing", "longer_fit"]

FEW_EVALUATIONS = 5
"""Fewer evaluations say nothing about a trend."""
RISING = 0.05
"""Share of the rise of quality in the last fifth of a fit above which the fit is too short."""
FALLEN = 0.1
"""Share of the whole rise by which the last quality is below the best after overfitting."""
STEPS = {
    "GANs of images": (3000, "some thousands before samples look real"),
    "GANs of points": (1000, "a thousand or more"),
    "images from images": (1000, "a thousand or more"),
}
"""Steps that models need at least, as a rule of thumb, and how to say it."""
RULED = ("gan", "ebgan", "infogan")
"""Models of points that the rule holds for."""


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
    """The last words about a fit by gradients, and of a kernel density; empty for others.

    Args:
        run: with its log.
    """
    if not isinstance(run.model, Learner) or run.manifest is None:
        return Closing(tuple(filter(None, [oversmoothed(run.model)])))
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
        if sentence:  # too few steps explain all the rest
            problems.insert(0 if find is _too_few_steps else len(problems), sentence)
            command = command or what
            break
    return Closing(tuple(problems), passed, command)


def _numbers(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of the log with NaN for what its JSON could not hold."""
    return {key: math.nan if value is None else value for key, value in event.items()}


def _too_few_steps(
    run: OpenedRun, log: Sequence[Mapping[str, Any]], qualities: Sequence[float]
) -> tuple[str, str]:
    """A GAN, or a model of images from images, that has hardly begun."""
    kind, steps = _ruled_kind(run), _steps(run, log)
    enough, need = STEPS.get(kind, (0, ""))
    if steps >= enough:
        return "", ""
    rest = _time_of(enough - steps, steps, log)
    return (
        f"{steps:,} steps are few: {kind} need {need}; {enough:,} would take {rest} more at this"
        " rate",
        f"resume {shlex.quote(str(run.folder))} --steps {enough}",
    )


def _ruled_kind(run: OpenedRun) -> str:
    """What the rule of thumb calls a model; '' without a rule."""
    assert isinstance(run.model, Learner)
    told, kind = run.model.condition_space, run.model.fitted_space().kind
    if kind == "images" and told is not None and told.kind == "images":
        return "images from images"
    if _is_game(run) and (kind == "images" or run.name in RULED):
        return f"GANs of {kind}"
    return ""


def _is_game(run: OpenedRun) -> bool:
    """Whether several players are trained against each other."""
    return isinstance(run.model, Learner) and len(run.model.phases()) > 1


def _time_of(more: int, steps: int, log: Sequence[Mapping[str, Any]]) -> str:
    """How long so many further steps take at the rate of those of the log."""
    return format_duration(more * float(log[-1]["seconds"]) / max(1, steps))


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
        longer_fit(run),
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
    why = "samples have moved away from the data" if _is_game(run) else "the model overfits"
    return (
        f"quality on held-out rows was best after {best / len(qualities):.0%} of the fit and has"
        f" fallen since: {why}; fit again with --keep-best",
        "",
    )


def _steps(run: OpenedRun, log: Sequence[Mapping[str, Any]]) -> int:
    return int(log[-1]["samples"]) // int(_settings(run)["batch"])


def longer_fit(run: OpenedRun) -> str:
    """The command that doubles the budget of a fit, without `pushforward`; '' if it has none."""
    settings = _settings(run) if run.manifest is not None else {}
    for unit in ("epochs", "steps", "samples", "minutes"):
        if settings.get(unit):
            return f"resume {shlex.quote(str(run.folder))} --{unit} +{settings[unit]:g}"
    return ""


def _settings(run: OpenedRun) -> Mapping[str, Any]:
    assert run.manifest is not None
    return run.manifest.settings
