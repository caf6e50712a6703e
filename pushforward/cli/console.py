"""Two streams: data on stdout, everything said to the user on stderr.
NO_COLOR and TERM are rich's to honour.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Voice", "first_process", "stderr", "stdout"]


def stderr() -> Console:
    """Where messages go; a console of its own for each use, so that a redirected stream is seen."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """Where tables go."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(highlight=False, width=wide)


def first_process() -> bool:
    """Whether this is the process that speaks: the only one,
    or the first of those launched together.
    """
    return (
        int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")) or 0) == 0
        and int(os.environ.get("NODE_RANK", "0") or 0) == 0
    )


@dataclass(frozen=True)
class Voice:
    """How much a command says.

    Args:
        quiet: only warnings and errors.
        as_json: results as JSON on stdout.
    """

    quiet: bool = False
    as_json: bool = False

    def say(self, text: str, style: str | None = None) -> None:
        """A message for the user, unless quiet."""
        if not self.quiet and first_process():
            stderr().print(text, style=style, markup=False)

    def warn(self, text: str) -> None:
        """Something to know even when quiet."""
        if first_process():
            stderr().print(f"warning: {text}", style="yellow", markup=False)

    def write(self, text: str) -> None:
        """A line of data."""
        if first_process():
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def result(self, content: Mapping[str, Any], text: str = "") -> None:
        """A result: as JSON where asked for, else the text."""
        if self.as_json:
            self.write(json.dumps(finite(content), default=str, ensure_ascii=False))
        elif text:
            self.write(text)


def finite(content: Any) -> Any:
    """JSON has no NaN and no infinity: such numbers become null."""
    if isinstance(content, Mapping):
        return {k: finite(v) for k, v in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(v) for v in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
