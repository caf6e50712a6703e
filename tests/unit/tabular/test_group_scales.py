"""Groups described at the ends of float64, and of one row: the same words at every scale."""

from __future__ import annotations

import warnings

import numpy as np
import pandas
import pytest

from pushforward.core.columns import Column
from pushforward.core.space import Space
from pushforward.experiments.gaps import fill
from pushforward.experiments.groups import describe
from pushforward.experiments.synthesis import synthesise
from pushforward.tabular.groups import differences, typical_row
from pushforward.tabular.wording import counted

COLUMNS = (Column("a"), Column("b"))
SPACE = Space("points", (2,), columns=COLUMNS)


@pytest.mark.parametrize("unit", [2.0**-1020, 2.0**-100, 2.0**100, 2.0**1015])
def test_differences_and_typical_rows_are_those_of_any_unit(unit: float) -> None:
    r = np.random.default_rng(0)
    labels = np.repeat([0, 1], 40)
    x = r.normal(size=(80, 2)) + 5 * labels[:, None]
    x[3, 0] = np.nan
    x = np.ldexp(np.round(np.ldexp(x, 20)), -20)  # few bits: exact among subnormal numbers, too
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain, scaled = differences(x, labels, SPACE), differences(x * unit, labels, SPACE)
        rows = np.arange(40)
        assert typical_row(x, rows, SPACE, None) == typical_row(x * unit, rows, SPACE, None)
    assert any(d.worth_saying for d in plain)
    for one, other in zip(plain, scaled, strict=True):
        assert one.effect == other.effect
        assert one.worth_saying == other.worth_saying
        factor = 1 if one.is_share else unit
        assert (one.inside * factor, one.outside * factor) == (other.inside, other.outside)
        assert one.scale * unit == other.scale


def test_one_is_no_plural() -> None:
    assert (counted(1, "row"), counted(0, "row"), counted(1200, "row")) == (
        "1 row",
        "0 rows",
        "1,200 rows",
    )
    frame = pandas.DataFrame({"a": [1.5], "b": [2.0]})
    for found in (describe(frame), fill(frame), synthesise(frame)):
        assert "1 rows" not in " ".join(found.sentences)
