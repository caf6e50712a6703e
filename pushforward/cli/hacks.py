"""`pushforward hacks`: the 17 hacks for training GANs, what each does, and to what it applies."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table

__all__ = ["hacks"]


def hacks(*, json: arguments.Json = False) -> None:
    """List the 17 hacks for training GANs, which can be switched on one by one.

    Args:
        json: as JSON lines.
    """
    from pushforward.models.deep.hacks import NOT_SWITCHES, Hack, list_hacks

    voice = Voice(as_json=json)
    if not json:
        rows = [(str(number), *texts) for number, *texts in list_hacks()]
        print_table(("", "hack", "what it does", "applies to"), rows)
        voice.say("switch some on: pushforward fit gan SOURCE --hacks soft_labels,input_noise")
        return
    for number, name, does, applies in list_hacks():
        is_switch = number not in NOT_SWITCHES
        text = str(Hack.members[name]()) if is_switch else ""
        facts = {"number": number, "name": name, "does": does, "applies": applies}
        voice.result({**facts, "switch": is_switch, "text": text})
