"""Synthetic rows of a table: draws of a model that obey the table's rules, with gaps and
identifiers as the data have them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.random import derive, generator
from pushforward.core.source import Source, iterate_blocks, peek
from pushforward.tabular.rules import Outcome, Rules, obey
from pushforward.tabular.strata import stratify

__all__ = ["GapPatterns", "find_gaps", "find_levels", "identifiers_like", "synthetic_rows"]

Rows = NDArray[np.float64]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
LEVELLED, REPEATED = 100_000, 0.95
"""Rows that levels are found in, and the share of numbers that must occur more than once."""
SEEN = 10_000
"""Identifiers from which their pattern is told: a second one would show among so many."""


def synthetic_rows(
    model: Any, n: int, rules: Rules, *, chunk: int, seed: int = 0
) -> Iterator[tuple[Rows, Outcome]]:
    """n rows in chunks (m, d), user's units, that obey the rules, and how they came to."""
    stream = generator(derive(seed, "synthetic"), model.device)
    for start in range(0, n, chunk):
        count = min(chunk, n - start)
        x = model.sample(count, rng=stream)
        rows, how = obey(x, rules, lambda rows: model.sample(len(rows), rng=stream))
        yield stratify(rows, model, rules, stream), how


# --------------------------------------------------------------------------------------------- gaps


class GapPatterns:
    """Which values are missing in the rows of a table, for synthetic rows to miss alike.

    Args:
        masks: (rows, d), packed to bits.
        columns: d.
    """

    def __init__(self, masks: NDArray[np.uint8], columns: int) -> None:
        self.masks, self.columns = masks, columns

    def rows(self, n: int, seed: int = 0) -> Callable[[int, int], NDArray[np.bool_]]:
        """The masks of n synthetic rows, as a function of the first row and a number of rows.

        Each of the data's rows lends its gaps to one synthetic row where both are as many, so that
        every column has exactly as many gaps; otherwise rows are chosen at random.
        """
        stream = np.random.default_rng(derive(seed, "gaps"))
        have = len(self.masks)
        chosen = stream.permutation(have) if n == have else stream.integers(have, size=n)

        def of(first: int, count: int) -> NDArray[np.bool_]:
            bits = self.masks[chosen[first : first + count]]
            return np.unpackbits(bits, axis=1, count=self.columns).astype(bool)

        return of


def find_gaps(source: Source) -> GapPatterns:
    """The gaps of all rows of a source."""
    masks = [
        np.packbits(torch.isnan(batch.x).cpu().numpy(), axis=1)
        for batch in iterate_blocks(source, 65536)
    ]
    return GapPatterns(np.concatenate(masks), source.space.size)


# ------------------------------------------------------------------------------------------- levels


def find_levels(source: Source) -> dict[int, Rows]:
    """By column, the numbers that come again and again, ascending: prices, ages, shares of few.

    A column has levels if at least 95 % of its first 100 000 numbers occur more than once there. A
    density would put values between them, which no row of the data has.
    """
    x = peek(source, LEVELLED).x.double().cpu().numpy()
    levels = {}
    for j, column in enumerate(source.space.columns):
        values = x[~np.isnan(x[:, j]), j]
        if column.kind == "categorical" or not len(values):
            continue
        distinct, counts = np.unique(values, return_counts=True)
        if counts[counts > 1].sum() >= REPEATED * len(values):
            levels[j] = distinct
    return levels


# -------------------------------------------------------------------------------------- identifiers


def identifiers_like(values: Sequence[Any] | NDArray[Any], seed: int = 0) -> tuple[str, Any]:
    """What identifiers look like, in words, and a function (first, count) -> identifiers, alike,
    but none of them the same: it would be somebody's.

    K-1000, K-1001, … go on counting after the greatest number; UUIDs and other texts of one length
    are drawn mark by mark, and never repeat; what has no pattern is numbered from 1. Numbers that
    count the rows do so again.
    """
    every = [_text(v) for v in values if v is not None and v == v]
    texts = every[:SEEN]
    if texts and all(_UUID.fullmatch(text) for text in texts):
        return "UUIDs", _uuids(seed, upper=texts[0].upper() == texts[0])
    numbered = [_NUMBERED.fullmatch(text) for text in texts]
    parts = [m.groups() for m in numbered if m is not None]
    if texts and len(parts) == len(texts) and len({(p[0], p[2]) for p in parts}) == 1:
        before, _, after = parts[0]
        digits = min(len(p[1]) for p in parts)
        matches = [_NUMBERED.fullmatch(text) for text in every]
        numbers = [int(m[2]) for m in matches if m is not None]
        counts_rows = not before + after and numbers == [
            *range(numbers[0], numbers[0] + len(every))
        ]
        next_ = numbers[0] if counts_rows else max(numbers) + 1
        first = f"{before}{next_:0{digits}d}{after}"

        def count_on(start: int, count: int) -> list[str]:
            numbers = range(next_ + start, next_ + start + count)
            return [f"{before}{number:0{digits}d}{after}" for number in numbers]

        return f"numbered from {first}", count_on
    classes = _classes(texts)
    if classes is not None:
        return f"drawn like {texts[0]}", _drawn(classes, every, seed)
    return "numbered from 1, as they have no pattern", lambda start, count: [
        str(k) for k in range(start + 1, start + count + 1)
    ]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _uuids(seed: int, *, upper: bool) -> Callable[[int, int], list[str]]:
    def draw(start: int, count: int) -> list[str]:
        stream = np.random.default_rng(derive(seed, "uuid", start))
        found = []
        for row in stream.integers(0, 256, size=(count, 16), dtype=np.uint8):
            row[6], row[8] = (row[6] & 0x0F) | 0x40, (row[8] & 0x3F) | 0x80  # version 4
            h = row.tobytes().hex()
            text = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
            found.append(text.upper() if upper else text)
        return found

    return draw


def _classes(texts: Sequence[str]) -> list[str] | None:
    """The marks that stand at each place of texts of one length, if there are many enough."""
    if not texts or len({len(text) for text in texts}) != 1 or " " in "".join(texts[:100]):
        return None
    classes, ways = [], 1.0
    for place in range(len(texts[0])):
        marks = {text[place] for text in texts}
        whole = next(
            (
                kind
                for kind in (string.digits, string.ascii_uppercase, string.ascii_lowercase)
                if marks <= set(kind)
            ),
            "",
        )
        classes.append(whole if len(marks) > 1 and whole else "".join(sorted(marks)))
        ways *= len(classes[-1])
    return classes if ways > 1e9 else None  # with fewer, draws would repeat


def _drawn(
    classes: Sequence[str], real: Sequence[str], seed: int
) -> Callable[[int, int], list[str]]:
    taken = set(real)

    def draw(start: int, count: int) -> list[str]:
        stream = np.random.default_rng(derive(seed, "identifiers", start))
        found: list[str] = []
        while len(found) < count:
            more = count - len(found)
            marks = [np.array(list(c))[stream.integers(len(c), size=more)] for c in classes]
            for text in map("".join, zip(*marks)):
                if text not in taken:
                    taken.add(text)
                    found.append(text)
        return found

    return draw
