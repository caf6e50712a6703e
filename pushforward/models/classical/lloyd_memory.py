"""What a block of rows on an accelerator keeps between passes of k-means."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from pushforward.models.classical.cluster_sums import ClusterSums
from pushforward.models.classical.lloyd_tiles import SHORTEST_REST
from pushforward.models.classical.nearest_centres import augment

__all__ = ["Memory"]


class Memory:
    """Data cached with a resident block between passes.

    Its rows with [1, |x|²] appended, their centres and bounds, and the block's sums. If bounds
    exclude less than two thirds of the rows they cost more than they save: `plain` passes without
    them follow, more each time (`rest`), before they are tried again.
    """

    derived: ClassVar = ("x",)
    """Values derived from the rows, which checkpoints need not store."""

    def __init__(self, x: Tensor) -> None:
        self.x = augment(x)
        self.owner: Tensor | None = None
        self.upper = self.lower = x.new_zeros(0)
        self.sums: ClusterSums | None = None
        self.version = -1
        self.plain, self.bounded, self.rest = 0, True, SHORTEST_REST

    def owners(self, rows: int) -> Tensor:
        """The centre of each row (rows,), int64."""
        assert self.owner is not None
        return self.owner[:rows]
