r"""k-means: centres that minimise the squared distances to their rows.

    inertia = Σ_i w_i min_k |x_i - c_k|²

The passes that fit it are in `lloyd`, nearest centres in `nearest_centres`,
and initial centres in `starts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.fitter import Fitter
from pushforward.core.registry import register
from pushforward.core.scaling import ScalingKind
from pushforward.fitting.em import EM
from pushforward.models.classical.derived import Derived
from pushforward.models.classical.lloyd import LloydPasses
from pushforward.models.classical.nearest_centres import EXACT, Plan
from pushforward.models.classical.refusals import check_whole_number
from pushforward.models.classical.starts import check_start

__all__ = ["KMeans"]


@register("kmeans")
class KMeans(LloydPasses):
    """k centres, each the mean of the rows nearest to it: min Σ_i min_k |x_i - c_k|².

    A centre without rows moves to the row farthest from its centre, unless every row coincides with
    one. Distances are in the user's units: scale columns of different kinds first.

    Args:
        clusters: k.
        start: 'kmeans++', 'random' (rows), or the centres (k, d) in the user's units.
        starts: number of starts, each run to the end; the lowest inertia is kept.
        tolerance: stop when the centres' summed squared movement is below this times the mean
            variance of the columns (0: only when no row changes its centre).
        batch: rows per step for mini-batches, with steps inverse
            to the rows each centre has seen; None for all rows.
        precision: 'float32' or 'float64' for distances; sums and close decisions always use
            float64, and so does everything if float32 is insufficient.

    Attributes:
        centres_: (k, d), user's units.
        inertia_: of all rows about their nearest centres, user's units squared;
            with mini-batches, of the last batch.
        count_: weight of each centre's rows (k,); with mini-batches, of all rows seen.

    References:
        Lloyd (1982), Least squares quantization in PCM. https://doi.org/10.1109/TIT.1982.1056489
        Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding.
        https://dl.acm.org/doi/10.5555/1283383.1283494 Sculley (2010), Web-scale k-means clustering,
        Algorithm 1, for mini-batches. https://doi.org/10.1145/1772690.1772862

    Example:
        >>> import torch
        >>> x = torch.cat([torch.randn(50, 2, generator=torch.Generator().manual_seed(i)) + 10 * i
        ...                for i in range(3)])
        >>> KMeans(3).fit(x).count_
        tensor([50., 50., 50.], dtype=torch.float64)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: ScalingKind = "identity"

    def __init__(
        self,
        clusters: int = 8,
        start: Literal["kmeans++", "random"] | object = "kmeans++",
        starts: int = 1,
        tolerance: float = 1e-4,
        batch: int | None = None,
        precision: Literal["float32", "float64"] = "float32",
    ) -> None:
        super().__init__()
        self.clusters = check_whole_number("clusters", clusters)
        self.starts = check_whole_number("starts", starts)
        self.start = check_start(start, "centres", self.clusters, ("kmeans++", "random"))
        if not tolerance >= 0:
            raise InvalidValue(
                f"tolerance must not be negative, got {tolerance}; pass 0 to stop when no row"
                " changes its centre"
            )
        self.tolerance = float(tolerance)
        self.batch = None if batch is None else check_whole_number("batch", batch)
        self.precision = precision
        self.dtype = getattr(torch, precision)  # type: ignore[misc]
        self._known: Derived[Plan] = Derived()

    def default_fitter(self) -> Fitter:
        """At most 300 passes, until no row moves or `tolerance` is met; 200 mini-batches."""
        return EM(steps=300 if self.batch is None else 200, tolerance=0)

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        centres = {"centres_": "clusters d", "origin_": "d", "count_": "clusters weights"}
        return {**centres, "scale_": "positive", "inertia_": "weights"}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load `tensors`; old models have no unit."""
        super().restore({"scale_": torch.ones((), dtype=torch.float64), **tensors})

    def assign(self, x: Observations) -> Tensor:
        """The nearest centre of each row (n,), int64."""
        rows, plan = self.conform(x), self._query_plan()
        blocks = rows.split(self.block_rows)
        return torch.cat([plan.owners_of(self._scaled(b), self.floating()) for b in blocks])

    def _query_plan(self) -> Plan:
        """The plan of the fitted centres, kept while they are the same."""
        centres, origin, scale = self.centres_, self.origin_, self.scale_
        plan = self._known.of(
            (centres, origin, scale),
            lambda: Plan.of((centres - origin) / scale, None, self.floating()),
        )
        return replace(plan, room=plan.table.new_empty(0))  # threads may not share working memory

    def responsibilities(self, x: Observations) -> Tensor:
        """1 for the nearest centre, 0 for the others (n, clusters), float64."""
        return torch.nn.functional.one_hot(self.assign(x), self.clusters).to(torch.float64)

    def distances(self, x: Observations) -> Tensor:
        """Distance of each row to each centre (n, clusters), user's units, float64."""
        rows, centres = self._scaled(self.conform(x)), self._scaled(self.centres_)
        return torch.cdist(rows, centres, compute_mode=EXACT) * self.scale_

    def centres(self) -> Tensor:
        """The centres as observations (clusters, *shape), user's units."""
        shape = self.fitted_space().shape
        return self.centres_.reshape(self.clusters, *map(int, shape))  # type: ignore[arg-type]
