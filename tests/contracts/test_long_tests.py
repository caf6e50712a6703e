"""Which tests are long is read from a record of durations."""

from __future__ import annotations

from tests.long_tests import LONG, is_long, names_of_long

LOG = f"""\
...s                                                                     [100%]
============================= slowest durations ================================
{LONG + 0.5:.2f}s call     tests/unit/test_a.py::test_slowly[a b-(2, 3)]
{LONG / 2:.2f}s call     tests/unit/test_a.py::test_quickly
{LONG * 20:.2f}s setup    tests/unit/test_b.py::test_with_a_fixture
1 passed in 3.00s
"""


def test_long_parts_are_found() -> None:
    names = list(names_of_long(LOG))
    assert names == [
        "tests/unit/test_a.py::test_slowly[a b-(2, 3)]",
        "tests/unit/test_b.py::test_with_a_fixture",
    ]


def test_new_tests_are_quick() -> None:
    assert not is_long("tests/unit/test_a.py::test_that_nobody_recorded")
