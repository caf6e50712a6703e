"""Rows that obey decimals, bounds and relations: drawn again where that helps, else moved."""

from __future__ import annotations

import numpy as np
import torch

from pushforward.core.space import Column, Space
from pushforward.data.tables.relations import parse_relations
from pushforward.tabular.rules import Rules, obey

SPACE = Space(
    "points",
    (4,),
    (
        Column("GS", "integer", lower=0.0),
        Column("G", "integer", lower=0.0, upper=82.0),
        Column("share", lower=0.0, upper=1.0, decimals=2),
        Column("team", "categorical", categories=("a", "b", "c")),
    ),
)


def rules(*texts: str) -> Rules:
    return Rules(SPACE, parse_relations(list(texts), SPACE))


def draws(n: int, seed: int = 0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=stream, dtype=torch.float64)
    return x * torch.tensor([20, 20, 0.5, 0.8]) + torch.tensor([20, 40, 0.4, 1.0])


def test_rows_are_rounded_as_the_data_are() -> None:
    x, _ = obey(torch.tensor([[2.4, 3.6, 0.1234, 1.6]]).double(), rules())
    assert x.tolist() == [[2.0, 4.0, 0.12, 2.0]]


def test_numbers_with_levels_are_moved_to_the_nearest() -> None:
    levels = {0: np.array([0.0, 5.0, 20.0]), 2: np.array([0.125])}
    first = torch.tensor([-3.0, -2.0, 2.6, 12.4, 27.0, 28.0, np.nan])
    x = torch.stack([first, torch.full((7,), 3.6), torch.linspace(0, 1, 7), torch.zeros(7)], 1)
    x[2, 2] = np.nan
    rounded = Rules(SPACE, levels=levels).rounded(x.double().numpy())
    np.testing.assert_equal(rounded[:, 0], [-3, 0, 5, 5, 20, 28, np.nan])  # beyond stays beyond
    np.testing.assert_equal(rounded[:, 2], [0.125] * 2 + [np.nan] + [0.125] * 4)
    assert rounded[0, 1] == 4.0


def test_rows_stay_within_what_was_observed_by_drawing_again() -> None:
    columns = (Column("day", low=10.0, high=20.0), Column("k", "integer", lower=0.0, low=2, high=9))
    within = Rules(Space("points", (2,), columns), observed=True)
    x = torch.tensor([[9.0, 5.0], [12.0, 1.0], [15.0, 4.0], [21.0, 0.0]]).double()
    redrawn, how = obey(x, within, lambda rows: torch.full((len(rows), 2), 11.0).double() - 4)
    assert redrawn.tolist() == [[10, 7], [10, 7], [15, 4], [10, 7]]  # draws that never obey
    assert (how.redrawn, how.projected) == (3, 3)
    redrawn, how = obey(x, within, lambda rows: torch.tensor([[13.0, 3.0]] * len(rows)).double())
    assert redrawn.tolist() == [[13, 3], [13, 3], [15, 4], [13, 3]]
    assert (how.redrawn, how.projected) == (3, 0)
    assert not Rules(within.space).broken(x.numpy()).any()


def test_accepted_draws_follow_the_distribution_restricted_to_what_is_allowed() -> None:
    n, stream = 20_000, iter(range(1, 1000))
    given = rules("GS <= G")
    x, how = obey(draws(n), given, lambda rows: draws(len(rows), next(stream)))
    assert not given.broken(x).any()
    assert how.redrawn > n // 4
    assert how.projected < n // 1000
    every = given.rounded(draws(200_000, 77).numpy())
    allowed = every[~given.broken(every)]
    error = allowed.std(0) / np.sqrt(n) * 4
    assert (np.abs(x.mean(0) - allowed.mean(0)) < error).all()


def test_without_draws_rows_are_moved_to_where_the_rules_hold() -> None:
    x = torch.tensor([[90, 85, 1.5, 0], [-3, 10, -0.2, 2], [5, 20, 0.5, 1]]).double()
    moved, how = obey(x, rules("GS <= G"))
    assert moved.tolist() == [[82, 82, 1, 0], [0, 10, 0, 2], [5, 20, 0.5, 1]]
    assert (how.redrawn, how.projected, how.violating) == (0, 2, {"GS <= G": 0})
    half, _ = obey(torch.tensor([[9, 11, 0.5, 0]]).double(), rules("2*GS <= G"))
    assert half.tolist() == [[5, 11, 0.5, 0]]  # 5.5, on the side where it holds
    strict, _ = obey(torch.tensor([[9, 9, 0.5, 0]]).double(), rules("GS < G"))
    assert strict.tolist() == [[8, 9, 0.5, 0]]


def test_the_left_side_of_an_equality_is_computed() -> None:
    x = torch.tensor([[50.0, 10, 0.5, 0]]).double()
    solved, how = obey(x, rules("G = 2*GS - 30 + 4"))
    assert solved.tolist() == [[50, 74, 0.5, 0]]
    assert how.violating == {"G = 2*GS - 30 + 4": 0}


def test_only_free_values_change() -> None:
    x = torch.tensor([[30.0, 20, 0.5, 0], [30, 20, 0.5, 0], [30, 20, 1.7, 0]], dtype=torch.float64)
    free = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)
    moved, how = obey(x, rules("GS <= G"), free=free)
    assert moved.tolist() == [[20, 20, 0.5, 0], [30, 30, 0.5, 0], [30, 20, 1.7, 0]]
    assert how.violating == {"GS <= G": 1}  # observed, and so left as it is
    assert how.sentences(rules("GS <= G").relations)[-1].startswith("1 row violates GS <= G")
