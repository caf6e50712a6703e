"""Observations that can only be read in order: shards, a database cursor, a generator.

A `Stream` calls a function for a fresh iterator of blocks, once per pass, and keeps one block in
memory. Fitters ask for its rows in ascending order or, when fitting by gradients, through a shuffle
buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidKind, InvalidValue, ShapeMismatch, quote
from pushforward.core.numbers import require_whole, to_floating
from pushforward.core.phase import Batch
from pushforward.core.source import Described, take_rows
from pushforward.core.space import Space

__all__ = ["Cursor", "Stream"]

SHUFFLED_ROWS = 8192
"""Default rows in the shuffle buffer: many batches, so that neighbouring rows are well mixed."""
SHUFFLED_BYTES = 64 << 20
"""The largest default buffer in bytes; wider rows get fewer."""
HEAD_ROWS = 512
"""Rows kept from the start of a stream, for repeated inspection during training."""


class Stream(Described):
    """A source that is read in order.

    Args:
        make: called once per pass; returns an iterable of the same blocks every time. A block is x
            (n, *shape), or a tuple (x, y) or (x, y, weights).
        space: of one observation; None infers it, with its ranges, from the first block.
        condition_space: of one condition, likewise.
        length: rows in a pass; None counts them when needed, by reading through.
        endless: whether a pass never ends. Budgets are then in steps, samples or minutes.
        shuffle: rows in the shuffle buffer of fits by gradients;
            1 keeps the order; None is 8192, or fewer if rows are wide.
        name: in records.

    Example:
        >>> import torch, pushforward as pf
        >>> def shards():
        ...     for seed in range(5):
        ...         yield torch.randn(100, 2, generator=torch.Generator().manual_seed(seed))
        >>> pf.Gaussian().fit(pf.Stream(shards)).mean_.shape
        torch.Size([2])
    """

    resident = False

    def __init__(
        self,
        make: Callable[[], Iterable[Any]],
        *,
        space: Space | None = None,
        condition_space: Space | None = None,
        length: int | None = None,
        endless: bool = False,
        shuffle: int | None = None,
        name: str = "stream",
    ) -> None:
        if not callable(make):
            raise InvalidKind(
                "a stream takes a function that returns a new iterator for every pass, got"
                f" {quote(make)}"
            )
        if endless and length is not None:
            raise InvalidValue("an endless stream has no length; leave one of them out")
        self._make, self.name, self.endless = make, name, endless
        self._length = None if length is None else require_whole(length, "length", least=1)
        self.shuffle = None if shuffle is None else require_whole(shuffle, "shuffle", least=1)
        self.unrequested_labels = False
        self._labelled = True
        first = self._first()
        head = Arrays(*first, space=space, condition_space=condition_space)
        self.space, self.condition_space = head.space, head.condition_space
        self._cursor: Cursor | None = None
        self._head: Batch | None = None

    def _first(self) -> tuple[Any, Any, Any]:
        for block in self._make():
            parts = _split_block(block)
            if len(parts[0]):
                return parts
        raise BadSource(
            f"{self.name}: the stream yielded no rows; every iterator must yield at least one block"
        )

    @property
    def known_length(self) -> int | None:
        """Rows in a pass, if known yet."""
        return self._length

    def __len__(self) -> int:
        if self.endless:
            raise BadSource(
                f"{self.name} is endless and has no length; give a budget in steps, samples or"
                " minutes"
            )
        if self._length is None:
            self._length = sum(len(_split_block(block)[0]) for block in self._make())
        return self._length

    @property
    def buffer_rows(self) -> int:
        """Rows in the shuffle buffer of fits by gradients."""
        if self.shuffle is not None:
            return self.shuffle
        row = self.head(1).x
        return max(
            1, min(SHUFFLED_ROWS, SHUFFLED_BYTES // max(1, row.numel() * row.element_size()))
        )

    def cursor(self) -> Cursor:
        """A new pass from the beginning."""
        return Cursor(self._blocks())

    def head(self, count: int) -> Batch:
        """The first rows: at most `count`, and at most 512."""
        if self._head is None:
            self._head = self.cursor().read(HEAD_ROWS)
        return Batch(*(None if part is None else part[:count] for part in self._head))  # type: ignore[arg-type]

    def take(self, rows: Tensor) -> Batch:
        """The given rows.

        Reading continues if they ascend from the last ones, and starts again otherwise.
        """
        rows = rows.to("cpu")
        order = rows.argsort(stable=True)
        ascending = rows[order]
        if not len(rows):
            return self.head(0)
        first = int(ascending[0])
        if self._cursor is None or first < self._cursor.position:
            self._cursor = self.cursor()
        batch = self._cursor.pick(ascending)
        if len(batch) < len(rows):
            self._cursor = None
            raise BadSource(
                f"{self.name}: the stream ended before row {int(ascending[-1])}; every pass must"
                " yield the same number of rows"
            )
        back = order.argsort()
        return Batch(*(None if part is None else take_rows(part, back) for part in batch))  # type: ignore[arg-type]

    def unlabelled(self) -> Stream:
        """The same rows without conditions."""
        bare = object.__new__(Stream)
        bare.__dict__.update(
            self.__dict__, condition_space=None, _labelled=False, _cursor=None, _head=None
        )
        return bare

    def _blocks(self) -> Iterator[Batch]:
        for block in self._make():
            x, y, weights = _split_block(block)
            rows = to_floating(self.space.conform(x, what=self.name))
            labelled = self._labelled and self.condition_space is not None
            if labelled and y is None:
                raise BadSource(
                    f"{self.name}: a block has no conditions, but the first one had; provide them"
                    " for every block or for none"
                )
            kept = self.condition_space.conform(y, what="y") if labelled else None  # type: ignore[union-attr]
            share = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)
            for name, part in (("y", kept), ("weights", share)):
                if part is not None and len(part) != len(rows):
                    raise ShapeMismatch(
                        f"{self.name}: {name} must have one entry per row: expected {len(rows)},"
                        f" got {len(part)}"
                    )
            if len(rows):
                yield Batch(rows, kept, share)


class Cursor:
    """A position in one pass over a stream; holds one block.

    Args:
        blocks: of the stream.
    """

    def __init__(self, blocks: Iterator[Batch]) -> None:
        self._blocks = blocks
        self._rest: Batch | None = None
        self.position = 0

    def read(self, count: int) -> Batch:
        """The next rows; fewer where the stream ends, an empty block after its end."""
        return self.pick(torch.arange(self.position, self.position + count))

    def skip(self, count: int) -> None:
        """Skip the next rows."""
        target = self.position + count
        while self.position < target and self._fetch():
            self._drop(target - self.position)

    def pick(self, rows: Tensor) -> Batch:
        """Rows by ascending number; fewer if the stream ends."""
        parts, at = [], 0
        while at < len(rows) and self._fetch():
            assert self._rest is not None
            end = self.position + len(self._rest)
            here = int(torch.searchsorted(rows, end))
            if here > at:
                places = rows[at:here] - self.position
                parts.append(_map_batch(self._rest, partial(take_rows, rows=places)))
                last = int(rows[here - 1])
                at = here
                self._drop((last + 1 if at == len(rows) else end) - self.position)
            else:
                self._drop(len(self._rest))
        return _join(parts, self._rest)

    def _fetch(self) -> bool:
        """Ensure that some rows are loaded; False at the end of the stream."""
        if self._rest is None or not len(self._rest):
            self._rest = next(self._blocks, None)
        return self._rest is not None

    def _drop(self, count: int) -> None:
        assert self._rest is not None
        count = min(count, len(self._rest))
        self.position += count
        remains = count < len(self._rest)
        self._rest = _map_batch(self._rest, lambda part: part[count:]) if remains else None


def _map_batch(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with a function applied to x, y and weights, where present."""
    y, weights = (None if part is None else function(part) for part in (batch.y, batch.weights))
    return Batch(function(batch.x), y, weights)


def _join(parts: list[Batch], rest: Batch | None) -> Batch:
    if not parts:
        none = torch.zeros(0, *(() if rest is None else rest.x.shape[1:]))
        return Batch(none, None, None)
    columns = zip(*parts)
    return Batch(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


def _split_block(block: object) -> tuple[Any, Any, Any]:
    """x, y and weights of a block."""
    if isinstance(block, Batch):
        return block.x, block.y, block.weights
    if isinstance(block, tuple) and 1 <= len(block) <= 3:
        x, y, weights = (*block, None, None)[:3]
        return x, y, weights
    return block, None, None
