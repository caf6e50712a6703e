"""Values of a row drawn given its others, and the conditional log-densities of both:

log p(x_j | x_-j) = log p(x) - log p(x_-j), gaps integrated out.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.capabilities import Completes
from pushforward.tabular.gaps import complete
from pushforward.tabular.rules import Rules

__all__ = ["BLOCK", "GivenRest", "draw_given_rest", "log_densities"]

Values = NDArray[np.float64]
BLOCK = 4096
"""Rows whose densities are computed at once."""
TOGETHER = 16
"""Columns whose draws are made at once: calls cost more than their rows."""


class GivenRest(NamedTuple):
    """Draws of a value given the others of its row.

    Args:
        drawn: (draws,).
        own: log p(x_j | x_-j) of the value of the row.
        others: those of the draws (draws,).
    """

    drawn: Values
    own: float
    others: Values


def draw_given_rest(
    model: Any, row: Tensor, places: list[int], rules: Rules, draws: int, stream: torch.Generator
) -> list[GivenRest]:
    """Draws of each of some values of a row (d,), given all the others that it has."""
    if "missing" in model.accepts and isinstance(model, Completes):
        return [
            given
            for i in range(0, len(places), TOGETHER)
            for given in _by_completion(model, row, places[i : i + TOGETHER], rules, draws, stream)
        ]
    one = _with_gaps if "missing" in model.accepts else _by_condition
    return [one(model, row, j, rules, draws, stream) for j in places]


def _by_completion(
    model: Any, row: Tensor, places: list[int], rules: Rules, draws: int, stream: torch.Generator
) -> list[GivenRest]:
    """Of models that complete rows: all columns in one pass."""
    count, row = len(places), row.double()
    rests = row.repeat(count, 1)
    rests[torch.arange(count), places] = math.nan
    copies = row.repeat(count, draws, 1)
    whole = complete(model, rests.repeat_interleave(draws, 0), rng=stream).cpu().double()
    for k, j in enumerate(places):
        copies[k, :, j] = whole[k * draws : (k + 1) * draws, j]
        copies[k, :, j] = _tidy(copies[k], j, rules)
    empty = rests.isnan().all(1)
    without = np.zeros(count)  # the density of no value is 1
    if not bool(empty.all()):
        without[~empty.numpy()] = log_densities(model, rests[~empty])
    own = log_densities(model, row[None])[0]
    others = log_densities(model, copies.flatten(0, 1)).reshape(count, draws)
    return [
        _apart(copies[k, :, j].numpy(), own, without[k], others[k]) for k, j in enumerate(places)
    ]


def _apart(drawn: Values, own: float, without: float, others: Values) -> GivenRest:
    """Log-densities of the value and of draws given the rest, from those of whole rows."""
    if not math.isfinite(without):  # the rest is impossible: nothing follows for x_j
        return GivenRest(drawn, 0.0, np.zeros_like(others))
    return GivenRest(drawn, float(own - without), others - without)


def _with_gaps(
    model: Any, row: Tensor, j: int, rules: Rules, draws: int, stream: torch.Generator
) -> GivenRest:
    """Of models that take gaps, by closed conditionals."""
    rest = row.double().clone()
    rest[j] = math.nan
    copies = row.double().repeat(draws, 1)
    known = _known(model, rest)
    given = model.condition(known) if known else model
    place = int(rest[:j].isnan().sum())
    copies[:, j] = given.sample(draws, rng=stream)[:, place].cpu().double()
    copies[:, j] = _tidy(copies, j, rules)
    if not known:
        values = log_densities(model, torch.cat([row.double()[None], copies]))
        return _apart(copies[:, j].numpy(), values[0], 0.0, values[1:])
    values = log_densities(model, torch.cat([row.double()[None], rest[None], copies]))
    return _apart(copies[:, j].numpy(), values[0], values[1], values[2:])


def _by_condition(
    model: Any, row: Tensor, j: int, rules: Rules, draws: int, stream: torch.Generator
) -> GivenRest:
    """The same of models that take no gaps: by their conditional of the column."""
    space, known = model.fitted_space(), row.clone()
    known[j] = math.nan
    given = model.condition(_known(model, known)) if space.size > 1 else model
    drawn = given.sample(draws, rng=stream).cpu().double().reshape(draws, 1)
    copies = row.double().repeat(draws, 1)
    copies[:, j] = drawn[:, 0]
    drawn = _tidy(copies, j, rules)[:, None]
    values = log_densities(given, torch.cat([row[j].double().reshape(1, 1), drawn]))
    return GivenRest(drawn[:, 0].numpy(), float(values[0]), values[1:])


def _tidy(copies: Tensor, j: int, rules: Rules) -> Tensor:
    return torch.from_numpy(rules.clipped(rules.rounded(copies.numpy()))[:, j].copy())


def _known(model: Any, row: Tensor) -> dict[str, float]:
    names = model.fitted_space().names
    return {names[i]: float(v) for i, v in enumerate(row.tolist()) if not math.isnan(v)}


def log_densities(model: Any, x: Tensor) -> Values:
    """Of rows (n, d), block by block: (n,), nats."""
    blocks = [model.log_prob(block).detach().cpu().double() for block in x.split(BLOCK)]
    return np.asarray(torch.cat(blocks).numpy())
