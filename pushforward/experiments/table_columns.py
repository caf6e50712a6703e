"""One column of two tables as a card of an HTML page: a plot, its ends, and what is missing."""

from __future__ import annotations

import html
import math

import numpy as np

from pushforward.core.columns import Column
from pushforward.core.records import Record
from pushforward.metrics.tables.pair import Floats, TablePair, present
from pushforward.plots.page_svg import bars_svg, histogram_svg
from pushforward.tabular.wording import in_words

__all__ = ["column_card"]

BINS = 32
MOST_BARS = 8
"""Categories with a bar of their own; the others share one."""
TAIL = 0.005
"""Share of the values at either end that is drawn in the outer bins: one outlier would otherwise
squeeze all others into one bin.
"""


def column_card(pair: TablePair, i: int, margin: Record) -> str:
    """A column's card as HTML."""
    column, name = pair.columns[i], pair.names[i]
    real, synthetic = pair.real[:, i], pair.synthetic[:, i]
    one, two = present(real), present(synthetic)
    score = "–" if not math.isfinite(margin.value) else f"{margin.value:.2f}"
    head = (
        f'<div class="head"><h3>{html.escape(name)}</h3><span class="number">{score}</span></div>'
    )
    label = f"{name}: real and synthetic values, likeness {score}"
    if not len(one) or not len(two):
        plot = '<p class="facts">no values to compare</p>'
    elif pair.categorical[i]:
        plot = _bars(column, one, two, label)
    else:
        plot = _histogram(column, one, two, label)
    return f'<section class="card">{head}{plot}{_facts(pair, i, margin)}</section>'


def _facts(pair: TablePair, i: int, margin: Record) -> str:
    p, q = (float(np.isnan(x[:, i]).mean()) for x in (pair.real, pair.synthetic))
    facts = [pair.columns[i].type or pair.columns[i].kind]
    if "expected" in margin.details:
        facts.append(f"fresh real rows: {margin.details['expected']:.2f}")
    if p or q:
        facts.append(f"missing: {100 * p:.1f} % real, {100 * q:.1f} % synthetic")
    return f'<p class="facts">{html.escape("; ".join(facts))}</p>'


def _histogram(column: Column, one: Floats, two: Floats, label: str) -> str:
    ends = [np.quantile(x, [TAIL, 1 - TAIL]) for x in (one, two)]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    if column.kind == "integer":  # as many whole numbers in every bin
        width = math.ceil((math.ceil(high) - math.floor(low) + 1) / BINS)
        edges = np.arange(math.floor(low), math.ceil(high) + 1 + width, width) - 0.5
    plot = histogram_svg(one, two, edges, label)
    first, last = (_end(v, column, high - low) for v in (low, high))
    return f'{plot}<p class="ends"><span>{first}</span><span>{last}</span></p>'


def _end(value: float, column: Column, width: float) -> str:
    """An end of an axis: a value of the table, with no more digits than the axis warrants."""
    if column.kind == "integer":
        return html.escape(in_words(round(value), column))
    return html.escape(in_words(value, column, width / 10))


def _bars(column: Column, one: Floats, two: Floats, label: str) -> str:
    size = max(len(column.categories), int(max(one.max(), two.max())) + 1)
    shares = [np.bincount(x.astype(np.int64), minlength=size) / len(x) for x in (one, two)]
    order = np.argsort(-(shares[0] + shares[1]), kind="stable")
    order = order[(shares[0] + shares[1])[order] > 0]
    shown = order if len(order) <= MOST_BARS else order[: MOST_BARS - 1]
    if column.ordered:
        shown = np.sort(shown)
    names = [column.categories[k] if k < len(column.categories) else str(k) for k in shown]
    bars = [[float(s[k]) for k in shown] for s in shares]
    rest = order[len(shown) :]
    if len(rest):
        names.append(f"{len(rest)} others")
        for values, s in zip(bars, shares):
            values.append(float(s[rest].sum()))
    return bars_svg(names, bars[0], bars[1], label)
