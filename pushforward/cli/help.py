"""Help as plain text in two columns, within 100 characters."""

from __future__ import annotations

import textwrap
from typing import Any

__all__ = ["HelpFormatter"]

WIDEST, NARROWEST = 100, 40
"""Characters in a line: as the code, and as little as leaves room for a description."""
LONGEST_NAME = 30
"""Characters; the description of a longer name begins on the next line."""
UNSAID = ("", "()", "False", "None")
"""Defaults that say nothing."""


class HelpFormatter:
    """What cyclopts prints help with."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """One panel: its title, then a name and a description for each entry."""
        rows = [(self._name(entry), self._description(entry)) for entry in panel.entries]
        if not rows:
            return
        column = min(max(len(name) for name, _ in rows), LONGEST_NAME) + 4
        width = max(min(console.width, WIDEST), NARROWEST)
        lines = [f"{panel.title}:"]
        for name, description in rows:
            first, *rest = textwrap.wrap(description, max(width - column, 10)) or [""]
            if len(name) + 4 <= column:
                lines.append(f"  {name:<{column - 2}}{first}".rstrip())
            else:
                lines += [f"  {name}", " " * column + first]
            lines += [" " * column + line for line in rest]
        self._print(console, "\n".join(lines) + "\n")

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:
        """The usage line."""
        text = str(usage or "").strip().removeprefix("Usage:").strip()
        if text:
            self._print(console, f"Usage: {text}\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """What a command does."""
        text = self._text(description)
        if text:
            width = max(min(console.width, WIDEST), NARROWEST)
            parts = [textwrap.fill(part, width) for part in text.split("\n\n")]
            self._print(console, "\n\n".join(parts) + "\n")

    def _name(self, entry: Any) -> str:
        names = list(entry.positive_names)
        if entry.negative_names and len(names) == 1:
            names = [names[0].replace("--", "--[no-]", 1)]
        labels = [*names, *entry.positive_shorts]
        if entry.positional_label:
            return str(entry.positional_label)
        return ", ".join(labels) + (
            f" {entry.metavar.removesuffix('...')}" if entry.metavar else ""
        )

    def _description(self, entry: Any) -> str:
        text = self._text(entry.description).rstrip(".")
        choices = f" ({', '.join(entry.choices)})" if entry.choices else ""
        known = entry.default is not None and str(entry.default) not in UNSAID
        default = f" [default: {entry.default}]" if known else ""
        return " ".join(f"{text}{choices}{default}".split())

    def _text(self, value: Any) -> str:
        value = getattr(value, "primary_renderable", value)
        return str(getattr(value, "plain", value) or "").strip()

    def _print(self, console: Any, text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
