"""Fitter settings with a record of which were passed explicitly.

Resumed runs have stored settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pushforward.core.errors import InvalidValue, require_known
from pushforward.core.registry import Value

__all__ = ["ExplicitSettings", "as_json", "require_stored"]


class ExplicitSettings:
    """A dataclass that records the names of the arguments it was called with."""

    given: frozenset[str] = frozenset()
    alternatives: ClassVar[tuple[str, ...]] = ()
    """Groups of settings that replace one another."""

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        self = super().__new__(cls)
        require_known(cls.__name__, keywords, cls._argument_names())
        fields = cls._argument_names()[: len(args)] if args else ()
        self.given = frozenset(fields) | keywords.keys()
        return self

    @property
    def setting_names(self) -> tuple[str, ...]:
        """Names of the settings."""
        return self._argument_names()

    @classmethod
    def _argument_names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in dataclasses.fields(cls) if f.init)  # type: ignore[arg-type]

    def with_settings(self, settings: Mapping[str, Any], *, keep: bool = True) -> Self:
        """A fitter of the same class with these settings, and with its own others if `keep`."""
        current = {name: getattr(self, name) for name in self.given} if keep else {}
        replaced = any(settings.get(name) is not None for name in self.alternatives)
        for name in self.alternatives if replaced else ():
            current.pop(name, None)
        return type(self)(**{**current, **settings})


def as_json(value: object) -> object:
    """A setting as plain JSON; values as text."""
    if isinstance(value, Value):
        return str(value)
    if isinstance(value, Mapping):
        return {k: as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    return value


def require_stored(
    explicit: Mapping[str, Any], stored: Mapping[str, Any], folder: Path, names: Iterable[str]
) -> None:
    """Raise InvalidValue for the first explicit setting that differs from a run's stored one."""
    for name in names:
        if name in explicit and name in stored and as_json(explicit[name]) != stored[name]:
            raise InvalidValue(
                f"{folder} was started with {name}={str(stored[name])[:80]}, not"
                f" {str(as_json(explicit[name]))[:80]}, and a run resumes with its own settings;"
                f" leave {name} out, or start a new run"
            )
