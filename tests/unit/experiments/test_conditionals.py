"""Conditional distributions from Python: the tables and samples that the command writes."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.experiments import OpenedRun
from pushforward.experiments.conditionals import condition
from pushforward.experiments.table_models import TableModel, open_model
from tests.tiny_tables import TinyClasses


def test_the_command_writes_what_python_gets(
    opened: Callable[[str], OpenedRun], command: Callable[..., str], place: Path
) -> None:
    rest = condition(opened("gmm"), {"height": 1.7})
    assert rest.summary == "given height = 1.7: 1 column (weight), by the gmm model"
    lines = list(csv.reader(command("condition", place / "gmm", "height=1.7").splitlines()))
    short = rest.short_table()
    assert [list(short), *(list(map(str, r)) for r in zip(*short.values()))] == lines
    command("condition", place / "gmm", "height=1.7", "-o", place / "exact.csv", "-q")
    lines = list(csv.reader((place / "exact.csv").read_text().splitlines()))
    assert [list(rest.table()), *(list(map(str, r)) for r in zip(*rest.table().values()))] == lines
    flags = ["-n", 4, "--seed", 2]
    written = list(csv.reader(command("condition", place / "gmm", "height=1.7", *flags).split()))
    expected = rest.sample(4, seed=2)
    assert torch.allclose(
        torch.tensor([[float(v) for v in r] for r in written[1:]]).double(),
        expected.double(),
        rtol=1e-5,
    )


def test_moments_are_exact_and_quantiles_are_those_of_samples() -> None:
    covariance = torch.tensor([[1.0, 0.6], [0.6, 2.0]], dtype=torch.float64)
    model = pf.Gaussian.of(torch.zeros(2, dtype=torch.float64), covariance)
    run = OpenedRun(Path("run"), model)
    table = condition(run, {0: 1.5}).table()
    deviation = (2 - 0.6**2) ** 0.5
    assert table["mean"] == pytest.approx([0.9], rel=1e-12)
    assert table["sd"] == pytest.approx([deviation], rel=1e-12)
    # four standard errors of the outer quantiles of 20,000 samples
    for name, z in (("q05", -1.645), ("q50", 0.0), ("q95", 1.645)):
        assert table[name] == pytest.approx([0.9 + z * deviation], abs=0.08)


def test_moments_of_mixtures_hold_the_distance_between_components() -> None:
    means = torch.tensor([[0.0, 0.0], [0.0, 6.0]], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.5], dtype=torch.float64)
    covariances = torch.eye(2, dtype=torch.float64).expand(2, 2, 2)
    run = OpenedRun(Path("run"), pf.GMM.of(weights, means, covariances))
    table = condition(run, {0: 0.0}).table()
    assert table["mean"] == pytest.approx([3.0], rel=1e-12)
    assert table["sd"] == pytest.approx([(1 + 3**2) ** 0.5], rel=1e-12)


def test_of_a_table_it_is_the_conditional_of_a_model_of_all_its_columns(
    command: Callable[..., str], place: Path
) -> None:
    r = np.random.default_rng(0)
    x = r.normal(size=300)
    frame = pandas.DataFrame({"a": x, "b": 2 * x + r.normal(size=300), "c": r.normal(size=300)})
    frame.to_csv(path := place / "abc.csv", index=False)
    reading = pf.TableReading(model="gaussian", drop="c")
    rest = pf.condition(path, {"a": 1.5}, reading=reading)
    means, covariance = frame[["a", "b"]].mean(), frame[["a", "b"]].cov(ddof=0)
    slope = covariance.loc["a", "b"] / covariance.loc["a", "a"]
    assert rest.table()["mean"] == pytest.approx([means["b"] + slope * (1.5 - means["a"])])
    assert rest.said == f"fitted gaussian to 300 rows of {path}"
    near = (np.abs(frame["a"] - 1.5) <= 0.5 * frame["a"].std(ddof=0)).sum()
    assert rest.support() == [f"{near} of 300 rows are near"]
    lines = command("condition", path, "a=1.5", "--model", "gaussian", "--drop", "c").splitlines()
    assert lines[1].split(",") == [str(v[0]) for v in rest.short_table().values()]
    with pytest.raises(pf.InvalidKind, match="the kmeans model has no closed conditionals"):
        pf.condition(path, {"a": 1.5}, reading=pf.TableReading(model="kmeans"))


def test_what_cannot_be_conditioned_on_is_said(opened: Callable[[str], OpenedRun]) -> None:
    with pytest.raises(
        pf.InvalidKind, match="the kmeans model has no closed conditionals; models that do"
    ):
        condition(opened("kmeans"), {"height": 1.0})
    with pytest.raises(pf.InvalidValue, match="height must be finite, got inf"):
        condition(opened("gmm"), {"height": float("inf")})
    with pytest.raises(pf.InvalidValue, match="must be at least 1, got 0"):
        condition(opened("gmm"), {"height": 1.7}).sample(0)


def orders() -> str:
    r = np.random.default_rng(0)
    towns = r.choice(["Bäckerei", "Metzgerei", "Café"], 80)
    lines = ["Datum;Branche;Einkommen (EUR);Anteil"]
    for i in range(80):
        day = np.datetime64("2020-01-01") + int(r.integers(0, 900))
        income = f"{40000 + 9000 * r.normal():.2f}".replace(".", ",")
        part = f"{30 + 9 * r.normal():.1f} %".replace(".", ",")
        lines.append(f"{day.astype(object).strftime('%d.%m.%Y')};{towns[i]};{income};{part}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def of_orders(tmp_path: Path) -> TableModel:
    (path := tmp_path / "orders.csv").write_text(orders(), encoding="utf-8")
    return open_model(path, pf.TableReading(model="tiny_classes"))


def test_values_are_taken_as_the_table_writes_them(of_orders: TableModel) -> None:
    given = {"Datum": "24.12.2021", "Einkommen (EUR)": "40.000,5", "Anteil": "12,5 %"}
    numbers = condition(of_orders, given).given
    days = (np.datetime64("2021-12-24") - np.datetime64("1970-01-01")).astype(int)
    assert numbers == {"Datum": days, "Einkommen (EUR)": 40000.5, "Anteil": 12.5}
    assert condition(of_orders, {"Datum": "2021-12-24"}).given == {"Datum": days}
    assert condition(of_orders, {"Einkommen (EUR)": "40,125"}).given["Einkommen (EUR)"] == 40.125
    rest = condition(of_orders, {"Branche": "Café"})
    assert rest.summary.startswith("given Branche = Café: 3 columns (Datum, Einkommen (EUR), ")
    printed = rest.table()["mean"][0]
    assert condition(of_orders, {"Datum": printed}).given["Datum"] > 0
    assert rest.table()["column"][0] == "Datum"


def test_of_a_run_the_decimal_mark_is_that_of_its_table(tmp_path: Path) -> None:
    (path := tmp_path / "orders.csv").write_text(orders(), encoding="utf-8")
    TinyClasses().fit(pf.read(path, types="auto")).save(tmp_path / "run")
    known = {"Einkommen (EUR)": "40,125"}
    assert pf.condition(tmp_path / "run", known).given == {"Einkommen (EUR)": 40.125}
    path.unlink()  # the mark cannot be told, and three digits may be thousands
    with pytest.raises(pf.InvalidValue, match="must be a number, got '40,125'"):
        pf.condition(tmp_path / "run", known)
    assert pf.condition(tmp_path / "run", {"Anteil": "12,5"}).given == {"Anteil": 12.5}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Einkommen": 1}, r"no column 'Einkommen'; did you mean 'Einkommen \(EUR\)'\?"),
        ({"Gehalt": 1}, "no column 'Gehalt'; the columns are Datum, Branche, Eink"),
        ({"Branche": "Fleischerei"}, "its categories are Bäckerei, Café, Metzgerei"),
        ({"Datum": "gestern"}, "a date such as 2024-06-01 or 01.06.2024"),
        ({"Einkommen (EUR)": "viel"}, "must be a number, got 'viel'"),
    ],
)
def test_mistakes_name_what_there_is(
    of_orders: TableModel, given: dict[str | int, object], said: str
) -> None:
    with pytest.raises((pf.InvalidValue, pf.ShapeMismatch), match=said):
        condition(of_orders, given)
