"""The groups that a mixture or k-means finds in a table, in words, as a table and as a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Assigns, HasDensity, capabilities
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.registry import model_class, registered_models
from pushforward.core.source import iterate_blocks, space_rows
from pushforward.core.source_views import Subset
from pushforward.experiments.table_models import TableModel, TableReading, open_model
from pushforward.experiments.view import Table, brief
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.groups import (
    Difference,
    differences,
    typical_row,
)
from pushforward.tabular.wording import FROM_ZERO, counted, in_words, listed, share

__all__ = ["Group", "Groups", "describe"]

MOST_ROWS = 100_000
"""Rows that are described, evenly spaced: means of so many are known to three digits."""
BLOCK = 4096
"""Rows that are assigned at once."""
SPOKEN = 5
"""Differences of each kind that a sentence names."""
MOST_COLUMNS = 30
"""Columns of a picture: those that differ most."""

LEAST_SHOWN, MOST_SHOWN = 1.0, 4.0
"""Differences of the darkest cells of a picture, at least and at most."""
NUMBERS, SHARES = "numbers: differences in standard deviations", "shares: Cohen's h"


@dataclass(frozen=True)
class Group:
    """A group of rows.

    Args:
        number: as `assign` gives it.
        size: rows.
        typical: the number of its most typical row.
        identity: that row's identifiers.
        differences: from the other rows, the largest first.
    """

    number: int
    size: int
    typical: int
    identity: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Groups:
    """The groups of a table's rows.

    Args:
        subject: the model.
        rows: how many were described.
        groups: those that hold rows.
        notes: what else is worth knowing.
    """

    subject: TableModel
    rows: int
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """One sentence about all, and one about each group."""
        found = "one group" if len(self.groups) == 1 else f"{len(self.groups)} groups"
        first = [
            self.subject.said,
            f"{counted(self.rows, 'row')} in {found}; {FROM_ZERO}",
            *self.notes,
        ]
        return [*first, *(self._sentence(group) for group in self.groups)]

    def _sentence(self, group: Group) -> str:
        size, of = counted(group.size, "row"), share(group.size / self.rows)
        parts = [f"group {group.number}: {size} ({of})"]
        said = [d for d in group.differences if d.worth_saying]
        for word, sign in (("high", 1), ("low", -1)):
            numbers = [self._number(d) for d in said if not d.is_share and d.effect * sign > 0]
            if numbers:
                parts.append(f"{word} {listed(numbers, SPOKEN)}")
        for word, sign in (("more often", 1), ("less often", -1)):
            shares = [self._share(d) for d in said if d.is_share and d.effect * sign > 0]
            if shares:
                parts.append(f"{word} {listed(shares, SPOKEN)}")
        if not said and len(self.groups) > 1:
            parts.append("nothing sets it far apart from the rest")
        name = f" ({group.identity})" if group.identity else ""
        return "; ".join([*parts, f"typical is row {group.typical}{name}"])

    def _number(self, d: Difference) -> str:
        column, name = self.subject.space.columns[d.column], self.subject.space.names[d.column]
        inside, outside = (in_words(v, column, d.scale or None) for v in (d.inside, d.outside))
        return f"{name} ({inside} against {outside})"

    def _share(self, d: Difference) -> str:
        name = self.subject.space.names[d.column]
        return f"{name} {self._category(d)} ({share(d.inside)} against {share(d.outside)})"

    def _category(self, d: Difference) -> str:
        if d.category == -2:
            return "missing"
        return in_words(d.category, self.subject.space.columns[d.column])

    @property
    def table(self) -> Table:
        """All differences: group, size, share, column, category, inside, outside (means or shares),
        the effect (Cohen's d, or h of shares), and whether it is worth saying.
        """
        names = (
            "group", "size", "share", "column", "category", "inside", "outside", "effect",
            "worth_saying",
        )  # fmt: skip
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for group in self.groups:
            for d in group.differences:
                column = self.subject.space.columns[d.column]
                pair = (d.inside, d.outside)
                texts = (
                    [share(v) for v in pair]
                    if d.is_share
                    else [in_words(v, column, d.scale or None) for v in pair]
                )
                entries = (
                    group.number, group.size, share(group.size / self.rows),
                    self.subject.space.names[d.column], self._category(d) if d.is_share else "",
                    *texts, round(d.effect, 2), d.worth_saying,
                )  # fmt: skip
                for name, entry in zip(names, entries):
                    columns[name].append(entry)
        return columns

    def __repr__(self) -> str:
        return brief(self.sentences)

    def plot(self, title: str = "") -> Figure:
        """A map of the groups' differences from the other rows, as in `table`."""
        from pushforward.plots import cell_map

        entries = self._cells()
        names = [name for name, _ in entries]
        values = np.array([v for _, v in entries]).T
        rows = [f"group {g.number} ({share(g.size / self.rows)})" for g in self.groups]
        texts = [[_signed(v) for v in row] for row in values]
        finite = np.abs(values[np.isfinite(values)])
        most = min(max(finite.max(initial=0.0), LEAST_SHOWN), MOST_SHOWN)
        return cell_map(
            values, rows, names, label="against the other rows", texts=texts, most=float(most),
            title=title or self._title, note=self._note,
        )  # fmt: skip

    @property
    def _note(self) -> str:
        said = {d.is_share: SHARES if d.is_share else NUMBERS for d in self._differences}
        return "; ".join(said[key] for key in sorted(said))

    @property
    def _differences(self) -> list[Difference]:
        return [d for group in self.groups for d in group.differences if d.category >= -1]

    @property
    def _title(self) -> str:
        name = self.subject.title
        if len(self.groups) == 1:
            return f"{name}: one group, so that there are no other rows"
        return f"{name}: how groups differ from the other rows"

    def _cells(self) -> list[tuple[str, list[float]]]:
        """Columns of numbers, and the categories that some group has more or less often."""
        cells: list[tuple[str, list[float]]] = []
        for j, column in enumerate(self.subject.space.columns):
            name, nothing = self.subject.space.names[j], [math.nan] * len(self.groups)
            effects = {-1: list(nothing)} if column.kind != "categorical" else {}
            for place, group in enumerate(self.groups):
                for d in group.differences:
                    if d.column == j and d.category >= -1:
                        effects.setdefault(d.category, list(nothing))[place] = d.effect
            if len(column.categories) == 2:  # the other is its mirror image
                effects = {k: v for k, v in effects.items() if k == 1}
            cells += [
                (name if k < 0 else f"{name} {in_words(k, column)}", v)
                for k, v in sorted(effects.items())
            ]
        strength = [float(np.nanmax(np.abs(v))) if np.isfinite(v).any() else 0.0 for _, v in cells]
        kept = sorted(np.argsort(-np.array(strength), kind="stable")[:MOST_COLUMNS].tolist())
        return [cells[k] for k in kept]


def _signed(effect: float) -> str:
    """An effect as a text; '' for almost nothing."""
    if np.isinf(effect):
        return "+∞" if effect > 0 else "-∞"
    return f"{effect:+.1f}" if abs(effect) >= 0.05 else ""


def describe(
    what: Observations,
    *,
    groups: int | None = None,
    reading: TableReading | None = None,
) -> Groups:
    """The groups of a table's rows: sizes, typical rows, and what is high, low or frequent in each.

    Args:
        what: a run folder, whose model has clusters; or a table, to which a model is fitted first.
        groups: how many to fit to a table; the model's own choice if None.
        reading: how a table is read and fitted.

    Raises:
        InvalidKind: If the model has no clusters.

    Example:
        >>> import numpy, pandas
        >>> x = numpy.random.default_rng(0).normal(size=(200, 2)).round(3)
        >>> x[:80, 0] += 10
        >>> found = describe(pandas.DataFrame(x, columns=["a", "b"]), groups=2)
        >>> sorted(group.size for group in found.groups)
        [80, 120]
    """
    reading = reading or TableReading()
    if groups is not None and groups < 1:
        raise InvalidValue(f"{argument('groups')} must be at least 1, got {groups}; pass 3, say")
    if reading.model is not None and "Assigns" not in capabilities(model_class(reading.model)):
        raise _no_groups(reading.model)
    subject = open_model(what, reading, **_settings(groups, reading))
    if not isinstance(subject.model, Assigns):
        raise _no_groups(subject.model.registered_name)
    if groups is not None and subject.run is not None:
        raise InvalidValue(
            f"{subject.name} is a run, with clusters of its own; leave {argument('groups')} out"
        )
    source = subject.need_rows("a description")
    chosen = space_rows(len(source), MOST_ROWS)
    part = Subset(source, chosen)
    blocks = [batch.x for batch in iterate_blocks(part, BLOCK)]
    labels = np.concatenate([subject.model.assign(x).cpu().numpy() for x in blocks])
    density = None
    if isinstance(subject.model, HasDensity):
        own = [
            subject.model.log_prob(x)
            + subject.model.responsibilities(x).amax(1).clamp_min(1e-300).log()
            for x in blocks
        ]
        density = torch.cat(own).detach().cpu().double().numpy()
    x = torch.cat(blocks).double().cpu().numpy()
    return _described(subject, x, labels, density, chosen.numpy(), len(source))


def _no_groups(name: str) -> InvalidKind:
    able = [name for name, cls in registered_models() if "Assigns" in capabilities(cls)]
    return InvalidKind(f"the {name} model finds no groups; models that do: {', '.join(able)}")


def _settings(groups: int | None, reading: TableReading) -> dict[str, Any]:
    if groups is None:
        return {}
    return {"clusters" if reading.model == "kmeans" else "components": groups}


def _described(
    subject: TableModel,
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
    density: NDArray[np.float64] | None,
    numbers: NDArray[np.int64],
    total: int,
) -> Groups:
    space = subject.space
    every = differences(x, labels, space)
    found = []
    for number in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == number)
        typical = int(numbers[typical_row(x, rows, space, density)])
        own = tuple(d for d in every if d.group == number)
        found.append(Group(number, len(rows), typical, subject.identify(typical), own))
    notes = (
        () if len(x) == total else (f"of {total:,} rows, {len(x):,} evenly spaced are described",)
    )
    return Groups(subject, len(x), tuple(found), notes)
