"""Runs a fit and prints what comes of it, for `fit` and `resume`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.cli.arguments import FitOptions
from pushforward.cli.console import Voice, first_process
from pushforward.cli.progress import display, rows_counted
from pushforward.core.errors import InvalidValue
from pushforward.core.folders import check_place
from pushforward.core.registry import model_class
from pushforward.core.source import Source
from pushforward.data.reading import absolute
from pushforward.experiments import Outcome
from pushforward.experiments.closing import closing
from pushforward.experiments.configuration import read_settings, resolve
from pushforward.experiments.experiment import default_folder
from pushforward.experiments.measure import is_measurable
from pushforward.experiments.settings import Setting
from pushforward.experiments.uses import usual_commands
from pushforward.experiments.views import has_figure
from pushforward.fitting.progress import format_duration
from pushforward.fitting.trackers import find_tracker

__all__ = ["announced", "fit", "print_outcome", "setting_lines"]


def fit(
    name: str,
    source: str | None,
    settings: Sequence[Setting],
    typed: Mapping[str, Any],
    options: FitOptions,
    *,
    command: str,
) -> int | None:
    """Run the experiment that flags, environment and file describe; returns the exit code."""
    voice, config = Voice(options.quiet, options.json), options.config
    file = read_settings(config) if config else {}
    if file.get("model", name) != name:
        raise InvalidValue(
            f"{config} is the configuration of {file['model']}, not of {name}; leave the model"
            " out, or the file"
        )
    source = source or os.environ.get("PUSHFORWARD_SOURCE") or file.get("source")
    if source is None:
        raise InvalidValue(
            f"expected a source to fit to, got none; write pushforward fit {name} digits, say"
        )
    path, sets = absolute(source), options.sets
    configuration = resolve(name, path, settings, typed=typed, sets=sets, file=file)
    model = configuration.build(model_class(name))
    run = options.run or os.environ.get("PUSHFORWARD_RUN")
    folder = _run_folder(name, source, run, options.overwrite)
    trackers = [find_tracker(each, folder) for each in options.track] if first_process() else []
    experiment = configuration.experiment(model, command)
    with rows_counted(voice):
        rows = experiment.read()
    configuration, suited = configuration.suited(model, rows)
    if suited:
        model = configuration.build(model_class(name))
        experiment = configuration.experiment(model, command)
    experiment, configuration = configuration.with_dequantising(experiment, rows)
    lines = [*configuration.lines(), *setting_lines(folder, rows)]
    if configuration.adds_noise_by_default(model):
        noise = "U(-1/2, 1/2) is added, so that the density is per unit"
        lines.append(("integer levels", f"{noise} (--no-dequantise leaves them)"))
    lines += suited
    with display(voice, lines) as shown, announced(folder):
        outcome = experiment.run(
            folder, overwrite=options.overwrite, listeners=[shown, *trackers], rows=rows
        )
    return print_outcome(voice, outcome)


def _run_folder(name: str, source: str, given: str | None, overwrite: bool) -> Path:
    """The run folder, checked before anything is read."""
    if given is None and "TORCHELASTIC_RUN_ID" in os.environ:
        raise InvalidValue(
            "several processes need one folder; torchrun would take --run for a flag of its own, so"
            " set PUSHFORWARD_RUN=FOLDER"
        )
    folder = Path(given) if given else default_folder(name, source)
    if first_process():
        check_place(folder, overwrite=overwrite)
    return folder


@contextmanager
def announced(folder: Path) -> Iterator[None]:
    """Within: processes that are launched with this command line write to the same folder."""
    os.environ["PUSHFORWARD_RUN"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("PUSHFORWARD_RUN", None)


def setting_lines(folder: Path, source: Source) -> list[tuple[str, str]]:
    """What a configuration is applied to, as headings and texts."""
    lines = [("space", str(source.space))]
    told = source.condition_space
    if told is not None and told.kind == "images":  # which of two kinds of images is made
        lines += [("made from", str(told))]
    lines += [("run", str(folder))]
    if source.space.kind == "points":  # of what is left out of images there has been a warning
        lines += [("note", str(note)) for note in getattr(source, "notes", ())]
    return lines


def print_outcome(voice: Voice, outcome: Outcome) -> int | None:
    """Print what came of a fit, and what to do next; 130 if it was interrupted."""
    if not first_process():
        return None
    run, parts = outcome.run, outcome.parts
    quoted = shlex.quote(str(run.folder))
    if outcome.interrupted:
        voice.warn(f"interrupted; all is saved. Continue with: pushforward resume {quoted}")
        return 130
    records = "".join(f"; held out: {record}" for record in outcome.records)
    voice.say(f"fitted on {len(parts.train):,} rows in {format_duration(outcome.seconds)}{records}")
    last = closing(run)
    if last.passed:
        voice.say(f"warnings that have passed: {', '.join(last.passed)}")
    for problem in () if voice.as_json else last.problems:
        voice.warn(f"at the end: {problem}")
    commands = [last.command] if last.command else []
    commands += usual_commands(run.model, run.folder)[:1]
    if parts.held_out is not None and is_measurable(run):
        commands.append(f"evaluate {quoted}")
    elif has_figure(run.model):
        commands.append(f"plot {quoted}")
    for i, command in enumerate(commands):
        voice.say(f"{'     ' if i else 'next:'} pushforward {command}")
    content = {
        "event": "result",
        "run": str(run.folder),
        "seconds": round(outcome.seconds, 3),
        "problems": list(last.problems),
        "records": [record.as_dict() for record in outcome.records],
    }
    voice.result(content, str(run.folder))
    return None
