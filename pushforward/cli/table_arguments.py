"""Arguments that the verbs of tables share: how a table without a run is read and fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from pushforward.cli import arguments

__all__ = ["Fresh", "Subject", "reading_of"]

Subject = Annotated[
    str, Parameter(name="RUN|TABLE", help="a run folder, or a table, to which a model is fitted")
]
Repeated = Annotated[tuple[str, ...], Parameter(negative="", n_tokens=1)]


@dataclass(frozen=True, kw_only=True)
class FreshModel:
    """How a table that comes without a run is read, and what is fitted to it.

    Args:
        model: the model to fit, by name; a mixture if not given.
        types: what columns are, such as age=count,share=bounded(0,1); the others are inferred.
        drop: columns to leave out.
        relation: what rows obey, such as 'GS <= G' or 'PTS = 2*FG + FT'; repeatable.
        seed: the same seed gives the same result.
    """

    model: str | None = None
    types: arguments.Names = ()
    drop: arguments.Names = ()
    relation: Repeated = ()
    seed: arguments.Seed = 0


Fresh = Annotated[FreshModel | None, Parameter(name="*")]


def reading_of(fresh: FreshModel | None, table: Any) -> Any:
    """The flags as the library takes them."""
    from pushforward.experiments.table_models import TableReading

    fresh = fresh or FreshModel()
    return TableReading(
        types=fresh.types or "auto",
        drop=fresh.drop,
        relation=fresh.relation,
        model=fresh.model,
        table=arguments.table_settings(table),
        seed=fresh.seed,
    )
