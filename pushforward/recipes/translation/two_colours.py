"""Shapes of one of two colours, equally likely: what an absolute error averages and a critic does
not.

The condition is a shape, black on white; its colour, orange or blue, cannot be told from it. The
absolute error is the same for every mixture of both: the model that minimises it alone paints
greys. With a critic the colours are strong. Saturation is the range of the three channels, in the
shapes, relative to that of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.data.sources.pairs import Pairs
from pushforward.plots.latent import sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder
from pushforward.recipes.translation.task import PLAYERS, Task, learn

__all__ = ["TASK", "measured", "run", "shapes", "trial"]

SIDE, ROWS, TEST = 16, 4000, 400
"""Pixels a side; shapes trained on, of which hardly two are alike; and unseen ones."""
ORANGE, BLUE = (230.0, 120.0, 25.0), (25.0, 135.0, 230.0)
"""About equally bright and far apart; their mean is nearly grey."""
TASK = Task("shape to colour", "shape", "coloured", 72_000, width=8, batch=16, augment=())
SHOWN = 12
"""Columns of the figure."""


def shapes(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Coloured discs and squares x (n, 3, 16, 16) and their shapes y (n, 1, 16, 16), bytes."""
    rng = torch.Generator().manual_seed(derive(seed, "shapes"))
    size, top, left, kind = torch.rand(4, n, 1, 1, generator=rng)
    blue = (
        torch.randperm(n, generator=rng) < n // 2
    )  # half of them: L1 would take the more frequent
    radius = 3 + size * (SIDE / 2 - 4)
    middle = [radius + share * (SIDE - 1 - 2 * radius) for share in (top, left)]
    down, across = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    apart = (down - middle[0]).abs(), (across - middle[1]).abs()
    distance = torch.where(kind < 0.5, torch.hypot(*apart), torch.maximum(*apart))
    inside = (distance <= radius)[:, None]
    paint = torch.where(blue[:, None, None, None], _column(BLUE), _column(ORANGE))
    x = torch.where(inside, paint, 255.0)
    return x.to(torch.uint8), torch.where(inside, 0, 255).to(torch.uint8)


def _column(colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour)[None, :, None, None]


def measured(made: Tensor, x: Tensor, y: Tensor, data: str) -> dict[str, Record]:
    """Saturation in the shapes relative to the data's, the share of orange, and the error."""
    inside = (y == 0)[:, 0]

    def saturation(image: Tensor) -> Tensor:
        spread = (image.amax(1) - image.amin(1)) * inside
        return spread.flatten(1).sum(1) / inside.flatten(1).sum(1)

    made, x = made.float(), x.float()
    relative = saturation(made) / saturation(x).mean()
    orange = (((made[:, 0] - made[:, 2]) * inside).flatten(1).sum(1) > 0).double()
    error = (made - x).abs().flatten(1).mean(1) / 255
    facts = {"bound": "estimate", "data": data}
    return {
        "saturation": Record.of("saturation", relative, unit="relative to the data", **facts),
        "orange": Record.of("share of orange", orange, **facts),
        "absolute_error": Record.of("absolute_error", error, unit="of the range", **facts),
    }


def trial(
    seed: int, budget: float = 1.0, folder: Path | None = None
) -> tuple[dict[str, Tensor], dict[str, dict[str, Record]], tuple[Tensor, Tensor]]:
    """What each model makes of unseen shapes, the measures, and the shapes."""
    train = Pairs(*(Arrays(part) for part in shapes(ROWS, seed)))
    x, y = shapes(TEST, seed + 1)
    made, records = {}, {}
    for name, player in PLAYERS.items():
        place, shown = run_folder(folder, name), round(budget * TASK.shown)
        model = learn(TASK, player, train, seed=seed, shown=shown, folder=place)
        made[name] = model.translate(y, rng=generator(derive(seed, "translated")))
        records[name] = measured(made[name], x, y, f"{TEST} unseen shapes (seed {seed + 1})")
    return made, records, (x, y)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure, and draw."""
    made, records, (x, y) = trial(seed, budget, folder)
    rows = [
        [kind, *(f"{row[kind].value:.2f} ± {row[kind].error:.2f}" for row in records.values())]
        for kind in ("saturation", "orange", "absolute_error")
    ]
    by = {f"by {name}": z for name, z in made.items()}
    panels = {"shape": y.expand(-1, 3, -1, -1), **by, "truth": x}
    block = torch.stack([panel[:SHOWN].float() for panel in panels.values()])
    title = "Colours that the shape does not tell: unseen shapes, not picked"
    figure = sheet(block, Arrays(x).space, down=list(panels), title=title)
    named = {f"{name}: {kind}": r for name, row in records.items() for kind, r in row.items()}
    notes = [f"{ROWS} shapes, half of them orange, half blue"]
    return Findings(named, ("measure", *made), rows, notes, {"two-colours": figure})
