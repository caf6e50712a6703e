"""Training throughput, import time, and memory when streaming."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import child, median, ratio, side_by_side

ROWS, WIDTH, HIDDEN, LATENT, BATCH = 60_000, 784, 400, 20, 128


def vae_throughput() -> list[dict[str, Any]]:
    """A VAE 784-400-20 at batch 128: samples per second, ours and three other ways.

    These are pythae's trainer on the same network, a bare loop over the same loss, and the bare
    matrix products of a step. Check: all reach the same loss within 3 %.

    Ours with networks in bfloat16, as `precision='bf16-mixed'` has them,
    and in float32; all else in float32.
    """
    data = _images()
    losses: dict[str, float] = {}

    def kept(name: str, fit: Callable[[], tuple[float, float]]) -> Callable[[], float]:
        def rate() -> float:
            throughput, losses[name] = fit()
            return throughput

        return rate

    sides = {
        "pushforward, bfloat16": kept(
            "pushforward, bfloat16", lambda: _fit_ours(data, precision="bf16-mixed")
        ),
        "pushforward, float32": kept("pushforward, float32", lambda: _fit_ours(data)),
        "pythae": kept("pythae", lambda: _fit_pythae(data)),
        "bare loop": lambda: _bare_loop(data),
        "matrix products": _matrix_products,
    }
    throughput = side_by_side(sides, rounds=5)
    shared = {"samples per second": {name: median(values) for name, values in throughput.items()}}
    rows = []
    for precision in ("bfloat16", "float32"):
        ours = f"pushforward, {precision}"
        check = {f"loss, {name}": round(losses[name], 2) for name in (ours, "pythae")}
        check["agree"] = abs(losses[ours] / losses["pythae"] - 1) < 0.03
        what = f"VAE {WIDTH}-{HIDDEN}-{LATENT}, batch {BATCH}, networks in {precision}, with run folder, log and listener"
        for name, other, against, target in (
            ("vae-vs-pythae", "pythae", "pythae's trainer", 1.5),
            ("vae-vs-matrix-limit", "matrix products", "its bare matrix products in float32", 0.6),
        ):
            row = {
                "name": name,
                "against": against,
                "what": what,
                **shared,
                "check": check,
                "ratio": ratio(throughput[ours], throughput[other]),
            }
            rows.append(
                {**row, "target": target}
                if precision == "bfloat16"
                else {**row, "name": f"{name}-float32", "target": None}
            )
    return rows


def _images() -> torch.Tensor:
    """Binary images with structure: thresholded smooth noise, so that losses decrease."""
    stream = torch.Generator().manual_seed(0)
    coarse = torch.randn(ROWS, 1, 7, 7, generator=stream)
    smooth = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")
    return (smooth > 0.3).float()


def _fit_ours(
    data: torch.Tensor,
    epochs: int = 2,
    precision: str = "32-true",
    batch: int = BATCH,
    hidden: int = HIDDEN,
    **more: Any,
) -> tuple[float, float]:
    import pushforward as pf

    events: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        model = pf.VAE(latent=LATENT, hidden=(hidden,), likelihood="bernoulli")
        trainer = pf.Trainer(
            epochs=epochs,
            batch=batch,
            precision=precision,
            run=Path(folder) / "run",
            listeners=[events.append],
            **more,
        )
        began = time.perf_counter()
        model.fit(data, by=trainer)
        took = time.perf_counter() - began
    with torch.no_grad():
        loss = -float(model.elbo(data[:2000], rng=0).mean())
    return events[-1].samples / took, loss


def _fit_pythae(
    data: torch.Tensor, epochs: int = 2, batch: int = BATCH, hidden: int = HIDDEN
) -> tuple[float, float]:
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from torch import nn

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, hidden), nn.ReLU())
            self.mean, self.log_var = nn.Linear(hidden, LATENT), nn.Linear(hidden, LATENT)

        def forward(self, x: torch.Tensor) -> Any:
            h = self.trunk(x)
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, WIDTH), nn.Sigmoid()
            )

        def forward(self, z: torch.Tensor) -> Any:
            return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))

    logging.disable(logging.CRITICAL)
    torch.manual_seed(0)
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
        model = VAE(config, encoder=Encoder(), decoder=Decoder())
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            per_device_train_batch_size=batch,
            learning_rate=1e-3,
            no_cuda=True,
            optimizer_cls="Adam",
        )
        trainer = BaseTrainer(
            model, train_dataset=BaseDataset(data, torch.zeros(len(data))), training_config=settings
        )
        began = time.perf_counter()
        trainer.train()
        took = time.perf_counter() - began
        with torch.no_grad():
            loss = float(model({"data": data[:2000]}).loss)
    logging.disable(logging.NOTSET)
    return epochs * len(data) / took, loss


def _bare_loop(data: torch.Tensor, epochs: int = 1) -> float:
    """Samples per second of the same loss and Adam without trainer, log, checks or run folder."""
    import pushforward as pf
    from pushforward.core.phase import Batch, Step

    model = (
        pf.VAE(latent=LATENT, hidden=(HIDDEN,), likelihood="bernoulli")
        .fit(data[:1280], by=pf.Trainer(steps=1, batch=BATCH))
        .train()
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    here = Step(rng=torch.Generator().manual_seed(0))
    began = time.perf_counter()
    for _ in range(epochs):
        for rows in torch.randperm(len(data)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            terms = model.negative_elbo(Batch(data.index_select(0, rows)), here)
            sum(term.sum() for term in terms.values()).div(len(rows)).backward()  # type: ignore[union-attr]
            optimizer.step()
    return epochs * len(data) / (time.perf_counter() - began)


def _matrix_products(steps: int = 500) -> float:
    """Samples per second of a step's matrix products alone, forward and backward."""
    layers = [(WIDTH, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, WIDTH)]
    buffers = [
        (
            torch.randn(BATCH, i),
            torch.randn(i, o),
            torch.randn(BATCH, o),
            torch.empty(BATCH, o),
            torch.empty(i, o),
            torch.empty(BATCH, i),
        )
        for i, o in layers
    ]
    began = time.perf_counter()
    for _ in range(steps):
        for n, (x, w, g, out, dw, dx) in enumerate(buffers):
            torch.mm(x, w, out=out)
            torch.mm(x.T, g, out=dw)
            if n:
                torch.mm(g, w.T, out=dx)
    return steps * BATCH / (time.perf_counter() - began)


def import_time() -> list[dict[str, Any]]:
    """`import pushforward` beside `import torch`, in fresh processes, in turn.

    Both the bare import and that of four models are timed. Check: no heavy module is imported.
    """
    timed = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
    kinds = {
        "bare": "import pushforward",
        "models": "import pushforward as pf; pf.PCA, pf.Autoencoder, pf.VAE, pf.GAN, pf.Trainer",
    }
    rows = []
    for kind, statement in kinds.items():
        sides = {
            name: lambda line=line: float(child(timed.format(line)))
            for name, line in (("pushforward", statement), ("torch", "import torch"))
        }
        timings = side_by_side(sides, rounds=9)  # type: ignore[arg-type]
        look = f"{statement}; import sys; print([m for m in ('matplotlib', 'sklearn', 'pandas', 'lightning', 'lightning_fabric') if m in sys.modules])"
        heavy = child(look).strip()
        rows.append(
            {
                "name": f"import-{kind}",
                "what": "`import pushforward`"
                if kind == "bare"
                else "`import pushforward`, four models and the trainer named",
                "against": "`import torch`",
                "seconds": {name: median(values) for name, values in timings.items()},
                "ratio": ratio(timings["pushforward"], timings["torch"]),
                "target": 1.15,
                "better": "lower",
                "check": {"heavy modules": heavy, "agree": heavy == "[]"},
            }
        )
    return rows


_STREAM = """
import json, sys, threading, time
import numpy as np, torch, pushforward as pf
path, rows, resident, samples = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resident", int(sys.argv[4])
peak = 0
def watch():
    global peak
    while True:
        for line in open("/proc/self/smaps_rollup"):
            if line.startswith("Anonymous:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(.05)
threading.Thread(target=watch, daemon=True).start()
x = np.load(path, mmap_mode="r")
if resident:
    x = np.array(x[:rows])
events = []
model = pf.VAE(latent=20, hidden=(400,))
model.fit(x, by=pf.Trainer(samples=samples, batch=128, listeners=[events.append]))
started = next(e for e in events if type(e).__name__ == "Started")
print(json.dumps({"rate": (events[-1].samples - started.samples) / events[-1].seconds, "peak_gb": peak / 2**20}))
"""


def streaming(gigabytes: float = 8.0, samples: int = 400_000) -> list[dict[str, Any]]:
    """Fitting 8 GB of memory-mapped rows: anonymous memory at its peak, and the rate.

    The rate is compared with that of the same fit on resident rows.
    """
    rows = int(gigabytes * 2**30 / (4 * WIDTH))
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    path = folder / "rows.npy"
    try:
        _write_rows(path, rows)

        def run(kind: str) -> dict[str, float]:
            result: dict[str, float] = json.loads(
                child(_STREAM, str(path), "200000", kind, str(samples))
            )
            return result

        memory: list[float] = []

        def mapped() -> float:
            result = run("mapped")
            memory.append(result["peak_gb"])
            return result["rate"]

        throughput = side_by_side(
            {"mapped": mapped, "resident": lambda: run("resident")["rate"]}, rounds=3
        )
    finally:
        shutil.rmtree(folder)
    rates = {name: median(values) for name, values in throughput.items()}
    what = f"VAE {WIDTH}-{HIDDEN}-{LATENT} on a memory map of {gigabytes:g} GB ({rows} rows)"
    return [
        {
            "name": "stream-rate",
            "what": what,
            "samples per second": rates,
            "ratio": ratio(throughput["mapped"], throughput["resident"]),
            "target": 0.8,
        },
        {
            "name": "stream-memory",
            "what": what,
            "anonymous GB at peak": round(max(memory), 3),
            "ratio": {"median": round(max(memory), 3)},
            "target": 1.5,
            "better": "lower",
        },
    ]


def _write_rows(path: Path, rows: int) -> None:
    stream = np.random.default_rng(0)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    block = stream.standard_normal((65536, WIDTH), dtype=np.float32)
    for start in range(0, rows, len(block)):
        part = block[: min(len(block), rows - start)]
        out[start : start + len(part)] = part + np.float32(start / rows)
    out.flush()
    del out


BENCHMARKS = {"vae": vae_throughput, "import": import_time, "stream": streaming}
