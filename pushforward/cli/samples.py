"""Samples against data, for the commands that measure them: rows as numbers, draws of a run, records in a feature space, a table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.cli.console import Voice
from pushforward.cli.runs import Run
from pushforward.core.errors import InvalidValue

if TYPE_CHECKING:
    from pushforward.core.records import Record
    from pushforward.metrics.features import Features

__all__ = ["Rows", "numbers", "drawn", "measured", "table"]

DRAWN_AT_ONCE = 2048


@dataclass(frozen=True)
class Rows:
    """Rows read or drawn, as numbers: x (n, *shape), labels (n,) where asked for, and what they are called."""

    text: str
    x: Any
    labels: Any
    space: Any
    described: str
    names: tuple[str, ...] = ()
    conditions: Any = None
    total: int = 0
    """How many rows there were to choose from."""

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The ends of the range of images' values."""
        return (None, None) if self.space.kind == "points" else (self.space.low, self.space.high)


def numbers(text: str, x: Any, space: Any, said: str, y: Any) -> Rows:
    """Whole numbers are rounded, as they would be when written to a file; categories become one column each."""
    import torch

    from pushforward.core.scaling import Scaling

    x = x.to(torch.float64)
    if space.kind != "points" and space.integer:
        x = x.round().clamp(space.low, space.high)
    names = tuple(str(name) for name in space.names) if space.kind == "points" and any(space.names) else ()
    if space.kind == "points":
        whole = torch.tensor([c.kind == "integer" for c in space.columns], dtype=torch.bool)
        x = torch.where(whole, x.round(), x)
    if space.categorical:
        x = Scaling.choose("identity", space)(x)
        names = tuple(
            part for c in space.columns for part in ([f"{c.name}={k}" for k in c.categories] if c.kind == "categorical" else [c.name])
        )
    labels = y.flatten() if y is not None and y.ndim == 1 else None
    return Rows(text, x, labels, space, said, names, y)


def drawn(run: Run, n: int, y: Any, seed: int) -> Any:
    """n samples of a run (n, *shape), under the conditions y (n, …) of a source (labels as codes) if it has any."""
    import torch

    from pushforward.core.random import generator

    stream = generator(seed, run.model.device)
    given = None if y is None else run.model.condition_space.as_given(y)
    starts = range(0, n, DRAWN_AT_ONCE)
    return torch.cat(
        [
            run.model.sample(min(DRAWN_AT_ONCE, n - i), y=None if given is None else given[i : i + DRAWN_AT_ONCE], rng=stream).cpu()
            for i in starts
        ]
    )


def measured(
    space: Features,
    truth: Rows,
    others: Sequence[Rows],
    learnt: Rows | None,
    metrics: Sequence[str],
    insisted: bool,
    names: Sequence[str],
    seed: int,
    voice: Voice,
) -> list[list[Record]]:
    """The records of every set in one space; of the usual metrics, those that cannot be had are left out, and it is said why."""
    from pushforward.metrics.pairs import FewRows
    from pushforward.metrics.scores import scores

    real = space(truth.x)
    train = None if learnt is None else space(learnt.x)
    found = []
    for other in others:
        drawn, records = space(other.x), []
        for metric in (m for m in metrics if m != "modes"):
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", FewRows)
                    records += scores(
                        real, drawn, space.computed(), metrics=[metric], train=train, names=names, rng=seed, data=truth.described
                    )
                for warning in caught:
                    if issubclass(warning.category, FewRows):
                        voice.warn(str(warning.message))
                    else:
                        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            except InvalidValue as error:
                if insisted:
                    raise
                voice.warn(f"{metric} left out: {error}")
        found.append(records)
    return found


def table(space: str, found: Sequence[Sequence[Record]], others: Sequence[Rows]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"features: {space}", title_justify="left", title_style="")
    table.add_column("metric", no_wrap=True)
    for other in others:
        table.add_column(f"{short(other.text)} ({len(other.x)})", justify="right", overflow="fold")
    table.add_column("ideal", justify="right", no_wrap=True)
    named = [{r.quantity: r for r in records} for records in found]
    for quantity in dict.fromkeys(r.quantity for records in found for r in records):
        line = [records.get(quantity) for records in named]
        first = next(r for r in line if r is not None)
        ideal = first.details.get("ideal")
        table.add_row(quantity, *(cell(r, first) for r in line), "" if ideal is None else f"{ideal:.4g}")
    return table


def short(text: str) -> str:
    """The end of a long path, which would make its column unreadable."""
    return text if len(text) <= 24 else Path(text).name


def cell(record: Record | None, first: Record) -> str:
    """Value, error bar, p-value; a dash where there is none; an error where it does not compare with the first of its line."""
    from pushforward.core.records import unlike

    if record is None:
        return "-"
    unlike(first, record)
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    p = record.details.get("p")
    return f"{record.value:.4g}{error}" + (f" (p {p:.2g})" if p is not None else "")
