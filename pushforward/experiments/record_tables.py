"""Records as tables for a terminal or a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from pushforward.core.records import Record, require_comparable
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.sample import Rows
from pushforward.metrics.reconstruction import STANDARDISED

__all__ = ["LIKENESS", "bounds_table", "likeness_tables", "samples_table"]

HEADINGS = {
    "log_prob": "log-density",
    "elbo": "ELBO",
    "iwae": "IW bound",
    "squared_error": "squared error",
    "naive": "naive Monte Carlo",
    "ais": "AIS",
    "bdmc": "BDMC",
}
LIKENESS = {
    "psnr": "PSNR, dB ↑",
    "psnr of bicubic": "PSNR of bicubic interpolation, dB",
    "ssim": "SSIM ↑",
    "ssim of bicubic": "SSIM of bicubic interpolation",
    "ssim_daala": "SSIM, window by height (daala) ↑",
    "ssim_daala of bicubic": "the same of bicubic interpolation",
    "absolute_error": "absolute error, share of the range ↓",
    "gradient_energy": "gradient energy, share of the originals'",
    "histogram_L": "histogram of L, intersection ↑",
    "histogram_a": "histogram of a, intersection ↑",
    "histogram_b": "histogram of b, intersection ↑",
    "pixel_accuracy": "pixel accuracy ↑",
    "class_accuracy": "class accuracy ↑",
    "mean_iou": "mean IoU ↑",
    "majority": "accuracy of the largest class",
    "variation": "variation by noise, share of the range",
    "variation_sd": "its standard deviation",
    "variation_of_error": "variation / error",
}
"""Measures of images made from images; arrows say which way is better."""
OF_CLIPS = {
    "motion": "motion, share of the data's",
    "consistency": "temporal consistency",
    "mask": "share of a clip that masks cover",
    "mask IoU": "IoU of masks with what moves ↑",
    "foreground variance": "variance over time, foreground",
    "background variance": "variance over time, background ↓",
}
"""Measures of clips, of values scaled to [0, 1]."""
TITLES = {"images made from images, beside the originals": LIKENESS, "clips": OF_CLIPS}
SAMPLED = {
    "fid": ("fid ↓", 0.0),
    "kid": ("kid ↓", 0.0),
    "precision": ("precision ↑", None),
    "recall": ("recall ↑", None),
    "coverage": ("coverage ↑", None),
}
"""How measures in feature spaces are shown, and the ideal where records have none."""
LONGEST_NAME = 24
"""Characters of a set's name; a longer path would make its column unreadable."""


def bounds_table(
    runs: Sequence[OpenedRun], measured: Sequence[Sequence[Record]]
) -> tuple[str, Table | None, str]:
    """What was measured on which rows, a row for each run, and a note on how to read it.

    The table is None if all that was measured belongs in those of `likeness_tables`.
    """
    quantities = [
        quantity
        for quantity in HEADINGS
        if any(record.quantity == quantity for records in measured for record in records)
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("model", no_wrap=True)
    for quantity in quantities:
        table.add_column(HEADINGS[quantity], justify="right", no_wrap=True)
    for run, records in zip(runs, measured):
        if any(record.quantity in quantities for record in records) or len(runs) == 1:
            cells = [[r for r in records if r.quantity == quantity] for quantity in quantities]
            table.add_row(str(run.folder), run.name, *map(_bounds, cells))
    example = next(record for records in measured for record in records)
    densities = next((r for records in measured for r in records if r.measure), None)
    heading = f"measured on {example.data}"
    if densities:
        heading += (
            f"; log-densities in nats per observation ({densities.measure}), ≥ marks a lower bound"
        )
    if any(record.unit == STANDARDISED for records in measured for record in records):
        heading += f"; squared errors in {STANDARDISED} of each column"
    note = (
        "BDMC: bounds on as many rows simulated from each model; AIS may be off by their distance"
    )
    return heading, table if quantities else None, note if "bdmc" in quantities else ""


def _bounds(records: Sequence[Record]) -> str:
    """A number with its error; both ends if there are two."""
    if not records:
        return "-"
    if len(records) > 1:
        lower, upper = records
        return f"{lower.value:.2f} to {upper.value:.2f}"
    (record,) = records
    sign = {"lower bound": "≥ ", "upper bound": "≤ "}.get(record.bound, "")
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    return f"{sign}{record.value:.2f}{error}"


def likeness_tables(
    runs: Sequence[OpenedRun], measured: Sequence[Sequence[Record]]
) -> list[tuple[str, Table]]:
    """Measures of images made from images, and of clips: a title and a table of each there are.

    A table has a column for each run.
    """
    by_quantity = [{record.quantity: record for record in records} for records in measured]
    tables = []
    for title, labels in TITLES.items():
        lines = [name for name in labels if any(name in records for records in by_quantity)]
        if not lines:
            continue
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("measure", no_wrap=True)
        for run in runs:
            name = str(run.folder)
            shown = name if len(name) <= LONGEST_NAME else Path(name).name
            table.add_column(shown, justify="right", overflow="fold")
        table.add_column("ideal", justify="right", no_wrap=True)
        for name in lines:
            line = [records.get(name) for records in by_quantity]
            first = next(record for record in line if record is not None)
            ideal = first.details.get("ideal")
            cells = [_value(record, first) for record in line]
            table.add_row(labels[name], *cells, "" if ideal is None else f"{ideal:.4g}")
        tables.append((title, table))
    return tables


def samples_table(measured: Sequence[Sequence[Record]], samples: Sequence[Rows]) -> Table:
    """Records in one feature space, a column for each set of samples."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for each in samples:
        name = each.text if len(each.text) <= LONGEST_NAME else Path(each.text).name
        table.add_column(f"{name} ({len(each.x)})", justify="right", overflow="fold")
    table.add_column("ideal", justify="right", no_wrap=True)
    by_quantity = [{record.quantity: record for record in records} for records in measured]
    for quantity in dict.fromkeys(record.quantity for records in measured for record in records):
        line = [records.get(quantity) for records in by_quantity]
        first = next(record for record in line if record is not None)
        label, usual = SAMPLED.get(quantity, (quantity, None))
        ideal = first.details.get("ideal", usual)
        cells = [_value(record, first) for record in line]
        table.add_row(label, *cells, "" if ideal is None else f"{ideal:.4g}")
    return table


def _value(record: Record | None, first: Record) -> str:
    """Value, error bar and p-value, or a dash.

    Raises:
        InvalidValue: If it does not compare with the first of its line.
    """
    if record is None:
        return "-"
    require_comparable(first, record)
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    p = record.details.get("p")
    return f"{record.value:.4g}{error}" + (f" (p {p:.2g})" if p is not None else "")
