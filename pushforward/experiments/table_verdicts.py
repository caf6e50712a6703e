"""Verdicts on a synthetic table in plain sentences, each by a stated rule.

The thresholds are conventions, chosen so that fresh real rows are 'good': where a measure is below
its ideal for them, too, what is judged is the gap to what they would score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pushforward.core.records import Record

__all__ = ["GRADES", "Grade", "Verdict", "judge", "overall"]

Grade = Literal["good", "watch", "bad", "unknown"]
GRADES: tuple[Grade, ...] = ("good", "unknown", "watch", "bad")
"""From best to worst."""
COLUMNS = (0.05, 0.15)
"""Gap of margins to those of fresh rows, of the mean: good up to the first, watch to the second."""
ONE_COLUMN = 0.2
"""Gap of a single margin from which on it is to be watched."""
PAIRS = (0.03, 0.1)
"""The same for associations, whose similarity is high for any two tables."""
IN_RANGE = (0.02, 0.05)
"""Gap of adherence to that of fresh rows."""
COVERED, GAPS = (0.9, 0.7), (0.95, 0.9)
"""Coverage and shares of missing values: good from the first, watch from the second."""
TOLD = (0.6, 0.8)
"""AUC of a classifier: with .6 it is right for 60 of 100 pairs."""
LOSS = (0.05, 0.15)
"""What training on synthetic rows loses of AUC or R²."""
USELESS = {"AUC": 0.55, "R²": 0.05}
"""Below these a column cannot be predicted from real rows either."""
CHANCE = 2.0
"""Standard errors that are taken for chance."""
COPIED, CLOSE, ATTACK = 0.001, 0.02, 0.55
"""Excess of copies and of the closest share, and AUC of membership, above which they are bad."""


@dataclass(frozen=True)
class Verdict:
    """One judgement.

    Args:
        subject: what is judged, such as 'columns'.
        question: 'good' or 'safe'.
        grade: good, watch, bad or unknown.
        sentence: what was seen.
        rule: when it is good, and when bad.
    """

    subject: str
    question: Literal["good", "safe"]
    grade: Grade
    sentence: str
    rule: str


def judge(
    records: Sequence[Record], has_held_out: bool, copied: Mapping[str, int] | None = None
) -> list[Verdict]:
    """The verdicts on a table's records.

    Args:
        records: of one table.
        has_held_out: whether there are held-out rows.
        copied: how many real values the synthetic table repeats, of identifiers and texts.
    """
    by_name = {record.quantity: record for record in records}
    verdicts = [
        _margins(by_name, records), _associations(by_name), _values(by_name), _coverage(by_name),
        _missing(by_name), _detection(by_name), _usefulness(by_name), _copies(by_name),
        _identifiers(copied or {}), *_privacy(by_name, has_held_out),
    ]  # fmt: skip
    return [verdict for verdict in verdicts if verdict is not None]


def overall(verdicts: Sequence[Verdict], question: str) -> Grade:
    """The worst grade of a question's verdicts. What is not known is worse than good where safety
    is asked for; otherwise it does not count beside what is.
    """
    grades = [v.grade for v in verdicts if v.question == question]
    known = [grade for grade in grades if grade != "unknown"]
    counted = grades if question == "safe" else known
    return max(counted, key=GRADES.index) if counted else "unknown"


def _known(record: Record | None) -> bool:
    return record is not None and math.isfinite(record.value)


def _gap(gap: float, record: Record, limits: tuple[float, float]) -> Grade:
    """The grade of a gap to fresh rows, where a standard error is no gap."""
    return "good" if gap <= min(record.error, limits[1]) else _low(gap, limits)


def _high(value: float, limits: tuple[float, float]) -> Grade:
    return "good" if value >= limits[0] else "watch" if value >= limits[1] else "bad"


def _low(value: float, limits: tuple[float, float]) -> Grade:
    return "good" if value <= limits[0] else "watch" if value <= limits[1] else "bad"


def _margins(by_name: Mapping[str, Record], records: Sequence[Record]) -> Verdict | None:
    record = by_name.get("margins")
    if record is None or not _known(record):
        return None
    expected = record.details.get("expected", 1.0)
    gap = expected - record.value
    parts = [r for r in records if r.quantity.startswith("margin ") and math.isfinite(r.value)]
    off = [(r.details["expected"] - r.value, r) for r in parts]
    off = sorted([p for p in off if p[0] > ONE_COLUMN], key=lambda p: -p[0])
    grade = _gap(gap, record, COLUMNS)
    if off and grade == "good":
        grade = "watch"
    named = ", ".join(f"{r.details['column']} ({r.value:.2f})" for _, r in off[:3])
    sentence = (
        f"On average a column's values score {record.value:.2f} of 1 for likeness; fresh real rows"
        f" would score {expected:.2f}."
        + (f" Far off: {named}." if named else " No column is far off.")
    )
    rule = (
        f"good: at most {COLUMNS[0]}, or a standard error, below fresh real rows, and no column by"
        f" more than {ONE_COLUMN}; bad: more than {COLUMNS[1]} below"
    )
    return Verdict("columns", "good", grade, sentence, rule)


def _associations(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("associations")
    if record is None or not _known(record):
        return None
    gap = record.details.get("expected", 1.0) - record.value
    worst = by_name[record.details["worst"]]
    columns = " and ".join(worst.details["columns"])
    one, two = worst.details["of_real"], worst.details["of_synthetic"]
    sentence = (
        f"How columns go together differs by {1 - record.value:.2f} on average. Farthest off:"
        f" {columns}, {one:.2f} in the real table and {two:.2f} in the synthetic one."
    )
    rule = (
        f"good: similarity at most {PAIRS[0]}, or a standard error, below that of fresh real rows;"
        f" bad: more than {PAIRS[1]} below"
    )
    return Verdict("relations", "good", _gap(gap, record, PAIRS), sentence, rule)


def _values(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("adherence")
    if record is None or not _known(record):
        return None
    worst = by_name[record.details["worst"]]
    grade = _low(record.details["expected"] - record.value, IN_RANGE)
    if grade == "good" and worst.details["expected"] - worst.value > IN_RANGE[1]:
        grade = "watch"
    sentence = f"{_percent(record.value)} of the values lie within the real range or categories."
    if worst.value < 1:
        sentence += f" Fewest: {worst.details['column']}, {_percent(worst.value)}."
    rule = (
        f"good: at most {_percent(IN_RANGE[0])} less than of fresh real rows, and"
        f" {_percent(IN_RANGE[1])} in every column; bad: more than {_percent(IN_RANGE[1])} less"
    )
    return Verdict("possible values", "good", grade, sentence, rule)


def _coverage(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("coverage")
    if record is None or not _known(record):
        return None
    worst = by_name[record.details["worst"]]
    sentence = f"{_percent(record.value)} of the real ranges and categories occur."
    if worst.value < 1:
        sentence += f" Least: {worst.details['column']}, {_percent(worst.value)}."
    rule = f"good: at least {_percent(COVERED[0])}; bad: less than {_percent(COVERED[1])}"
    return Verdict("variety", "good", _high(record.value, COVERED), sentence, rule)


def _missing(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("missing")
    if record is None or not _known(record):
        return None
    worst = by_name[record.details["worst"]]
    one, two = worst.details["share_real"], worst.details["share_synthetic"]
    sentence = (
        f"Shares of missing values differ by {_percent(1 - record.value)} on average. Most in"
        f" {worst.details['column']}: {_percent(one)} in the real table, {_percent(two)} in the"
        " synthetic one."
    )
    rule = f"good: at most {_percent(1 - GAPS[0])}; bad: more than {_percent(1 - GAPS[1])}"
    return Verdict("gaps", "good", _high(record.value, GAPS), sentence, rule)


def _detection(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("detection")
    if record is None or not _known(record):
        return None
    value = max(record.value, 0.5)
    columns = [name for name, _ in record.details["tell_tale"]][:3]
    sentence = (
        f"Shown one real and one synthetic row, a classifier picks the right one {100 * value:.0f}"
        " times out of 100 (50 is guessing)."
    )
    if columns and value > TOLD[0]:
        sentence += f" It mostly looks at {', '.join(columns)}."
    rule = (
        f"good: at most {100 * TOLD[0]:.0f}, or within {CHANCE:g} standard errors of guessing; bad:"
        f" more than {100 * TOLD[1]:.0f}"
    )
    chance = value - CHANCE * record.error <= 0.5
    return Verdict("recognisable", "good", "good" if chance else _low(value, TOLD), sentence, rule)


def _usefulness(by_name: Mapping[str, Record]) -> Verdict | None:
    measure = next((m for m in ("AUC", "R²") if f"loss {m}" in by_name), None)
    if measure is None or not _known(by_name[f"loss {measure}"]):
        return None
    one, two = by_name[f"TRTR {measure}"], by_name[f"TSTR {measure}"]
    target, loss = one.details["target"], by_name[f"loss {measure}"].value
    if one.value < USELESS[measure]:
        grade: Grade = "unknown"
        sentence = (
            f"Gradient-boosted trees cannot predict {target} from the other real columns, so"
            " nothing is said."
        )
    else:
        grade = _low(loss, LOSS)
        sentence = (
            f"A model that predicts {target} scores {two.value:.2f} ({measure}) when trained on the"
            f" synthetic table, and {one.value:.2f} when trained on the real one."
        )
    rule = f"good: a loss of at most {LOSS[0]}; bad: more than {LOSS[1]}"
    return Verdict("usefulness", "good", grade, sentence, rule)


def _copies(by_name: Mapping[str, Record]) -> Verdict | None:
    record = by_name.get("copies")
    if record is None or not _known(record):
        return None
    excess = record.value - record.details["ideal"]
    chance = excess <= CHANCE * record.error
    grade: Grade = "good" if chance else "watch" if excess <= COPIED else "bad"
    sentence = (
        f"{record.details['rows']:,} of {record.n:,} synthetic rows ({_percent(record.value)})"
        " equal a real row that is there once; by chance it would be"
        f" {_percent(record.details['ideal'])}."
    )
    rule = (
        f"good: within {CHANCE:g} standard errors of chance; bad: more than"
        f" {_percent(COPIED)} above chance"
    )
    return Verdict("exact copies", "safe", grade, sentence, rule)


def _identifiers(copied: Mapping[str, int]) -> Verdict | None:
    if not copied:
        return None
    there = {name: count for name, count in copied.items() if count}
    named = ", ".join(f"{count:,} of {name}" for name, count in there.items())
    sentence = (
        f"Real values are in the synthetic table: {named}."
        if there
        else f"No real value of {', '.join(copied)} is in the synthetic table."
    )
    rule = "watch: any real value of a column that tells rows apart, or of free text"
    return Verdict("identifiers", "safe", "watch" if there else "good", sentence, rule)


def _privacy(by_name: Mapping[str, Record], has_held_out: bool) -> list[Verdict]:
    share, attack = by_name.get("closest_share"), by_name.get("membership")
    if share is None or attack is None:
        lack = "too few rows" if has_held_out else "no held-out rows"
        sentence = (
            f"Not judged: {lack}. Only real rows that the synthetic table was not made from show"
            " whether it is closer to its own rows than to others."
        )
        rule = "needs held-out rows (--held-out FILE, or a run that held rows out)"
        return [Verdict("closeness and membership", "safe", "unknown", sentence, rule)]
    return [_closest(share), _membership(attack)]


def _closest(record: Record) -> Verdict:
    ideal = record.details["ideal"]
    excess = record.value - ideal
    chance = not excess > CHANCE * record.error
    grade: Grade = "good" if chance else "watch" if excess <= CLOSE else "bad"
    sentence = (
        f"For {_percent(record.value)} of the synthetic rows the closest real row is one that the"
        f" table was made from; {_percent(ideal)} would be fair."
    )
    rule = (
        f"good: within {CHANCE:g} standard errors ({_percent(CHANCE * record.error)}) of fair; bad:"
        f" otherwise, and more than {_percent(CLOSE)} above"
    )
    return Verdict("closeness", "safe", grade, sentence, rule)


def _membership(record: Record) -> Verdict:
    chance = not record.value - CHANCE * record.error > 0.5
    grade: Grade = "good" if chance else "watch" if record.value <= ATTACK else "bad"
    sentence = (
        "Shown a row that the table was made from and one that it was not, an attacker who looks"
        f" at distances picks the right one {100 * max(record.value, 0.5):.1f} times out of 100"
        " (50 is guessing)."
    )
    rule = (
        f"good: within {CHANCE:g} standard errors ({100 * CHANCE * record.error:.1f}) of guessing;"
        f" bad: otherwise, and more than {100 * ATTACK:.0f}"
    )
    return Verdict("membership", "safe", grade, sentence, rule)


def _percent(share: float) -> str:
    """A share in per cent, with as many digits as tell it from 0 and from 100."""
    value = round(100 * share, 9)
    digits = 0 if value in (0, 100) or 1 <= value <= 99 else 2 if abs(value) < 0.1 else 1
    return f"{value:.{digits}f} %"
