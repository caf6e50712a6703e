"""What was measured of a synthetic table, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pushforward.core.records import Record
from pushforward.experiments.table_rows import TableSet
from pushforward.experiments.table_verdicts import Grade, Verdict, overall
from pushforward.metrics.tables.pair import Floats, TablePair

__all__ = ["Findings"]


@dataclass(frozen=True)
class Findings:
    """What was measured of a synthetic table.

    Args:
        tables: the tables.
        pair: the real and the synthetic rows that likeness was measured on.
        records: every measure; means over columns come before the columns.
        verdicts: what they mean, in sentences.
        notes: what was left out, and why.
        associations: of all pairs of columns in the real and in the synthetic table, (d, d) each.
    """

    tables: TableSet
    pair: TablePair = field(repr=False)
    records: Sequence[Record] = field(repr=False)
    verdicts: Sequence[Verdict]
    notes: Sequence[str]
    associations: tuple[Floats, Floats] = field(repr=False)

    @property
    def good(self) -> Grade:
        """Whether the table is like the real one and as useful: the worst verdict."""
        return overall(self.verdicts, "good")

    @property
    def safe(self) -> Grade:
        """Whether it keeps the rows that it was made from to itself: the worst verdict."""
        return overall(self.verdicts, "safe")

    @property
    def summary(self) -> list[Record]:
        """The records of the whole table, without those of single columns and pairs."""
        parts = ("column", "columns")
        return [r for r in self.records if not any(name in r.details for name in parts)]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: verdicts, notes and records."""
        return {
            "real": self.tables.real.description,
            "synthetic": self.tables.synthetic.description,
            "good": self.good,
            "safe": self.safe,
            "verdicts": [vars(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
            "records": [record.as_dict() for record in self.records],
        }
