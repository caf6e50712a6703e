"""`pushforward resume RUN`: continue a fit, to the bit, or extend it."""

from __future__ import annotations

from pathlib import Path

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["resume"]


def resume(
    run: arguments.Run,
    /,
    *,
    source: str | None = None,
    epochs: str | None = None,
    steps: str | None = None,
    samples: str | None = None,
    minutes: str | None = None,
    save_every: float | None = None,
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> int | None:
    """Continue an interrupted fit; the final weights equal those of an uninterrupted one.

    Args:
        source: where the rows are now, if they have moved; they must be the same rows.
        epochs: the whole budget in passes over the data, or +50 to extend it.
        steps: in steps, likewise.
        samples: in observations seen, likewise.
        minutes: in minutes, likewise.
        save_every: seconds between checkpoints.
        json: events as JSON lines on stdout, then the result.
    """
    from pushforward.cli.fitting import announced, print_outcome, setting_lines
    from pushforward.cli.progress import display
    from pushforward.experiments import resume as resume_run
    from pushforward.experiments.configuration import lines_of
    from pushforward.experiments.resuming import extend_budget, find_run_to_resume

    folder, voice = Path(run), Voice(quiet, json)
    opened = find_run_to_resume(folder, source)
    budgets = {"epochs": epochs, "steps": steps, "samples": samples, "minutes": minutes}
    budget = extend_budget(
        opened.manifest, {unit: text for unit, text in budgets.items() if text is not None}
    )
    rows = opened.read()
    lines = [*lines_of(opened.manifest, budget), *setting_lines(folder, rows)]
    with display(voice, lines) as shown, announced(folder):
        outcome = resume_run(
            folder, budget=budget, save_every=save_every, listeners=[shown], run=opened, rows=rows
        )
    return print_outcome(voice, outcome)
