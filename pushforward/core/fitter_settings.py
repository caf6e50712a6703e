"""The settings of a fitter, given by name to `fit`: `model.fit(x, epochs=3)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self, runtime_checkable

from pushforward.core.errors import InvalidKind, suggestion

__all__ = ["Adjustable", "adjust_fitter"]


@runtime_checkable
class Adjustable(Protocol):
    """A fitter whose settings can be given to `fit`."""

    @property
    def setting_names(self) -> tuple[str, ...]:
        """What can be set."""
        ...

    def with_settings(self, named: Mapping[str, Any], *, keep: bool = True) -> Self:
        """A fitter of the same kind with these settings, and with its own others if `keep`."""
        ...


def adjust_fitter(
    fitter: Any, named: Mapping[str, Any], arguments: Iterable[str], *, own: bool
) -> Any:
    """A fitter with further settings by name; InvalidKind for names that it does not have.

    Arguments:
        fitter: whose settings.
        named: the settings.
        arguments: what else `fit` takes, for the advice.
        own: whether it is the model's default fitter: a run to resume is not given its settings.
    """
    if not named:
        return fitter
    name = type(fitter).__name__
    if not isinstance(fitter, Adjustable):
        raise InvalidKind(
            f"{name} takes no settings in fit, got {', '.join(named)}; pass them where it is made"
        )
    for wrong in named:
        if wrong not in fitter.setting_names:
            names = [*fitter.setting_names, *arguments]
            raise InvalidKind(
                f"fit has no argument {wrong!r}, nor {name} a setting; {suggestion(wrong, names)}"
            )
    return fitter.with_settings(named, keep=not (own and named.get("resume") is not None))
