"""The page of `pushforward demo`: pictures with captions, one table, and what to do next, in one
file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pushforward.experiments.html_page import escaped, html_page

__all__ = ["Exhibit", "first_look_page"]


@dataclass(frozen=True)
class Exhibit:
    """A picture with its caption.

    Args:
        title: a few words.
        caption: two or three sentences, with `code`.
        image: a .png or .gif.
        command: that uses the model in the picture; '' if there is none.
    """

    title: str
    caption: str
    image: Path
    command: str = ""


def first_look_page(
    exhibits: Sequence[Exhibit],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    commands: Sequence[str],
    *,
    note: str = "",
) -> str:
    """The page as text.

    Args:
        exhibits: in the order of the page.
        header, rows: of the table.
        commands: what to do next.
        note: what the table's numbers are.
    """
    cards = "".join(_card(exhibit) for exhibit in exhibits)
    next_ = "".join(f"<li><code>{escaped(command)}</code></li>" for command in commands)
    body = (
        "<header><h1>A first look at Pushforward</h1>"
        '<p class="quiet">Everything on this page was fitted on this machine, just now.</p>'
        f"</header><main>{cards}<h2>Which model knows digits best?</h2>"
        f"<p>{escaped(note)}</p>{_table(header, rows)}"
        f"<h2>What next?</h2><ul>{next_}</ul></main>"
    )
    return html_page("A first look at Pushforward", body)


def _card(exhibit: Exhibit) -> str:
    command = f"<p><code>{escaped(exhibit.command)}</code></p>" if exhibit.command else ""
    return (
        f'<section class="card"><h2>{escaped(exhibit.title)}</h2>'
        f"<p>{_with_code(exhibit.caption)}</p>"
        f'<img alt="{escaped(exhibit.title)}" src="{_address(exhibit.image)}">{command}</section>'
    )


def _with_code(text: str) -> str:
    """Text in which `this` is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escaped(text))


def _address(image: Path) -> str:
    kind = image.suffix.lstrip(".")
    return f"data:image/{kind};base64,{base64.b64encode(image.read_bytes()).decode()}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escaped(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )
