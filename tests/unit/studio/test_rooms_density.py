"""The density room: exact numbers of the library's own verbs, and requests it refuses."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, PushforwardError
from pushforward.experiments import open_run
from pushforward.experiments.conditionals import condition
from pushforward.experiments.densities import densities
from pushforward.studio.messages import Answer, Request
from pushforward.studio.odd_rows import Ranking
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

DAY = "2024-01-"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Runs of a table of two numbers, a count and a date; and one of images."""
    root = tmp_path_factory.mktemp("density")
    rng = np.random.default_rng(0)
    a = rng.normal(30, 5, 80).round(3)
    columns = (a, rng.normal(0, 3, 80), rng.integers(0, 9, 80), rng.integers(1, 29, 80))
    lines = [f"{v},{(2 * v + e).round(3)},{k},{DAY}{d:02}" for v, e, k, d in zip(*columns)]
    (root / "table.csv").write_text("\n".join(["a,b,count,day", *lines, "60,-90,4,2024-01-09"]))
    for name, model in (
        ("gmm", pf.GMM(2)),
        ("pca", pf.PCA(2)),
        ("kde", pf.KDE()),
        ("radial", pf.KDE(kernel="epanechnikov", bandwidth=40.0)),
    ):
        model.fit(str(root / "table.csv"), run=root / name, quiet=True)
    x = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    pf.PCA(2).fit(x, run=root / "images", quiet=True)
    pf.GMM(1).fit(x.flatten(1)[:, :2], run=root / "memory", quiet=True)
    return Studio(root)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Runs of tables that are large, wide, heavy-tailed, or of one column."""
    root = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(1)
    a = rng.normal(0, 1, 50_000).round(3)
    b = (a + rng.normal(0, 0.1, 50_000)).round(3)
    a[43_210] = -b[43_210] + 3
    names = np.array([f"case {i}" for i in range(50_000)])
    _write(root / "large.csv", id=names, a=a, b=b)
    x = rng.normal(0, 1, (300, 12)) @ rng.normal(0, 1, (12, 12))
    columns: dict[str, Any] = {f"c{i}": x[:, i].round(3).astype(object) for i in range(12)}
    columns["c3"][::9] = ""
    columns["c4"][0] = ""
    _write(root / "wide.csv", **columns, same=np.full(300, 7))
    tails = rng.standard_cauchy((2000, 2)).round(3)
    _write(root / "tails.csv", a=tails[:, 0], b=tails[:, 1])
    _write(root / "one.csv", height=rng.normal(170, 9, 100).round(1))
    for name, drop in (("large", ["id"]), ("wide", []), ("tails", []), ("one", [])):
        source = pf.read(root / f"{name}.csv", drop=drop)
        with pytest.warns(pf.FitWarning) if name == "wide" else contextlib.nullcontext():
            pf.GMM(1).fit(source, run=root / name, quiet=True)
    return Studio(root)


def _write(path: Path, **columns: Any) -> None:
    lines = [",".join(map(str, row)) for row in zip(*columns.values())]
    path.write_text("\n".join([",".join(columns), *lines]))


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    return find_verb(f"density.{verb}")(studio, Request(1, f"density.{verb}", content))


def grid(answer: Answer, cells: int) -> torch.Tensor:
    """Centres of cells (cells², 2)."""
    ends = (answer.content["x"], answer.content["y"])
    at = (torch.arange(cells).double() + 0.5) / cells
    x, y = (low + (high - low) * at for low, high in ends)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


def test_columns_are_described_with_their_ranges(studio: Studio) -> None:
    answer = ask(studio, "open", run="gmm")
    columns = {column["name"]: column for column in answer.content["columns"]}
    assert list(columns) == ["a", "b", "count", "day"]
    assert (columns["a"]["high"], columns["b"]["low"]) == (60, -90)
    assert columns["day"]["unit"] == "days since 1970-01-01"
    assert answer.content["closed"]
    assert answer.content["of"] == 81
    assert answer.arrays["rows"].shape == (81, 4)
    assert not ask(studio, "open", run="radial").content["closed"]


@pytest.mark.parametrize("run", ["gmm", "pca", "kde"])
def test_a_pair_is_the_marginal_of_the_model(studio: Studio, run: str) -> None:
    answer = ask(studio, "pair", run=run, x="b", y="a", cells=9)
    model = studio.open(run).model
    expected = model.marginal(["b", "a"]).log_prob(grid(answer, 9)).reshape(9, 9)
    assert answer.content["kind"] == "marginal"
    torch.testing.assert_close(answer.arrays["density"], expected)


@pytest.mark.parametrize("run", ["gmm", "pca", "kde"])
def test_a_pair_given_another_column_is_the_conditional(studio: Studio, run: str) -> None:
    answer = ask(studio, "pair", run=run, x="a", y="b", fixed={"count": 3, "a": 1.0}, cells=9)
    given = studio.open(run).model.condition({"count": 3}).marginal(["a", "b"])
    torch.testing.assert_close(
        answer.arrays["density"], given.log_prob(grid(answer, 9)).reshape(9, 9)
    )
    assert (answer.content["kind"], answer.content["given"]) == ("conditional", {"count": 3})


def test_a_model_without_marginals_shows_a_slice_at_medians(studio: Studio) -> None:
    answer = ask(studio, "pair", run="radial", x="a", y="b", fixed={"count": 3}, cells=16)
    rows, _ = studio.rows("radial")
    assert rows is not None
    day = float(rows.x[:, 3].median())
    places = torch.cat([grid(answer, 16), torch.tensor([[3.0, day]]).double().expand(256, 2)], 1)
    whole = studio.open("radial").model.log_prob(places).reshape(16, 16)
    assert answer.content["kind"] == "slice"
    assert answer.content["held"]["count"] == 3
    assert answer.content["held"]["day"].startswith(DAY)
    lit = whole.isfinite()
    difference = (answer.arrays["density"] - whole)[lit]
    torch.testing.assert_close(difference, difference[:1].expand_as(difference))
    area = (places[1, 0] - places[0, 0]) * (places[16, 1] - places[0, 1])
    assert float(answer.arrays["density"].exp().sum() * area) == pytest.approx(1)


def test_contours_hold_the_mass_they_say(studio: Studio) -> None:
    answer = ask(studio, "pair", run="gmm", x="a", y="b", cells=128)
    f = answer.arrays["density"].exp()
    (x0, x1), (y0, y1) = answer.content["x"], answer.content["y"]
    area = (x1 - x0) * (y1 - y0) / 128**2
    assert answer.content["levels"]
    for level in answer.content["levels"]:
        inside = f[answer.arrays["density"] >= level["height"]].sum() * area
        assert float(inside) == pytest.approx(level["share"], abs=0.01)


@pytest.mark.parametrize("run", ["gmm", "pca", "kde"])
def test_given_values_are_those_of_the_command(studio: Studio, run: str) -> None:
    answer = ask(studio, "given", run=run, fixed={"a": 30, "day": "2024-01-10"})
    expected = condition(open_run(studio.path(run)), {"a": 30, "day": "2024-01-10"})
    table = expected.table()
    assert [c["name"] for c in answer.content["columns"]] == table["column"] == ["b", "count"]
    for k, column in enumerate(answer.content["columns"]):
        assert column["written"] == {n: table[n][k] for n in ("mean", "sd", "q05", "q50", "q95")}
        at = torch.linspace(column["low"], column["high"], 160, dtype=torch.float64)
        density = expected.distribution.marginal([column["name"]]).log_prob(at[:, None]).exp()
        torch.testing.assert_close(answer.arrays["curves"][k], density)
    assert answer.content["warnings"] == []


def test_values_without_data_are_warned_of(studio: Studio) -> None:
    (outside,) = ask(studio, "given", run="gmm", fixed={"a": 75}).content["warnings"]
    assert "a = 75 lies outside the data (" in outside
    (unseen,) = ask(studio, "given", run="kde", fixed={"a": 21, "b": 79}).content["warnings"]
    assert unseen.startswith("no row is as unlikely as a = 21, b = 79 together")
    radial = ask(studio, "given", run="radial", fixed={"day": "2025-01-01"})
    assert "day = 2025-01-01 lies outside" in radial.content["warnings"][0]
    assert radial.content["columns"] == []


@pytest.mark.parametrize("run", ["pca", "radial"])
def test_odd_rows_are_those_of_the_command(studio: Studio, run: str) -> None:
    opened = open_run(studio.path(run))
    expected = densities(opened, str(studio.folder / "table.csv"))
    answer = ask(studio, "odd", run=run, top=5)
    assert [row["number"] for row in answer.content["rows"]] == expected.table(5)["row"]
    first = answer.content["rows"][0]
    assert first["number"] == 80
    assert first["values"] == [60, -90, 4, "2024-01-09"]
    row = ask(studio, "row", run=run, number=7).content
    assert (row["rank"], row["of"]) == (expected.table()["rank"][7], 81)
    assert row["log_density"] == pytest.approx(float(expected.values[7]))


@pytest.mark.parametrize(
    ("verb", "content", "kind", "words"),
    [
        ("open", {"run": "nothing"}, BadRun, "there is no run 'nothing'"),
        ("open", {"run": "../density"}, BadRun, "there is no run"),
        ("open", {"run": "images"}, InvalidKind, "densities of points"),
        ("pair", {"run": "gmm", "x": "a", "y": "z"}, InvalidValue, "there is no column 'z'"),
        ("pair", {"run": "gmm", "x": "a", "y": "a"}, InvalidValue, "two different columns"),
        ("pair", {"run": "gmm", "x": "a", "y": "b", "cells": 4000}, InvalidValue, "8 to 128"),
        ("given", {"run": "gmm", "fixed": [1]}, InvalidKind, "values by column"),
        ("given", {"run": "gmm", "fixed": {"a": True}}, InvalidKind, "a must be a number"),
        ("given", {"run": "gmm", "fixed": {"a": "much"}}, InvalidValue, "a must be a number"),
        ("given", {"run": "gmm", "fixed": {"day": "soon"}}, InvalidValue, "a date such as"),
        ("given", {"run": "gmm", "fixed": {"a": float("inf")}}, InvalidValue, "a must be finite"),
        ("given", {"run": "memory", "fixed": {"x0": 0, "x1": 0}}, InvalidValue, "every column"),
        ("row", {"run": "gmm", "number": 81}, InvalidValue, "from 0 to 80"),
        ("odd", {"run": "memory"}, BadRun, "cannot be found"),
    ],
)
def test_what_cannot_be_done_is_said(
    studio: Studio, verb: str, content: dict[str, Any], kind: type[PushforwardError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask(studio, verb, **content)


def test_all_rows_of_a_large_table_are_ranked(tables: Studio) -> None:
    opened = ask(tables, "open", run="large")
    assert (opened.content["of"], opened.content["left_out"]) == (50_000, 0)
    assert len(opened.arrays["rows"]) == opened.content["drawn"] == 3000
    scored = 0
    while scored < 50_000:
        answer = ask(tables, "odd", run="large", top=3).content
        assert scored < answer["scored"] <= answer["of"] == 50_000
        scored = answer["scored"]
    expected = densities(open_run(tables.path("large")), str(tables.folder / "large.csv"))
    assert [row["number"] for row in answer["rows"]] == expected.table(3)["row"]
    assert answer["rows"][0]["number"] == 43_210
    assert answer["named"]["column"] == "id"
    assert answer["named"]["rows"][0] == "case 43210"
    row = ask(tables, "row", run="large", number=43_210).content
    assert (row["rank"], row["name"]) == (1, ["id", "case 43210"])


def test_rows_are_scored_a_part_at_a_time(tables: Studio) -> None:
    run = tables.open("large")
    x = ask(tables, "open", run="large").arrays["rows"]
    ranking = Ranking(run, x)
    first = ranking.score(0)
    assert ranking.scored == len(first.values) == 2048
    assert ranking.rank_of(2500) is None
    later = ranking.density_of(2500)
    assert len(ranking.score(0).values) == 3000
    assert later == pytest.approx(float(ranking.score(0).values[2500]))
    assert ranking.rank_of(ranking.score(0).order[4]) == 5


def test_what_makes_a_row_odd_is_what_its_columns_would_be_given_the_others(
    tables: Studio,
) -> None:
    row = ask(tables, "row", run="large", number=43_210).content
    table = condition(open_run(tables.path("large")), {"a": row["values"]["a"]}).table()
    odd = {one["name"]: one for one in row["odd"]}
    assert odd["b"]["written"] == {"q05": table["q05"][0], "q95": table["q95"][0]}
    away = (row["values"]["b"] - table["mean"][0]) / table["sd"][0]
    assert odd["b"]["distance"] == pytest.approx(away)
    assert odd["a"]["outside"]
    assert odd["b"]["outside"]
    inner = expected_middle(tables)
    assert not any(one["outside"] for one in inner["odd"])
    assert ask(tables, "row", run="one", number=0).content["odd"] == []


def expected_middle(tables: Studio) -> dict[str, Any]:
    """The likeliest row of the large table."""
    found = densities(open_run(tables.path("large")), str(tables.folder / "large.csv"))
    content: dict[str, Any] = ask(tables, "row", run="large", number=found.order[-1]).content
    return content


def test_rows_with_missing_values_are_told_apart(tables: Studio) -> None:
    answer = ask(tables, "odd", run="wide", top=100).content
    assert not {row["number"] for row in answer["rows"]} & set(range(0, 300, 9))
    row = ask(tables, "row", run="wide", number=0).content
    assert (row["rank"], row["incomplete"]) == (None, True)
    assert np.isnan(row["values"]["c3"])
    assert {one["name"] for one in row["odd"]} == {
        *(f"c{i}" for i in range(12) if i not in (3, 4)), "same"
    }  # fmt: skip
    assert row["name"] is None
    pair = ask(tables, "pair", run="wide", x="c3", y="same", cells=8)
    assert bool(torch.as_tensor(pair.arrays["density"]).isfinite().any())


def test_heavy_tails_do_not_hide_most_rows(tables: Studio) -> None:
    answer = ask(tables, "pair", run="tails", x="a", y="b", cells=8)
    rows = torch.as_tensor(ask(tables, "open", run="tails").arrays["rows"])
    columns = ask(tables, "open", run="tails").content["columns"]
    low, high = answer.content["x"]
    assert high - low < 0.4 * 1.16 * (columns[0]["high"] - columns[0]["low"])
    assert [columns[0]["from"], columns[0]["to"]] == [low, high]
    ends = torch.tensor([answer.content[name] for name in "xy"]).T
    outside = ((rows < ends[0]) | (rows > ends[1])).any(1)
    assert 0 < int(outside.sum()) == answer.content["unseen"] <= 0.02 * len(rows)
    large = ask(tables, "pair", run="large", x="a", y="b", cells=8)
    assert large.content["unseen"] == 0


def test_a_table_of_one_column_has_a_density(tables: Studio) -> None:
    answer = ask(tables, "given", run="one")
    (column,) = answer.content["columns"]
    at = torch.linspace(column["low"], column["high"], 160, dtype=torch.float64)
    expected = tables.open("one").model.log_prob(at[:, None]).exp()
    torch.testing.assert_close(answer.arrays["curves"][0], expected)
    assert len(ask(tables, "odd", run="one").content["rows"]) == 12


def test_answers_are_ready_for_json(studio: Studio) -> None:
    for verb, content in (("open", {}), ("pair", {"x": "a", "y": "b"}), ("odd", {})):
        json.dumps(ask(studio, verb, run="gmm", **content).content)


def test_runs_without_rows_are_shown_by_their_model_alone(studio: Studio) -> None:
    answer = ask(studio, "open", run="memory")
    assert answer.content["of"] == 0
    assert answer.content["notes"]
    assert ask(studio, "pair", run="memory", x="x0", y="x1").content["kind"] == "joint"
