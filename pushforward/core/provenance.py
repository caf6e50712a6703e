"""Where the rows of a fit came from, so that they can be found again:
plain content for a run's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pushforward.core.errors import BadRun, printable
from pushforward.core.plain import Plain

__all__ = ["Provenance", "find_provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where rows came from.

    Args:
        source: an absolute path or glob, or the name of a built-in data set;
            None for rows in memory.
        reading: the arguments of `pushforward.read`, other than its defaults.
        held_out: the share (or number) of rows that `pushforward.split` set aside from these; None
            where the rows are all that the source has.
        split_seed: of that split.
        rows: how many rows were fitted; None if unknown.
    """

    source: str | None = None
    reading: Mapping[str, Plain] = field(default_factory=dict)
    held_out: float | int | None = None
    split_seed: int = 0
    rows: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain content."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Provenance:
        """What `as_dict` gave.

        Raises:
            BadRun: For a part of the wrong kind.
        """
        kinds: dict[str, tuple[type, ...]] = {
            "source": (str, type(None)),
            "reading": (dict,),
            "held_out": (int, float, type(None)),
            "split_seed": (int,),
            "rows": (int, type(None)),
        }
        values = {name: content[name] for name in kinds if name in content}
        for name, value in values.items():
            if not isinstance(value, kinds[name]) or isinstance(value, bool):
                raise BadRun(f"{name} of the data is of the wrong kind, got {printable(value)}")
        return cls(**values)


def find_provenance(source: object) -> Provenance:
    """Where the rows of a source came from; in memory, unless the source knows better."""
    known = getattr(source, "provenance", None)
    return known if isinstance(known, Provenance) else Provenance()
