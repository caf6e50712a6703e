"""Runs of format 1: `config.toml` and `trainer.json` read as one manifest."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadRun
from pushforward.core.folders import parse_json, read_file
from pushforward.core.provenance import Provenance

__all__ = ["FILES", "read_content"]

FILES = ("config.toml", "trainer.json")
MOST_TOML = 1 << 24
"""The largest config.toml that is read, in bytes: 16 MiB."""
_SPLIT = ("held_out", "split_seed", "dequantise", "label")


def read_content(folder: Path) -> dict[str, Any] | None:
    """The arguments of `Manifest`; None if neither file exists.

    Raises:
        BadRun: If one is damaged.
    """
    config, settings = _config(folder / "config.toml"), _settings(folder / "trainer.json")
    if config is None and settings is None:
        return None
    content: dict[str, Any] = {"model": ""}
    if settings is not None:
        content["fitter"] = "EM" if settings.pop("fitter", "") == "em" else "Trainer"
        content["settings"] = settings
    if config is None:
        return content
    path = folder / "config.toml"
    data, fitting = _table(config, "data", path), _table(config, "fitting", path)
    try:
        held_out = data.get("held_out") or None
        provenance = Provenance.from_dict(
            {
                "source": config["source"],
                "reading": {
                    **{k: v for k, v in data.items() if k not in _SPLIT and v != []},
                    **_label(data.get("label")),
                },
                "held_out": held_out,
                "split_seed": data.get("split_seed", 0),
            }
        )
    except (KeyError, BadRun) as error:
        raise BadRun(f"{path} is damaged ({error}); restore it from a copy") from error
    if not isinstance(config.get("model"), str) or not isinstance(
        data.get("dequantise"), bool | None
    ):
        raise BadRun(f"{path} is damaged (a value has the wrong type); restore it from a copy")
    start = fitting.get("start")
    if (
        content.get("fitter") == "EM"
    ):  # settings that do not affect the result were in config.toml alone
        content["settings"] = {**fitting, **content["settings"]}
    command = config["#"]
    return {
        **content,
        "model": config["model"],
        "hyperparameters": _table(config, "hyperparameters", path),
        "data": provenance,
        "dequantise": data.get("dequantise"),
        "start": start if isinstance(start, str) else None,
        "command": command,
    }


def _label(text: object) -> dict[str, Any]:
    """The --label option as `read` takes it: labels only on request."""
    if text is None:
        return {"label": False}
    if str(text).lower() in ("auto", "yes", "true"):
        return {"label": True}
    if "," in str(text) or ("." in str(text) and Path(str(text)).exists()):
        return {"y": text, "label": False}
    return {"label": text}


def _config(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        text = read_file(path, MOST_TOML).decode()
        first = text.partition("\n")[0]
        return {
            **tomllib.loads(text),
            "#": first.removeprefix("# ") if first.startswith("# ") else "",
        }
    except BadRun:
        raise
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BadRun(
            f"{path} is damaged: it cannot be read as TOML ({reason}); restore it from a copy"
        ) from error


def _settings(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = parse_json(read_file(path))
    except ValueError as error:
        if isinstance(error, BadRun):
            raise
        raise BadRun(f"{path} is damaged; restore it from a copy") from error
    if not isinstance(content, dict):
        raise BadRun(f"{path} is damaged (it has the wrong type); restore it from a copy")
    return content


def _table(config: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = config.get(name, {})
    if not isinstance(table, dict):
        raise BadRun(f"{path} is damaged ({name} has the wrong type); restore it from a copy")
    return table
