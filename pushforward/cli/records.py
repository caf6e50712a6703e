"""Records of samples as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pushforward.core.records import Record
    from pushforward.experiments.sample import Rows

__all__ = ["table"]


def table(space: str, found: Sequence[Sequence[Record]], others: Sequence[Rows]) -> Any:
    """Records as a table, a column for each set."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"features: {space}",
        title_justify="left",
        title_style="",
    )
    table.add_column("metric", no_wrap=True)
    for other in others:
        table.add_column(f"{short(other.text)} ({len(other.x)})", justify="right", overflow="fold")
    table.add_column("ideal", justify="right", no_wrap=True)
    named = [{r.quantity: r for r in records} for records in found]
    for quantity in dict.fromkeys(r.quantity for records in found for r in records):
        line = [records.get(quantity) for records in named]
        first = next(r for r in line if r is not None)
        ideal = first.details.get("ideal")
        table.add_row(
            quantity, *(cell(r, first) for r in line), "" if ideal is None else f"{ideal:.4g}"
        )
    return table


def short(text: str) -> str:
    """The end of a long path, which would make its column unreadable."""
    return text if len(text) <= 24 else Path(text).name


def cell(record: Record | None, first: Record) -> str:
    """Value, error bar, p-value; a dash where there is none;
    an error where it does not compare with the first of its line.
    """
    from pushforward.core.records import require_comparable

    if record is None:
        return "-"
    require_comparable(first, record)
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    p = record.details.get("p")
    return f"{record.value:.4g}{error}" + (f" (p {p:.2g})" if p is not None else "")
