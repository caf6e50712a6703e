"""`pushforward hacks`: the 17 hacks for training GANs, what each does, and to what it applies."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single

__all__ = ["command"]


def hacks(json: Annotated[bool, typer.Option("--json", help="as JSON lines")] = False) -> None:
    """List the 17 hacks for training GANs, which can be switched on one by one."""
    from rich import box
    from rich.table import Table

    from pushforward.models.deep.hacks import NOT_SWITCHES, Hack, list_hacks

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "hack", "what it does", "applies to"):
        table.add_column(heading)
    for number, name, does, applies in list_hacks():
        if json:
            switch = number not in NOT_SWITCHES
            text = str(Hack.members[name]()) if switch else ""
            Voice(as_json=True).result(
                {
                    "number": number,
                    "name": name,
                    "does": does,
                    "applies": applies,
                    "switch": switch,
                    "text": text,
                }
            )
        table.add_row(str(number), name, does, applies)
    if not json:
        stdout().print(table)
        Voice().say(
            "switch some on: pushforward fit gan SOURCE --hacks"
            " soft_labels,'input_noise(sigma=0.1)'"
        )


def command() -> Any:
    """The command."""
    return single(hacks, "hacks")
