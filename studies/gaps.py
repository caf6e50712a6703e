"""Gaps of real tables: how well they are filled, and whether intervals cover.

One run is one seed: of the cells that are masked (`SHARE` of those that are there, at random), of
the fit and of the draws. The model is the default of `pushforward fill`. Numbers are filled with
means, categories with the most probable; errors of a table are root mean squares over its masked
numbers, in units of their column's standard deviation.
"""

from __future__ import annotations

import math
import statistics
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import special, stats

from pushforward.core.random import derive, generator
from pushforward.experiments.gaps import Refits, fill
from pushforward.experiments.table_models import TableModel, TableReading
from pushforward.tabular.gaps import interval
from pushforward.tabular.refits import draw_refitted
from studies.study import Study, Target, at_most
from studies.table_sets import FOLDERS, TABLES, load_table

__all__ = ["STUDIES", "Gapped", "mask", "measure"]

SHARE = 0.3
"""Of the cells that are masked."""
INTERVAL = 0.9
"""Share of the distribution that an interval holds."""
ROWS = 200
"""For whose gaps draws are made at once."""
TOLERANCE = 0.02
"""Of coverage."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Gapped:
    """A table with masked cells, coded by a model's columns.

    Args:
        subject: the model, fitted to the gapped table.
        truth: all rows (n, d), NaN where the table itself has none; in the order of the columns.
        masked: which cells were masked (n, d).
    """

    subject: TableModel
    truth: Rows
    masked: NDArray[np.bool_]

    @property
    def x(self) -> Rows:
        """The gapped rows."""
        return np.where(self.masked, np.nan, self.truth)

    @property
    def numeric(self) -> NDArray[np.bool_]:
        """Which columns are numbers."""
        return np.array([c.kind != "categorical" for c in self.subject.space.columns])


def mask(frame: pd.DataFrame, seed: int, share: float = SHARE) -> NDArray[np.bool_]:
    """Cells (n, d) masked at random, none that are missing, and none of constant columns."""
    stream = np.random.default_rng(derive(seed, "mask"))
    return (stream.random(frame.shape) < share) & frame.notna().to_numpy()


def gapped(frame: pd.DataFrame, seed: int, model: str | None = None) -> tuple[Gapped, Rows]:
    """A table with masked cells and its model, the default or a named one; the rows it fills.

    Numbers are filled with means, categories with the most probable, as `pushforward fill` does.
    """
    cells = mask(frame, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fill(frame.mask(cells), using="mean", reading=TableReading(seed=seed, model=model))
    space = result.subject.space
    names = [str(name) for name in frame.columns]
    places = [names.index(str(n)) for n in space.names]

    def coded(table: Any) -> Rows:
        parts = [_codes(table.iloc[:, p], c) for p, c in zip(places, space.columns)]
        return np.stack(parts, 1)

    return Gapped(result.subject, coded(frame), cells[:, places]), coded(result.frame)


def _codes(values: pd.Series, column: Any) -> Rows:
    """Numbers, or codes of categories; NaN for a category that the gapped table lacks."""
    if column.kind != "categorical":
        return values.astype(float).to_numpy()
    names = {str(name): float(code) for code, name in enumerate(column.categories)}
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = {float(name): code for name, code in names.items() if _is_number(name)}
        if numbers:
            return values.astype(float).map(numbers).to_numpy(dtype=float)
    words = values.astype("str").where(values.notna())
    return words.map({**{k.lower(): v for k, v in names.items()}, **names}).to_numpy(dtype=float)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------------------------- filling


def impute(table: Gapped, estimator: Any) -> Rows:
    """Rows filled by an imputer of scikit-learn, of standardised numbers and indicators.

    There is one indicator fewer than categories: with all, each follows from the others, and
    regressions leave them where they start.
    """
    sizes = [len(c.categories) for c in table.subject.space.columns]
    parts: list[Rows] = []
    for values, size in zip(table.x.T, sizes):
        hot = (values[:, None] == np.arange(1, size)).astype(float) if size else values[:, None]
        parts.append(np.where(np.isnan(values)[:, None], np.nan, hot))
    wide = np.concatenate(parts, 1)
    centre, scale = np.nanmean(wide, 0), np.nanstd(wide, 0)
    scale[scale == 0] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ten rounds do not converge
        whole = estimator.fit_transform((wide - centre) / scale) * scale + centre
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    columns = [
        np.column_stack([1 - part.sum(1), part]).argmax(1).astype(float) if size else part[:, 0]
        for part, size in zip(np.split(whole, ends, axis=1), sizes)
    ]
    return np.stack(columns, 1)


def imputers(seed: int) -> dict[str, Any]:
    """scikit-learn's imputers, with their defaults (ten rounds of Bayesian ridge regressions)."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, SimpleImputer

    return {"iterative": IterativeImputer(random_state=seed), "means": SimpleImputer()}


def error(table: Gapped, filled: Rows) -> float:
    """Root mean square over masked numbers, in standard deviations of their columns."""
    cells = table.masked & table.numeric & ~np.isnan(table.truth)
    deviation = np.nanstd(table.truth, 0)
    away = (filled - table.truth) / np.where(deviation > 0, deviation, 1.0)
    return float(np.sqrt(np.mean(away[cells] ** 2)))


def accuracy(table: Gapped, filled: Rows) -> float:
    """Share of masked categories that are right; NaN without any."""
    cells = table.masked & ~table.numeric & ~np.isnan(table.truth)
    return float(np.mean(filled[cells] == table.truth[cells])) if cells.any() else float("nan")


# --------------------------------------------------------------------------------------- coverage


def coverage(table: Gapped, seed: int) -> tuple[Rows, Rows]:
    """Whether intervals hold masked numbers (m,), counting ties fairly, and as they are printed.

    A value is at the ranks F(x-) to F(x) of its draws, which differ for whole and rounded numbers.
    That value counts by the share of its ranks within the interval's: then coverage is exactly
    INTERVAL under the model, whatever the ties. An interval as printed holds all the values that
    equal its ends, and thus more.
    """
    x, rules = torch.from_numpy(table.x), table.subject.rules
    models = Refits(table.subject, seed).for_intervals()
    stream = generator(derive(seed, "coverage"), table.subject.model.device)
    fair, held = [], []
    for some in torch.arange(len(x)).split(ROWS):
        drawn = draw_refitted(models, x[some], rng=stream).numpy()
        gaps = torch.isnan(x[some]).numpy()
        cells = (table.masked & table.numeric & ~np.isnan(table.truth))[some.numpy()]
        chosen, truth = cells[gaps], table.truth[some.numpy()][cells]
        ends = []
        for end in interval(drawn, INTERVAL):
            whole = np.zeros(gaps.shape)
            whole[gaps] = end
            ends.append(rules.clipped(rules.rounded(whole))[cells])
        slack = 1e-9 * np.abs(truth)
        held.append((ends[0] <= truth + slack) & (truth - slack <= ends[1]))
        fair.append(_share_within(drawn[:, chosen], truth))
    return np.concatenate(fair), np.concatenate(held).astype(float)


def _share_within(drawn: Rows, truth: Rows) -> Rows:
    """The share of the ranks of values (m,) among draws (draws, m) that are in the interval."""
    slack = 1e-9 * np.abs(truth)
    below = (drawn < truth - slack).sum(0)
    equal = (drawn <= truth + slack).sum(0) - below
    count = len(drawn) + 1
    low, high = below / count, (below + equal + 1) / count
    tail = (1 - INTERVAL) / 2
    inside = np.minimum(high, 1 - tail) - np.maximum(low, tail)
    return np.asarray((inside / (high - low)).clip(0, 1))


def measure(name: str, seed: int) -> dict[str, Any]:
    """Errors, accuracies and coverage of one table."""
    table, filled = gapped(load_table(name), seed)
    rows = {"model": filled} | {who: impute(table, e) for who, e in imputers(seed).items()}
    fair, printed = coverage(table, seed)
    results: dict[str, Any] = {f"error of {who}": error(table, f) for who, f in rows.items()}
    if not (table.numeric | ~table.masked.any(0)).all():
        results |= {f"accuracy of {who}": accuracy(table, f) for who, f in rows.items()}
    return results | {
        "error over iterative": results["error of model"] / results["error of iterative"],
        "coverage": float(fair.mean()),
        "coverage as printed": float(printed.mean()),
        "masked numbers": len(fair),
        "components": len(table.subject.model.weights_),
    }


# ------------------------------------------------------------------------------------- all tables


def measure_all(seed: int) -> dict[str, Any]:
    """Medians over the tables whose study has run this seed, and coverage of all their cells."""
    rows = [s.completed_seeds().get(str(seed)) for s in TABLE_STUDIES]
    runs = [row for row in rows if row is not None]
    if not runs:
        raise SystemExit("run the studies of tables first: python -m studies tables-gaps-")
    counts = np.array([row["masked numbers"] for row in runs])
    numbers = ("error of model", "error of iterative", "error of means", "error over iterative")
    results: dict[str, Any] = {n: statistics.median(row[n] for row in runs) for n in numbers}
    for who in ("model", "iterative", "means"):
        found = [row[f"accuracy of {who}"] for row in runs if f"accuracy of {who}" in row]
        results[f"accuracy of {who}"] = statistics.median(found)
    for kind in ("coverage", "coverage as printed"):
        results[kind] = float(counts @ [row[kind] for row in runs] / counts.sum())
    better = [row["error over iterative"] <= 1 for row in runs]
    return results | {"tables": len(runs), "share of tables no worse": float(np.mean(better))}


# ---------------------------------------------------------------------------------- pooled means

ROWS_DRAWN, REPEATS, IMPUTATIONS = 100, 20, 10
"""Rows of a simulated table, tables per seed, imputations of each."""
TRUE_MEANS = {"normal": 1.0, "skewed": math.exp(0.125), "uniform": 0.5}


def simulated(seed: int, rows: int = ROWS_DRAWN) -> pd.DataFrame:
    """Three columns with correlated normal scores, .7 each: normal, log-normal and uniform."""
    stream = np.random.default_rng(seed)
    z = math.sqrt(0.7) * stream.normal(size=(rows, 1)) + math.sqrt(0.3) * stream.normal(
        size=(rows, 3)
    )
    columns = [1 + 2 * z[:, 0], np.exp(z[:, 1] / 2), special.ndtr(z[:, 2])]
    return pd.DataFrame(dict(zip(TRUE_MEANS, columns)))


def pooled_means(seed: int) -> dict[str, Any]:
    """How often the 95 % intervals of pooled means hold the truth, over masks and tables.

    For comparison, intervals from one imputation that is taken for data, and from whole tables.
    """
    hits: dict[str, list[bool]] = {"pooled": [], "one imputation": [], "without gaps": []}
    for repeat in range(REPEATS):
        own = derive(seed, "simulated", repeat)
        frame = simulated(own)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filled = fill(
                frame.mask(mask(frame, own)),
                imputations=IMPUTATIONS,
                reading=TableReading(seed=seed),
            )
        found = {n: dict(zip(filled.pooled["column"], filled.pooled[n])) for n in ("low", "high")}
        for name, truth in TRUE_MEANS.items():
            hits["pooled"].append(found["low"][name] <= truth <= found["high"][name])
            for kind, table in (("one imputation", filled.frame), ("without gaps", frame)):
                half = stats.t.ppf(0.975, ROWS_DRAWN - 1) * table[name].sem()
                hits[kind].append(abs(table[name].mean() - truth) <= half)
    return {f"coverage, {kind}": float(np.mean(row)) for kind, row in hits.items()}


COVERED = Target(INTERVAL - TOLERANCE, INTERVAL + TOLERANCE)
TABLE_STUDIES = [
    Study(
        f"tables-gaps-{name}",
        f"{SHARE:.0%} of the cells of {name} filled: errors in standard deviations, coverage of"
        f" {INTERVAL:.0%} intervals",
        partial(measure, name),
        {"error over iterative": at_most(1.0), "coverage": COVERED},
        seeds=5,
        needs=FOLDERS.get(name, ""),
    )
    for name in TABLES
]
STUDIES = [
    *TABLE_STUDIES,
    Study(
        "tables-gaps",
        "medians over the tables of tables-gaps-…, and coverage of all their masked numbers",
        measure_all,
        {"error over iterative": at_most(1.0), "coverage": COVERED},
        seeds=5,
    ),
    Study(
        "tables-gaps-pooled-means",
        f"95 % intervals of means of {ROWS_DRAWN} simulated rows, {SHARE:.0%} masked,"
        f" {IMPUTATIONS} imputations, {REPEATS} tables a seed",
        pooled_means,
        {"coverage, pooled": Target(0.95 - TOLERANCE, 0.95 + TOLERANCE)},
        seeds=5,
    ),
]
