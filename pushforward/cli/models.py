"""`pushforward models`: the models, and what each can do."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table

__all__ = ["models"]

VERBS = {
    "Samples": "sample",
    "HasDensity": "density",
    "HasBound": "density (bound)",
    "Encodes": "encode",
    "Assigns": "assign",
    "Conditions": "condition",
    "Translates": "translate",
}
"""Capability -> the command for it."""


def models(*, json: arguments.Json = False) -> None:
    """List the models and what each can do.

    Args:
        json: as JSON lines.
    """
    from pushforward import models  # noqa: F401 - fills the catalogue
    from pushforward.core.capabilities import capabilities
    from pushforward.core.docstrings import drop_full_stop, summary_of
    from pushforward.core.registry import offered_models, registered_models

    voice, offered, rows = Voice(as_json=json), offered_models(), []
    for name, cls in registered_models():
        abilities = capabilities(cls)
        line = offered.get(name) or drop_full_stop(summary_of(cls))
        verbs = [verb for ability, verb in VERBS.items() if ability in abilities]
        verbs += ["enlarge"] if hasattr(cls, "enlarge") else []
        verbs += ["reconstruct"] if {"Encodes", "Decodes"} <= set(abilities) else []
        if json:
            content = {"model": name, "summary": line, "capabilities": list(abilities)}
            voice.result({**content, "verbs": verbs})
        rows.append((name, line, ", ".join(verbs)))
    if not json:
        print_table(("model", "what it is", "verbs"), rows)
        voice.say("a model's flags: pushforward fit MODEL --help")
