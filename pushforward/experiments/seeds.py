r"""Runs repeated with several seeds: mean and standard deviation, and a paired test.

A fit depends on its seed, and one run of each of two models says little about the models. Each run
is fitted again with the seeds 0..k-1, on the same rows (the split has a seed of its own, which
stays), and all are measured on the same held-out rows. Two runs are compared seed by seed: with
differences D_s,

    t = mean(D) / (sd(D) / √k),    k - 1 degrees of freedom (Student 1908).

What is tested is the training, for this split of these rows, not the choice of the rows. See
Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks,
https://arxiv.org/abs/2103.03098.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from pushforward.core.argument_names import argument
from pushforward.core.errors import BadRun, Interrupted, InvalidValue
from pushforward.core.events import Listener
from pushforward.core.manifest import Manifest
from pushforward.core.records import Record, require_comparable
from pushforward.core.registry import model_class
from pushforward.experiments.configuration import read_settings, resolve
from pushforward.experiments.evaluation import Evaluation
from pushforward.experiments.experiment import Experiment
from pushforward.experiments.record_tables import HEADINGS, SAMPLED
from pushforward.experiments.sample_findings import explain_samples
from pushforward.experiments.settings import settings_of

__all__ = [
    "MOST_SEEDS",
    "SeedSummary",
    "check_seeds",
    "measure_seeds",
    "repeat_run",
    "seeds_table",
    "summarise",
]

MOST_SEEDS = 100
"""More than anybody waits for."""
NOT_COMPARED = ("seed", "accelerator", "devices", "save_every", "film")
"""Settings that repetitions of one fit may differ in."""


@dataclass(frozen=True)
class SeedSummary:
    """One quantity of one run over its seeds.

    Args:
        run: the folder of the run that was repeated.
        model: its name.
        values: (k,) the means of the records, by seed.
        record: the record of the first seed, which says what was measured.
        difference: (k,) values minus those of the first run by seed; None of the first.
    """

    run: str
    model: str
    values: Sequence[float]
    record: Record
    difference: Sequence[float] | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds, with k - 1 degrees of freedom."""
        return float(np.std(self.values, ddof=1))

    @property
    def p(self) -> float | None:
        """Two-sided p-value of no mean difference from the first run; None of the first.

        NaN if the differences do not vary and are 0, as of models without chance; 0 if they do not
        vary and are not.
        """
        if self.difference is None:
            return None
        d = np.asarray(self.difference)
        if float(np.ptp(d)) <= 1e-12 * max(float(np.abs(self.values).max()), 1e-300):
            return math.nan if abs(float(d.mean())) <= 1e-12 * abs(self.mean) else 0.0
        from scipy.stats import ttest_1samp

        return float(ttest_1samp(d, 0.0).pvalue)

    def as_record(self) -> Record:
        """The mean with its standard error sd/√k; the details have the values and the test."""
        k = len(self.values)
        details = {
            **{n: v for n, v in self.record.details.items() if n not in ("run", "seconds")},
            "run": self.run,
            "seeds": k,
            "values": list(self.values),
            "sd": self.deviation,
        }
        if self.difference is not None:
            details |= {"difference": float(np.mean(self.difference)), "p": self.p}
        r = self.record
        return Record(
            r.quantity, self.mean, self.deviation / math.sqrt(k), r.unit, r.measure, r.bound,
            r.data, r.n, details,
        )  # fmt: skip


def check_seeds(seeds: int) -> None:
    """Raise InvalidValue for a number of seeds that has no standard deviation, or no end."""
    if not 2 <= seeds <= MOST_SEEDS:
        raise InvalidValue(
            f"{argument('seeds')} must lie between 2 and {MOST_SEEDS}, got {str(seeds)[:40]}; 5 is"
            " usual"
        )


def repeat_run(
    folder: str | Path,
    seeds: int,
    *,
    listener: Callable[[Path], Listener] = lambda place: lambda event: None,
) -> list[Path]:
    """Folders of the same fit with the seeds 0..k-1.

    They lie beside the run, as RUN-seed-0 and so on. The run itself counts as its own seed's, and
    folders from before are taken again if they hold the same fit.

    Args:
        folder: of a run whose rows can be read again.
        seeds: their number, at least 2.
        listener: for each folder to come, what is called with the events of its fit.

    Raises:
        BadRun: If the run does not say how to repeat it, or a folder holds something else.
        Interrupted: If a signal stopped a fit; what is complete stays.
    """
    check_seeds(seeds)
    path = Path(folder)
    own = _seed_of(path)
    places = [
        path if seed == own else path.with_name(f"{path.name}-seed-{seed}") for seed in range(seeds)
    ]
    for seed, place in enumerate(places):
        if place == path or _holds(place, path, seed):
            continue
        outcome = _experiment(path, seed).run(place, listeners=[listener(place)])
        if outcome.interrupted:
            raise Interrupted(saved=True)
    return places


def _settings(path: Path) -> dict[str, Any]:
    """The settings of a run, under the names of a configuration file."""
    settings = read_settings(path)
    if not settings.get("model") or not settings.get("source"):
        raise BadRun(
            f"{path} cannot be repeated with other seeds: it does not say where its rows came from,"
            " as they were in memory; fit it from a file"
        )
    return settings


def _seed_of(path: Path) -> int:
    if not path.exists():
        raise BadRun(f"{path} does not exist; expected a run folder made by fit")
    manifest = Manifest.read(path)
    if manifest is None:
        raise BadRun(f"{path} is no run that could be repeated: it holds no run.json")
    seed = manifest.settings.get("seed", 0)
    return seed if isinstance(seed, int) else 0


def _experiment(path: Path, seed: int) -> Experiment:
    file = _settings(path)
    name = str(file["model"])
    settings = settings_of(model_class(name))
    typed = {"seed": str(seed)} if any(s.name == "seed" for s in settings) else {}
    configuration = resolve(name, str(file["source"]), settings, typed=typed, file=file)
    model = configuration.build(model_class(name))
    return configuration.experiment(model, f"pushforward evaluate {path} --seeds")


def _holds(place: Path, path: Path, seed: int) -> bool:
    """Whether a folder holds the fit of `path` with that seed.

    Raises:
        BadRun: If it holds something else.
    """
    if not place.exists():
        return False
    there, wanted = _settings(place), _settings(path)
    for each in (there, wanted):
        each["fitting"] = {k: v for k, v in each["fitting"].items() if k not in NOT_COMPARED}
    if there != wanted or _seed_of(place) != seed or not (place / "README.md").is_file():
        raise BadRun(
            f"{place} is where {path} with seed {seed} belongs, but it holds another fit, or an"
            " unfinished one; move it away"
        )
    return True


def summarise(
    folders: Sequence[str | Path],
    evaluation: Evaluation,
    seeds: int,
    sampled: Sequence[Sequence[Record]] = (),
) -> list[list[SeedSummary]]:
    """Each quantity of the runs over their seeds: a list of runs for each quantity.

    Args:
        folders: the runs that were repeated.
        evaluation: of all repetitions: `seeds` of the first run, then of the second, ...
        seeds: their number.
        sampled: further records of every repetition, as of samples beside rows.
    """
    several = (evaluation.measured, evaluation.estimated, sampled or [()] * len(evaluation.runs))
    measured = [[*a, *b, *c] for a, b, c in zip(*several, strict=True)]
    names = [run.name for run in evaluation.runs]
    groups = [measured[i : i + seeds] for i in range(0, len(measured), seeds)]
    quantities = dict.fromkeys(r.quantity for group in groups for records in group for r in records)
    found: list[list[SeedSummary]] = []
    for quantity in quantities:
        line: list[SeedSummary] = []
        for i, (folder, group) in enumerate(zip(folders, groups)):
            records = [next((r for r in each if r.quantity == quantity), None) for each in group]
            present = [record for record in records if record is not None]
            if len(present) < seeds:
                continue
            values = [record.value for record in present]
            difference = None
            if line:
                try:
                    require_comparable(line[0].record, present[0])
                    difference = [b - a for a, b in zip(line[0].values, values)]
                except InvalidValue as error:
                    text = f"{folder} is not tested against {line[0].run}: {error}"
                    warnings.warn(text, stacklevel=2)
            line.append(SeedSummary(str(folder), names[i * seeds], values, present[0], difference))
        found.append(line)
    return [line for line in found if line]


def measure_seeds(
    folders: Sequence[str],
    evaluation: Evaluation,
    seeds: int,
    spaces: Sequence[str] = (),
    *,
    warn: Callable[[str], None] = warnings.warn,
) -> tuple[list[list[SeedSummary]], list[str]]:
    """All that is measured of runs over their seeds, samples included, and notes on it.

    Args:
        folders: the runs that were repeated.
        evaluation: of all repetitions: `seeds` of the first run, then of the second, ...
        seeds: their number.
        spaces: feature spaces to compare samples in; those of `Evaluation.sample_spaces` if none.
        warn: called with what is left out, and why.
    """
    sets = [evaluation.sample(space, warn) for space in evaluation.sample_spaces(spaces)]
    sets = sets if all(len(each.records) == len(evaluation.runs) for each in sets) else []
    sampled = [[r for records in each for r in records] for each in zip(*(s.records for s in sets))]
    lines = summarise(folders, evaluation, seeds, sampled)
    summaries = [each for line in lines for each in line]
    means = [[each.as_record() for each in summaries if each.run == name] for name in folders]
    features = "; ".join(each.space for each in sets)
    return lines, [
        f"seeds 0 to {seeds - 1}, measured on {evaluation.data}"
        + (f"; features of samples: {features}" if features else ""),
        "p: of a paired t-test over the seeds, against the first run of the same measure",
        *explain_samples(folders, means),
    ]


def seeds_table(lines: Sequence[Sequence[SeedSummary]]) -> Table:
    """A row for each quantity and run: mean ± sd, and the difference from the first run with p."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(("measure", "run", "model", "mean ± sd", "minus the first ± sd", "p")):
        table.add_column(name, justify="right" if i > 2 else "left", no_wrap=i != 1)
    for line in lines:
        for each in line:
            record = each.record
            sign = {"lower bound": "≥ ", "upper bound": "≤ "}.get(record.bound, "")
            table.add_row(
                HEADINGS.get(record.quantity, SAMPLED.get(record.quantity, (record.quantity,))[0]),
                each.run,
                each.model,
                f"{sign}{each.mean:.4g} ± {each.deviation:.2g}",
                "" if each.difference is None else _difference(each.difference),
                "" if each.p is None else "-" if math.isnan(each.p) else f"{each.p:.2g}",
            )
    return table


def _difference(values: Sequence[float]) -> str:
    return f"{float(np.mean(values)):+.4g} ± {float(np.std(values, ddof=1)):.2g}"
