"""`pushforward evaluate RUN [RUN…]`: runs side by side on rows that none was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice, write_table
from pushforward.core.argument_names import arguments_named, flags
from pushforward.core.errors import BadRun

__all__ = ["evaluate"]

NAMES = {
    "most": "rows",
    "estimators": "also",
    "annealing.rows": "also-rows",
    "annealing.temperatures": "temperatures",
    "annealing.chains": "chains",
}
"""What arguments of the library are called here."""


def evaluate(
    runs: Annotated[tuple[str, ...], Parameter(name="RUN")],
    /,
    *,
    data: str | None = None,
    source: str | None = None,
    draws: arguments.Whole = 100,
    rows: arguments.Whole = 10_000,
    also: str = "",
    temperatures: arguments.Whole = 1000,
    chains: arguments.Whole = 16,
    also_rows: arguments.Whole = 100,
    features: str | None = None,
    seeds: arguments.Whole = 0,
    form: arguments.Form = "text",
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Measure runs on held-out rows: log-density or bounds on it, errors, samples.

    Runs that hold out the same rows are compared in one table. Those that cannot be opened are left
    out, and named at the end.

    Args:
        runs: run folders.
        data: rows to measure on, instead of those set aside by the fit.
        source: where the rows of the runs are now, if they have moved; they must be the same rows.
        draws: posterior draws per row for the importance-weighted bound; 0 for the ELBO alone.
        rows: at most this many rows.
        also: costlier estimates for latent-variable models, separated by commas: naive, ais, bdmc.
        temperatures: of ais and bdmc: more of them tighten the bound, and take longer.
        chains: of ais and bdmc, for each row.
        also_rows: how many rows, from the first, --also measures.
        features: also compare as many samples with the rows, in these feature spaces: raw,
            scaled, pca(50), classifier, efficientnet, and of clips frames and movement (separated
            by commas); by default only runs without any other measure are compared, in raw, in
            scaled for tables whose columns are of different units, in efficientnet (if installed)
            for images of 16 pixels a side and more, and clips in frames,movement.
        seeds: fit each run again with the seeds 0 to N-1, into RUN-seed-0 and so on, and give the
            mean and standard deviation over the seeds, with a paired test against the first run.
    """
    from pushforward.cli.progress import Counted, rows_counted
    from pushforward.experiments.evaluation import check_settings, evaluate_runs
    from pushforward.experiments.measure import Annealing
    from pushforward.experiments.record_tables import bounds_table, likeness_tables, samples_table
    from pushforward.experiments.sample_findings import explain_samples
    from pushforward.experiments.seeds import measure_seeds

    voice = Voice(quiet, json)
    failures: list[BadRun] = []
    originals, spaces = runs, _split(features)
    how: Any = {
        "draws": draws, "most": rows, "estimators": _split(also), "features": spaces,
        "annealing": Annealing(temperatures, chains, also_rows),
    }  # fmt: skip
    with arguments_named(flags(**NAMES)):
        if seeds:
            check_settings(runs, **how)
            runs = _repeated(runs, seeds, voice)
        silent, table_settings = quiet or json, arguments.table_settings(table)
        with rows_counted(voice):
            evaluation = evaluate_runs(
                runs, data=data, source=source, device=device, **how, table=table_settings,
                skip=failures.append,
                listener=lambda name: (lambda event: None) if silent else Counted(voice, name),
            )  # fmt: skip
    if seeds:
        if failures:
            raise BadRun("; ".join(str(failure) for failure in failures))
        found = measure_seeds(originals, evaluation, seeds, spaces, warn=voice.warn)
        _write_seeds(voice, *found, form)
        return
    groups = evaluation.by_rows()
    for group in groups:
        if group.is_empty and not evaluation.is_empty:
            folders = ", ".join(str(run.folder) for run in group.runs)
            voice.warn(f"{folders}: no density, bound, reconstructions or samples to measure")
            continue
        # with one table its heading is said beside it; of several each names its rows
        tell = voice.say if len(groups) == 1 or json or form != "text" else voice.write
        for measured in (group.measured, group.estimated):
            if any(measured) and not json:
                heading, shown, note = bounds_table(group.runs, measured)
                tell(heading)
                write_table(shown, form=form) if shown else None
                voice.say(note) if note else None
        for title, shown in () if json else likeness_tables(group.runs, group.measured):
            write_table(shown, f"{title} (↑ more is better, ↓ less)", form)
        for note in group.notes:
            voice.say(note)
        voice.results(group.records)
        for space in group.sample_spaces(spaces):
            sampled = group.sample(space, voice.warn)
            voice.results(record for records in sampled.records for record in records)
            if not json:
                n = len(sampled.samples[0].x)
                title = f"samples beside {group.data}, as many as rows: {n}"
                shown = samples_table(sampled.records, sampled.samples)
                write_table(shown, f"{title}\nfeatures: {sampled.space}", form)
                for line in explain_samples(sampled.names, sampled.records):
                    voice.say(line)
    if failures:
        raise BadRun("; ".join(str(failure) for failure in failures))


def _repeated(runs: Sequence[str], seeds: int, voice: Voice) -> tuple[str, ...]:
    """The folders of all repetitions, fitted where they are not there yet."""
    from pushforward.cli.progress import display
    from pushforward.experiments.seeds import repeat_run

    with arguments_named(flags()), ExitStack() as stack:

        def listener(place: Any) -> Any:
            voice.say(f"fitting {place}")
            stack.close()  # the bar of the fit before
            return stack.enter_context(display(Voice(voice.quiet or voice.as_json)))

        places = [repeat_run(run, seeds, listener=listener) for run in runs]
    return tuple(str(place) for group in places for place in group)


def _write_seeds(voice: Voice, lines: Any, notes: Sequence[str], form: str) -> None:
    """Means and deviations over the seeds, and the test."""
    from pushforward.experiments.seeds import seeds_table

    if voice.as_json:
        voice.results(each.as_record() for line in lines for each in line)
        return
    write_table(seeds_table(lines), form=form)
    for note in notes:
        voice.say(note)


def _split(text: str | None) -> list[str]:
    """Names with commas between; there may be none."""
    return arguments.split_names(text) if text else []
