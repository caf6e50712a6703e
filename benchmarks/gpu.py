"""On a card: `python -m benchmarks gpu`. Ours through the public API against eager loops in float32.

Every function takes the device and the sizes, so that the tests run them, tiny, on the CPU. The
records name the card and, where arithmetic decides, the share of the rate of its matrix products.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.adversarial import _images, _textbook_players, _textbook_step
from benchmarks.timing import Unavailable, median, ratio, seconds, side_by_side

Row = dict[str, Any]
RATE = {"lr": 2e-4, "betas": (0.5, 0.999)}
EXACT = 1000
"""Queries whose densities are compared with the CPU's."""


def card() -> torch.device:
    """The first CUDA device.

    Raises:
        Unavailable: If there is none.
    """
    if not torch.cuda.is_available():
        raise Unavailable("no CUDA device here; run `python -m benchmarks gpu` where there is one")
    return torch.device("cuda", 0)


def finish(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def named(device: torch.device) -> str:
    """The card's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def product_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Floating-point operations per second of square matrix products: the best of five."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def work() -> None:
        finish(device)
        for _ in range(10):
            a @ b
        finish(device)

    work()
    return 20 * size**3 / min(seconds(work) for _ in range(5))


# -------------------------------------------------------------------------------------------- DCGAN


def dcgan(device: torch.device, batch: int = 128, steps: int = 300, size: int = 64) -> list[Row]:
    """DCGAN in colour: images per second in bf16-mixed and in float32, and the eager float32 loop.

    Check: in float32 the critic's loss ends within a quarter of the loop's.
    """
    data = _images(8 * batch, size)
    last: dict[str, float] = {}

    def ours(precision: str) -> float:
        speed, last[precision] = _fit(
            lambda: _pushforward().DCGAN(), data, device, batch, steps, precision, "critic"
        )
        return speed

    def theirs() -> float:
        speed, last["loop"] = _eager_dcgan(data, device, batch, steps)
        return speed

    sides: dict[str, Callable[[], float]] = {
        "pushforward, bf16-mixed": lambda: ours("bf16-mixed"),
        "pushforward, float32": lambda: ours("32-true"),
        "eager loop, float32": theirs,
    }
    rates = side_by_side(sides, rounds=3)
    peak = product_rate(device, torch.bfloat16, 4096 if device.type == "cuda" else 64)
    work = _dcgan_operations(size)
    shares = {
        "operations per image": work,
        "share of bf16 products": round(median(rates["pushforward, bf16-mixed"]) * work / peak, 4),
    }
    check = {**{k: round(v, 3) for k, v in last.items()}}
    check["agree"] = abs(last["32-true"] - last["loop"]) < 0.25
    what = f"DCGAN {size}x{size}x3, batch {batch}, both players"
    return [
        _row(f"gpu-dcgan-{short}", what, rates, key, "eager loop, float32", target, check, device)
        | shares
        for short, key, target in (
            ("bf16", "pushforward, bf16-mixed", 4.0),
            ("float32", "pushforward, float32", None),
        )
    ]


def _dcgan_operations(size: int) -> int:
    """Operations per image of one step of both players."""
    generator, critic = _textbook_players(size)
    moves = [torch.optim.SGD(n.parameters(), 0.0) for n in (critic, generator)]
    with FlopCounterMode(display=False) as counter:
        _textbook_step(generator, critic, moves, torch.zeros(2, 3, size, size), 100)
    return int(counter.get_total_flops() / 2)


def _eager_dcgan(data: Tensor, device: torch.device, batch: int, steps: int) -> tuple[float, float]:
    """Images per second and the critic's last loss of the tutorials' loop, its data on the card."""
    torch.manual_seed(0)
    losses: list[float] = []
    with device:
        generator, critic = _textbook_players(data.shape[-1])
        generator, critic, x = generator.to(device), critic.to(device), data.to(device)
        moves = [torch.optim.Adam(n.parameters(), **RATE) for n in (critic, generator)]  # type: ignore[arg-type]
        for step in range(steps):
            if step == 1:
                finish(device)
                began = time.perf_counter()
            rows = torch.randint(len(x), (batch,))
            losses.append(_textbook_step(generator, critic, moves, x[rows], 100).item())
        finish(device)
    return (steps - 1) * batch / (time.perf_counter() - began), _tail(losses)


def _tail(losses: list[float]) -> float:
    """Mean of the last tenth."""
    part = losses[-max(1, len(losses) // 10) :]
    return sum(part) / len(part)


# ---------------------------------------------------------------------------------------------- VAE


def vae(device: torch.device, batch: int = 128, steps: int = 2000) -> list[Row]:
    """A VAE 784-400-20: samples per second in float32, and an eager loop over the same loss.

    Check: the losses end within 3 % of each other.
    """
    stream = torch.Generator().manual_seed(0)
    coarse = torch.randn(64 * batch, 1, 7, 7, generator=stream)
    data = (nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear") > 0.3).float()
    data, last = data.flatten(1), dict[str, float]()

    def model() -> Any:
        return _pushforward().VAE(latent=20, hidden=(400,), likelihood="bernoulli")

    def ours() -> float:
        speed, last["pushforward"] = _fit(model, data, device, batch, steps, "32-true", "")
        return speed

    def theirs() -> float:
        speed, last["loop"] = _eager_vae(data, device, batch, steps)
        return speed

    rates = side_by_side({"pushforward": ours, "eager loop": theirs}, rounds=3)
    check: dict[str, Any] = {k: round(v, 3) for k, v in last.items()}
    check["agree"] = abs(last["pushforward"] / last["loop"] - 1) < 0.03
    what = f"VAE 784-400-20, batch {batch}, float32, with run folder, log and listener"
    return [_row("gpu-vae", what, rates, "pushforward", "eager loop", 1.0, check, device)]


def _eager_vae(data: Tensor, device: torch.device, batch: int, steps: int) -> tuple[float, float]:
    """Samples per second and the last loss of a textbook loop, its data on the card."""
    torch.manual_seed(0)
    x = data.to(device)
    encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)).to(device)
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784)).to(device)
    mover = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    losses: list[float] = []
    for step in range(steps):
        if step == 1:
            finish(device)
            began = time.perf_counter()
        rows = x[torch.randint(len(x), (batch,), device=device)]
        mean, log_var = encoder(rows).chunk(2, 1)
        logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
        fit = nn.functional.binary_cross_entropy_with_logits(logits, rows, reduction="sum")
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
        mover.zero_grad()
        loss = (fit + kl) / batch
        loss.backward()
        mover.step()
        losses.append(loss.item())
    finish(device)
    return (steps - 1) * batch / (time.perf_counter() - began), _tail(losses)


# ----------------------------------------------------------------------------------- classical ones


def kde(device: torch.device, n: int = 1_000_000, m: int = 1_000_000) -> list[Row]:
    """KDE of n points at m queries in 8 dimensions, where neither tree nor transform helps.

    Against blocks of `cdist` and `logsumexp` in float64 on the same card. Check: 1e-6 of f at a
    thousand queries, against the CPU.
    """
    pf, d = _pushforward(), 8
    points = torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    queries = torch.randn(m, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    h = n ** (-1 / (d + 4))
    model = pf.KDE(bandwidth=h).fit(points, by=pf.EM(accelerator=str(device)))
    x, moved, made = queries.to(device), points.to(device), dict[str, Tensor]()

    def timed(name: str, work: Callable[[], Tensor]) -> float:
        finish(device)
        began = time.perf_counter()
        made[name] = work()
        finish(device)
        return m / (time.perf_counter() - began)

    rates = side_by_side(
        {
            "pushforward": lambda: timed("ours", lambda: model.log_prob(x)),
            "blocks": lambda: timed("theirs", lambda: _blocks(moved, x, h)),
        },
        rounds=3,
    )
    exact = model.to("cpu").log_prob(queries[:EXACT])
    error = float((made["ours"][:EXACT].cpu() - exact).abs().max())
    check = {"largest error of log f": error, "agree": error < 1e-6}
    what = f"KDE, {n} points x {m} queries, {d}-D, float64"
    return [_row("gpu-kde", what, rates, "pushforward", "blocks", 1.0, check, device)]


def _blocks(points: Tensor, queries: Tensor, h: float, pairs: int = 1 << 27) -> Tensor:
    """log f (m,) of a Gaussian KDE, block by block."""
    n, d = points.shape
    constant = math.log(n) + d * math.log(h) + 0.5 * d * math.log(2 * math.pi)
    parts = [
        torch.logsumexp(-0.5 * (torch.cdist(part, points) / h).square(), 1) - constant
        for part in queries.split(max(1, pairs // n))
    ]
    return torch.cat(parts)


def gmm(device: torch.device, n: int = 1_000_000, d: int = 16, k: int = 32) -> list[Row]:
    """GMM with full covariances, ten passes in float64, against textbook EM on the same card.

    Check: the log-likelihoods per row before the last M step agree to 1e-8.
    """
    pf, passes = _pushforward(), 10
    stream = torch.Generator().manual_seed(0)
    means = 3 * torch.randn(k, d, generator=stream, dtype=torch.float64)
    x = means[torch.randint(k, (n,), generator=stream)]
    x = x + torch.randn(n, d, generator=stream, dtype=torch.float64)
    moved, last = x.to(device), dict[str, float]()

    def ours() -> float:
        trace: list[float] = []

        def listen(event: Any) -> None:
            if type(event).__name__ == "Progress":
                trace.append(event.terms["log_likelihood"])

        by = pf.EM(steps=passes, tolerance=0, accelerator=str(device), listeners=[listen])
        took = seconds(lambda: pf.GMM(k, start=x[:k], floor=1e-9).fit(moved, by=by))
        last["pushforward"] = trace[-1]
        return n * passes / took

    def theirs() -> float:
        finish(device)
        began = time.perf_counter()
        last["textbook"] = _textbook_gmm(moved, moved[:k], passes)
        return n * passes / (time.perf_counter() - began)

    rates = side_by_side({"pushforward": ours, "textbook EM": theirs}, rounds=3)
    gap = abs(last["pushforward"] - last["textbook"])
    check = {"gap of log-likelihoods": gap, "agree": gap < 1e-8}
    what = f"GMM full, {n} x {d}, {k} components, {passes} passes, float64"
    return [_row("gpu-gmm", what, rates, "pushforward", "textbook EM", 1.0, check, device)]


def _textbook_gmm(x: Tensor, start: Tensor, passes: int) -> float:
    """Log-likelihood per row before the last M step, from equal weights and the pooled variance."""
    n, d = x.shape
    means, weights = start.clone(), x.new_full((len(start),), 1 / len(start))
    covariances = torch.diag_embed(x.var(0, correction=0).expand(len(start), d))
    value = math.nan
    for _ in range(passes):
        factors = torch.linalg.cholesky(covariances)
        terms = []
        for mean, factor, weight in zip(means, factors, weights):
            white = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False)
            terms.append(
                weight.log()
                - 0.5 * white.square().sum(0)
                - factor.diagonal().log().sum()
                - 0.5 * d * math.log(2 * math.pi)
            )
        joint = torch.stack(terms, 1)
        total = torch.logsumexp(joint, 1)
        value = float(total.mean())
        r = (joint - total[:, None]).exp()
        mass = r.sum(0)
        means, weights = r.T @ x / mass[:, None], mass / n
        covariances = torch.stack(
            [(r[:, j, None] * (x - m)).T @ (x - m) / mass[j] for j, m in enumerate(means)]
        )
    return value


# ------------------------------------------------------------------------------------------- shared


def _pushforward() -> Any:
    import pushforward as pf

    return pf


def _fit(
    make: Callable[[], Any],
    data: Tensor,
    device: torch.device,
    batch: int,
    steps: int,
    precision: str,
    term: str,
) -> tuple[float, float]:
    """Rows per second after the first report, and a loss averaged over the last tenth.

    The loss is the term of that name, or the sum of all if it is ''.
    """
    pf, events = _pushforward(), list[Any]()
    with tempfile.TemporaryDirectory() as folder:
        by = pf.Trainer(
            steps=steps,
            batch=batch,
            precision=precision,
            accelerator=str(device),
            evaluate_every=10_000,
            run=Path(folder) / "run",
            listeners=[events.append],
        )
        make().fit(data, by=by)
    reports = [e for e in events if type(e).__name__ == "Progress"]
    time_taken = max(reports[-1].seconds - reports[0].seconds, 1e-9)
    losses = [e.terms[term] if term else sum(e.terms.values()) for e in reports]
    return (reports[-1].samples - reports[0].samples) / time_taken, _tail(losses)


def _row(
    name: str,
    what: str,
    rates: Mapping[str, list[float]],
    ours: str,
    theirs: str,
    target: float | None,
    check: Mapping[str, Any],
    device: torch.device,
) -> Row:
    return {
        "name": name,
        "what": what,
        "against": theirs,
        "card": named(device),
        "rows per second": {side: median(values) for side, values in rates.items()},
        "ratio": ratio(rates[ours], rates[theirs]),
        "target": target,
        "check": check,
    }


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "gpu-dcgan": lambda: dcgan(card()),
    "gpu-vae": lambda: vae(card()),
    "gpu-kde": lambda: kde(card()),
    "gpu-gmm": lambda: gmm(card()),
}
