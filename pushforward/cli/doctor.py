"""`pushforward doctor`: versions, devices, and what is missing, with the line that installs it."""

from __future__ import annotations

import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice
from pushforward.cli.help import single

__all__ = ["command"]

_OURS = ("dev", "bench")


def doctor(json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Print versions, devices and missing extras, each with its exact install line."""
    facts = {"versions": versions(), "devices": devices(), "extras": extras(), "places": places()}
    lines = []
    for heading, content in facts.items():
        lines.append(heading)
        width = max(map(len, content), default=0)
        lines += [f"  {name:<{width}}  {text}" for name, text in content.items()]
    Voice(as_json=json).result(facts, "\n".join(lines))
    missing = [name for name, text in facts["versions"].items() if text.startswith("missing")]
    if missing:
        Voice().warn(
            f"{', '.join(missing)} missing; run: pip install --force-reinstall pushforward"
        )
        raise typer.Exit(2)


def command() -> Any:
    """The command."""
    return single(doctor, "doctor")


def needs() -> dict[str, list[str]]:
    """Required packages by extra; '' for those always required."""
    found: dict[str, list[str]] = {}
    for line in requires("pushforward") or []:
        package = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if package:
            found.setdefault(extra[1] if extra else "", []).append(package[0])
    return found


def versions() -> dict[str, str]:
    """Python, this package, and what it requires."""
    import platform

    found = {"python": f"{platform.python_version()} on {platform.platform()}"}
    return {**found, **{name: _version(name) for name in ("pushforward", *needs().get("", []))}}


def devices() -> dict[str, str]:
    """What can be computed on."""
    import torch

    memory = shutil.disk_usage(".").free / 2**30
    found = {"cpu": f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"}
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            p = torch.cuda.get_device_properties(i)
            found[f"cuda:{i}"] = f"{p.name}, {p.total_memory / 2**30:.0f} GiB"
    else:
        found["cuda"] = "none" if torch.version.cuda else "none (this torch was built without CUDA)"
    found["mps"] = "yes" if torch.backends.mps.is_available() else "none"
    return {**found, "disk": f"{memory:.1f} GiB free here"}


def extras() -> dict[str, str]:
    """Every optional part: there, or the line that installs it."""
    found = {}
    for extra, packages in needs().items():
        if not extra or extra in _OURS:
            continue
        absent = [p for p in packages if _version(p).startswith("missing")]
        have = ", ".join(f"{p} {_version(p)}" for p in packages if p not in absent)
        found[extra] = (
            f"missing {', '.join(absent)}; run: pip install 'pushforward[{extra}]'"
            if absent
            else have
        )
    return found


def places() -> dict[str, str]:
    """Where data are looked for."""
    root = os.environ.get("PUSHFORWARD_DATA")
    if not root:
        return {"PUSHFORWARD_DATA": "not set; mnist and cifar10 need it, or --download"}
    return {"PUSHFORWARD_DATA": root if os.path.isdir(root) else f"{root} (does not exist)"}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
