"""`make bench`: run the comparisons, print a table, write results/bench.json.

Rows that are not run are kept.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.timing import Unavailable, machine

MODULES = (
    "spine",
    "classical",
    "distances",
    "sweeps",
    "network_sweep",
    "small_calls",
    "kde",
    "kde_sweep",
    "likelihood",
    "adversarial",
    "translation",
    "clips",
    "enlargement",
    "releases",
    "pages",
    "studio",
    "tables",
    "gpu",
)
RESULTS = Path(__file__).parent.parent / "results" / "bench.json"


def main(names: list[str]) -> int:
    """Run the benchmarks whose names begin with one of `names`, or all."""
    available: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {}
    for module in MODULES:
        available.update(importlib.import_module(f"benchmarks.{module}").BENCHMARKS)
    benchmarks = {
        n: f for n, f in available.items() if not names or any(n.startswith(w) for w in names)
    }
    if not benchmarks:
        print(
            f"no benchmark begins with {' or '.join(names)}; available: {', '.join(available)}",
            file=sys.stderr,
        )
        return 2
    if not any(name.startswith("gpu") for name in names):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the others compare on the CPU
    stored = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"rows": {}}
    for name, benchmark in benchmarks.items():
        print(f"{name} …", flush=True)
        try:
            rows = list(benchmark())
        except Unavailable as reason:
            print(f"  {reason}", file=sys.stderr)
            if names:
                return 2
            continue
        for row in rows:
            row = {**row, "passed": meets_target(row), "machine": machine()}
            stored["rows"][row["name"]] = row
            print(
                f"  {row['name']:28} {row['ratio']}  target {row['target']}  {'passed' if row['passed'] else 'FAILED'}",
                flush=True,
            )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    return 0


def meets_target(row: dict[str, Any]) -> bool:
    """Whether the median meets the target and the answers agree."""
    value, target = row["ratio"]["median"], row["target"]
    if target is None:  # reported without a target
        return bool(row.get("check", {}).get("agree", True))
    fine = value <= target if row.get("better") == "lower" else value >= target
    return fine and row.get("check", {}).get("agree", True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
