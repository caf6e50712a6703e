"""`pushforward evaluate RUN [RUN…]`: runs side by side on the same rows,
which none of them has seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single
from pushforward.cli.records import table
from pushforward.cli.tables import tabular, typed
from pushforward.core.errors import BadRun, InvalidValue, suggest

if TYPE_CHECKING:
    from pushforward.core.source import Source
    from pushforward.experiments import OpenedRun

__all__ = ["command"]

_HEADINGS = {
    "log_prob": "log-density", "elbo": "ELBO", "iwae": "IW bound", "squared_error": "squared error",
    "naive": "naive Monte Carlo", "ais": "AIS", "bdmc": "BDMC",
}  # fmt: skip


def evaluate(
    folders: Annotated[
        list[str], typer.Argument(metavar="RUN [RUN...]", help="run folders", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Option("--data", help="rows to measure on, instead of those set aside when fitting"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            help="where the rows of the runs lie, if not where they say; they must be the same",
        ),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(
            "--draws",
            help="posterior draws a row of the importance-weighted bound; 0 for the ELBO alone",
        ),
    ] = 100,
    rows: Annotated[int, typer.Option("--rows", help="at most this many rows")] = 10_000,
    also: Annotated[
        str,
        typer.Option(
            "--also",
            help="costlier estimates for latent-variable models, commas between: naive, ais, bdmc",
            show_default=False,
        ),
    ] = "",
    temperatures: Annotated[
        int,
        typer.Option(
            "--temperatures", help="of ais and bdmc: more narrow the bound, and take longer"
        ),
    ] = 1000,
    chains: Annotated[int, typer.Option("--chains", help="of ais and bdmc, for each row")] = 16,
    few: Annotated[
        int, typer.Option("--few", help="rows that --also measures: the first ones")
    ] = 100,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            help=(
                "compare as many samples with the rows: in raw, scaled, pca(50), classifier,"
                " efficientnet; commas between several "
                "[raw, where a run has nothing else to measure]"
            ),
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="one record a line, as JSON")] = False,
) -> None:
    """Measure runs on the same held-out rows: log-density or bounds on it (nats), reconstruction
    error, samples, with standard errors.
    """
    from pushforward.experiments import open_run
    from pushforward.experiments.measure import Annealing, estimates, records, refuse_unlike
    from pushforward.experiments.opened import read_like
    from pushforward.experiments.sample import of_run

    if min(rows, few, temperatures, chains) < 1 or draws < 0:
        raise InvalidValue(
            "--draws must not be negative; --rows, --few, --temperatures and --chains at least 1; "
            f"got {draws}, {rows}, {few}, {temperatures} and {chains}"
        )
    if data is not None and source is not None:
        raise InvalidValue(
            "--data gives other rows to measure on, --source says where the runs' own lie; give one"
            " of them"
        )
    voice, wanted = Voice(quiet, json), _estimators(also)
    opened = [open_run(folder, device) for folder in folders]
    measured, costly, held = [], [], []
    for run in opened:
        held_out = read_like(run, data, table=typed()) if data else _held_out(run, source)
        held.append(held_out)
        measured.append([of_run(r, run) for r in records(run, held_out, draws=draws, most=rows)])
        found = estimates(
            run,
            held_out,
            wanted,
            Annealing(temperatures, chains, few),
            lambda what: _progress(voice, what),
        )
        costly.append([of_run(r, run) for r in found])
    refuse_unlike(opened, measured)
    # bdmc simulates rows of its own for each
    refuse_unlike(opened, [[r for r in found if r.quantity != "bdmc"] for found in costly])
    if json:
        for record in (r for pair in zip(measured, costly) for found in pair for r in found):
            voice.result(record.as_dict())
    else:
        for found_by_all in (measured, costly):
            if any(found_by_all):
                _print(opened, found_by_all, voice)
    spaces = _words(features or "") or ([] if all(measured) else ["raw"])
    for space in spaces:
        _samples(
            space,
            [(run, rows_held) for run, rows_held in zip(opened, held) if run.can("Samples")],
            rows,
            voice,
        )
    if not spaces and not any(measured):
        raise InvalidValue(
            "none of these runs has a density, a bound, reconstructions or samples to measure"
        )


def command() -> Any:
    """The command."""
    return single(tabular(evaluate), "evaluate")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _samples(
    name: str, sampling: Sequence[tuple[OpenedRun, Source]], most: int, voice: Voice
) -> None:
    """As many samples of each run as there are rows, beside the rows,
    in one feature space that the rows themselves define.
    """
    from pushforward.experiments.measure import refuse_unlike
    from pushforward.experiments.sample import beside_data

    if not sampling:
        raise InvalidValue(
            "none of these runs has a density, a bound, reconstructions or samples to measure"
        )
    found, sets = zip(
        *(beside_data(name, run, source, most, voice.warn) for run, source in sampling)
    )
    refuse_unlike([run for run, _ in sampling], found)
    if voice.as_json:
        for record in (r for records in found for r in records):
            voice.result(record.as_dict())
        return
    voice.say(f"samples, as many as rows: {len(sets[0].x)}")
    stdout().print(table(found[0][0].details["features"] if found[0] else name, found, sets))


def _estimators(text: str) -> list[str]:
    """The names in --also.

    Raises:
        InvalidValue: For one that is not known.
    """
    from pushforward.experiments.measure import ESTIMATORS

    names = _words(text)
    for name in names:
        if name not in ESTIMATORS:
            raise InvalidValue(
                f"--also takes {', '.join(ESTIMATORS)}, got {name!r}; {suggest(name, ESTIMATORS)}"
            )
    return names


def _progress(voice: Voice, what: str) -> Any:
    """Lines while it runs; nothing where the output is for a program."""
    from pushforward.cli.progress import Counted

    return (lambda event: None) if voice.quiet or voice.as_json else Counted(voice, what)


def _held_out(run: OpenedRun, source: str | None) -> Source:
    """The rows that were held out when the run was fitted."""
    held_out = run.parts(source, **typed()).held_out
    if held_out is None:
        raise BadRun(
            f"{run.folder} was fitted on all its rows (--held-out 0); pass rows it has not seen:"
            " --data FILE"
        )
    return held_out


def _print(opened: Sequence[OpenedRun], measured: Sequence[Sequence[Any]], voice: Voice) -> None:
    from rich import box
    from rich.table import Table

    quantities = [q for q in _HEADINGS if any(r.quantity == q for found in measured for r in found)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("model", no_wrap=True)
    for quantity in quantities:
        table.add_column(_HEADINGS[quantity], justify="right", no_wrap=True)
    for run, found in zip(opened, measured):
        if found or len(opened) == 1:
            table.add_row(
                str(run.folder),
                run.name,
                *(_cell([r for r in found if r.quantity == q]) for q in quantities),
            )
    example = next(r for found in measured for r in found)
    likelihood = next((r for found in measured for r in found if r.measure), None)
    voice.say(
        f"measured on {example.data}"
        + (
            f"; log-densities in nats per observation ({likelihood.measure}), ≥ marks a lower bound"
            if likelihood
            else ""
        )
    )
    stdout().print(table)
    if "bdmc" in quantities:
        voice.say(
            "BDMC: the bounds on as many rows simulated from each model itself; how far they lie"
            " apart is how far AIS may be off"
        )


def _cell(records: Sequence[Any]) -> str:
    """A number with its error; both ends where there are two."""
    if not records:
        return "-"
    if len(records) > 1:
        lower, upper = records
        return f"{lower.value:.2f} to {upper.value:.2f}"
    (record,) = records
    sign = {"lower bound": "≥ ", "upper bound": "≤ "}.get(record.bound, "")
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    return f"{sign}{record.value:.2f}{error}"
