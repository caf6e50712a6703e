"""The rows of a file judged by a model chunk by chunk, of which only the oddest are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.counting import count_rows
from pushforward.data.tables.typed_rows import TypedRows, Unseen, typed_rows
from pushforward.experiments.row_names import naming_columns
from pushforward.experiments.table_models import TableFile, TableModel
from pushforward.tabular.given_rest import BLOCK
from pushforward.tabular.oddity import Calibration, Scores

__all__ = ["JudgedRows", "KeptRow", "judge_file"]


@dataclass(frozen=True)
class KeptRow:
    """A row that may be among the oddest.

    Args:
        x: its values (d,), NaN for missing ones.
        identity: its identifiers by column.
        unseen: its categories that the model has never seen.
    """

    x: Tensor
    identity: dict[str, Any] = field(default_factory=dict)
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True)
class JudgedRows:
    """The rows of a file.

    Args:
        scores: of all rows (n,).
        strange: which have categories that the model has never seen (n,).
        kept: the oddest rows, by number.
    """

    scores: Scores
    strange: NDArray[np.bool_]
    kept: dict[int, KeptRow]


def judge_file(
    subject: TableModel, file: TableFile, *, top: int, samples: int, seed: int
) -> JudgedRows:
    """The scores of rows that the model has not seen; `top` rows are kept."""
    calibration = Calibration(subject.model, subject.rules, samples, seed)
    names = naming_columns(subject.space, None)
    scores, strange = Scores.empty(0), np.zeros(0, dtype=bool)
    kept: dict[int, KeptRow] = {}
    for rows in typed_rows(file.table, subject.space, file.options):
        scores = scores.joined(_scores(calibration, rows))
        own = np.zeros(len(rows), dtype=bool)
        own[[unseen.row - rows.first for unseen in rows.unseen]] = True
        strange = np.concatenate([strange, own])
        places = np.concatenate(
            [np.array(sorted(kept), dtype=np.int64), np.arange(rows.first, len(strange))]
        )
        oddest = places[_order(scores.at(places), strange[places])[:top]].tolist()
        kept = {row: kept.get(row) or _kept(rows, row - rows.first, names) for row in oddest}
        count_rows("judged", len(strange))
    return JudgedRows(scores, strange, kept)


def _order(scores: Scores, strange: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows with unknown categories first, then the oddest."""
    return np.lexsort((-scores.depth, scores.p, ~strange))


def _scores(calibration: Calibration, rows: TypedRows) -> Scores:
    scores = Scores.empty(0)
    for block in torch.from_numpy(rows.x).split(BLOCK):
        scores = scores.joined(calibration.of(block))
    return scores


def _kept(rows: TypedRows, at: int, names: list[str]) -> KeptRow:
    frame: Any = rows.frame
    return KeptRow(
        torch.from_numpy(rows.x[at].copy()),
        {name: frame[name].iloc[at] for name in names if name in frame},
        tuple(u for u in rows.unseen if u.row == rows.first + at),
    )
