"""Which settings of a fitter were given, and which are only its defaults:
a run that is resumed has settings of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import Value

__all__ = ["Given", "as_json", "require_stored"]


class Given:
    """A dataclass that knows the names of the arguments it was called with."""

    given: frozenset[str] = frozenset()
    alternatives: ClassVar[tuple[str, ...]] = ()
    """Settings of which one replaces another."""

    def __new__(cls, *args: Any, **named: Any) -> Self:
        self = super().__new__(cls)
        fields = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
        self.given = frozenset(fields[: len(args)]) | named.keys()
        return self

    @property
    def setting_names(self) -> tuple[str, ...]:
        """What can be set."""
        return tuple(f.name for f in dataclasses.fields(self) if f.init)  # type: ignore[arg-type]

    def with_settings(self, settings: Mapping[str, Any], *, keep: bool = True) -> Self:
        """A fitter of the same kind with these settings, and with its own others if `keep`."""
        own = {name: getattr(self, name) for name in self.given} if keep else {}
        replaced = any(settings.get(name) is not None for name in self.alternatives)
        for name in self.alternatives if replaced else ():
            own.pop(name, None)
        return type(self)(**{**own, **settings})


def as_json(value: object) -> object:
    """A setting as plain JSON: values as their text."""
    if isinstance(value, Value):
        return str(value)
    if isinstance(value, Mapping):
        return {k: as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    return value


def require_stored(
    given: Mapping[str, Any], stored: Mapping[str, Any], folder: Path, names: Iterable[str]
) -> None:
    """InvalidValue for the first named setting that was given and
    is not the one that a run was begun with.
    """
    for name in names:
        if name in given and name in stored and as_json(given[name]) != stored[name]:
            raise InvalidValue(
                f"{folder} was begun with {name}={str(stored[name])[:80]}, not"
                f" {str(as_json(given[name]))[:80]}, and a run is resumed with its own settings;"
                f" leave {name} out, or begin a new run"
            )
