"""The odd rows of a table: in words, as a table and as a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.data.tables.typed_rows import Unseen
from pushforward.experiments.table_models import TableModel
from pushforward.experiments.view import Table, brief
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.oddity import MOST_REASONS, SAMPLES, Reason, Scores
from pushforward.tabular.wording import FROM_ZERO, few_digits, in_words, listed, share

__all__ = ["OddRow", "Oddities"]

SPOKEN = 0.05
"""Rows as odd by chance alone, up to which a row is put in words; those beyond all samples are."""

RARE = 0.05
"""Share of draws as unlikely, below which a value within the expected ones is rare all the same."""
MOST_SHOWN = 10.0
"""Nats of the darkest cell: 22,000 times less likely than usual."""
KEYS = ("column", "value", "expected", "beside", "surprise")
"""What the table says of each value that makes a row odd."""
JUDGED = {
    "cross-fitted": "each judged by a model that was fitted without it",
    "held out": "held out of the fit, judged by the model",
    "new": "judged by a model that has not seen them",
    "in sample": "judged by the model that was fitted to them",
}
"""How rows were judged, in words."""


@dataclass(frozen=True)
class OddRow:
    """A row, and why it is odd.

    Args:
        row: its number, from 0.
        identity: its identifiers, such as 'id K-1012'; '' without any.
        log_density: of its values, nats.
        p: how many of the model's samples with the same values are as unlikely, as a share.
        scored: 'cross-fitted', 'held out', 'new' or 'in sample'.
        reasons: those of its values that make it odd, the most surprising first.
        surprises: all of its values.
        unseen: categories that the model has never seen.
        values: how many it has.
    """

    row: int
    identity: str
    log_density: float
    p: float
    scored: str
    reasons: tuple[Reason, ...] = ()
    surprises: tuple[Reason, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    values: int = 0


@dataclass(frozen=True)
class Oddities:
    """The rows of a table by how odd they are.

    Args:
        subject: the model.
        scores: of all rows.
        scored: how each row was judged (n,).
        order: row numbers, the oddest first.
        top: the oddest rows, with reasons.
        identifiers: theirs, by column.
        samples: that rows were compared with.
        notes: what else is worth knowing.
    """

    subject: TableModel
    scores: Scores
    scored: NDArray[Any]
    order: NDArray[np.int64]
    top: tuple[OddRow, ...]
    identifiers: dict[str, list[Any]] = field(default_factory=dict)
    samples: int = SAMPLES
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """How rows were judged, then one sentence for each of the oddest rows: first of those that
        chance does not explain.
        """
        n = len(self.order)
        kinds, counts = np.unique(self.scored, return_counts=True)
        how = listed(
            [
                (f"{count:,} of them " if len(kinds) > 1 else "") + JUDGED[kind]
                for kind, count in zip(kinds.tolist(), counts.tolist())
            ]
        )
        said = [self.subject.said, f"{n:,} rows, {how}; {FROM_ZERO}", *self.notes]
        least = 1.5 / (self.samples + 1)
        odd = [r for r in self.top if r.unseen or r.p <= max(SPOKEN / max(n, 1), least)]
        usual = [r for r in self.top if r not in odd and r.reasons]
        chance = n / (self.samples + 1)
        if odd and chance >= 1:
            said.append(
                f"of {n:,} rows without errors, {chance:.0f} would be so odd by chance:"
                f" odder than all {self.samples:,} rows drawn from the model"
            )
        said += [self._sentence(row) for row in odd]
        if not odd:
            said.append(f"no row stands out: the oddest of {n:,} rows is usually as odd as here")
        elif usual:
            said.append(f"the next are no odder than some of {n:,} rows are by chance")
        return [*said, *(self._sentence(row) for row in usual)]

    def _sentence(self, row: OddRow) -> str:
        name = f"row {row.row}" + (f" ({row.identity})" if row.identity else "")
        space = self.subject.space
        parts = [f"{space.names[u.column]} is {u.text!r}, which is not known" for u in row.unseen]
        parts += self._reasons(row)
        chance = (
            f"odder than all {self.samples:,} rows drawn from the model"
            if row.p <= 1.5 / (self.samples + 1)
            else f"{share(row.p)} of rows drawn from the model are as odd"
        )
        return f"{name}: {'; '.join(parts) or 'its values together'} ({chance})"

    def _reasons(self, row: OddRow) -> list[str]:
        """Each reason; of a row without a rare value, those of its values that suit it least."""
        rare = [reason for reason in row.reasons if not self._is_usual(reason)]
        if rare or not row.reasons:
            return [self._reason(reason) for reason in rare]
        least = [self._value(r.column, r.value) for r in row.surprises[:MOST_REASONS]]
        return [f"no value is rare beside the others; least likely: {', '.join(least)}"]

    def _is_usual(self, reason: Reason) -> bool:
        """Whether a value is among those that its row lets expect."""
        expected = reason.low <= reason.value <= reason.high or reason.value == reason.category
        return expected and reason.p >= RARE

    def _value(self, column: int, value: float) -> str:
        space = self.subject.space
        return f"{space.names[column]} {in_words(value, space.columns[column])}"

    def _reason(self, reason: Reason) -> str:
        column = self.subject.space.columns[reason.column]
        name = self.subject.space.names[reason.column]
        value = in_words(reason.value, column)
        partner = self._partner(reason)
        beside = f" beside {partner}" if partner else ""
        usual = f"{_expected(reason, column)} would be expected{beside}"
        if reason.low < reason.value < reason.high:  # in a gap between likely values
            return f"{name} is {value}, which few are near, though {usual}"
        return f"{name} is {value}, where {usual}"

    def _partner(self, reason: Reason) -> str:
        return self._value(reason.partner, reason.partner_value) if reason.partner >= 0 else ""

    def __repr__(self) -> str:
        return brief(self.sentences)

    @property
    def table(self) -> Table:
        """The oddest rows: rank, row (from 0), identifiers, p, log-density, how judged, and up to
        three columns that make it odd with their values, what was expected, the value beside which
        alone it is odd, and the surprise in nats.
        """
        columns: dict[str, list[Any]] = {"rank": list(range(1, len(self.top) + 1))}
        columns["row"] = [row.row for row in self.top]
        columns |= self.identifiers
        columns["p"] = [float(few_digits(row.p)) for row in self.top]
        columns["log_density"] = [float(few_digits(row.log_density, 0.1)) for row in self.top]
        columns["values"] = [row.values for row in self.top]
        columns["scored"] = [row.scored for row in self.top]
        for k in range(MOST_REASONS):
            names = [f"{key}{k + 1}" for key in KEYS]
            entries = [self._entries(row, k) for row in self.top]
            columns |= {name: [e[i] for e in entries] for i, name in enumerate(names)}
        return columns

    def _entries(self, row: OddRow, k: int) -> tuple[str, str, str, str, float | str]:
        space = self.subject.space
        if k < len(row.unseen):
            unseen = row.unseen[k]
            return space.names[unseen.column], unseen.text, "a known category", "", ""
        k -= len(row.unseen)
        if k >= len(row.reasons):
            return "", "", "", "", ""
        reason = row.reasons[k]
        column = space.columns[reason.column]
        return (
            space.names[reason.column],
            in_words(reason.value, column),
            _expected(reason, column),
            self._partner(reason),
            float(few_digits(reason.surprise, 1.0)),
        )

    def plot(self, title: str = "") -> Figure:
        """The surprise of each value of the oddest rows, with the values; the same as in `table`.

        Values that are named there are left out of what is expected of the others.
        """
        from pushforward.plots import cell_map

        space = self.subject.space
        values = np.full((len(self.top), space.size), np.nan)
        texts = [[""] * space.size for _ in self.top]
        for i, row in enumerate(self.top):
            for reason in row.surprises:
                values[i, reason.column] = max(reason.surprise, 0.0)
                texts[i][reason.column] = in_words(reason.value, space.columns[reason.column])
            for unseen in row.unseen:
                values[i, unseen.column], texts[i][unseen.column] = MOST_SHOWN, unseen.text
        names = [row.identity or f"row {row.row}" for row in self.top]
        counted = "" if all(row.identity for row in self.top) else f" ({FROM_ZERO})"
        ticks = {math.log(times): f"{times:,}" for times in (1, 10, 100, 1000, 10_000)}
        return cell_map(
            values, names, space.names, label="times less likely than usual", texts=texts,
            diverging=False, most=MOST_SHOWN, ticks=ticks,
            title=title or f"{self.subject.title}: the oddest rows{counted}",
            note="the darker, the less does a value suit the rest of its row",
        )  # fmt: skip


def _expected(reason: Reason, column: Any) -> str:
    if reason.category >= 0:
        return f"{in_words(reason.category, column)} ({share(reason.share)})"
    scale = (reason.high - reason.low) / 3.3  # 90 % of a normal distribution are 3.3 deviations
    whole = column.kind == "integer"
    ends = [round(v) if whole else v for v in (reason.low, reason.high)]
    low, high = (in_words(v, column, None if whole else scale or None) for v in ends)
    return low if low == high else f"{low} to {high}"
