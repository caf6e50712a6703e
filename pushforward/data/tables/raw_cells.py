"""The cells of a text table as they are written, quotes included, so that all but a few of them can
be written again byte for byte.
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


def join_lines(lines: Iterable[str]) -> Iterator[str]:
    """Records of one line, or of several if a cell in quotes holds line ends."""
    record, quotes = "", 0
    for line in lines:
        record += line
        quotes += line.count('"')
        if quotes % 2 == 0:
            yield record
            record, quotes = "", 0
    if record:
        yield record


def split_record(record: str, separator: str) -> RawRecord:
    """The cells of a record as written; separators between quotes are part of a cell."""
    body = record.rstrip("\r\n")
    ending = record[len(body) :]
    if '"' not in body:
        return RawRecord(body.split(separator), ending)
    cells, start, quoted = [], 0, False
    for place, mark in enumerate(body):
        if mark == '"':
            quoted = not quoted
        elif mark == separator and not quoted:
            cells.append(body[start:place])
            start = place + 1
    return RawRecord([*cells, body[start:]], ending)
