"""The settings of a run under the names of flags and configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.core.manifest import Manifest
from pushforward.core.provenance import Provenance

__all__ = ["sections"]


def sections(manifest: Manifest) -> dict[str, Any]:
    """The content of a configuration file that repeats the fit; unset settings are omitted."""
    data = manifest.data or Provenance()
    fitting = {
        name: value
        for name, value in manifest.settings.items()
        if name not in ("optimizers", "schedule", "held_out")
    }
    fitting |= {
        "optimizer": _by_phase(manifest.settings.get("optimizers")),
        "schedule": _by_phase(manifest.settings.get("schedule")),
    }
    reading = {name: value for name, value in data.reading.items() if name not in ("label", "y")}
    reading |= {
        "held_out": data.held_out or 0,
        "split_seed": data.split_seed,
        "dequantise": manifest.dequantise,
    }
    reading["label"] = _label(data)
    return {
        **({"model": manifest.model} if manifest.model else {}),
        **({"source": data.source} if data.source else {}),
        "hyperparameters": _set(
            {name: _text(value) for name, value in manifest.hyperparameters.items()}
        ),
        "fitting": _set({**fitting, "start": manifest.start}),
        "data": _set(reading),
    }


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(value: object) -> object:
    """Values as text."""
    if isinstance(value, Mapping) and set(value) == {"family", "text"}:
        return value["text"]
    return [_text(part) for part in value] if isinstance(value, (list, tuple)) else value


def _by_phase(value: object) -> list[str]:
    """One text for each phase, or one for all."""
    if isinstance(value, Mapping):
        return [f"{phase}={text}" for phase, text in value.items()]
    return [] if value is None else [str(value)]


def _label(data: Provenance) -> str | None:
    """The requested labels in the form of --label."""
    label = data.reading.get("label")
    conditions = data.reading.get("y") or ("auto" if label is True else label or None)
    return None if conditions is None else str(conditions)
