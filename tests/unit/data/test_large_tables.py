"""Tables that are read in chunks give what tables read at once do."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core.column_numbers import find_bad_cell
from pushforward.core.counting import counted_by
from pushforward.data.sources.spool import Spool
from pushforward.data.tables import columns, text_files, typed_files
from pushforward.data.tables.cells import Cells


def mixed_table(rows: int = 60) -> pd.DataFrame:
    """Numbers, dates, categories, an identifier, and booleans of which some are missing."""
    stream = np.random.default_rng(0)
    flags = pd.Series(stream.random(rows) < 0.5, dtype=object)
    flags[:10] = None  # the first chunk has none
    flags[stream.random(rows) < 0.2] = None
    return pd.DataFrame(
        {
            "code": [f"K-{i:04d}" for i in range(rows)],
            "size": stream.normal(size=rows).round(3),
            "count": stream.poisson(3.0, rows),
            "flag": flags,
            "colour": stream.choice(["red", "green", "blue"], rows),
            "day": pd.date_range("2020-01-01", periods=rows).strftime("%Y-%m-%d"),
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_chunks_are_read_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"t.{suffix}"
    table = mixed_table()
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    whole = pf.read(path, types="auto")
    monkeypatch.setattr(text_files, "CHUNK_ROWS", 10)
    monkeypatch.setattr(text_files, "_HELD", 1)
    monkeypatch.setattr(typed_files, "CHUNK_ROWS", 10)
    said: list[tuple[str, int, int | None]] = []
    with counted_by(lambda *entry: said.append(entry)):
        parts = pf.read(path, types="auto")
    assert parts.space == whole.space
    assert torch.equal(parts.all().x.nan_to_num(-9), whole.all().x.nan_to_num(-9))
    assert list(parts.carried["code"]) == list(table["code"])
    assert said[5] == ("looked at", 60, None)
    assert said[-1] == ("read", 60, 60)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_booleans_with_gaps_keep_their_values(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    table = mixed_table()
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    source = pf.read(path, types="auto")
    (place,) = [i for i, name in enumerate(source.space.names) if name == "flag"]
    assert source.space.columns[place].categories == ("False", "True")
    expected = [np.nan if v is None else float(v) for v in table["flag"]]
    np.testing.assert_array_equal(source.all().x[:, place].numpy(), expected)


def test_more_identifiers_than_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told from the first of them; texts that repeat are no categories by the hundred."""
    rows = 400
    names = [f"n{i % 110}" for i in range(rows)]
    table = pd.DataFrame(
        {
            "key": [f"K-{i}" for i in range(rows)],
            "number_id": np.arange(rows) * 7,
            "name": names,
            "x": np.random.default_rng(0).normal(size=rows),
        }
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr(columns, "_MOST_CATEGORIES", 100)
    monkeypatch.setattr(text_files, "CHUNK_ROWS", 60)
    monkeypatch.setattr(text_files, "_HELD", 1)
    source = pf.read(tmp_path / "t.csv", types="auto")
    kinds = {c["name"]: (c["type"], c["reason"]) for c in source.space.extra["carried"]}
    assert kinds["key"] == ("identifier", "each of the first 120 texts is different")
    assert kinds["number_id"][0] == "identifier"
    assert kinds["name"][0] == "text"
    assert list(source.space.names) == ["x"]


def test_a_spool_frees_blocks_that_it_joins() -> None:
    blocks = [np.full((10, 3), float(k)) for k in range(5)]
    held = [weakref.ref(block) for block in blocks]
    with Spool(1 << 30) as spool:
        while blocks:
            spool.add(blocks.pop(0))
        whole = spool.finish()
        assert [ref() for ref in held] == [None] * 5
    np.testing.assert_array_equal(whole[:, 1], np.repeat(np.arange(5.0), 10))


def test_the_first_bad_cell_among_repeated_texts() -> None:
    series = pd.Series(["1", "2", "1", None, "-", "1", "oops", "2", "oops"])
    assert find_bad_cell(series, 100) == (104, "-")
    assert find_bad_cell(series, 100, spelled=Cells().spelled) == (106, "oops")
    assert find_bad_cell(series, share=2 / 7, spelled=Cells().spelled) is None
