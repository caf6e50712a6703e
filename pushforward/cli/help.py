"""Help as plain text in two columns, within 100 characters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from pushforward.core.docstrings import drop_full_stop
from pushforward.core.plugins import has_user_code

__all__ = ["HelpFormatter"]

WIDEST, NARROWEST = 100, 40
"""Characters in a line: as the code, and as little as leaves room for a description."""
LONGEST_NAME = 30
"""Characters; the description of a longer name begins on the next line."""
UNSAID = ("", "()", "False", "None")
"""Defaults that say nothing."""


def _users_names(flags: Sequence[str]) -> list[str]:
    """Names that the user's code registered for one of these flags."""
    if not has_user_code():  # keeps help fast: the package's own names are in docstrings
        return []
    from pushforward.core.samplers import Sampler
    from pushforward.metrics.feature_names import users_features
    from pushforward.metrics.scores import users_metrics

    names = {
        "--features": users_features,
        "--metrics": users_metrics,
        "--using": Sampler.users_members,
    }
    return [name for flag in flags if flag in names for name in names[flag]()]


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
        text = drop_full_stop(self._text(entry.description))
        names = _users_names(entry.positive_names)
        users = f"; yours: {', '.join(names)}" if names else ""
        choices = f" ({', '.join(entry.choices)})" if entry.choices else ""
        known = entry.default is not None and str(entry.default) not in UNSAID
        default = f" [default: {entry.default}]" if known else ""
        return " ".join(f"{text}{users}{choices}{default}".split())

    def _text(self, value: Any) -> str:
        value = getattr(value, "primary_renderable", value)
        return str(getattr(value, "plain", value) or "").strip()

    def _print(self, console: Any, text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
