"""Commands on large tables work chunk by chunk: with what they would give at once."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.counting import counted_by
from pushforward.data.tables import typed_rows
from pushforward.experiments.gaps import fill
from pushforward.experiments.oddity import odd
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.synthesis import synthesise
from pushforward.fitting import blocks
from pushforward.models.tabular import mixed as mixed_module
from pushforward.models.tabular.mixed import MixedMixture


def table(rows: int = 300) -> pd.DataFrame:
    stream = np.random.default_rng(3)
    hidden = stream.normal(size=rows)
    made = pd.DataFrame(
        {
            "code": [f"K-{i:04d}" for i in range(rows)],
            "a": (hidden + 0.3 * stream.normal(size=rows)).round(3),
            "b": stream.poisson(np.exp(0.5 * hidden)),
            "kind": np.where(hidden + stream.normal(size=rows) > 0, "up", "down"),
        }
    )
    made["b"] = made["b"].astype("float").mask(stream.random(rows) < 0.2)
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a run of it, and a further table with odd rows."""
    folder = tmp_path_factory.mktemp("large")
    table().to_csv(folder / "t.csv", index=False)
    new = table(90)
    new.loc[37, "a"], new.loc[80, "kind"] = 40.0, "sideways"
    new.to_csv(folder / "new.csv", index=False)
    model = MixedMixture(2, covariance="full")
    pf.Experiment(model, str(folder / "t.csv"), reading={"types": "auto"}).run(folder / "run")
    return folder


def test_odd_rows_are_the_same_in_chunks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = odd(place / "run", place / "new.csv", top=5, samples=200)
    monkeypatch.setattr(typed_rows, "VALUES_AT_ONCE", 4 * 7)
    said: list[tuple[str, int, int | None]] = []
    with counted_by(lambda *entry: said.append(entry)):
        parts = odd(place / "run", place / "new.csv", top=5, samples=200)
    assert said[:2] == [("judged", 7, None), ("judged", 14, None)]
    assert parts.order.tolist() == whole.order.tolist()
    np.testing.assert_allclose(parts.scores.log_density, whole.scores.log_density, atol=1e-12)
    assert [row.row for row in whole.top][:2] == [80, 37]
    assert parts.table == whole.table
    assert whole.table["code"][:2] == ["K-0080", "K-0037"]
    assert whole.top[0].unseen[0].text == "sideways"


def test_rows_of_the_run_are_not_read_where_a_file_is_given(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: OpenedRun) -> None:
        raise AssertionError("the rows were read")

    monkeypatch.setattr(OpenedRun, "parts", refuse)
    filled = fill(place / "run", place / "new.csv").frame
    assert not filled["b"].isna().any()
    assert odd(place / "run", place / "new.csv", top=1, samples=50).top[0].row == 80
    with pytest.raises(AssertionError):
        synthesise(place / "run", 10)


def test_a_cache_of_some_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinates of the blocks beyond a budget are computed in every pass."""
    rows = pf.read(table(), types="auto")

    def fitted(kept: int) -> MixedMixture:
        monkeypatch.setattr(blocks, "OWN_BYTES", kept)
        return MixedMixture(2, covariance="full").fit(rows, by=pf.EM(block=64, steps=8))

    calls: list[int] = []
    plain = MixedMixture.coordinates

    def counted(self: MixedMixture, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return plain(self, x)

    monkeypatch.setattr(MixedMixture, "coordinates", counted)
    every, before = fitted(1 << 29), len(calls)
    some = fitted(2 * 64 * 4 * 8)
    assert len(calls) - before > before, "all blocks were cached"
    for name, value in every.state_dict().items():
        assert torch.equal(value, some.state_dict()[name]), name


def test_large_tables_start_from_a_larger_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes over it raise the log-likelihood with which those over all rows begin."""
    rows = pf.read(table(1500), types="auto")
    monkeypatch.setattr(mixed_module, "START_ROWS", 60)

    def first(large: int) -> float:
        monkeypatch.setattr(mixed_module, "LARGE", large)
        monkeypatch.setattr(mixed_module, "WARM_ROWS", 1000)
        values: list[float] = []
        model = MixedMixture(3, covariance="full")
        model.fit(
            rows,
            by=pf.EM(
                steps=1,
                listeners=[
                    lambda e: values.append(getattr(e, "terms", {}).get("log_likelihood", -np.inf))
                ],
            ),
        )
        return max(values)

    assert first(1000) > first(10**9) + 0.01


def test_progress_is_for_terminals(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["synthesise", str(place / "run"), "-n", "40", "-q"]
    assert main(line) == 0
    piped = capsys.readouterr()
    assert piped.out.count("\n") == 41
    assert "rows" not in piped.err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(line[:-1]) == 0
    live = capsys.readouterr()
    assert "rows drawn" in live.err or "rows read" in live.err
    assert live.out.splitlines()[1:] == piped.out.splitlines()[1:]
