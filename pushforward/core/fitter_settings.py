"""The settings of a fitter, given by name to `fit`: `model.fit(x, epochs=3)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from pushforward.core.errors import InvalidKind, suggest

__all__ = ["Adjustable", "adjust_fitter"]

F = TypeVar("F")


@runtime_checkable
class Adjustable(Protocol):
    """A fitter whose settings can be given to `fit`."""

    @property
    def setting_names(self) -> tuple[str, ...]:
        """What can be set."""
        ...

    def with_settings(self, settings: Mapping[str, Any], *, keep: bool = True) -> Self:
        """A fitter of the same kind with these settings, and with its own others if `keep`."""
        ...


def adjust_fitter(
    fitter: F, settings: Mapping[str, Any], arguments: Iterable[str], *, is_default: bool
) -> F:
    """A fitter with further settings by name.

    Args:
        fitter: whose settings.
        settings: the settings.
        arguments: what else `fit` takes, for the advice.
        is_default: whether it is the model's default fitter:
            a run to resume is not given its settings.

    Raises:
        InvalidKind: For names that it does not have.
    """
    if not settings:
        return fitter
    name = type(fitter).__name__
    if not isinstance(fitter, Adjustable):
        raise InvalidKind(
            f"{name} takes no settings in fit, got {', '.join(settings)}; pass them where it is"
            " made"
        )
    for wrong in settings:
        if wrong not in fitter.setting_names:
            names = [*fitter.setting_names, *arguments]
            raise InvalidKind(
                f"fit has no argument {wrong!r}, nor {name} a setting; {suggest(wrong, names)}"
            )
    return fitter.with_settings(
        settings, keep=not (is_default and settings.get("resume") is not None)
    )
