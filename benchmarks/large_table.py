"""A large table of mixed columns, written in chunks to CSV and to Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHUNK = 50_000
"""Rows drawn and written at a time."""
GROUPS, FACTORS = 4, 3
"""What makes the columns depend on each other: a group of each row, and normal factors around it."""
KINDS = {
    "normal": 8,
    "skewed": 6,
    "count": 5,
    "percent": 4,
    "whole": 4,
    "date": 3,
    "class": 15,
    "flag": 3,
}
"""Columns of each kind; with the identifier 49, and one of a constant makes 50."""
LEVELS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 30, 3, 5)
"""Levels of each category column; the last levels are rare."""
GAPS = {
    "normal1": 0.2,
    "normal5": 0.05,
    "skewed2": 0.1,
    "count3": 0.1,
    "percent1": 0.3,
    "class4": 0.1,
    "class11": 0.2,
    "flag1": 0.05,
}
"""Shares of missing cells, completely at random but for normal1, which large values lack."""
START = np.datetime64("2010-01-01")


def write_tables(folder: Path, rows: int, seed: int = 0, stem: str = "table") -> tuple[Path, Path]:
    """The same rows as CSV and as Parquet."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    text, packed = folder / f"{stem}.csv", folder / f"{stem}.parquet"
    sinks: list[Any] = []
    for chunk in chunks(rows, seed):
        table = pa.table(chunk)
        if not sinks:
            sinks = [
                pyarrow.csv.CSVWriter(text, table.schema),
                pyarrow.parquet.ParquetWriter(packed, table.schema),
            ]
        for sink in sinks:
            sink.write_table(table)
    for sink in sinks:
        sink.close()
    return text, packed


def chunks(rows: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Columns by name, as Arrow arrays, of `CHUNK` rows at a time."""
    weights = _weights(np.random.default_rng(17))
    stream = np.random.default_rng(seed)
    for start in range(0, rows, CHUNK):
        yield _chunk(min(CHUNK, rows - start), start, weights, stream)


def _weights(stream: np.random.Generator) -> dict[str, Any]:
    """How columns depend on groups and factors: the same for every seed of rows."""
    columns = sum(KINDS.values())
    return {
        "centres": 1.5 * stream.normal(size=(GROUPS, FACTORS)),
        "loadings": 0.6 * stream.normal(size=(FACTORS, columns)),
        "levels": [
            (stream.normal(size=(FACTORS, n)), -1.2 * np.log1p(np.arange(n))) for n in LEVELS
        ],
    }


def _chunk(
    n: int, start: int, weights: dict[str, Any], stream: np.random.Generator
) -> dict[str, Any]:
    import pyarrow as pa

    group = stream.choice(GROUPS, n, p=[0.4, 0.3, 0.2, 0.1])
    factors = weights["centres"][group] + stream.normal(size=(n, FACTORS))
    means = factors @ weights["loadings"]
    scores = means + stream.normal(size=means.shape)
    made: dict[str, Any] = {"id": [f"R{i:08d}" for i in range(start, start + n)]}
    place = 0
    for kind, count in KINDS.items():
        for j in range(count):
            made[f"{kind}{j}"] = _column(kind, j, scores[:, place], factors, weights, stream)
            place += 1
    made["unit"] = np.full(n, "kg")
    return {
        name: pa.array(values, mask=_missing(name, made, stream)) for name, values in made.items()
    }


def _column(
    kind: str,
    j: int,
    score: np.ndarray,
    factors: np.ndarray,
    weights: dict[str, Any],
    stream: np.random.Generator,
) -> Any:
    if kind == "normal":
        return np.round(10 * j + (1 + j) * score, 3)
    if kind == "skewed":
        return np.round(np.exp(0.5 * score + 0.3 * j), 4)
    if kind == "count":
        return stream.poisson(np.exp(np.clip(0.4 * score + 0.4 * j, -5, 6)))
    if kind == "percent":
        return np.round(100 / (1 + np.exp(-score)), 1)
    if kind == "whole":
        return np.round(100 * (j + 1) * score).astype(np.int64)
    if kind == "date":
        return START + (1500 + 300 * np.clip(score, -4.9, 20)).astype("timedelta64[D]")
    if kind == "flag":
        return score > j - 1
    loading, base = weights["levels"][j]
    choice = (0.6 * factors @ loading + base + stream.gumbel(size=(len(score), len(base)))).argmax(
        1
    )
    return np.array([f"{'abcdefghijklmno'[j]}{level:02d}" for level in range(len(base))])[choice]


def _missing(name: str, made: dict[str, Any], stream: np.random.Generator) -> np.ndarray | None:
    share = GAPS.get(name)
    if share is None:
        return None
    chance = np.full(len(made[name]), share)
    if name == "normal1":
        chance *= 2 * (made[name] > np.median(made[name]))
    return stream.random(len(chance)) < chance
