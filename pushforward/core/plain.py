"""Conversion of settings to JSON content and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from pushforward.core.registry import Value

__all__ = ["Plain", "from_plain", "is_plain", "to_plain"]

Plain = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"]
"""A value that JSON can hold."""


def is_plain(value: object) -> bool:
    """Whether a value can be stored as JSON."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def to_plain(value: object) -> object:
    """A hyper-parameter as JSON.

    Values become {'family', 'text'}, tuples lists, and tensors nested lists.
    """
    if isinstance(value, Value):
        return {"family": value.family, "text": str(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    if isinstance(value, Tensor):
        return value.tolist()
    return value


def from_plain(value: object) -> object:
    """The inverse of `to_plain`.

    A value is returned as its text, which models parse in `__init__`.
    """
    if isinstance(value, dict) and set(value) == {"family", "text"}:
        return value["text"]
    if isinstance(value, list):
        return tuple(from_plain(v) for v in value)
    return value
