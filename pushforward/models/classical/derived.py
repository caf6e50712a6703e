"""Values derived from a model's tensors, kept until one of them changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

__all__ = ["Derived"]

T = TypeVar("T")


class Derived(Generic[T]):
    """One value that is a function of tensors, computed again once they are replaced or written to.

    Queries of a few rows would otherwise spend their time on decompositions.
    """

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._value: T | None = None

    def of(self, tensors: tuple[Tensor, ...], compute: Callable[[], T]) -> T:
        """The value for these tensors; `compute()` is called if it is not known."""
        try:
            versions = tuple([t._version for t in tensors])
        except RuntimeError:  # inference tensors have no version counter
            return compute()
        value = self._value
        known = len(tensors) == len(self._tensors) and versions == self._versions
        if value is None or not known or any(a is not b for a, b in zip(self._tensors, tensors)):
            value = compute()
            self._tensors, self._versions, self._value = tensors, versions, value
        return value

    def __deepcopy__(self, memo: dict[int, object]) -> Derived[T]:
        """Empty: the copy's tensors are others."""
        return Derived()

    def __getstate__(self) -> dict[str, object]:
        """Empty, as nothing derived is stored."""
        return {"_tensors": (), "_versions": (), "_value": None}
