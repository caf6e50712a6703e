"""A table and a model of it: a run and the rows it was fitted to, or a table that a model is fitted
to first.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import BadRun, BadSource, FitWarning, InvalidKind, InvalidValue
from pushforward.core.frames import is_frame
from pushforward.core.registry import model_class, registered_models
from pushforward.core.source import Source
from pushforward.core.source_views import Subset
from pushforward.core.space import Space
from pushforward.core.space.export import to_frame
from pushforward.data import read
from pushforward.data.export.table_forms import TableForm, form_of
from pushforward.data.options import Options
from pushforward.data.tables.cells import READ_AS_MISSING
from pushforward.data.tables.files import is_table, is_text_table, open_table
from pushforward.data.tables.frames import frame_table
from pushforward.data.tables.relations import Relation, parse_relations, relations_of
from pushforward.data.tables.table import Table
from pushforward.experiments.opened import OpenedRun, open_run, table_settings
from pushforward.experiments.row_names import name_in_words, names_of_row
from pushforward.tabular.rules import Rules
from pushforward.tabular.wording import counted

__all__ = [
    "DEFAULT_MODELS",
    "FittedRows",
    "TableFile",
    "TableModel",
    "TableReading",
    "open_file",
    "open_model",
    "require_file",
]

DEFAULT_MODELS = ("mixed", "copula", "gmm")
"""Models that are fitted to a table without one: the first that is there."""
MOST_COMPONENTS = 6
"""Normal components that are tried, by Schwarz's criterion."""
SPOKEN_GAPS = 3
"""Columns whose markers of missing values are told."""
CHUNKED = 1 << 26
"""Bytes of a text table above which it is read in chunks: 64 MB."""


@dataclass(frozen=True)
class TableReading:
    """How a table without a run is read and fitted.

    Args:
        types: of columns, as `read` takes them; 'auto' infers them.
        drop: columns to leave out.
        relation: linear relations between columns, beside those stored with a run.
        model: the registered name of the model to fit; the default if None.
        table: the format of a text table.
        seed: of everything random.
    """

    types: Mapping[str, str] | Sequence[str] | str = "auto"
    drop: Sequence[str] | str = ()
    relation: Sequence[str] | str = ()
    model: str | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class TableFile:
    """A table as it is written: its cells, and their form.

    Args:
        table: that can be read repeatedly.
        options: how.
        path: None for tables in memory.
    """

    table: Table
    options: Options
    path: Path | None = None

    @property
    def form(self) -> TableForm:
        """How text tables like it are written."""
        return form_of(self.table, self.path)

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtypes of its columns by name; none of text tables, whose cells have no types."""
        if self.table.cells is not None:
            return {}
        first = next(iter(self.table.frames(self.options)))
        return {str(name): dtype for name, dtype in first.dtypes.items()}


@dataclass(frozen=True)
class FittedRows:
    """The rows that a model was fitted to.

    Args:
        rows: all rows, those held out too; None if they cannot be found.
        trained: the numbers of the rows that it was fitted to.
        file: the table of the rows; None if they come from elsewhere.
        lost: why the rows cannot be found.
    """

    rows: Source | None
    trained: NDArray[np.int64]
    file: TableFile | None = None
    lost: str = ""


@dataclass(frozen=True)
class TableModel:
    """A fitted model, and the rows that it was fitted to.

    Args:
        name: of the run or the table.
        model: fitted.
        rules: what its rows obey.
        find_rows: reads the rows; called when they are needed.
        run: None if the model was fitted here.
        said: what was fitted to what, in a sentence.
    """

    name: str
    model: Any
    rules: Rules
    find_rows: Callable[[], FittedRows]
    run: OpenedRun | None = None
    said: str = ""

    def __repr__(self) -> str:
        return f"TableModel({self.said})"

    @property
    def title(self) -> str:
        """The table's name, for pictures."""
        return Path(self.name).name

    @cached_property
    def _found(self) -> FittedRows:
        return self.find_rows()

    @property
    def rows(self) -> Source | None:
        """All rows, those held out too; None if they cannot be found."""
        return self._found.rows

    @property
    def trained_rows(self) -> Source | None:
        """The rows that it was fitted to, without those held out; None if they cannot be found."""
        rows = self.rows
        if rows is None or len(self.trained) == len(rows):
            return rows
        return Subset(rows, torch.from_numpy(self.trained))

    @property
    def trained(self) -> NDArray[np.int64]:
        """The numbers of the rows that the model was fitted to."""
        return self._found.trained

    @property
    def file(self) -> TableFile | None:
        """The table of the rows; None if they come from elsewhere."""
        return self._found.file

    @property
    def lost(self) -> str:
        """Why the rows cannot be found."""
        return self._found.lost

    @property
    def space(self) -> Space:
        """Of the model's columns."""
        return self.rules.space

    @property
    def relations(self) -> tuple[Relation, ...]:
        """Between the columns."""
        return self.rules.relations

    @property
    def carried(self) -> list[dict[str, Any]]:
        """The table's columns that are kept out of the model: name, type, place, value."""
        return list(self.space.extra.get("carried", ()))

    def need_rows(self, purpose: str) -> Source:
        """The rows.

        Raises:
            BadRun: If they cannot be found.
        """
        if self.rows is None:
            raise BadRun(f"{purpose} needs the rows that {self.name} was fitted to: {self.lost}")
        return self.rows

    def identify(self, row: int) -> str:
        """What a row of the table is called, such as 'id K-1012'; '' if nothing says so."""
        return name_in_words(names_of_row(self.space, self.rows, row))

    def refit(self, source: Source) -> Any:
        """A model of the same class and settings, fitted to other rows."""
        kind = type(self.model)
        return kind(**self.model.hyperparameters()).fit(source, quiet=True)


def open_model(
    what: Observations, reading: TableReading | None = None, **settings: Any
) -> TableModel:
    """The model of a run folder; or of a table (a path or in memory), fitted to it first.

    Args:
        what: a run folder, a table, or anything else of which `read` makes points.
        reading: how a table is read and fitted.
        settings: of the model that is fitted.

    Raises:
        InvalidKind: For data that are no points, or a model with conditions.
    """
    reading = reading or TableReading()
    if isinstance(what, (str, os.PathLike)) and (Path(what) / "model.json").is_file():
        return _of_run(open_run(Path(what)), reading)
    source = read(
        what,
        types=reading.types,
        drop=reading.drop,
        relation=reading.relation,
        label=False,
        **table_settings(what, table=reading.table),
    )
    _require_points(source.space, "the data")
    model, said = _fit(source, reading, settings)
    name = str(what) if isinstance(what, (str, os.PathLike)) else "the table"
    relations = parse_relations(reading.relation, source.space)
    rules = Rules(source.space, relations or relations_of(source.space))
    text = f"fitted {said} to {counted(len(source), 'row')} of {name}"
    gaps = [note for note in getattr(source, "notes", ()) if note.startswith(READ_AS_MISSING)]
    text = "; ".join([text, *gaps[:SPOKEN_GAPS]])
    file = open_file(what, reading.table) or _exported(source)
    rows = FittedRows(source, np.arange(len(source)), file)
    return TableModel(name, model, rules, lambda: rows, said=text)


def _of_run(run: OpenedRun, reading: TableReading) -> TableModel:
    if run.conditional:
        raise InvalidKind(
            f"{run.folder} was fitted with conditions; fit a model of all columns without them"
        )
    if reading.model is not None:
        raise InvalidValue(
            f"{run.folder} is a run, with a model of its own; leave"
            f" {argument('model', reading.model)} out, or pass its table"
        )
    space = run.model.fitted_space()
    _require_points(space, str(run.folder))
    relations = dict.fromkeys((*relations_of(space), *parse_relations(reading.relation, space)))
    rules, name = Rules(space, tuple(relations)), str(run.folder)
    said = f"{name}: {run.name} of {space}"
    return TableModel(name, run.model, rules, lambda: _rows_of_run(run), run, said=said)


def _rows_of_run(run: OpenedRun) -> FittedRows:
    try:
        train = run.parts().train
    except (BadRun, BadSource, OSError) as error:
        return FittedRows(None, np.arange(0), lost=str(error))
    rows = train.source if isinstance(train, Subset) else train
    trained = train.rows.numpy() if isinstance(train, Subset) else np.arange(len(rows))
    where = run.provenance.source or ""
    file = open_file(where, table_settings(where, run)) or _exported(rows)
    return FittedRows(rows, trained, file)


def _require_points(space: Space, what: str) -> None:
    if space.kind != "points" or not space.columns:
        raise InvalidKind(f"{what}: expected a table, got {space}; pass rows of columns")


def _fit(source: Source, reading: TableReading, settings: Mapping[str, Any]) -> tuple[Any, str]:
    """The model asked for, or the default, and its name with what was chosen."""
    there = dict(registered_models())
    name = reading.model or next(name for name in DEFAULT_MODELS if name in there)
    cls: Any = model_class(name)
    known = inspect.signature(cls.__init__).parameters
    given = {key: value for key, value in settings.items() if value is not None}
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        raise InvalidValue(f"the {name} model has no setting {unknown}; leave it out")
    if name != "gmm" or "components" in given:
        return cls(**given).fit(source, quiet=True), name
    fits: list[Any] = []
    criteria: list[float] = []
    for components in range(1, min(MOST_COMPONENTS, max(1, len(source) // 10)) + 1):
        with warnings.catch_warnings():  # about candidates that are not taken
            warnings.simplefilter("ignore", FitWarning)
            fits.append(cls(components=components, **given).fit(source, quiet=True))
        criteria.append(float(fits[-1].bic(source)))
        if components > np.argmin(criteria) + 2:
            break
    best = int(np.argmin(criteria))
    return fits[best], f"gmm ({best + 1} components, by BIC)"


# -------------------------------------------------------------------------------------------- files


def open_file(what: Observations, table: Mapping[str, Any] | None = None) -> TableFile | None:
    """A table as it is written; None for what is none.

    Args:
        what: a path, or a data frame.
        table: the format of a text table.
    """
    if is_frame(what):
        return TableFile(frame_table(what), _options({}))
    if not isinstance(what, (str, os.PathLike)):
        return None
    path = Path(what).expanduser()
    if not path.exists() or not is_table(path):
        return None
    settings = dict(table or {})
    if not is_text_table(path):
        settings = {key: value for key, value in settings.items() if key in ("na", "dates")}
    options = _options(settings)
    return TableFile(open_table(path, options), options, path)


def require_file(what: Observations, table: Mapping[str, Any] | None = None) -> TableFile:
    """A table as it is written.

    Raises:
        BadSource: For what is none, or does not exist.
    """
    file = open_file(what, table)
    if file is not None:
        return file
    return _exported(read(what, label=False))


def _exported(source: Source) -> TableFile:
    """Rows that are no table as one."""
    x = source.take(torch.arange(len(source))).x
    return TableFile(frame_table(to_frame(source.space, x)), _options({}))


def _options(table: Mapping[str, Any]) -> Options:
    none: dict[str, Any] = dict.fromkeys(("size", "fit", "channels", "like", "columns"))
    return Options.check(**none, memory=CHUNKED, categorical=(), drop=(), **table)
