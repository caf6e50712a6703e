"""Measures of tables whose definitions SDMetrics (MIT) publishes, beside SDMetrics itself.

It is in no extra, as it comes with dozens of packages; where it is not installed, its values on the
table below, recorded once with version 0.32.0, stand in for it. The pair `student_placements` that
it bundles is compared column by column where it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pushforward.experiments.table_rows import read_tables
from pushforward.metrics.tables.associations import (
    association_similarity,
    contingency_similarity,
    correlation_similarity,
)
from pushforward.metrics.tables.detection import logistic_detection
from pushforward.metrics.tables.margins import coverage, margins, missing
from pushforward.metrics.tables.pair import TablePair
from pushforward.metrics.tables.privacy import baseline_protection, closest_records

RECORDED = {
    "margin a": 0.918511979204983,
    "coverage a": 0.9926163671306789,
    "margin b": 0.9719696969696969,
    "coverage b": 0.9411764705882353,
    "margin c": 0.9306818181818182,
    "coverage c": 1.0,
    "margin d": 0.9742424242424242,
    "coverage d": 1.0,
    "missing a": 0.9670454545454545,
    "pearson correlation a × b": 0.937941800272482,
    "spearman correlation a × b": 0.9257656007166682,
    "contingency a × b": 0.7034090909090909,
    "contingency a × c": 0.8121212121212121,
    "contingency a × d": 0.8977272727272727,
    "contingency b × c": 0.8356060606060607,
    "contingency b × d": 0.843560606060606,
    "contingency c × d": 0.8988636363636364,
    "overfitting_protection": 0.990909090909091,
    "median_synthetic": 0.015626037231233226,
}
"""What SDMetrics 0.32.0 says of the tables below."""
DETECTED = 0.98550
"""Its LogisticDetection, the mean of 40 runs."""


def table(seed: int, n: int) -> pd.DataFrame:
    """Numbers, whole numbers, categories and gaps, that go together."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    a = z + rng.normal(0, 0.7 + 0.2 * (seed == 1), n)
    b = np.round(10 + 3 * z + rng.normal(0, 2, n))
    c = np.array(list("xyzw"))[np.digitize(z + rng.normal(0, 1, n), [-1, 0.2, 1.2])]
    d = np.array(["no", "yes"])[(a + rng.normal(0, 1, n) > 0.3).astype(int)]
    a[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"a": a, "b": b.astype(int), "c": c, "d": d})


TRAIN, FRESH, MADE = table(0, 240), table(2, 200), table(1, 220)
META = {
    "columns": {
        "a": {"sdtype": "numerical"},
        "b": {"sdtype": "numerical"},
        "c": {"sdtype": "categorical"},
        "d": {"sdtype": "categorical"},
    }
}


def ours() -> dict[str, float]:
    types = {"c": "categorical", "d": "categorical"}
    tables = read_tables(TRAIN, MADE, held_out=FRESH, types=types)
    pair = TablePair(tables.real.x, tables.synthetic.x, tables.columns)
    assert tables.held_out is not None
    records = [
        *margins(pair), *missing(pair), *coverage(pair), *correlation_similarity(pair),
        *correlation_similarity(pair, "spearman"), *contingency_similarity(pair),
        *association_similarity(pair), *closest_records(pair, tables.held_out.x),
    ]  # fmt: skip
    found = {r.quantity: r.value for r in records}
    baseline = baseline_protection(pair)[0]
    return found | {"median_synthetic": baseline.details["median_synthetic"]}


def theirs() -> dict[str, float]:
    """What SDMetrics says, by our names."""
    from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
    from sdmetrics.single_column import (
        CategoryCoverage,
        KSComplement,
        MissingValueSimilarity,
        RangeCoverage,
        TVComplement,
    )
    from sdmetrics.single_table import DCRBaselineProtection, DCROverfittingProtection

    found = {}
    for name in "abcd":
        one, two = TRAIN[name], MADE[name]
        number = name in "ab"
        found[f"margin {name}"] = (KSComplement if number else TVComplement).compute(one, two)
        kind = RangeCoverage if number else CategoryCoverage
        found[f"coverage {name}"] = kind.compute(one, two)
    found["missing a"] = MissingValueSimilarity.compute(TRAIN["a"], MADE["a"])
    for method in ("pearson", "spearman"):
        found[f"{method} correlation a × b"] = CorrelationSimilarity.compute(
            TRAIN[["a", "b"]], MADE[["a", "b"]], coefficient=method.title()
        )
    for one, two in ("ab", "ac", "ad", "bc", "bd", "cd"):
        found[f"contingency {one} × {two}"] = ContingencySimilarity.compute(
            TRAIN[[one, two]].copy(), MADE[[one, two]].copy(),
            continuous_column_names=[name for name in (one, two) if name in "ab"],
        )  # fmt: skip
    found["overfitting_protection"] = DCROverfittingProtection.compute(
        TRAIN, MADE, FRESH, {"tables": {"t": META}}, "t"
    )
    breakdown = DCRBaselineProtection.compute_breakdown(TRAIN, MADE, {"tables": {"t": META}}, "t")
    found["median_synthetic"] = breakdown["median_DCR_to_real_data"]["synthetic_data"]
    return found


def test_our_values_are_those_that_it_gave() -> None:
    found = ours()
    assert {name: found[name] for name in RECORDED} == pytest.approx(RECORDED, abs=1e-8)


def test_logistic_detection_is_what_it_gave_on_average() -> None:
    types = {"c": "categorical", "d": "categorical"}
    tables = read_tables(TRAIN, MADE, types=types)
    values = [
        logistic_detection(TablePair(tables.real.x, tables.synthetic.x, tables.columns, seed=seed))[
            0
        ].value
        for seed in range(20)
    ]
    assert np.mean(values) == pytest.approx(DETECTED, abs=4 * np.std(values) / np.sqrt(20))


def test_it_still_gives_what_was_recorded() -> None:
    pytest.importorskip("sdmetrics", reason="SDMetrics is not installed")
    assert theirs() == pytest.approx(RECORDED, abs=1e-8)


def test_columns_of_the_pair_that_it_bundles() -> None:
    sdmetrics = pytest.importorskip("sdmetrics", reason="SDMetrics is not installed")
    from sdmetrics.single_column import KSComplement, TVComplement

    folder = Path(sdmetrics.__file__).parent / "demos" / "single_table"
    files = [folder / f"student_placements_{which}.csv" for which in ("real", "synthetic")]
    real, synthetic = (pd.read_csv(file) for file in files)
    tables = read_tables(*map(str, files))
    pair = TablePair(tables.real.x, tables.synthetic.x, tables.columns)
    found = {r.details["column"]: r.value for r in margins(pair)[1:]}
    assert len(found) > 12
    for column in tables.columns:
        one, two = real[column.name], synthetic[column.name]
        if column.type == "date":
            one, two = pd.to_datetime(one), pd.to_datetime(two)
        kind = TVComplement if column.kind == "categorical" else KSComplement
        assert found[column.name] == pytest.approx(kind.compute(one, two), abs=1e-9), column.name
