"""Tables of docs/results.md about synthetic tables, from the records of `studies.tables`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from studies.real_tables import TABLES
from studies.study import RESULTS
from studies.tables import MEASURES, OTHERS, OURS, cells

__all__ = ["ASKED", "EVERY", "standings", "synthetic"]

ELSEWHERE = {"ctgan": "CTGAN", "tvae": "TVAE", "arf": "ARF", "smote": "SMOTE"}
"""Models of other libraries, as they are called."""
NAMES = {
    **{f"{model} of another library": name for model, name in ELSEWHERE.items()},
    **{model: f"`{model}`" for model in OURS},
}
ASKED = ("ctgan of another library", "tvae of another library", "copula", "independent")
"""Models without nearly copied rows that everybody knows."""
EVERY = (*ASKED, *(f"{model} of another library" for model in OTHERS if model in ("arf", "smote")))
DIGITS = {"CPU seconds": 1}


def synthetic() -> str:
    """Each model: medians over tables of the means over seeds."""
    records = _records()
    lines = ["| model | " + " | ".join(MEASURES) + " |", "|---|" + "---:|" * len(MEASURES)]
    for model, name in sorted(NAMES.items(), key=lambda item: item[0] != "mixed"):
        found = [
            statistics.median(_mean(record, f"{model}: {measure}") for record in records.values())
            for measure in MEASURES
        ]
        numbers = [f"{v:.{DIGITS.get(m, 3)}f}" for m, v in zip(MEASURES, found)]
        lines.append(f"| {name} | " + " | ".join(numbers) + " |")
    real = statistics.median(_mean(r, "mixed: useful if real") for r in records.values())
    seeds = min(len(record["seeds"]) for record in records.values())
    note = (
        f"Medians over {len(records)} tables of means over {seeds} divisions of their rows."
        f" Usefulness of real rows: {real:.3f}."
    )
    return "\n".join([*lines, "", note])


def standings() -> str:
    """`mixed` beside the best of the others in every cell, and how often it is as good."""
    found = cells("mixed", ASKED)
    tables = list(dict.fromkeys(table for table, _ in found))
    lines = ["| table | " + " | ".join(MEASURES) + " |", "|---|" + "---:|" * len(MEASURES)]
    for table in tables:
        texts = []
        for measure in MEASURES:
            good, ours, best = found[table, measure]
            text = " / ".join(f"{v:.{DIGITS.get(measure, 3)}f}" for v in (ours, best))
            texts.append(f"**{text}**" if good else text)
        lines.append(f"| {table} | " + " | ".join(texts) + " |")
    return "\n".join([*lines, "", *_counts(tables)])


def _counts(tables: Sequence[str]) -> list[str]:
    """How many cells `mixed` holds, and how much faster than CTGAN it is."""
    beside = {
        "CTGAN and TVAE": (ASKED[:2], list(MEASURES)),
        "CTGAN, TVAE, `copula` and `independent`": (ASKED, list(MEASURES)),
        "these, CPU seconds left out": (ASKED, [m for m in MEASURES if m != "CPU seconds"]),
        "these, ARF and SMOTE": (EVERY, list(MEASURES)),
    }
    said = []
    for whom, (rivals, measures) in beside.items():
        held = [good for (_, m), (good, *_) in cells("mixed", rivals).items() if m in measures]
        share = sum(held) / len(held)
        said.append(f"beside {whom} in {sum(held)} of {len(held)} cells ({share:.0%})")
    faster, ahead = [], 0
    for table, record in _records().items():
        ratio = _mean(record, f"{ASKED[0]}: CPU seconds") / _mean(record, "mixed: CPU seconds")
        faster.append((ratio, table))
        ahead += _mean(record, "mixed: detection") <= _mean(record, f"{ASKED[0]}: detection")
    worst, where = min(faster)
    usual = statistics.median(ratio for ratio, _ in faster)
    return [
        f"Bold: `mixed` is the best or within a standard error of the best: {'; '.join(said)}."
        f" It takes {usual:.0f} times less CPU time than CTGAN ({worst:.0f} times on {where}, at"
        f" the least), and its rows are told from real ones less often on {ahead} of {len(tables)}"
        " tables."
    ]


def _records() -> dict[str, Any]:
    paths = {name: RESULTS / f"tables-{name}.json" for name in TABLES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def _mean(record: Any, quantity: str) -> float:
    return statistics.fmean(seed[quantity] for seed in record["seeds"].values())
