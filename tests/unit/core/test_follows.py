"""`follows` agrees with `isinstance` on protocols, whatever their members."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pytest

from pushforward.core.follows import follows


@runtime_checkable
class Named(Protocol):
    name: str


@runtime_checkable
class Speaks(Protocol):
    def speak(self) -> str: ...


@runtime_checkable
class Both(Named, Speaks, Protocol):
    age: int


class Dog:
    def __init__(self, *, aged: bool) -> None:
        self.name = "Rex"
        if aged:
            self.age = 3

    def speak(self) -> str:
        return "wuff"


class Stone:
    name = "granite"


@pytest.mark.parametrize("protocol", [Named, Speaks, Both])
@pytest.mark.parametrize("thing", [Dog(aged=True), Dog(aged=False), Stone(), object()])
def test_it_agrees_with_isinstance(thing: object, protocol: type) -> None:
    assert follows(thing, protocol) == isinstance(thing, protocol)
