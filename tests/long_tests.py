"""Which tests `make test` leaves to `make test-long`: those that took long when last recorded.

    python -m pytest -m "not slow" -n 2 -q --durations=0 > LOG
    python -m tests.long_tests LOG

writes `long_tests.txt`, the names of all tests of which a part took more than `LONG` seconds. A new
test is not long until it is recorded, and one that is renamed no longer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["LONG", "is_long", "names_of_long"]

LONG = 0.6
"""Seconds, as recorded on two busy cores: all tests below take under ten minutes on idle ones."""
RECORDED = Path(__file__).with_name("long_tests.txt")
PART = re.compile(r"([0-9.]+)s (?:call|setup|teardown) +(tests/.+\S)\s*")


@cache
def _recorded() -> frozenset[str]:
    return frozenset(RECORDED.read_text().splitlines()) if RECORDED.exists() else frozenset()


def is_long(name: str) -> bool:
    """Whether a test of this name took long when last recorded."""
    return name in _recorded()


def names_of_long(log: str) -> Iterator[str]:
    """Names of tests of which a part took long, from pytest's list of durations."""
    for line in log.splitlines():
        part = PART.fullmatch(line)
        if part and float(part[1]) > LONG:
            yield part[2]


if __name__ == "__main__":
    names = sorted(set(names_of_long(Path(sys.argv[1]).read_text())))
    if not names:
        sys.exit(f"{sys.argv[1]} holds no durations; run pytest with --durations=0")
    RECORDED.write_text("\n".join(names) + "\n")
    print(f"{len(names)} long tests in {RECORDED}")
