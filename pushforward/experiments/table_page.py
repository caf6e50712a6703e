"""A report on a synthetic table as one HTML page, for readers who are no statisticians.

There is no script, and nothing is fetched: the page's policy allows its own style sheet alone. All
text that comes from the data is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from pushforward.core.records import Record
from pushforward.experiments.html_page import escaped as _text
from pushforward.experiments.html_page import html_page
from pushforward.experiments.table_columns import column_card
from pushforward.experiments.table_findings import Findings
from pushforward.experiments.table_verdicts import Grade, Verdict
from pushforward.export.versions import package_version
from pushforward.plots.page_svg import dots_svg, heat_svg

__all__ = ["table_page"]

MOST_COLUMNS = 60
"""Columns with a plot at most: those farthest off."""
MOST_HEAT = 30
"""Columns of the heat maps at most: more cannot be told apart."""
ANSWERS: dict[Grade, str] = {
    "good": "Yes", "watch": "Take care", "bad": "No", "unknown": "Not known",
}  # fmt: skip
WORDS: dict[Grade, str] = {
    "bad": "Bad", "watch": "To be watched", "unknown": "Not known", "good": "Good",
}  # fmt: skip
SIGNS: dict[Grade, str] = {"good": "✓", "watch": "!", "bad": "✗", "unknown": "?"}
"""So that grades do not differ by colour alone."""
EXPLAINED = {
    "detection": (
        "Can a classifier tell synthetic from real rows?",
        "Gradient-boosted trees are trained on some of the rows and tried on the others. 0.5 means"
        " that they can only guess; 1 that they always know.",
        (0.5, 1.0),
    ),
    "logistic_detection": (
        "Can a simple classifier?",
        "A linear classifier, scored the other way round: 1 means that it can only guess, 0 that it"
        " always knows. It sees averages, not shapes.",
        (0.0, 1.0),
    ),
    "TSTR AUC": (
        "Trained on synthetic rows, tested on real ones",
        "How well a model learns from the synthetic table to predict one column (AUC: 0.5 is"
        " guessing, 1 perfect). The mark shows the same model trained on the real table.",
        (0.5, 1.0),
    ),
    "TSTR R²": (
        "Trained on synthetic rows, tested on real ones",
        "How much of a column's variance a model explains that learns from the synthetic table (1"
        " is all, 0 none). The mark shows the same model trained on the real table.",
        (0.0, 1.0),
    ),
    "copies": (
        "Exact copies",
        "The share of synthetic rows that equal a real row in every column. Rows that the real"
        " table itself repeats do not count. The mark shows what chance gives.",
        (0.0, 1.0),
    ),
    "closest_share": (
        "Whose neighbours are the synthetic rows?",
        "For each synthetic row the closest real row is looked up, among the rows that the table"
        " was made from and held-out ones. The mark shows the fair share; more means that the table"
        " sticks to its own rows.",
        (0.0, 1.0),
    ),
    "closer": (
        "Closer than new rows?",
        "How often a synthetic row is closer to the rows that the table was made from than a"
        " held-out real row is. 0.5 is fair, 1 means always.",
        (0.0, 1.0),
    ),
    "membership": (
        "Can an attacker tell who was in the data?",
        "The attacker has the synthetic table and a real row, and looks how far the closest"
        " synthetic row is. 0.5 means guessing, 1 that the attack always succeeds. Better attacks"
        " may exist.",
        (0.4, 1.0),
    ),
}  # fmt: skip
"""A heading, an explanation and the ends of the axis of each measure that has a plot."""


def table_page(report: Findings) -> str:
    """The page as text."""
    title = f"{report.tables.synthetic.name} beside {report.tables.real.name}"
    body = "".join(
        [_header(report, title), "<main>", _answers(report), _verdicts(report), _columns(report),
         _relations(report), _measures(report), _numbers(report), "</main>", _footer(report)]
    )  # fmt: skip
    return html_page(title, body)


def _header(report: Findings, title: str) -> str:
    tables = report.tables
    held_out = tables.held_out
    lines = [f"{len(tables.synthetic.x):,} synthetic rows beside {len(tables.real.x):,} real ones"]
    lines[0] += f", {len(tables.columns)} columns"
    if held_out is not None:
        lines[0] += f"; {len(held_out.x):,} real rows were held out"
    return f'<header><h1>{_text(title)}</h1><p class="quiet">{_text(lines[0])}.</p></header>'


def _answers(report: Findings) -> str:
    cards = []
    for question, grade in (("good", report.good), ("safe", report.safe)):
        cards.append(
            f'<section class="card answer"><h2>Is it {question}?</h2>'
            f'<p class="grade {grade}">{SIGNS[grade]} {ANSWERS[grade]}</p>'
            f"<p>{_text(_summary(report.verdicts, question))}</p></section>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _summary(verdicts: Iterable[Verdict], question: str) -> str:
    """What decides a question, in a sentence."""
    asked = [v for v in verdicts if v.question == question]
    parts = []
    for grade, words in WORDS.items():
        named = ", ".join(v.subject for v in asked if v.grade == grade)
        if named:
            parts.append(f"{words}: {named}.")
    return " ".join(parts) + " The worst one counts."


def _verdicts(report: Findings) -> str:
    items = "".join(
        f'<li class="card"><p class="name"><strong>{_text(v.subject.capitalize())}</strong> '
        f'<span class="grade {v.grade}">{SIGNS[v.grade]} {v.grade}</span></p>'
        f'<div><p>{_text(v.sentence)}</p><p class="rule">{_text(v.rule)}</p></div></li>'
        for v in report.verdicts
    )
    return f'<h2>What was found</h2><ul class="verdicts">{items}</ul>'


def _columns(report: Findings) -> str:
    pair = report.pair
    margins = {r.details["column"]: r for r in report.records if r.quantity.startswith("margin ")}
    gap = [_gap(margins[name]) for name in pair.names]
    order = np.argsort([-g for g in gap], kind="stable")[:MOST_COLUMNS]
    cards = "".join(column_card(pair, int(i), margins[pair.names[i]]) for i in sorted(order))
    fewer = len(pair.names) > MOST_COLUMNS
    shown = f" Shown are the {MOST_COLUMNS} columns that are farthest off." if fewer else ""
    return (
        "<h2>Columns, one by one</h2><p>How often each value occurs in the two tables. The score is"
        f" 1 if both have the same distribution, 0 if they have no value in common.{shown}</p>"
        '<p class="legend"><span><i class="real"></i>real</span>'
        f'<span><i class="synthetic"></i>synthetic</span></p><div class="columns">{cards}</div>'
    )


def _gap(record: Record) -> float:
    return 1.0 - record.value if math.isfinite(record.value) else 0.0


def _relations(report: Findings) -> str:
    a, b = report.associations
    names = list(report.pair.names)
    if len(names) < 2:
        return ""
    difference = b - a
    kept = np.arange(len(names))
    if len(names) > MOST_HEAT:
        off = np.nan_to_num(np.abs(difference)).max(1)
        kept = np.sort(np.argsort(-off, kind="stable")[:MOST_HEAT])
    names = [names[i] for i in kept]
    scale = max(0.2, float(np.nanmax(np.abs(np.where(np.isfinite(difference), difference, 0)))))
    maps = [
        ("Real", a, 1.0, "what goes together in the real table"),
        ("Synthetic", b, 1.0, "what goes together in the synthetic table"),
        (
            "Synthetic less real",
            difference,
            scale,
            f"less (blue) or more (orange) in the synthetic table; full colour is {scale:.2f}",
        ),
    ]
    cards = "".join(
        f'<section class="card"><h3>{head}</h3>'
        f"{heat_svg(m[np.ix_(kept, kept)], names, f'{head}: {words}', scale=s)}"
        f'<p class="facts">{words}</p></section>'
        for head, m, s, words in maps
    )
    fewer = len(kept) < len(report.pair.names)
    shown = f" Shown are the {MOST_HEAT} columns that are farthest off." if fewer else ""
    return (
        "<h2>Columns, two by two</h2><p>The stronger the colour, the more two columns have to do"
        " with each other: correlation of two numbers (from -1 to 1), Cramér's V of two categories"
        f" and the correlation ratio of one of each (from 0 to 1).{shown}</p>"
        '<p class="legend"><span><i class="more"></i>one grows with the other</span>'
        '<span><i class="less"></i>one falls as the other grows</span></p>'
        f'<div class="heats">{cards}</div>'
    )


def _measures(report: Findings) -> str:
    cards = []
    for record in report.summary:
        if record.quantity not in EXPLAINED or not math.isfinite(record.value):
            continue
        head, words, ends = EXPLAINED[record.quantity]
        ideal = float(record.details.get("ideal", ends[1]))
        low = min(ends[0], record.value, ideal)
        label = f"{head} {record.value:.3f}, ideal {ideal:.3f}"
        plot = dots_svg(record.value, record.error, ideal, (low, ends[1]), label)
        cards.append(
            f'<section class="card"><div class="head"><h3>{_text(head)}</h3>'
            f'<span class="number">{_value(record)}</span></div>{plot}'
            f'<p class="ends"><span>{low:.3g}</span><span>{ends[1]:.3g}</span></p>'
            f'<p class="facts">{_text(words)}</p>'
            f'<p class="facts">How: {_text(record.details.get("settings", ""))}.</p></section>'
        )
    return (
        "<h2>Recognisable, useful, private</h2><p>Dots are what was measured, with two standard"
        " errors to either side; upright marks are the ideal.</p>"
        '<p class="legend"><span><i class="synthetic"></i>measured</span>'
        f'<span><i class="ideal"></i>ideal</span></p><div class="measures">{"".join(cards)}</div>'
    )


def _value(record: Record) -> str:
    if not math.isfinite(record.value):
        return "–"
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) and record.error else ""
    return f"{record.value:.4g}{error}"


def _numbers(report: Findings) -> str:
    whole, parts = report.summary, [r for r in report.records if r not in report.summary]
    return (
        "<h2>All numbers</h2>"
        f"<details><summary>Measures of the whole table ({len(whole)})</summary>{_table(whole)}"
        f"</details><details><summary>Of columns and pairs of columns ({len(parts)})</summary>"
        f"{_table(parts)}</details>"
    )


def _table(records: Iterable[Record]) -> str:
    rows = []
    for r in records:
        ideal, expected = r.details.get("ideal"), r.details.get("expected")
        cells = [_value(r), *("" if v is None else f"{v:.4g}" for v in (ideal, expected))]
        numbers = "".join(f'<td class="number">{c}</td>' for c in cells)
        rows.append(
            f"<tr><td>{_text(r.quantity)}</td>{numbers}"
            f"<td>{_text(r.details.get('better', ''))}</td>"
            f"<td>{_text(r.details.get('settings', ''))}</td></tr>"
        )
    return (
        '<div class="scroll"><table><thead><tr><th>measure</th>'
        '<th class="number">value ± error</th><th class="number">ideal</th>'
        '<th class="number">fresh real rows</th><th>better</th>'
        f"<th>how</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _footer(report: Findings) -> str:
    tables = report.tables
    lines = [
        f"Real: {tables.real.description}.",
        f"Synthetic: {tables.synthetic.description}.",
        *([f"Held out: {tables.held_out.description}."] if tables.held_out is not None else []),
        *(f"Note: {note}." for note in report.notes),
        f"Seed {report.pair.seed}. Made with pushforward {package_version()}.",
    ]
    return f"<footer>{''.join(f'<p>{_text(line)}</p>' for line in lines)}</footer>"
