"""Origin of the rows of a fit, stored in a run's manifest so that they can be found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pushforward.core.errors import BadRun, printable
from pushforward.core.plain import Plain

__all__ = ["Provenance", "find_provenance"]


@dataclass(frozen=True)
class Provenance:
    """The origin of rows.

    Args:
        source: an absolute path or glob, or the name of a built-in data set;
            None for rows in memory.
        reading: non-default arguments of `pushforward.read`.
        held_out: the share (or number) of rows that `pushforward.split` set aside;
            None if the rows are the whole source.
        split_seed: of that split.
        rows: number of fitted rows; None if unknown.
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
        """The inverse of `as_dict`.

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
                raise BadRun(f"{name} of the data has the wrong type, got {printable(value)}")
        return cls(**values)


def find_provenance(source: object) -> Provenance:
    """The origin of a source's rows; memory, unless the source records another."""
    recorded = getattr(source, "provenance", None)
    return recorded if isinstance(recorded, Provenance) else Provenance()
