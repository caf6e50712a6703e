"""The line that installs this package again, with an optional part."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import urlparse
from urllib.request import url2pathname

__all__ = ["install_line"]

NAME = "pushforward"


def install_line(extra: str = "") -> str:
    """`pip install …` of this package from its origin: a clone, a repository or an index."""
    part = f"[{extra}]" if extra else ""
    try:
        origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = str(origin.get("url", ""))
    if url.startswith("file:"):
        place = url2pathname(urlparse(url).path) + part
    elif url:
        system = origin.get("vcs_info", {}).get("vcs", "")
        place = f"{NAME}{part} @ {system}{'+' * bool(system)}{url}"
    else:
        place = NAME + part
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {editable}{shlex.quote(place)}"
