"""The inputs of a view of codes.

They are rows, the distribution of codes, a condition, and the labels of an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, suggest
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.data import read
from pushforward.data.reading import requested_conditions
from pushforward.experiments.labelled_rows import LabelledRows, if_available, pick
from pushforward.experiments.opened import OpenedRun, read_like, table_settings
from pushforward.experiments.sampling import ConditionsGiven, condition_rows
from pushforward.latent import CodeDistribution, infer_code_distribution
from pushforward.latent.paths import Along

__all__ = [
    "KINDS",
    "LatentKind",
    "LatentSettings",
    "find_attribute",
    "find_condition",
    "find_distribution",
    "find_rows",
    "require_codes",
]

LatentKind = Literal["grid", "traverse", "path", "direction"]
KINDS: tuple[LatentKind, ...] = get_args(LatentKind)
ROWS = 10_000
"""Rows that codes are measured on: enough for quantiles to two digits."""


@dataclass(frozen=True)
class LatentSettings:
    """A view as it was asked for, with the rows and the distribution of codes it goes by."""

    run: OpenedRun
    rows: LabelledRows | None
    codes: CodeDistribution
    steps: int
    reach: float | None
    dims: Sequence[int] | None
    ends: Sequence[int] | None
    along: Along
    positive: str | None
    y: Any
    y_given: bool
    seed: int
    title: str

    @property
    def model(self) -> Model:
        """The run's model."""
        model: Model = self.run.model
        return model

    @property
    def space(self) -> Space:
        """The space of what codes decode to."""
        return self.run.model.fitted_space()  # type: ignore[no-any-return]

    def needed_rows(self, purpose: str) -> LabelledRows:
        """The rows.

        Raises:
            BadRun: If there are none.
        """
        if self.rows is None:
            raise BadRun(f"there are no rows for {purpose}; pass {argument('data', 'FILE')}")
        return self.rows

    def standing(self) -> Tensor | None:
        """The code of the row to stand at; None for the centre.

        Of a model that cannot encode, a code drawn with that seed: the centre is no typical code.
        """
        if not isinstance(self.model, Encodes):
            return self.drawn(self.ends[:1] if self.ends else [self.seed])[0]
        if not self.ends:
            return None
        return self.encode(self.needed_rows("a row to start from"), self.ends[:1])[0]

    def drawn(self, seeds: Sequence[int]) -> Tensor:
        """Codes drawn from their distribution (len(seeds), latent), each from a seed of its own."""
        return torch.cat([self.codes.draw(1, rng=seed) for seed in seeds])

    def encode(self, rows: LabelledRows, chosen: Sequence[int]) -> Tensor:
        """Codes of some rows, each encoded under its own condition."""
        require_codes(self.model)
        x, y = pick(rows.x, chosen), rows.conditions(self.model, chosen)
        encoder = cast(Encodes, self.model)
        z = encoder.encode(x) if y is None else encoder.encode(x, y)
        return z.detach()


def find_rows(
    run: OpenedRun,
    data: Observations | None,
    kind: LatentKind | None,
    label: str | None,
    table: Mapping[str, Any] | None,
) -> tuple[LabelledRows | None, tuple[str, ...]]:
    """The rows asked for, else those fitted to; None and a note if these cannot be found."""

    def find() -> LabelledRows:
        file = run.source("which rows these were is unknown") if data is None else data
        if kind == "direction" and not run.conditional:
            labels = requested_conditions(label or "auto")
            settings = table_settings(file, run, table)
            return LabelledRows.of(read(file, like=run.model, **labels, **settings), ROWS)
        return LabelledRows.of(read_like(run, file, label, table), ROWS)

    rows, notes = if_available(find, required=data is not None or label is not None)
    if rows is None and (kind == "direction" or (kind == "path" and run.can("Encodes"))):
        raise BadRun(
            f"{kind} needs rows, and those that {run.folder} was fitted on cannot be found; pass"
            f" {argument('data', 'FILE')}"
        )
    return rows, notes


def find_distribution(
    run: OpenedRun, rows: LabelledRows | None, from_rows: bool
) -> CodeDistribution:
    """The distribution of codes: the prior's, or that of the rows' codes.

    The latter is used without a prior or if the caller passes rows.
    """
    model = run.model
    y = None if rows is None else rows.conditions(model)
    if from_rows and rows is not None and isinstance(model, Encodes):
        return infer_code_distribution(model, rows.x, y)
    try:
        return infer_code_distribution(model)
    except InvalidKind as error:
        if rows is None:
            raise BadRun(
                f"the {run.name} model has no prior, so its codes' range must be taken from rows;"
                f" pass {argument('data', 'FILE')}"
            ) from error
        return infer_code_distribution(model, rows.x, y)


def find_condition(
    model: Model, y: ConditionsGiven, rows: LabelledRows | None, table: Mapping[str, Any] | None
) -> Conditioning:
    """The condition to decode under: the one given, else that of the first row."""
    space = model.condition_space
    if y is None and space is not None and rows is not None:
        first: Conditioning = rows.conditions(model)[:1]
        return first
    codes, _ = condition_rows(model, y, 1, table=table)
    return None if codes is None or space is None else space.as_given(codes)


def find_attribute(rows: LabelledRows, positive: str | None) -> tuple[Tensor, int, str]:
    """Labels as whole numbers (n,), the one that is the attribute, and its name."""
    space = rows.condition_space
    if rows.y is None or space is None or not space.is_label:
        raise InvalidValue(
            "a direction needs labels, and these data have none; pass"
            f" {argument('label', 'COLUMN')}, or a file of them"
        )
    labels = rows.y if rows.y.ndim == 1 else rows.y[:, 0]
    names = space.columns[0].categories
    if positive is None and len(names) != 2:
        raise InvalidValue(
            f"there are {len(names)} labels; pass {argument('positive')} with one of:"
            f" {', '.join(names[:10])}"
        )
    if positive is not None and positive not in names:
        raise InvalidValue(
            f"{argument('positive', repr(positive))} is none of the labels;"
            f" {suggest(positive, names)}"
        )
    name = names[-1] if positive is None else positive
    return labels, names.index(name), name


def require_codes(model: Model) -> None:
    if not isinstance(model, Encodes):
        raise InvalidKind(
            f"the {model.registered_name} model cannot encode observations; grid, traverse, and"
            " paths between codes that it draws do not need to"
        )
