"""Values in words."""

from __future__ import annotations

import pytest

from pushforward.core.columns import Column
from pushforward.tabular.wording import in_words, share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"), (1.0, "100 %"), (0.334, "33 %"), (0.0042, "0.4 %"), (0.00025, "0.03 %"),
        (0.9959, "99.6 %"), (0.99999999, "99.999999 %"),
    ],
)  # fmt: skip
def test_shares_have_no_decimals_but_near_their_ends(value: float, text: str) -> None:
    assert share(value) == text


def test_values_of_a_table_have_the_decimals_that_they_need() -> None:
    money = Column("price", decimals=2)
    assert [in_words(v, money) for v in (317.6, 70000.0, -4.99)] == ["317.6", "70000", "-4.99"]
    assert in_words(12.0, Column("rebate", unit="%", decimals=1)) == "12 %"
