"""Synthetic tables beside those of other libraries, on real tables: like, useful, safe, fast.

Every model is fitted to the same two thirds of the rows of a table and draws as many. Likeness is
measured beside the other third, which no model has seen. CPU seconds are of one process each, with
as many threads as this one has.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

import pushforward as pf
from pushforward.core.space import Space
from pushforward.experiments.synthesis import synthesise
from pushforward.experiments.table_models import TableReading
from studies.real_tables import TABLES, Frame
from studies.study import RESULTS, ROOT, RUNS, Study

__all__ = ["MEASURES", "OTHERS", "OURS", "STUDIES", "cells", "compare_models"]

OURS = ("mixed", "copula", "independent")
"""Models of this library, with their defaults; `mixed` is what `synthesise` fits."""
NETWORKS = ("tvae", "ctgan")
"""Models of this library and of ctgan: they take a hundred times as long as the others."""
OTHERS = ("ctgan", "tvae", "arf", "smote")
"""Of other libraries, with theirs: see `reference_tables`."""
PYTHON = ROOT / ".venv-tables" / "bin" / "python"
MEASURES: Mapping[str, str] = {
    "margins": "higher",
    "associations": "higher",
    "contingency": "higher",
    "detection": "lower",
    "usefulness": "higher",
    "closest": "lower",
    "CPU seconds": "lower",
}
"""What is measured of each model, and which way is better."""


def compare_models(
    name: str, seed: int, ours: Sequence[str] = OURS, others: Sequence[str] = OTHERS
) -> Mapping[str, Any]:
    """The measures of all models on a table, for one division of its rows."""
    table = TABLES[name]
    frame = table.rows(seed)
    n = 2 * len(frame) // 3
    train, held_out = frame[:n].reset_index(drop=True), frame[n:].reset_index(drop=True)
    results: dict[str, Any] = {"rows": n, "held out": len(held_out), "columns": frame.shape[1]}
    for model in ours:
        begun = time.process_time()
        made = synthesise(train, n, reading=TableReading(model=model, seed=seed)).frame
        seconds = time.process_time() - begun
        results |= _named(model, _measured(train, held_out, made, table.target, seed), seconds)
    for model in others:
        label = f"{model} of another library"
        kept = _recorded(name, seed, label)
        if not kept:
            made, seconds = _from_elsewhere(name, model, train, seed)
            measured = _measured(train, held_out, made, table.target, seed)
            kept = _named(label, measured, seconds)
        results |= kept
    return results


def _recorded(name: str, seed: int, label: str) -> dict[str, float]:
    """What the record of a table says of a model of another library.

    It depends on the rows and on the measures alone: remove the record to measure it again.
    """
    path = RESULTS / f"tables-{name}.json"
    seeds = json.loads(path.read_text())["seeds"] if path.is_file() else {}
    return {k: v for k, v in seeds.get(str(seed), {}).items() if k.startswith(f"{label}: ")}


def _named(model: str, measured: Mapping[str, float], seconds: float) -> dict[str, float]:
    return {f"{model}: {key}": v for key, v in {**measured, "CPU seconds": seconds}.items()}


def _measured(
    train: Frame, held_out: Frame, made: Frame, target: str, seed: int
) -> dict[str, float]:
    report = pf.compare_tables(held_out, made, train=train, target=target, seed=seed)
    found = {record.quantity: record for record in report.records}
    useful = next(r for q, r in found.items() if q.startswith("TSTR"))
    share = found["closest_share"]
    return {
        "margins": found["margins"].value,
        "associations": found["associations"].value,
        "contingency": found["contingency"].value,
        "detection": abs(found["detection"].value - 0.5) + 0.5,
        "usefulness": useful.value,
        "useful if real": useful.details["ideal"],
        "closest": max(0.0, share.value - share.details["ideal"]),
        "copies": found["copies"].value,
        "membership": found["membership"].value,
    }


def _from_elsewhere(name: str, model: str, train: Frame, seed: int) -> tuple[Frame, float]:
    """Rows of another library's model, and the CPU seconds that fitting and drawing took.

    They are kept in `RUNS`: they do not depend on this library.
    """
    import pandas

    space = pf.read(train, types="auto", label=False).space
    categories = [n for n, column in zip(space.names, space.columns) if column.categories]
    target = RUNS / "tables" / f"{name}-{seed}-{model}.parquet"
    cost = target.with_suffix(".json")
    if not cost.is_file():
        if not PYTHON.is_file():
            raise SystemExit(f"{PYTHON} is missing: make .venv-tables/.installed builds it")
        target.parent.mkdir(parents=True, exist_ok=True)
        texts = train.assign(**{c: train[c].astype(str) for c in categories})
        texts.to_parquet(source := target.with_suffix(".train"))
        script = ROOT / "studies" / "reference_tables.py"
        done = subprocess.run(
            [PYTHON, script, model, source, target, json.dumps(categories), str(seed)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
        source.unlink()
        cost.write_text(done.stdout.splitlines()[-1])
    made = _written_alike(pandas.read_parquet(target), space)
    numbers = {c: "float64" for c in train if c not in categories}
    return made.astype(numbers | {c: train[c].dtype for c in categories}), float(
        json.loads(cost.read_text())["cpu_seconds"]
    )


def _written_alike(made: Frame, space: Space) -> Frame:
    """Numbers with as many decimals as the data: none of these libraries' models sees to it."""
    made = made.copy()
    for name, column in zip(space.names, space.columns):
        whole = column.kind == "integer"
        if not column.categories and (whole or column.decimals is not None):
            made[name] = made[name].astype("float64").round(0 if whole else column.decimals)
    return made


# -------------------------------------------------------------------------------------- the count


def cells(ours: str, rivals: Sequence[str]) -> dict[tuple[str, str], tuple[bool, float, float]]:
    """By table and measure: whether `ours` is best or within a standard error of the best rival,
    its mean over seeds and that of the best.

    The standard error is that of the difference, seed by seed.
    """
    found = {}
    for table in TABLES:
        path = RESULTS / f"tables-{table}.json"
        if not path.is_file():
            continue
        seeds = list(json.loads(path.read_text())["seeds"].values())
        for measure, better in MEASURES.items():
            sign = 1.0 if better == "higher" else -1.0
            columns = {m: [s[f"{m}: {measure}"] for s in seeds] for m in (ours, *rivals)}
            means = {m: statistics.fmean(values) for m, values in columns.items()}
            best = max(rivals, key=lambda m: sign * means[m])
            behind = [sign * (b - a) for a, b in zip(columns[ours], columns[best])]
            error = statistics.stdev(behind) / math.sqrt(len(behind)) if len(behind) > 1 else 0.0
            found[table, measure] = (
                statistics.fmean(behind) <= error,
                means[ours],
                means[best],
            )
    return found


STUDIES = [
    Study(
        f"tables-{name}",
        f"Synthetic copies of {name}: 3 models of this library and 4 of others, 2/3 of at most"
        " 3000 rows, beside the other third",
        partial(compare_models, name),
        seeds=5,
        needs=table.needs,
    )
    for name, table in TABLES.items()
] + [
    Study(
        f"table-networks-{name}",
        f"TVAE and CTGAN of this library and of the library ctgan on {name}, 300 epochs each: this"
        " one's batches are a twentieth of the rows, ctgan's are 500",
        partial(compare_models, name, ours=NETWORKS, others=NETWORKS),
        seeds=3,
        needs=TABLES[name].needs,
    )
    for name in ("wine", "quakes", "careers")
]
