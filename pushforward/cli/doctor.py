"""`pushforward doctor`: versions, devices, and what is missing, with the line that installs it."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["doctor"]


def doctor(*, json: arguments.Json = False) -> int | None:
    """Print versions, devices and missing extras, each with its exact install line.

    Args:
        json: as JSON.
    """
    from pushforward.core import installation
    from pushforward.core.install_line import install_line

    facts = {
        "versions": installation.list_versions(),
        "devices": installation.list_devices(),
        "extras": installation.list_extras(),
        "places": installation.describe_data_folder(),
    }
    lines = []
    for heading, content in facts.items():
        lines.append(heading)
        width = max(map(len, content), default=0)
        lines += [f"  {name:<{width}}  {text}" for name, text in content.items()]
    Voice(as_json=json).result(facts, "\n".join(lines))
    missing = [name for name, text in facts["versions"].items() if text.startswith("missing")]
    if not missing:
        return None
    Voice().warn(f"{', '.join(missing)} missing; run: {install_line()}")
    return 2
