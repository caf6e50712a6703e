"""Arguments that commands share: their names, how their texts are read, and their help."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token

from pushforward.core.errors import InvalidKind, require_seed
from pushforward.data.tables.text_format import TableFormat

__all__ = [
    "Conditions", "Device", "File", "FitOptions", "Json", "JsonLines", "JsonRecords", "Names",
    "Out", "Quiet", "Run", "Seed", "Switch", "Table", "Title", "Whole", "split_names",
    "table_settings", "whole_numbers",
]  # fmt: skip


def split_names(text: str) -> list[str]:
    """Names with commas between, those in parentheses aside: share=bounded(0,1) is one.

    Raises:
        InvalidKind: If there is none, or one is empty.
    """
    names = [name.strip() for name in re.split(r",(?![^(]*\))", text)]
    if not all(names):
        raise InvalidKind(f"expected names separated by commas, got {text!r}")
    return names


def whole_numbers(text: str | None, flag: str) -> list[int] | None:
    """Whole numbers from 0 up, with commas between."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidKind(
            f"{flag} must be whole numbers from 0, separated by commas, got {text!r}; pass"
            f" {flag} 0,1, say"
        )
    return [int(part) for part in parts]


def _whole(kind: Any, tokens: Sequence[Token]) -> int:
    """One whole number: cyclopts would round 2.7 to 3."""
    (token,) = tokens
    try:
        return int(token.value)
    except ValueError:
        flag = token.keyword or "a number"
        raise InvalidKind(
            f"{flag} must be a whole number, got {token.value!r}; write {flag} 20, say"
        ) from None


def _seed(kind: Any, tokens: Sequence[Token]) -> int:
    """One whole number that is not below 0."""
    return require_seed(_whole(kind, tokens))


def _names(kind: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Names with commas between, from every time that the flag is given."""
    return tuple(name for token in tokens for name in split_names(token.value))


Switch = Parameter(negative="")
"""A flag without a --no-flag."""
Whole = Annotated[int, Parameter(converter=_whole)]
Names = Annotated[tuple[str, ...], Parameter(converter=_names, negative="", n_tokens=1)]
Run = Annotated[str, Parameter(help="a run folder")]
File = Annotated[str, Parameter(help="observations, in the form the model was fitted on")]
Conditions = Annotated[
    str | None,
    Parameter(
        name="--y",
        help="conditions: a column, a file, or auto for those that come with the data",
    ),
]
Seed = Annotated[int, Parameter(converter=_seed, help="the same seed gives the same result")]
Device = Annotated[str, Parameter(help="cpu, cuda, cuda:1, or auto: a CUDA device if there is one")]
Form = Annotated[
    Literal["text", "csv", "latex", "markdown"],
    Parameter(name="--table", help="how tables are written: text, csv, latex or markdown"),
]
Out = Annotated[str | None, Parameter(name=("--out", "-o"))]
Title = Annotated[str | None, Parameter(help="over the image; the run's name if not given")]
Quiet = Annotated[
    bool, Parameter(name=("--quiet", "-q"), negative="", help="print only warnings and errors")
]
Json = Annotated[bool, Parameter(negative="", help="the result as JSON")]
JsonRecords = Annotated[
    bool,
    Parameter(name="--json", negative="", help="one record a line, as JSON, instead of tables"),
]
JsonLines = Annotated[
    bool, Parameter(name="--json", negative="", help="one JSON object per row instead of CSV")
]
Table = Annotated[TableFormat | None, Parameter(name="*", group=Group("Text tables", sort_key=9))]
"""How a text table is written.

A later file of a run is read as the run's own table was, but for what these flags say.
"""


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Flags of every fit that are no settings of it.

    Args:
        run: folder to write to; runs/MODEL-SOURCE-N if not given.
        overwrite: replace the run folder if it exists.
        config: a TOML file of settings, or a run whose settings to use.
        sets: any setting as name=value; repeatable.
        json: events as JSON lines, then the result.
        track: also write the events to tensorboard (RUN/tensorboard) or wandb, separated by commas.
    """

    run: str | None = None
    overwrite: Annotated[bool, Switch] = False
    config: str | None = None
    sets: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = ()
    quiet: Quiet = False
    json: Annotated[bool, Switch] = False
    track: Names = ()


def table_settings(table: TableFormat | None) -> dict[str, Any]:
    """What the flags say of a text table, as `read` takes it."""
    settings = {} if table is None else table.as_settings()
    if "na" in settings:
        settings["na"] = [text for item in settings["na"] for text in split_names(item)]
    return settings
