r"""Quality of clusterings.

Silhouette (Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7): with a_i the mean
distance of row i to the other rows of its cluster and b_i the smallest mean distance to the rows of
another cluster,

    s_i = (b_i - a_i) / max(a_i, b_i)   in [-1, 1],        0 for a cluster of one row.

Elbow: the inertia falls with the number of clusters k, steeply until k is sufficient and slowly
after. The knee is the k at which the log-inertia lies farthest below the straight line from the
first point to the last, with both axes scaled to [0, 1] (Kneedle; Satopää et al. 2011,
https://doi.org/10.1109/ICDCSW.2011.20). The logarithm makes decreases relative, so that distant
clusters do not hide close ones.

Purity, against labels not used in the fit: each cluster is assigned the most frequent label of its
rows, and the purity is the share of rows with their cluster's label. Alternatively clusters and
labels are matched one to one so as to maximise that share. Many small clusters are trivially pure;
with matching, all rows of surplus clusters count as errors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.numbers import require_whole, to_numeric, view_as_tensor
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.metrics.gauge import Gauge
from pushforward.metrics.samples import rows as samples
from pushforward.metrics.whole_numbers import subtract_common_origin

__all__ = ["silhouette", "elbow", "purity"]


def silhouette(
    x: Observations, labels: Observations, *, most: int = 10_000, rng: Rng = 0, data: str = ""
) -> Record:
    """The mean silhouette of rows x (n, d) under labels (n,), with its standard error.

    It is 1 at best; negative values mean misplaced rows. All pairs are compared, in blocks; of more
    than `most` rows a random subset of that size is used (noted in the record).
    """
    most = require_whole(most, "most", least=2)
    rows, labels = (
        subtract_common_origin(samples(x).flatten(1))[0],
        view_as_tensor(to_numeric(labels, "labels")),
    )
    rows = Gauge.of(rows)(rows)
    labels = labels.to(rows.device)
    if len(rows) != len(labels):
        raise InvalidValue(
            f"labels must have one entry per row: expected {len(rows)}, got {len(labels)}"
        )
    n = len(rows)
    if n > most:
        subset = torch.randperm(len(rows), generator=generator(rng))[:most].to(rows.device)
        rows, labels = rows[subset], labels[subset]
    names, owner = torch.unique(labels, return_inverse=True)
    if not 2 <= len(names) < len(rows):
        raise InvalidValue(
            "a silhouette needs at least two clusters, and fewer clusters than rows, got"
            f" {len(names)} of {len(rows)} rows"
        )
    member = torch.nn.functional.one_hot(owner, len(names)).to(rows)
    size = member.sum(0)
    values = torch.cat(
        [
            _silhouette_widths(part, clusters, rows, member, size)
            for part, clusters in zip(rows.split(512), owner.split(512))
        ]
    )
    details = {"clusters": len(names), "rows": len(rows), "of": n}
    return Record.of(
        "silhouette",
        values,
        bound="exact" if len(rows) == n else "estimate",
        data=data,
        details=details,
    )


def elbow(inertia: Mapping[int, float]) -> int:
    """The number of clusters at the knee of {clusters: inertia}, from at least three points."""
    if len(inertia) < 3:
        raise InvalidValue(
            f"an elbow needs the inertia of at least three numbers of clusters, got {len(inertia)}"
        )
    counts = sorted(inertia)
    k = torch.tensor([float(c) for c in counts], dtype=torch.float64)
    v = torch.tensor([float(inertia[c]) for c in counts], dtype=torch.float64)
    v = v.clamp_min(1e-12 * float(v.max()) + torch.finfo(v.dtype).tiny).log()
    across = (k - k[0]) / (k[-1] - k[0])
    down = (v - v[-1]) / (v[0] - v[-1]).clamp_min(torch.finfo(v.dtype).tiny)
    return counts[int((1 - across - down).argmax())]


def purity(
    clusters: Observations, labels: Observations, *, matched: bool = False, data: str = ""
) -> Record:
    """Share of rows whose label (n,) is that of their cluster (n,), and its standard error.

    It is 1 at best. A cluster's label is the most frequent one of its rows, or, with `matched`, the
    one assigned by the best one-to-one matching (Kuhn 1955,
    https://doi.org/10.1002/nav.3800020109), if any; then 1 minus the purity is the error rate of
    the clusters as a classifier. Details hold the matching, and the share of the most frequent
    label as a baseline.
    """
    clusters, labels = (
        view_as_tensor(to_numeric(each, "clusters and labels")) for each in (clusters, labels)
    )
    if len(clusters) != len(labels) or not len(labels):
        raise InvalidValue(
            f"labels must have one entry per row, and there must be rows: expected {len(clusters)},"
            f" got {len(labels)}"
        )
    found, cluster = torch.unique(clusters.cpu(), return_inverse=True)
    names, label = torch.unique(labels.cpu(), return_inverse=True)
    table = torch.zeros(len(found), len(names), dtype=torch.int64)
    table.index_put_((cluster, label), torch.ones_like(cluster), accumulate=True)
    assigned = _match_labels(table) if matched else table.argmax(1)
    matching = {
        str(c.item()): names[g].item() if g >= 0 else None for c, g in zip(found, assigned.tolist())
    }
    details = {
        "clusters": len(found),
        "labels": len(names),
        "matching": matching,
        "largest": float(table.sum(0).max() / len(labels)),
    }
    name = "matched_accuracy" if matched else "purity"
    return Record.of(
        name, (assigned[cluster] == label).to(torch.float64), data=data, details=details
    )


def _match_labels(table: Tensor) -> Tensor:
    """The label of each cluster in the matching with the most rows; -1 for an unmatched cluster."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    assigned = torch.full((len(table),), -1)
    assigned[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assigned


def _silhouette_widths(
    x: Tensor, clusters: Tensor, rows: Tensor, member: Tensor, size: Tensor
) -> Tensor:
    """Silhouettes of some rows (b,) against all rows (n, d) with memberships (n, clusters)."""
    sums = torch.cdist(x, rows, compute_mode="donot_use_mm_for_euclid_dist") @ member
    index = clusters[:, None]
    within = sums.gather(1, index)[:, 0] / (size[clusters] - 1).clamp_min(1)
    between = (sums / size).scatter(1, index, torch.inf).amin(1)
    width = (between - within) / torch.maximum(between, within).clamp_min(torch.finfo(x.dtype).tiny)
    return torch.where(size[clusters] > 1, width, 0.0)
