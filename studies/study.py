"""A study: one experiment, run for several seeds, with what is asked of its median;
a record that grows seed by seed.
"""

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

__all__ = ["Study", "Bar", "at_least", "at_most", "RESULTS", "RUNS", "data_folder"]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "studies"
RUNS = ROOT / "runs" / "studies"
"""Fitted models that a later study measures again; not part of the repository."""


@dataclass(frozen=True)
class Bar:
    """What is asked of a median."""

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


def at_least(value: float) -> Bar:
    """No less than the value."""
    return Bar(low=value)


def at_most(value: float) -> Bar:
    """No more than the value."""
    return Bar(high=value)


@dataclass(frozen=True)
class Study:
    """An experiment.

    Arguments:
        name: of its record; what: one line.
        run: seed -> numbers by name.
        asked: what the median over seeds must satisfy, by name.
        seeds: how many.
        needs: folder under the data folder that must be there; '' if none.
    """

    name: str
    what: str
    run: Callable[[int], Mapping[str, Any]]
    asked: Mapping[str, Bar] = field(default_factory=dict)
    seeds: int = 3
    needs: str = ""

    @property
    def path(self) -> Path:
        """Its record."""
        return RESULTS / f"{self.name}.json"

    def known(self) -> dict[str, Any]:
        """Numbers of the seeds that were run, by seed."""
        return dict(json.loads(self.path.read_text())["seeds"]) if self.path.is_file() else {}

    def play(self, seeds: Sequence[int], again: bool = False) -> dict[str, Any]:
        """Run the seeds that are not known yet (all, with `again`);
        the record is written after each.
        """
        record = self.record(self.known())
        for seed in seeds:
            if str(seed) in record["seeds"] and not again:
                continue
            wall, work = time.perf_counter(), time.process_time()
            found = dict(self.run(seed))
            spent = {
                "seconds": round(time.perf_counter() - wall, 1),
                "processor_seconds": round(time.process_time() - work, 1),
            }
            # Read anew: another process may have added a seed of its own meanwhile.
            record = self.record(
                {**self.known(), str(seed): {**found, **spent, "threads": torch.get_num_threads()}}
            )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        return record

    def record(self, seeds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """All seeds, the median and spread of every number they share,
        and whether what is asked holds.
        """
        numbers = [
            n for n in _shared(seeds) if all(isinstance(s[n], (int, float)) for s in seeds.values())
        ]
        columns = {n: [float(s[n]) for s in seeds.values()] for n in numbers}
        medians = {n: statistics.median(values) for n, values in columns.items()}
        held = {n: n in medians and bar.holds(medians[n]) for n, bar in self.asked.items()}
        return {
            "what": self.what,
            "median": medians,
            "spread": {n: [min(values), max(values)] for n, values in columns.items()},
            "asked": {n: str(bar) for n, bar in self.asked.items()},
            "held": held,
            "reached": bool(seeds) and all(held.values()),
            "seeds": dict(sorted(seeds.items(), key=lambda item: int(item[0]))),
            "machine": machine(),
        }


def data_folder() -> Path | None:
    """Where the real data sets are, if they are here."""
    given = os.environ.get("PUSHFORWARD_DATA")
    folder = Path(given) if given else ROOT.parent / "shared" / "data"
    if folder.is_dir():
        os.environ["PUSHFORWARD_DATA"] = str(folder)
        return folder
    return None


def _shared(seeds: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names that every seed has, in order."""
    rows = list(seeds.values())
    return [n for n in rows[0] if all(n in row for row in rows)] if rows else []
