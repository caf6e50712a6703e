"""The cells of a text table as they are written, quotes included, so that all but a few of them can
be written again byte for byte.

Quotes count as pandas counts them: they enclose a cell if it begins with one, blanks aside, and are
two if one is meant; elsewhere they are marks like others, as in 5" pipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["RawRecord", "join_lines", "split_record"]


@dataclass
class RawRecord:
    """One record of a text table: its cells as written, and its line ending."""

    cells: list[str]
    ending: str

    def written(self, separator: str) -> str:
        """The record as text."""
        return separator.join(self.cells) + self.ending


def join_lines(lines: Iterable[str], separator: str) -> Iterator[str]:
    """Records of one line, or of several if a cell in quotes holds line ends."""
    record: list[str] = []
    quoted = False
    for line in lines:
        record.append(line)
        if quoted or '"' in line:
            quoted = _cell_ends(line, separator, quoted)[1]
        if not quoted:
            yield "".join(record)
            record = []
    if record:
        yield "".join(record)


def split_record(record: str, separator: str) -> RawRecord:
    """The cells of a record as written; separators between quotes are part of a cell."""
    body = record.rstrip("\r\n")
    ending = record[len(body) :]
    if '"' not in body:
        return RawRecord(body.split(separator), ending)
    cells, start = [], 0
    for end in (*_cell_ends(body, separator)[0], len(body)):
        cells.append(body[start:end])
        start = end + 1
    return RawRecord(cells, ending)


def _cell_ends(text: str, separator: str, quoted: bool = False) -> tuple[list[int], bool]:
    """Where separators between cells are, and whether the text ends between quotes; `quoted` if it
    begins so.
    """
    ends: list[int] = []
    place = 0
    while True:
        if not quoted:
            while text[place : place + 1] == " " != separator:
                place += 1
            quoted = text[place : place + 1] == '"'
            place += quoted
        if quoted:
            place = _closing_quote(text, place) + 1
            if not place:
                return ends, True
            quoted = False
        end = text.find(separator, place)
        if end < 0:
            return ends, False
        ends.append(end)
        place = end + 1


def _closing_quote(text: str, place: int) -> int:
    """Where a quote is that is not one of two; -1 if there is none."""
    while (place := text.find('"', place)) >= 0 and text[place + 1 : place + 2] == '"':
        place += 2
    return place
