"""Whether an object has the members of a protocol, without the cost of `isinstance`.

Python looks a protocol's members up anew in each `isinstance`, which takes longer than the pass
over a few rows that depends on the answer.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, Protocol, TypeGuard, TypeVar, cast

__all__ = ["follows"]

P = TypeVar("P")


def follows(thing: object, protocol: type[P]) -> TypeGuard[P]:
    """`isinstance(thing, protocol)` for a protocol whose members are all public."""
    return all(hasattr(thing, name) for name in _members(cast(Hashable, protocol)))


@cache
def _members(protocol: Any) -> tuple[str, ...]:
    """The names of a protocol's methods and attributes, with those it inherits."""
    names = {
        name: None
        for base in protocol.__mro__
        if Protocol in base.__bases__
        for name in (*vars(base), *vars(base).get("__annotations__", {}))
    }
    return tuple(name for name in names if not name.startswith("_"))
