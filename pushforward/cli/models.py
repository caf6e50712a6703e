"""`pushforward models`: what there is, and what each can do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single

__all__ = ["command"]

_VERBS = {
    "Samples": "sample", "HasDensity": "density", "HasBound": "density (bound)",
    "Encodes": "encode", "Assigns": "assign", "Conditions": "condition", "Translates": "translate",
}  # fmt: skip


def models(json: Annotated[bool, typer.Option("--json", help="as JSON lines")] = False) -> None:
    """List the models and what each can do."""
    from rich import box
    from rich.table import Table

    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.capabilities import capabilities
    from pushforward.core.registry import offered_models
    from pushforward.core.registry import registered_models as registered

    offered = offered_models()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("model", "what it is", "verbs"):
        table.add_column(heading)
    for name, cls in registered():
        can = capabilities(cls)
        line = offered.get(name) or (cls.__doc__ or "").strip().partition("\n")[0]
        verbs = [verb for known, verb in _VERBS.items() if known in can]
        verbs += ["reconstruct"] if {"Encodes", "Decodes"} <= set(can) else []
        if json:
            Voice(as_json=True).result(
                {"model": name, "summary": line, "capabilities": list(can), "verbs": verbs}
            )
        table.add_row(name, line, ", ".join(verbs))
    if not json:
        stdout().print(table)
        Voice().say("a model's flags: pushforward fit MODEL --help")


def command() -> Any:
    """The command."""
    return single(models, "models")
