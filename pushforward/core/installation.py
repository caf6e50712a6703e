"""What is installed here: versions, devices, optional parts, and where data are looked for."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from pushforward.core.argument_names import setting
from pushforward.core.install_line import install_line

__all__ = [
    "describe_data_folder",
    "list_devices",
    "list_extras",
    "list_versions",
    "program_name",
]

NOT_FOR_USERS = ("dev", "bench")
"""Extras for those who work on the package."""


def _requirements() -> dict[str, list[str]]:
    """Required packages by extra; '' for those always required."""
    found: dict[str, list[str]] = {}
    for line in requires("pushforward") or []:
        package = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if package:
            found.setdefault(extra[1] if extra else "", []).append(package[0])
    return found


def list_versions() -> dict[str, str]:
    """Python, this package, and what it requires."""
    found = {"python": f"{platform.python_version()} on {platform.platform()}"}
    return {
        **found,
        **{name: _version(name) for name in ("pushforward", *_requirements().get("", []))},
    }


def list_devices() -> dict[str, str]:
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


def list_extras() -> dict[str, str]:
    """Every optional part: there, or the line that installs it."""
    found = {}
    for extra, packages in _requirements().items():
        if not extra or extra in NOT_FOR_USERS:
            continue
        absent = [p for p in packages if _version(p).startswith("missing")]
        have = ", ".join(f"{p} {_version(p)}" for p in packages if p not in absent)
        found[extra] = (
            f"missing {', '.join(absent)}; run: {install_line(extra)}" if absent else have
        )
    return found


def describe_data_folder() -> dict[str, str]:
    """Where data are looked for."""
    root = os.environ.get("PUSHFORWARD_DATA")
    if not root:
        fetching = setting("download", True)
        return {"PUSHFORWARD_DATA": f"not set; mnist and cifar10 need it, or {fetching}"}
    return {"PUSHFORWARD_DATA": root if os.path.isdir(root) else f"{root} (does not exist)"}


def program_name() -> str:
    """How this program is called from here, to be pasted into a shell."""
    beside = Path(sys.executable).parent / "pushforward"
    if not beside.exists() or shutil.which("pushforward") == str(beside):
        return "pushforward"
    relative = os.path.relpath(beside)
    return shlex.quote(relative if len(relative) < len(str(beside)) else str(beside))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
