"""Help without rich, so that it is there at once: sections by panel, in the order of the flags."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "Group", "single", "SETTINGS"]

SETTINGS: dict[str, Any] = {"max_content_width": 100, "help_option_names": ["--help", "-h"]}


class Command(TyperCommand):
    """A command whose help groups flags by their panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then every panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                heading = (
                    "Arguments"
                    if argument
                    else getattr(parameter, "rich_help_panel", None) or "Flags"
                )
                panels.setdefault(heading, []).append((" ".join(record[0].split()), record[1]))
        for heading, rows in panels.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=34)


class Group(TyperGroup):
    """A group whose help gives every command its whole line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Name and first sentence of each."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, (c.short_help or c.help or "").partition("\n\n")[0])
                    for name, c in commands
                    if c is not None
                ]
            )


def single(function: Any, name: str, **facts: Any) -> Any:
    """The command of one function."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name=name, cls=Command, context_settings=SETTINGS, **facts)(function)
    return typer.main.get_command(app)
