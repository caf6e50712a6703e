"""Times and durations to the nanosecond:
kept where float64 has digits for them, warned of where not, whatever brings them.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pushforward.core.column_numbers import as_numbers
from pushforward.core.column_values import as_texts
from pushforward.core.errors import DataWarning
from pushforward.data.reading import read

pandas = pytest.importorskip("pandas")

NS = [1, 999, 1_000_000_001, 86_399_999_999_999, -1, 2**51 - 1, 1000, 0]
LOST = "nanoseconds of times more than 26 days from 1970"


def durations(ns: list[int]) -> pandas.Series:
    return pandas.Series(np.array(ns).astype("timedelta64[ns]"))


def times(ns: list[int]) -> pandas.Series:
    return pandas.Series(np.array(ns).astype("datetime64[ns]"))


def arrow(series: pandas.Series) -> pandas.Series:
    pyarrow = pytest.importorskip("pyarrow")
    return series.astype(
        pandas.ArrowDtype(
            pyarrow.duration("ns") if series.dtype.kind == "m" else pyarrow.timestamp("ns")
        )
    )


KINDS = {
    "durations": durations,
    "times": times,
    "times of a zone": lambda ns: times(ns).dt.tz_localize("UTC").dt.tz_convert("Europe/Paris"),
    "durations with one missing": lambda ns: pandas.concat(
        [durations(ns), durations(["NaT"])], ignore_index=True
    ),
    "times with one missing": lambda ns: pandas.concat(
        [times(ns), times(["NaT"])], ignore_index=True
    ),
    "Arrow's durations": lambda ns: arrow(durations(ns)),
    "Arrow's times": lambda ns: arrow(times(ns)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_nanoseconds_come_and_go(kind: str) -> None:
    given = KINDS[kind](NS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        source = read(pandas.DataFrame({"a": given}))
    numbers = source.all().x[:, 0].double().numpy()
    assert numbers[: len(NS)].tolist() == [n / 1e9 for n in NS]
    back = source.space.export(source.all().x)["a"]
    pandas.testing.assert_series_equal(pandas.Series(back), given, check_names=False)


@pytest.mark.parametrize("make", [durations, times])
@pytest.mark.parametrize("far", [17 * 10**17, -17 * 10**17, 2**53 + 1000])
def test_what_float64_does_not_hold_is_warned_of_and_comes_back_to_the_microsecond(
    make, far: int
) -> None:
    given = make([far + 123_456_789, far + 1_000_000_000, 5])
    unit = "seconds" if given.dtype.kind == "m" else "seconds since 1970-01-01"
    with pytest.warns(DataWarning, match=LOST):
        numbers = as_numbers(given, unit)
    exact = given.astype(np.int64).to_numpy()
    assert np.abs(numbers - exact / 1e9).max() <= np.spacing(np.abs(exact).max() / 1e9)
    assert numbers[2] == 5e-9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        source = read(pandas.DataFrame({"a": given}))
    back = pandas.Series(source.space.export(source.all().x)["a"])
    assert back.dtype == given.dtype
    gone = (back.astype(np.int64) - given.astype(np.int64)).abs()
    assert gone.max() <= 500
    assert gone.iloc[2] == 0


@pytest.mark.parametrize("make", [durations, times])
def test_microseconds_far_from_1970_are_what_they_were(make) -> None:
    given = make([17 * 10**17 + 123_457_000 * i for i in range(50)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        source = read(pandas.DataFrame({"a": given}))
    assert np.array_equal(
        source.all().x[:, 0].double().numpy(), given.astype(np.int64).to_numpy() // 1000 / 1e6
    )
    pandas.testing.assert_series_equal(
        pandas.Series(source.space.export(source.all().x)["a"]), given, check_names=False
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["1970-01-01T00:00:00.000000001", "1970-01-02T00:00:00"],
        ["0 days 00:00:00.000000001", "1 days 00:00:02"],
    ],
)
def test_texts_with_nanoseconds(texts: list[str]) -> None:
    given = pandas.Series(texts)
    if "days" in texts[0]:
        given = pandas.Series([pandas.Timedelta(t) for t in texts], dtype=object)
    source = read(pandas.DataFrame({"a": given}))
    assert float(source.all().x[0, 0]) == 1e-9
    back = pandas.Series(source.space.export(source.all().x)["a"])
    assert back.astype(np.int64).iloc[0] == 1
    column = source.space.columns[0]
    if "days" not in texts[0]:
        assert as_texts(source.all().x[:, 0].double().numpy(), column) == [
            "1970-01-01T00:00:00.000000001",
            "1970-01-02T00:00:00.000000000",
        ]
