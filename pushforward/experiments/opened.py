"""An opened run: its model, its manifest, and its training and held-out rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward import models  # noqa: F401 - fills the catalogue
from pushforward.core.argument_names import argument
from pushforward.core.capabilities import capabilities as capabilities_of
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.devices import find_device
from pushforward.core.errors import (
    BadRun,
    BadSource,
    InvalidKind,
    InvalidValue,
    SourceNotFound,
    printable,
)
from pushforward.core.fit_source import as_source
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.plugins import import_advice, imported_code
from pushforward.core.preparation import Preparation
from pushforward.core.provenance import Provenance
from pushforward.core.registry import registered_models
from pushforward.core.source import Source, fingerprint
from pushforward.core.storage import construct, has_preparation, load
from pushforward.data import read, split
from pushforward.data.formats.builtin import RENAMED
from pushforward.data.reading import absolute, requested_conditions
from pushforward.data.tables.files import is_table, is_text_table
from pushforward.data.tables.text_format import settings_among
from pushforward.fitting.feed import held_out_split

__all__ = [
    "MEASURED_ROWS", "OpenedRun", "Parts", "divide", "file_names", "iterate_batches", "labels_of",
    "at_source", "open_run", "outline_run", "read_again", "read_again_or_advise", "read_like",
    "read_under", "imports_named", "rows_of", "table_settings",
]  # fmt: skip

MEASURED_ROWS = 10_000
"""Default rows to measure: enough for two digits of a mean, and seconds for most models."""


@dataclass(frozen=True)
class Parts:
    """The rows trained on and those held out (None if none were)."""

    train: Source
    held_out: Source | None


@dataclass(frozen=True, repr=False)
class OpenedRun:
    """A run folder: its model, and its manifest if there is one.

    Args:
        folder: of the run.
        model: fitted.
        manifest: None if the folder has none.
    """

    folder: Path
    model: Any
    manifest: Manifest | None = None

    def __repr__(self) -> str:
        return f"OpenedRun({str(self.folder)!r}: {self.model!r})"

    @property
    def name(self) -> str:
        """The model's registered name."""
        return str(self.model.registered_name)

    @property
    def provenance(self) -> Provenance:
        """The origin of the rows, as far as recorded."""
        recorded = None if self.manifest is None else self.manifest.data
        return Provenance() if recorded is None else recorded

    @property
    def conditional(self) -> bool:
        """Whether the model was fitted with conditions."""
        return self.model.condition_space is not None

    def source(self, purpose: str) -> str:
        """The path or name of the rows.

        Raises:
            BadRun: If they were in memory.
        """
        source = self.provenance.source
        if source is None:
            raise BadRun(f"{self._why_unknown()}, so {purpose}")
        return source

    def _why_unknown(self) -> str:
        """Why nothing says where the rows came from."""
        if self.manifest is None:
            return f"{self.folder} holds no run.json, which says what rows it was fitted to"
        return f"{self.folder} was fitted to rows in memory"

    def rows(self, purpose: str, **reading: Any) -> Source:
        """All rows of the source, before they were split.

        Args:
            purpose: what they are needed for, in the error.
            reading: further arguments of `read`.

        Raises:
            BadRun: If they cannot be found.
        """
        self.source(purpose)
        with imports_named(self.folder, self.manifest):
            return read_again(self.provenance, **reading)

    def parts(self, source: str | None = None, **reading: Any) -> Parts:
        """The rows trained on and those held out, read again.

        Args:
            source: their location, if it differs from the run's record.
            reading: further arguments of `read`.

        Raises:
            BadRun: If they cannot be found, or differ from those the run was fitted to.
        """
        provenance = at_source(self.provenance, source)
        if provenance.source is None:
            raise BadRun(
                f"{self._why_unknown()}, so its unseen rows are unknown; pass"
                f" {argument('source', 'FILE')} with the rows it was fitted to, or"
                f" {argument('data', 'FILE')} with others"
            )
        settings = {} if self.manifest is None else self.manifest.settings
        with imports_named(self.folder, self.manifest):
            rows = read_again_or_advise(provenance, **reading)
        parts = divide(provenance, rows, settings)
        self._compare(provenance, parts, settings)
        return parts

    def _compare(self, provenance: Provenance, parts: Parts, settings: Mapping[str, Any]) -> None:
        """Raise BadRun if the rows differ from those the fitter received."""
        stored = "" if self.manifest is None else self.manifest.fingerprint
        whole = (
            parts.train
            if provenance.held_out is not None or not _own_share(settings)
            else read_again(provenance)
        )
        rows = self.model.prepared_for_fit(whole)
        if (stored and fingerprint(rows) != stored) or (
            provenance.rows is not None and len(rows) != provenance.rows
        ):
            hint = f" ({RENAMED})" if str(provenance.source).split(":")[0] == "ring" else ""
            raise BadRun(
                f"the rows in {provenance.source} are not those that {self.folder} was fitted to"
                f"{hint};"
                f" pass {argument('source', 'FILE')} with these, or {argument('data', 'FILE')} with"
                " rows it has not seen"
            )

    def can(self, *capabilities: str) -> bool:
        """Whether the model has all these capabilities, e.g. 'Encodes'."""
        return set(capabilities) <= set(capabilities_of(self.model))

    def need(self, lack: str, *capabilities: str) -> None:
        """Raise InvalidKind, naming suitable models, if the model lacks these capabilities."""
        if not self.can(*capabilities):
            raise InvalidKind(lacking(self.name, lack, *capabilities))


def lacking(name: str, lack: str, *capabilities: str) -> str:
    """That a model lacks capabilities, and which models have them."""
    able = [n for n, cls in registered_models() if set(capabilities) <= set(capabilities_of(cls))]
    return f"the {name} model {lack}; models that do: {', '.join(able)}"


def open_run(folder: str | Path, device: str = "cpu") -> OpenedRun:
    """The run in a folder, its model on a device."""
    path = Path(folder)
    manifest = Manifest.read(path)
    with imports_named(path, manifest):
        model = load(path, device=find_device(device))
    if manifest is not None and not has_preparation(path):
        model.preparation = _preparation(manifest)
    return OpenedRun(path, model, manifest)


def outline_run(folder: str | Path) -> OpenedRun:
    """The run in a folder with its model as described, without its tensors.

    That is enough to know what it can do, also of a fit that has not saved yet, and much faster.
    """
    path = Path(folder)
    manifest = Manifest.read(path)
    with imports_named(path, manifest):
        return OpenedRun(path, construct(path), manifest)


@contextmanager
def imports_named(folder: Path, manifest: Manifest | None) -> Iterator[None]:
    """Context manager: errors name the user's code that a run needs and that is not imported."""
    try:
        yield
    except (BadRun, BadSource, InvalidValue) as error:
        names = [] if manifest is None else manifest.imports
        missing = [name for name in names if name not in imported_code()]
        if not missing:
            raise
        raise type(error)(
            f"{folder} was fitted with user-defined code; {import_advice(missing)}"
            f" ({str(error).partition('; known:')[0]})"  # known names do not help
        ) from error


def _preparation(manifest: Manifest) -> Preparation:
    """The preparation of the data of a run from before model.json recorded it."""
    augment = manifest.settings.get("augment")
    binarise = isinstance(augment, (list, tuple)) and "binarise" in map(str, augment)
    seed = 0 if manifest.data is None else manifest.data.split_seed
    return Preparation(dequantise=manifest.dequantise is not False, binarise=binarise, seed=seed)


# --------------------------------------------------------------------------------------------- rows


def at_source(provenance: Provenance, source: str | None) -> Provenance:
    """The same rows at another location."""
    return provenance if source is None else replace(provenance, source=absolute(source))


def read_again(provenance: Provenance, **reading: Any) -> Source:
    """All rows of a source, with conditions only if requested.

    Args:
        reading: arguments of `read` that replace the original ones.
    """
    assert provenance.source is not None
    arguments = {**provenance.reading, **reading}
    return as_source(read(provenance.source, **arguments))


def read_again_or_advise(provenance: Provenance, **reading: Any) -> Source:
    """As `read_again`, where the caller can name rows that have moved.

    Raises:
        BadSource: If there is nothing at the source, with the argument that names another.
    """
    try:
        return read_again(provenance, **reading)
    except SourceNotFound as error:
        raise BadSource(
            f"the rows of the run are no longer where they were: {error}; if they have moved, pass"
            f" {argument('source', 'FILE')}"
        ) from error


def divide(
    provenance: Provenance, source: Source, settings: Mapping[str, Any] | None = None
) -> Parts:
    """Training and held-out rows.

    They follow the split, or else the share that a trainer held out itself.
    """
    share = provenance.held_out or 0
    if share != 0:
        train, held_out = split(source, held_out=share, seed=provenance.split_seed)
        return Parts(train, held_out)
    if settings and _own_share(settings):
        return Parts(*held_out_split(source, settings["held_out"], int(settings["seed"])))
    return Parts(source, None)


def _own_share(settings: Mapping[str, Any]) -> bool:
    """Whether a trainer itself held out a share of the rows."""
    share = settings.get("held_out")
    return isinstance(share, (int, float)) and not isinstance(share, bool)


def read_like(
    run: OpenedRun,
    file: Observations,
    y: Conditioning = None,
    table: Mapping[str, Any] | None = None,
) -> Source:
    """Rows from a file, name or memory, read into the space of a run's model.

    Conditions are read if the model has them.

    Args:
        y: the conditions: a column, a file, or 'auto'; those the run was fitted with if None. For
            rows in memory, the conditions themselves.
        table: format of a text table, where it differs from the run's own.
    """
    if isinstance(file, (str, os.PathLike)):
        reading = run.provenance.reading
        request = y or reading.get("y") or reading.get("label") or "auto"
        conditions = requested_conditions(request if run.conditional else None)
        source = read(file, like=run.model, **conditions, **table_settings(file, run, table))
    else:
        source, file = read(file, y=y if run.conditional else None, like=run.model), "data"
    if run.conditional and source.condition_space is None:
        raise BadSource(
            f"{file}: the model was fitted with conditions ({run.model.condition_space}), but these"
            f" data have none; pass {argument('y')}"
        )
    some = min(64, len(source))
    array = getattr(source, "x", None)
    run.model.fitted_space().conform(
        source.take(torch.arange(some)).x if array is None else array[:some],
        what=str(file),
        total=len(source),
    )
    return source


def read_under(
    run: OpenedRun,
    data: Observations,
    y: Conditioning = None,
    table: Mapping[str, Any] | None = None,
) -> Source:
    """Rows as `read_like` reads them.

    Raises:
        InvalidValue: If conditions are named and the model was fitted without.
    """
    if y is not None and not run.conditional:
        raise InvalidValue(
            f"{argument('y', printable(y))}: {run.folder} was fitted without conditions; leave"
            f" {argument('y')} out"
        )
    return read_like(run, data, y, table)


def table_settings(
    file: Observations, run: OpenedRun | None = None, table: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`read`'s arguments for a table: the given ones, over those of a run; empty for other data."""
    if not isinstance(file, (str, os.PathLike)):
        return {}
    path = Path(file).expanduser()
    settings = {**settings_among({} if run is None else run.provenance.reading), **(table or {})}
    if not path.exists() or not is_table(path):
        return {}
    return (
        settings
        if is_text_table(path)
        else {k: v for k, v in settings.items() if k in ("na", "dates")}
    )


def rows_of(source: Source, most: int = MEASURED_ROWS) -> Batch:
    """The first rows of a source, as one batch."""
    return source.take(torch.arange(min(most, len(source))))


@runtime_checkable
class Labelled(Protocol):
    """Rows with conditions, if there are any."""

    @property
    def y(self) -> Tensor | None:
        """The conditions in a source's form."""
        ...


def labels_of(model: Model, batch: Labelled) -> Any:
    """A batch's conditions in the form that methods accept; None for unconditional models."""
    return None if model.condition_space is None else model.condition_space.as_given(batch.y)


def iterate_batches(source: Source, size: int = 4096) -> Iterator[Batch]:
    """All rows, block by block."""
    for start in range(0, len(source), size):
        yield source.take(torch.arange(start, min(start + size, len(source))))


def file_names(source: Source) -> list[str] | None:
    """The names of the rows' files, if rows are files."""
    files = getattr(source, "files", None)
    return None if files is None else [str(getattr(f, "display_name", f)) for f in files]
