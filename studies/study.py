"""A study: one experiment run for several seeds, with targets for the medians of its numbers."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import machine
from pushforward.core.storage import write_text

__all__ = [
    "Study",
    "Target",
    "at_least",
    "at_most",
    "RESULTS",
    "RUNS",
    "data_folder",
    "keep_figures",
]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "studies"
RUNS = ROOT / "runs" / "studies"
"""Fitted models that a later study measures again; not part of the repository."""


@dataclass(frozen=True)
class Target:
    """The range that a median must lie in."""

    low: float = float("-inf")
    high: float = float("inf")

    def holds(self, value: float) -> bool:
        """Whether the value lies within."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low == float("-inf"):
            return f"at most {self.high:g}"
        return (
            f"at least {self.low:g}"
            if self.high == float("inf")
            else f"{self.low:g} to {self.high:g}"
        )


def at_least(value: float) -> Target:
    """A target of at least `value`."""
    return Target(low=value)


def at_most(value: float) -> Target:
    """A target of at most `value`."""
    return Target(high=value)


@dataclass(frozen=True)
class Study:
    """An experiment.

    Args:
        name: name of the record's file.
        description: one line.
        run: seed -> numbers by name.
        targets: the ranges that the medians over seeds must lie in, by name.
        seeds: number of seeds.
        needs: the folder required below the data folder; '' if none.
    """

    name: str
    description: str
    run: Callable[[int], Mapping[str, Any]]
    targets: Mapping[str, Target] = field(default_factory=dict)
    seeds: int = 3
    needs: str = ""

    @property
    def path(self) -> Path:
        """The file of the record."""
        return RESULTS / f"{self.name}.json"

    def completed_seeds(self) -> dict[str, Any]:
        """The numbers of each seed that has been run, by seed."""
        return dict(json.loads(self.path.read_text())["seeds"]) if self.path.is_file() else {}

    def run_seeds(self, seeds: Sequence[int], again: bool = False) -> dict[str, Any]:
        """Run the seeds without results (all with `again`) and write the record after each."""
        record = self.record(self.completed_seeds())
        for seed in seeds:
            if str(seed) in record["seeds"] and not again:
                continue
            wall, work = time.perf_counter(), time.process_time()
            numbers = dict(self.run(seed))
            cost = {
                "seconds": round(time.perf_counter() - wall, 1),
                "cpu_seconds": round(time.process_time() - work, 1),
            }
            # Read again: another process may have added a seed in the meantime.
            record = self.record(
                {
                    **self.completed_seeds(),
                    str(seed): {**numbers, **cost, "threads": torch.get_num_threads()},
                }
            )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        return record

    def record(self, seeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """All seeds, the median and range of every number they share, and the targets met."""
        numbers = [
            n for n in _shared(seeds) if all(isinstance(s[n], (int, float)) for s in seeds.values())
        ]
        columns = {n: [float(s[n]) for s in seeds.values()] for n in numbers}
        medians = {n: statistics.median(values) for n, values in columns.items()}
        met = {n: n in medians and bar.holds(medians[n]) for n, bar in self.targets.items()}
        return {
            "description": self.description,
            "median": medians,
            "spread": {n: [min(values), max(values)] for n, values in columns.items()},
            "targets": {n: str(bar) for n, bar in self.targets.items()},
            "met": met,
            "passed": bool(seeds) and all(met.values()),
            "seeds": dict(sorted(seeds.items(), key=lambda item: int(item[0]))),
            "machine": machine(),
        }


def keep_figures(figures: Mapping[str, Any], folder: Path) -> None:
    """Write figures, by name, beside the fitted models of a run."""
    from pushforward.plots import write_figure  # imports Matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_figure(figure, folder / f"{name}.png")


def data_folder() -> Path | None:
    """The folder of the real data sets; None if it does not exist."""
    setting = os.environ.get("PUSHFORWARD_DATA")
    folder = Path(setting) if setting else ROOT.parent / "shared" / "data"
    if folder.is_dir():
        os.environ["PUSHFORWARD_DATA"] = str(folder)
        return folder
    return None


def _shared(seeds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of the numbers that every seed has, in order."""
    rows = list(seeds.values())
    return [n for n in rows[0] if all(n in row for row in rows)] if rows else []
