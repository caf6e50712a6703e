"""What pages can ask for, one module per room: functions of the studio and a request.

A verb is named after its room and function: 'latent.decode' is `decode` in `latent.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from pushforward.core.errors import InvalidValue

if TYPE_CHECKING:
    from pushforward.studio.messages import Answer, Request
    from pushforward.studio.studio import Studio

__all__ = ["ROOMS", "Verb", "find_verb"]

Verb = Callable[["Studio", "Request"], "Answer"]
ROOMS = ("learn", "runs", "latent", "edit", "density", "translate")


def find_verb(name: str) -> Verb:
    """The function of a verb.

    Raises:
        InvalidValue: If there is none of this name.
    """
    room, _, function = name.partition(".")
    if room in ROOMS:
        module = import_module(f"pushforward.studio.rooms.{room}")
        if function in module.__all__:
            verb: Verb = getattr(module, function)
            return verb
    raise InvalidValue(f"there is no {name!r} to ask for")
