"""Two checkouts of this package side by side, in separate processes, in turn.

    PUSHFORWARD_BEFORE=../before make bench ONLY=before

Four fits (a VAE, a mixture, a kernel density and a DCGAN), help and imports are timed with both
checkouts. Seconds are CPU time of one thread, for fits after a warm-up in the same process; the
ratio is before over now, round by round, so above 1 means faster now.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import median, ratio, side_by_side

__all__ = ["BENCHMARKS"]

HERE = Path(__file__).parent.parent
ROUNDS = 5
PRELUDE = """
import contextlib, io, time, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
import pushforward as pf
stream = torch.Generator().manual_seed(0)
"""
CLOSING = """
def timed(work):
    with contextlib.redirect_stderr(io.StringIO()):
        work()
        began = time.process_time()
        work()
    print(time.process_time() - began)
timed(work)
"""
WORK = {
    "vae": (
        "VAE 784-400-20, batch 128, 300 steps, float32",
        """
x = (256 * torch.rand(20000, 784, generator=stream)).byte().reshape(-1, 1, 28, 28)
def work():
    pf.VAE(latent=20, hidden=(400,)).fit(x, by=pf.Trainer(steps=300, batch=128))
""",
    ),
    "gmm": (
        "GMM full, 200000 x 16, 32 components, 10 passes, float64",
        """
x = torch.randn(200000, 16, generator=stream, dtype=torch.float64)
x += 4 * torch.randint(0, 8, (200000, 1), generator=stream)
def work():
    pf.GMM(32, start="random").fit(x, by=pf.EM(steps=10, tolerance=0.0))
""",
    ),
    "kde": (
        "KDE, 2-D, 100000 points, 10000 queries, Scott's h",
        """
x = torch.randn(100000, 2, generator=stream, dtype=torch.float64)
q = torch.randn(10000, 2, generator=stream, dtype=torch.float64)
def work():
    pf.KDE().fit(x).log_prob(q)
""",
    ),
    "dcgan": (
        "DCGAN 64x64x3, batch 64, both players, 2 steps, float32",
        """
x = (256 * torch.rand(256, 3, 64, 64, generator=stream)).byte()
def work():
    pf.DCGAN().fit(x, by=pf.Trainer(steps=2, batch=64))
""",
    ),
    "help": (
        "`pushforward fit vae --help`",
        """
from pushforward.cli.main import main
def work():
    pass
with contextlib.redirect_stdout(io.StringIO()):
    main(["fit", "vae", "--help"])
print(time.process_time()); raise SystemExit
""",
    ),
    "root-help": (
        "`pushforward density --help`",
        """
from pushforward.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["density", "--help"])
print(time.process_time()); raise SystemExit
""",
    ),
    "import": (
        "`import pushforward`",
        """
import time
began = time.process_time()
import pushforward
print(time.process_time() - began); raise SystemExit
""",
    ),
}


def _seconds(tree: Path, code: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as installed
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{tree}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def compare(name: str) -> Callable[[], list[dict[str, Any]]]:
    """The benchmark of one kind of work; it is skipped unless another checkout is named."""

    def run() -> list[dict[str, Any]]:
        before = os.environ.get("PUSHFORWARD_BEFORE")
        if not before:
            print("  skipped: set PUSHFORWARD_BEFORE to another checkout of this package")
            return []
        what, work = WORK[name]
        is_light = name in ("help", "root-help", "import")
        code = ("import contextlib, io, time\n" + work) if is_light else PRELUDE + work + CLOSING
        sides = {
            "before": lambda: _seconds(Path(before).resolve(), code),
            "now": lambda: _seconds(HERE, code),
        }
        timings = side_by_side(sides, rounds=ROUNDS)
        row = {
            "name": f"before-{name}",
            "what": what,
            "against": "an earlier checkout of this package",
            "seconds": {side: median(values) for side, values in timings.items()},
            "ratio": ratio(timings["before"], timings["now"]),
            "target": None,
        }
        return [row]

    return run


BENCHMARKS = {f"before-{name}": compare(name) for name in WORK}
