"""Images from images: steps of both players of pix2pix, and a photo translated."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from benchmarks.adversarial import has_bf16
from benchmarks.timing import median, ratio, side_by_side

RATE = {"lr": 2e-4, "betas": (0.5, 0.999)}


def pix2pix(batch: int = 16, size: int = 64, steps: int = 8) -> list[dict[str, Any]]:
    """pix2pix at 64x64: pairs per second, both players, ours and a plain loop of the networks.

    Ours uses bf16 if the CPU has it. Check: the absolute error after the same number of steps.
    """
    x, y, fast = *_pairs(128, size), has_bf16()
    errors: dict[str, float] = {}
    sides = {
        "pushforward": lambda: _fit_pix2pix(x, y, batch, steps, fast, errors),
        "plain loop": lambda: _plain_pix2pix(x, y, batch, steps, errors),
    }
    rates = side_by_side(sides, rounds=3)
    agree = abs(errors["pushforward"] - errors["plain loop"]) < 0.1 * errors["plain loop"]
    return [
        {
            "name": "pix2pix-bf16" if fast else "pix2pix",
            "what": f"pix2pix {size}x{size}, batch {batch}, both players,"
            f" {'bf16' if fast else 'float32'}",
            "against": "a plain float32 loop of the same networks",
            "pairs per second": {name: median(values) for name, values in rates.items()},
            "ratio": ratio(rates["pushforward"], rates["plain loop"]),
            "target": 1.8 if fast else 1.3,
            "check": {
                **{f"error, {name}": round(value, 4) for name, value in errors.items()},
                "agree": agree,
            },
        }
    ]


def _pairs(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Smooth images in [-1, 1], and their brightness in three channels."""
    stream = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 8, 8, generator=stream)
    x = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") * 2 - 1
    return x, x.mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()


def _fit_pix2pix(
    x: Tensor, y: Tensor, batch: int, steps: int, fast: bool, errors: dict[str, float]
) -> float:
    with tempfile.TemporaryDirectory() as folder:
        rate, terms = _progress(_pix2pix(), (x, y), batch, steps, fast, Path(folder))
    errors["pushforward"] = terms["generator.error"]
    return rate


def _plain_pix2pix(x: Tensor, y: Tensor, batch: int, steps: int, errors: dict[str, float]) -> float:
    """The loop that papers' code has: float32, a DataLoader, and `.item()` at every step.

    The networks are the same, of PyTorch's own layers.
    """
    from pushforward.nets.unet import PatchCritic, UNet, unet_depth

    torch.manual_seed(0)
    generator = _plain(UNet(3, 3, unet_depth(x.shape), norm="batch").train())
    critic = PatchCritic(6, norm="batch").train()
    of_critic, of_generator = (
        torch.optim.Adam(m.parameters(), **RATE) for m in (critic, generator)
    )  # type: ignore[arg-type]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch, shuffle=True, drop_last=True
    )
    done, began = 0, time.perf_counter()
    while done < steps:
        for real, condition in loader:
            made = generator(condition)
            of_critic.zero_grad()
            loss = (
                _bce(critic(real, condition), 1) + _bce(critic(made.detach(), condition), 0)
            ) / 2
            loss.backward()
            of_critic.step()
            of_generator.zero_grad()
            error = l1_loss(made, real)
            (_bce(critic(made, condition), 1) + 100 * error).backward()
            of_generator.step()
            errors["plain loop"] = error.item() + 0 * loss.item()
            done += 1
            if done == 1:
                began = time.perf_counter()
            if done == steps:
                break
    return (steps - 1) * batch / max(time.perf_counter() - began, 1e-9)


def _plain(network: nn.Module) -> nn.Module:
    """The network with PyTorch's own convolutions."""
    for part in network.modules():
        for kind in (nn.Conv2d, nn.ConvTranspose2d):
            if isinstance(part, kind):
                part.forward = kind.forward.__get__(part)  # type: ignore[method-assign]
    return network


def _bce(scores: Tensor, truth: float) -> Tensor:
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))


# ------------------------------------------------------------------------------------------- in use


def translate(size: int = 256) -> list[dict[str, Any]]:
    """One photo translated, from file to file, by a model that is already open.

    Against the forward pass of the model's network alone.
    """
    from pushforward.data.export.single_images import write_image
    from pushforward.experiments import open_run
    from pushforward.experiments.translations import translate as translations

    x, y = _pairs(4, size)
    levels = [((image + 1) * 127.5).round().to(torch.uint8) for image in (x, y)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _photograph(levels[1][0], folder / "photo.png")
        _progress(_pix2pix(), tuple(levels), 2, 2, False, folder)
        opened = open_run(folder / "run", "cpu")
        network, bare = opened.model.generator, y[:1]
        outputs: list[Tensor] = []

        def ours() -> float:
            began = time.perf_counter()
            for result in translations(opened, folder / "photo.png"):
                write_image(result.x, opened.model.fitted_space(), folder / "out.png")
            return time.perf_counter() - began

        def theirs() -> float:
            began = time.perf_counter()
            with torch.inference_mode():
                outputs[:] = [network(bare)]
            return time.perf_counter() - began

        seconds = side_by_side({"pushforward": ours, "forward pass": theirs}, rounds=15)
        agree = (folder / "out.png").is_file() and outputs[0].shape[-2:] == (size, size)
    return [
        {
            "name": "translate",
            "what": f"one photo of {size}x{size} translated by pix2pix, from file to file",
            "against": "the network's forward pass alone",
            "seconds": {name: median(values) for name, values in seconds.items()},
            "ratio": ratio(seconds["pushforward"], seconds["forward pass"]),
            "target": 1.2,
            "better": "lower",
            "check": {"agree": agree},
        }
    ]


def _pix2pix() -> Any:
    import pushforward as pf

    return pf.Pix2Pix(norm="batch")


def _photograph(levels: Tensor, path: Path) -> None:
    from PIL import Image

    Image.fromarray(levels.permute(1, 2, 0).numpy()).save(path)


def _progress(
    model: Any, data: tuple[Tensor, ...], batch: int, steps: int, fast: bool, folder: Path
) -> tuple[float, dict[str, float]]:
    """Rows per second after the first step, and the last terms, of a fit with a run folder."""
    import pushforward as pf

    events: list[Any] = []
    by = pf.Trainer(
        steps=steps,
        batch=batch,
        augment=(),
        evaluate_every=10_000,
        precision="bf16-mixed" if fast else "32-true",
        run=folder / "run",
        listeners=[events.append],
    )
    model.fit(*data, by=by)
    reports = [e for e in events if type(e).__name__ == "Progress"]
    seconds = reports[-1].seconds - reports[0].seconds
    return (reports[-1].samples - reports[0].samples) / max(seconds, 1e-9), reports[-1].terms


BENCHMARKS = {"pix2pix": pix2pix, "translate": translate}
