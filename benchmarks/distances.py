"""Metrics of 10 000 rows of 2 048 features beside other libraries: seconds, and peak memory.

Each side runs in a process of its own. Its memory is the largest resident size, less that of the
process with the rows and the libraries before it measures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from benchmarks.timing import child, median, ratio

Row = dict[str, Any]
ROWS = int(os.environ.get("DISTANCES_ROWS", 10_000))
COLUMNS = 2048
ROUNDS = 3
MEGABYTES = 1000
"""Memory of our side at most."""

COMMON = """
import json, resource, sys, time
import numpy as np
n, d = int(sys.argv[1]), int(sys.argv[2])
stream = np.random.default_rng(0)
mixing = stream.normal(size=(32, d)).astype(np.float32)
def rows(shift):
    x = stream.normal(size=(n, 32)).astype(np.float32) @ mixing
    return np.maximum(x + shift + stream.normal(size=(n, d)).astype(np.float32), 0) / 10
x, y = rows(0.0), rows(0.2)
{imports}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, begun = peak(), time.perf_counter()
values = {call}
print(json.dumps([time.perf_counter() - begun, peak() - before, values]))
"""
OURS_PRDC = COMMON.replace("{imports}", "from pushforward.metrics.manifold import prdc").replace(
    "{call}", "[r.value for r in prdc(x, y)]"
)
THEIR_PRDC = COMMON.replace("{imports}", "from prdc import compute_prdc").replace(
    "{call}",
    "(lambda found: [float(found[k]) for k in ('precision', 'recall', 'density', 'coverage')])"
    "(compute_prdc(x, y, nearest_k=5))",
)
OURS_KID = COMMON.replace(
    "{imports}", "from pushforward.metrics.kernel_distances import kid"
).replace("{call}", "[kid(x, y, block=1000).value]")
THEIR_KID = COMMON.replace(
    "{imports}",
    """
import torch
from torchmetrics.image.kid import KernelInceptionDistance
class Rows(torch.nn.Module):
    num_features = d
    def forward(self, rows):
        return rows
def measure():
    torch.manual_seed(0)
    metric = KernelInceptionDistance(feature=Rows())
    metric.update(torch.from_numpy(x), real=True)
    metric.update(torch.from_numpy(y), real=False)
    return [float(metric.compute()[0])]
""",
).replace("{call}", "measure()")
SAME_ROWS = """
import torch
from pushforward.core.random import generator, permutation
stream = generator(0)
one, two = (torch.from_numpy(rows)[permutation(n, rng=stream)] for rows in (x, y))
"""
BLOCKS_KID = COMMON.replace(
    "{imports}", SAME_ROWS + "from torchmetrics.image.kid import poly_mmd"
).replace(
    "{call}",
    "[float(np.mean([poly_mmd(*pair)"
    " for pair in zip(*(u.tensor_split(max(10, n // 1000)) for u in (one, two)))]))]",
)
OURS_MMD = COMMON.replace(
    "{imports}", "from pushforward.metrics.kernel_distances import mmd"
).replace(
    "{call}",
    "(lambda r: [r.value, r.details['p']])(mmd(x, y, most={most}, permutations={permutations}))",
)
THEIR_MMD = COMMON.replace(
    "{imports}",
    SAME_ROWS
    + """
one, two = one[:{most}], two[:{most}]
orders = [permutation(2 * {most}, rng=stream) for _ in range({permutations})]
def measure():
    h = torch.pdist(one[:1000]).median()
    both = torch.cat([one, two])
    kernel = torch.exp(-torch.cdist(both, both) ** 2 / (2 * h * h))
    def value(order):
        a = torch.zeros(len(both), 1).index_fill_(0, order[:{most}], 1.0)
        b = 1 - a
        aa, bb, ab = (float((u * (kernel @ v)).sum(dtype=torch.float64))
                      for u, v in ((a, a), (b, b), (a, b)))
        m = {most}
        return (aa - m) / (m * (m - 1)) + (bb - m) / (m * (m - 1)) - 2 * ab / (m * m)
    found = value(torch.arange(len(both)))
    more = sum(value(order) >= found for order in orders)
    return [found, (1 + more) / (1 + len(orders))]
""",
).replace("{call}", "measure()")
OURS_C2ST = COMMON.replace("{imports}", "from pushforward.metrics.two_samples import c2st").replace(
    "{call}", "[c2st(x, y).value]"
)
THEIR_C2ST = COMMON.replace(
    "{imports}",
    """
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import warnings
warnings.simplefilter("ignore")
def measure():
    half = n // 2
    labels = np.repeat([0, 1], half)
    network = MLPClassifier((64, 64), batch_size=128, learning_rate_init=2e-3, alpha=1e-2,
                            max_iter=max(1, round(500 * 128 / n)), random_state=0)
    model = make_pipeline(StandardScaler(), network)
    model.fit(np.concatenate([x[:half], y[:half]]), labels)
    rest = np.concatenate([x[half : 2 * half], y[half : 2 * half]])
    return [float(model.score(rest, labels))]
""",
).replace("{call}", "measure()")


def _beside(
    name: str,
    what: str,
    ours: str,
    theirs: str,
    against: str,
    apart: float,
    *,
    rounds: int = ROUNDS,
    target: float = 3.0,
) -> Row:
    """A row: their seconds over ours, our memory, and how far the answers differ."""
    sides = {"pushforward": ours, against: theirs}
    found: dict[str, list[list[Any]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, code in sides.items():
            found[side].append(json.loads(child(code, str(ROWS), str(COLUMNS)).splitlines()[-1]))
    times = {side: [run[0] for run in runs] for side, runs in found.items()}
    memory = {side: round(max(run[1] for run in runs)) for side, runs in found.items()}
    one, two = (found[side][-1][2] for side in sides)
    difference = max(abs(a - b) for a, b in zip(one, two, strict=True))
    agree = difference <= apart and memory["pushforward"] <= MEGABYTES
    return {
        "name": name,
        "what": f"{what}, {ROWS:,} rows of {COLUMNS:,} features",
        "against": against,
        "seconds": {side: median(values) for side, values in times.items()},
        "megabytes": memory,
        "check": {"difference": difference, "values": one, "agree": agree},
        "ratio": ratio(times[against], times["pushforward"]),
        "target": target,
    }


def manifold() -> Iterator[Row]:
    """Precision, recall, density and coverage."""
    what = "precision, recall, density, coverage (k = 5)"
    yield _beside("distances-prdc", what, OURS_PRDC, THEIR_PRDC, "prdc", 1e-9)


def kernels() -> Iterator[Row]:
    """KID beside torchmetrics as it is called, which draws 100 subsets: within the error bars.

    And in the same ten blocks of a thousand rows, which leaves the arithmetic alone.
    """
    what = "KID in blocks of 1 000 rows"
    drawn = f"{what}, torchmetrics in 100 subsets of 1 000"
    yield _beside("distances-kid", drawn, OURS_KID, THEIR_KID, "torchmetrics", 3e-4)
    same = f"{what}, the same ones"
    yield _beside(
        "distances-kid-blocks", same, OURS_KID, BLOCKS_KID, "torchmetrics", 2e-6, target=1.0
    )


def gaussian_kernels() -> Iterator[Row]:
    """MMD² and its p-value beside the whole kernel matrix in PyTorch, float32, the same splits."""
    settings = (("distances-mmd", 1000, 500, ROUNDS), ("distances-mmd-all", ROWS, 10, 1))
    for name, most, permutations, rounds in settings:
        ours, theirs = (
            code.replace("{most}", str(most)).replace("{permutations}", str(permutations))
            for code in (OURS_MMD, THEIR_MMD)
        )
        what = f"MMD of {most:,} rows each, {permutations} permutations"
        yield _beside(name, what, ours, theirs, "torch", 5e-3, rounds=rounds)


def classifiers() -> Iterator[Row]:
    """C2ST: the held-out accuracy of the same network and number of steps, to sampling error."""
    what = "C2ST, two hidden layers of 64, 500 steps of 128 rows"
    yield _beside("distances-c2st", what, OURS_C2ST, THEIR_C2ST, "scikit-learn", 0.03)


BENCHMARKS = {
    "distances-prdc": manifold,
    "distances-kid": kernels,
    "distances-mmd": gaussian_kernels,
    "distances-c2st": classifiers,
}
