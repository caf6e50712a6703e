"""Flags that say how a text table is written, for every command that reads one.

`tabular` adds them to a command's own flags; what was typed is kept for the length of the call, and
`typed` gives it to what reads a file: a later file of a run is read as the run's own table was,
unless flags say otherwise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Annotated, Any

import typer

from pushforward.cli.flags import DATA, Flag

__all__ = ["tabular", "typed"]

_TYPED: ContextVar[Mapping[str, Any]] = ContextVar("table settings typed", default={})  # noqa: B039 - never changed
_PANEL = "Text tables"


def table_flags() -> list[Flag]:
    """The flags of a text table's format."""
    from pushforward.data.tables.text_format import SETTINGS

    return [flag for flag in DATA if flag.name in SETTINGS]


def tabular(function: Callable[..., None]) -> Callable[..., None]:
    """The command with the flags of text tables; read what was typed with `typed`."""
    flags = table_flags()
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def run(**given: Any) -> None:
        found = {}
        for flag in flags:
            value, refused = given.pop(flag.name), given.pop(f"no_{flag.name}", None)
            if refused:
                found[flag.name] = False
            elif value not in (None, []):
                found[flag.name] = flag.read(value, "")
        token = _TYPED.set(found)
        try:
            function(**given)
        finally:
            _TYPED.reset(token)

    parameters = [*signature.parameters.values(), *(p for flag in flags for p in _parameters(flag))]
    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def _parameters(flag: Flag) -> list[inspect.Parameter]:
    def parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
        )

    if flag.switch:
        shown = typer.Option(
            flag.option, help=flag.help, rich_help_panel=_PANEL, show_default=False, metavar=" "
        )
        hidden = typer.Option(f"--no-{flag.option[2:]}", hidden=True)
        return [
            parameter(flag.name, bool | None, shown),
            parameter(f"no_{flag.name}", bool | None, hidden),
        ]
    option = typer.Option(
        flag.option,
        help=flag.help,
        rich_help_panel=_PANEL,
        show_default=False,
        metavar=flag.metavar,
    )
    return [parameter(flag.name, list[str] | None if flag.repeats else str | None, option)]


def typed() -> dict[str, Any]:
    """The settings of this call's flags, as `read` takes them."""
    return dict(_TYPED.get())
