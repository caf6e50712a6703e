"""Reports on the content of a source and its problems, before anything is fitted.

Unlike `read`, a report does not stop at the first fault: unreadable images, text columns,
infinities and missing values are listed, each with a remedy. Duplicates are found by a 64-bit hash
of every row; beyond 2²⁴ rows only the hashes in one residue class are kept, so that memory stays
bounded and the count becomes an estimate.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.errors import BadSource
from pushforward.core.scan import Facts, Issue
from pushforward.core.source import Source, iterate_blocks
from pushforward.core.space import Space
from pushforward.data.far_values import date_text, far_values, span_text, typed_advice

__all__ = ["Report", "ColumnFacts", "describe"]

_HASHES = 2**24
"""Hashes of rows that are kept, 128 MB; beyond, a share of the rows stands for all."""
_SHOWN = 40
"""Columns in a report's table: more than a screen holds are counted only."""


@dataclass(frozen=True)
class ColumnFacts:
    """One column: kind, range, mean and standard deviation of usable values, and counts of unusable
    ones; for tables also the inferred or declared type, with the reason.
    """

    name: str
    kind: str
    low: float | None
    high: float | None
    mean: float | None
    sd: float | None
    missing: int = 0
    infinite: int = 0
    note: str = ""
    type: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """The result of `report`: `str` gives the text, `as_dict` plain content for JSON."""

    name: str
    count: int
    space: Space | None
    resident: bool
    columns: tuple[ColumnFacts, ...] = ()
    duplicates: int | None = None
    duplicates_exact: bool = True
    labels: dict[str, int] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()
    issues: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain content for JSON."""
        content = dict(vars(self))
        content["labels"] = dict(self.labels)
        content["space"] = None if self.space is None else self.space.to_json()
        content["columns"] = [dict(vars(c)) for c in self.columns]
        content["unreadable"] = [{"file": f, "reason": r} for f, r in self.unreadable]
        content["issues"] = [asdict(t) for t in self.issues]
        content["notes"] = list(self.notes)
        return content

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.count} observation{'s' if self.count != 1 else ''}",
            *self._facts(),
        ]
        if self.columns:
            lines += ["", *_table(self.columns[:_SHOWN], self.space)]
            if len(self.columns) > _SHOWN:
                lines.append(f"… and {len(self.columns) - _SHOWN} more columns")
        if self.unreadable:
            lines += [
                "",
                f"unreadable ({len(self.unreadable)}):",
                *(f"  {file}: {reason}" for file, reason in self.unreadable),
            ]
        lines += ["", *(f"! {t.text}: {t.remedy}" for t in self.issues)] if self.issues else []
        return "\n".join(lines)

    def _facts(self) -> list[str]:
        facts = [
            ("space", str(self.space) if self.space is not None else "undetermined, see below")
        ]
        facts.append(("kept", "in memory" if self.resident else "on disk, read in blocks"))
        if self.labels:
            counts = ", ".join(f"{k} {v}" for k, v in list(self.labels.items())[:12])
            facts.append(
                (f"labels ({len(self.labels)})", counts + (", …" if len(self.labels) > 12 else ""))
            )
        if self.duplicates is not None:
            facts.append(
                (
                    "duplicates",
                    (
                        f"{'' if self.duplicates_exact else 'about '}{self.duplicates}"
                        if self.duplicates
                        else "none"
                    ),
                )
            )
        facts += [("note", note) for note in self.notes]
        width = max(len(k) for k, _ in facts)
        return [f"  {k:<{width}}  {v}" for k, v in facts]


def describe(source: Source, **found: Any) -> Report:
    """The report on a readable source; `found` adds to it."""
    name = found.pop("name", "") or getattr(source, "name", "") or "data"
    issues = tuple(found.pop("issues", ()))
    notes = (*getattr(source, "notes", ()), *found.pop("notes", ()))
    condition = source.condition_space
    if condition is not None and condition.kind == "images":
        notes = (*notes, f"conditions: {condition}")
    facts, duplicates, exact, labels = _pass(source)
    if 1 < facts.count <= source.space.size and source.space.kind == "points":
        warning = f"{facts.count} rows for {source.space.size} columns: fewer rows than dimensions"
        issues += (Issue("few", warning, "bring more data, or fewer columns"),)
    found_here = tuple(facts.issues(source.space))
    if "carried" in source.space.extra:  # a table with types
        found_here = tuple(map(typed_advice, found_here))
        found_here += tuple(far_values(source))
    issues = (*found_here, *issues)
    if duplicates:
        copies = (
            "row is an exact copy of another"
            if duplicates == 1
            else "rows are exact copies of others"
        )
        text = f"{'' if exact else 'about '}{duplicates} {copies}"
        advice = (
            "expected if values are rounded; otherwise remove them, or test rows may be copies of"
            " training rows"
        )
        issues += (Issue("duplicates", text, advice),)
    columns = tuple(_columns(facts, source.space))
    return Report(
        name,
        facts.count,
        source.space,
        source.resident,
        columns,
        duplicates,
        exact,
        labels,
        issues=issues,
        notes=notes,
        **found,
    )


def _pass(source: Source) -> tuple[Facts, int, bool, dict[str, int]]:
    """Facts, duplicates and labels, in one pass over the rows."""
    if len(source) == 0:
        raise BadSource("the data have no rows; expected at least one observation")
    rows = max(1, min(8192, 2**21 // max(1, source.space.size)))
    facts: Facts | None = None
    hashes = Distinct()
    as_bytes = (
        source.space.integer
        and source.space.low >= 0
        and source.space.high <= 255
        and source.space.kind != "points"
    )
    counted: Counter[int] = Counter()
    for batch in iterate_blocks(source, rows):
        part = Facts.of(batch)
        facts = part if facts is None else facts.merge(part)
        hashes.add(batch.x.to(torch.uint8) if as_bytes else batch.x)
        if (
            batch.y is not None
            and source.condition_space is not None
            and source.condition_space.is_label
        ):
            counted.update(batch.y.tolist())
    assert facts is not None
    labels = {}
    if counted and source.condition_space is not None:
        labels = {
            source.condition_space.columns[0].categories[int(k)]: v
            for k, v in sorted(counted.items())
        }
    return facts, hashes.duplicates(facts.count), hashes.modulus == 1, labels


def _columns(facts: Facts, space: Space) -> list[ColumnFacts]:
    """One entry per column for points, one for all values of images and clips."""
    if space.kind != "points":
        return [_levels(facts, space)]
    lows, highs, means, deviations = (
        t.tolist() for t in (facts.low, facts.high, facts.moments.mean, _deviations(facts))
    )
    missing, infinite = facts.missing.tolist(), facts.infinite.tolist()
    columns: list[ColumnFacts] = []
    for i, (name, column) in enumerate(zip(space.names, space.columns)):
        unusable, low, high = (missing[i], infinite[i]), lows[i], highs[i]
        if column.kind == "categorical":
            note = ", ".join(column.categories[:4]) + (", …" if len(column.categories) > 4 else "")
            columns.append(
                ColumnFacts(
                    name,
                    f"{len(column.categories)} categories",
                    None,
                    None,
                    None,
                    None,
                    *unusable,
                    note,
                )
            )
        elif not low <= high:
            columns.append(
                ColumnFacts(name, column.kind, None, None, None, None, *unusable, "empty")
            )
        else:
            note = (
                column.unit
                + (", " if column.unit and low == high else "")
                + ("constant" if low == high else "")
            )
            columns.append(
                ColumnFacts(name, column.kind, low, high, means[i], deviations[i], *unusable, note)
            )
        columns[-1] = replace(columns[-1], type=column.type, reason=column.reason)
    for carried in space.extra.get("carried", ()):
        facts_of = {"type": carried["type"], "reason": carried["reason"]}
        columns.append(ColumnFacts(carried["name"], "carried", None, None, None, None, **facts_of))
    return columns


def _deviations(facts: Facts) -> torch.Tensor:
    count = torch.as_tensor(facts.moments.count, dtype=torch.float64).expand_as(facts.low)
    return (facts.moments.m2 / count.clamp_min(1e-300)).sqrt() * facts.moments.unit


def _levels(facts: Facts, space: Space) -> ColumnFacts:
    """All values of images or clips together."""
    mean = facts.moments.mean
    variance = _deviations(facts).square().mean() + (mean - mean.mean()).square().mean()
    constant = int((facts.low == facts.high).sum())
    note = f"{constant} of {len(facts.low)} values are constant over all rows" if constant else ""
    low, high, kind = (
        float(facts.low.min()),
        float(facts.high.max()),
        "integer" if space.integer else "continuous",
    )
    unusable = int(facts.missing.sum()), int(facts.infinite.sum())
    return ColumnFacts(
        "levels", kind, low, high, float(mean.mean()), float(variance.sqrt()), *unusable, note
    )


def _table(columns: tuple[ColumnFacts, ...], space: Space | None) -> list[str]:
    """Aligned text: names left, numbers right, without empty columns."""
    known = {} if space is None else dict(zip(space.names, space.columns))
    typed = any(c.type for c in columns)
    head = ["column", "type" if typed else "kind"]
    head += ["low", "high", "mean", "sd", "missing", "infinite", ""]
    rows = [
        [
            c.name,
            c.type if typed else c.kind,
            *_range(c, known.get(c.name)),
            *(str(v or "") for v in (c.missing, c.infinite)),
            "; ".join(part for part in (c.reason, _note(c, known.get(c.name))) if part),
        ]
        for c in columns
    ]
    keep = [j for j in range(len(head)) if any(r[j] for r in rows)]
    widths = {j: max(len(head[j]), *(len(r[j]) for r in rows)) for j in keep}
    return [
        "  ".join(
            r[j].ljust(widths[j]) if j in (0, 1, 8) else r[j].rjust(widths[j]) for j in keep
        ).rstrip()
        for r in [head, *rows]
    ]


def _range(facts: ColumnFacts, column: Column | None) -> list[str]:
    """Ends, mean and standard deviation; those of dates as dates, and as a time with its unit."""
    numbers = (facts.low, facts.high, facts.mean, facts.sd)
    low, high, mean, sd = numbers
    if column is None or low is None or high is None or mean is None or sd is None:
        return [_number(v) for v in numbers]
    if not (dates := [date_text(v, column) for v in (low, high, mean)])[0]:
        return [_number(v) for v in numbers]
    return [*dates, span_text(sd, column)]


def _note(facts: ColumnFacts, column: Column | None) -> str:
    """What else is known of a column, without the unit of dates, which are shown as such."""
    if column is not None and column.unit in (DAYS, SECONDS):
        return facts.note.removeprefix(column.unit).removeprefix(", ")
    return facts.note


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


class Distinct:
    """Counts distinct rows by hash, in bounded memory."""

    def __init__(self, most: int = _HASHES) -> None:
        self.most, self.modulus = most, 1
        self.kept = np.zeros(0, np.uint64)
        self.waiting: list[NDArray[Any]] = []
        self.seen = 0

    def add(self, x: torch.Tensor) -> None:
        """Count a block of rows."""
        x = x.detach().cpu().reshape(len(x), -1)
        hashes = row_hashes((x if x.dtype == torch.uint8 else x.to(torch.float64)).numpy())
        hashes = hashes[hashes % np.uint64(self.modulus) == 0]
        self.seen += len(hashes)
        self.waiting.append(hashes)
        if sum(map(len, self.waiting)) > self.most // 4:
            self._gather()

    def _gather(self) -> None:
        self.kept = np.unique(np.concatenate([self.kept, *self.waiting]))
        self.waiting = []
        while len(self.kept) > self.most:
            self.modulus *= 2
            before = len(self.kept)
            self.kept = self.kept[self.kept % np.uint64(self.modulus) == 0]
            self.seen = round(self.seen * len(self.kept) / before)

    def duplicates(self, count: int) -> int:
        """The number of rows that are copies of an earlier one,
        extrapolated if only some hashes were kept.
        """
        self._gather()
        return (
            max(0, self.seen - len(self.kept))
            if self.modulus == 1
            else max(0, round(count * (1 - len(self.kept) / max(1, self.seen))))
        )


def row_hashes(rows: NDArray[Any]) -> NDArray[Any]:
    """A 64-bit hash of each row (n, d) of float64 or bytes:
    Σ_j a_j mix(word_j) mod 2⁶⁴ with odd a_j, mixed again.
    """
    if rows.dtype == np.uint8:
        words = np.ascontiguousarray(np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8)))).view(
            np.uint64
        )
    else:
        words = np.ascontiguousarray(rows + 0.0).view(np.uint64)
    multipliers = np.random.default_rng(0).integers(
        0, 2**63, words.shape[1], dtype=np.uint64
    ) * np.uint64(2) + np.uint64(1)
    with np.errstate(over="ignore"):
        return _mix((_mix(words) * multipliers).sum(1, dtype=np.uint64))


def _mix(words: NDArray[Any]) -> NDArray[Any]:
    """The finaliser of splitmix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: NDArray[Any] = words ^ (words >> np.uint64(31))
    return hashes
