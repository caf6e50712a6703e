"""Settings of a fitter passed by name to `fit`: `model.fit(x, epochs=3)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from pushforward.core.errors import InvalidKind, suggest
from pushforward.core.reader import reading_arguments

__all__ = ["Adjustable", "adjust_fitter"]

F = TypeVar("F")


@runtime_checkable
class Adjustable(Protocol):
    """A fitter whose settings can be passed to `fit`."""

    @property
    def setting_names(self) -> tuple[str, ...]:
        """Names of the settings."""
        ...

    def with_settings(self, settings: Mapping[str, Any], *, keep: bool = True) -> Self:
        """A fitter of the same class with these settings, and with its own others if `keep`."""
        ...


def adjust_fitter(
    fitter: F, settings: Mapping[str, Any], arguments: Iterable[str], *, is_default: bool
) -> F:
    """Return a fitter with further settings.

    Args:
        fitter: whose settings.
        settings: by name.
        arguments: further arguments of `fit`, for the error's suggestion.
        is_default: whether it is the model's default fitter,
            whose settings do not apply to a resumed run.

    Raises:
        InvalidKind: For unknown names.
    """
    if not settings:
        return fitter
    name = type(fitter).__name__
    if not isinstance(fitter, Adjustable):
        raise InvalidKind(
            f"{name} takes no settings in fit, got {', '.join(settings)}; pass them to its"
            " constructor"
        )
    for wrong in settings:
        if wrong not in fitter.setting_names:
            if wrong in reading_arguments():
                raise InvalidKind(
                    f"fit has no argument {wrong!r}, which says how data are read; pass"
                    f" fit(pf.read(x, {wrong}=…))"
                )
            names = [*fitter.setting_names, *arguments]
            raise InvalidKind(
                f"fit has no argument {wrong!r}, nor {name} a setting; {suggest(wrong, names)}"
            )
    return fitter.with_settings(
        settings, keep=not (is_default and settings.get("resume") is not None)
    )
