"""The 17 hacks for training GANs as values that can be switched on one by one.

Each value overrides the place where it acts; a GAN applies all of its hacks in turn. Four entries
of the list are not switches (`NOT_SWITCHES` gives the reasons).

Reference:
    Chintala, Denton, Arjovsky & Mathieu (2016), How to train a GAN? Tips and tricks to make GANs
    work. https://github.com/soumith/ganhacks
"""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.models.deep import game_hacks, player_hacks
from pushforward.models.deep.hack import Hack

__all__ = ["Hack", "NOT_SWITCHES", "list_hacks", "read_hacks"]

MODULES = (game_hacks, player_hacks)
"""The modules of the switches, which register on import."""
NOT_SWITCHES: dict[int, tuple[str, str, str]] = {
    7: (
        "dcgan",
        "use DCGAN, or a hybrid with a likelihood",
        "n/a: another model, not a switch: pf.DCGAN, or network='dcgan'",
    ),
    10: (
        "track_failures",
        "watch losses and gradients for early signs of failure",
        "n/a: always on: the watchdog, vitals and symptoms",
    ),
    11: (
        "no_balancing",
        "do not balance the players by their losses",
        "n/a: never done here; critic_steps is fixed in advance",
    ),
}
"""Entries of the list that are not switches: number -> (name, effect, reason)."""


def read_hacks(hacks: Sequence[Hack | str]) -> tuple[Hack, ...]:
    """The named hacks.

    Raises:
        InvalidValue: For one that is not a switch, is named twice, or contradicts another.
    """
    for hack in hacks:
        for number, (name, _, why) in NOT_SWITCHES.items():
            if str(hack) == name:
                raise InvalidValue(f"hack {number}, {name!r}, cannot be switched on ({why})")
    switches = tuple(read(Hack, hack) for hack in hacks)
    names = [hack.name for hack in switches]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise InvalidValue(f"the hack {twice!r} is given twice; give it once")
    if {"labels", "embedded_conditions"} <= set(names):
        raise InvalidValue(
            "the hacks 'labels' and 'embedded_conditions' both set how conditions enter; choose one"
        )
    return switches


def list_hacks() -> list[tuple[int, str, str, str]]:
    """All 17 in order: number, name, effect, where it applies."""
    switches = [(h.number, h.name, h.does, h.applies) for h in Hack.members.values()]  # type: ignore[attr-defined]
    return sorted([*switches, *((number, *text) for number, text in NOT_SWITCHES.items())])
