r"""Six translations by one model

pix2pix learns $x = G(y)$ from pairs, with two wishes at once: close to the pair's $x$, and real in
the eyes of a critic that sees both.

$$\min_G \max_D\ \mathbb E \log D(y, x) + \mathbb E \log\big(1 - D(y, G(y))\big) +
100\; \mathbb E \lVert x - G(y) \rVert_1 .$$

The same code does all six: map to aerial view and back, day to night and back, grey to colour,
outlines to image. The images are made by this package, 32 × 32 pixels, and each fit takes 150
steps: enough to see the layout, not the detail.
[The recipes](../recipes.md#images-made-from-images) train longer, and take photographs: facades,
edges, colour.

Try:

* `weight=0`: nothing ties the answer to its pair.
* `conditional=False`: the critic does not see $y$.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import images, panels
from pushforward.recipes.translation.scenes import aerial_and_map, day_and_night, scenes


def figure() -> Figure:
    """Conditions, answers and originals of six tasks."""
    town = scenes(aerial_and_map, 320, 32, 0).take(torch.arange(320))
    house = scenes(day_and_night, 320, 32, 0).take(torch.arange(320))
    aerial, plan, day, night = (v.byte() for v in (town.y, town.x, house.y, house.x))
    tasks = {
        "map to aerial view": (aerial, plan), "aerial view to map": (plan, aerial),
        "day to night": (night, day), "night to day": (day, night),
        "grey to colour": (day, "grey"), "outlines to image": (day, "edges(low=0.01, high=0.03)"),
    }  # fmt: skip
    drawn, rate = [], {"generator": "adam(rate=0.002, beta1=0.5)"}
    for name, (x, y) in tasks.items():
        pairs = pf.read(x, y=y)
        test = pairs.take(torch.arange(300, 306))
        model = pf.Pix2Pix(width=12, dropout=0.2)
        model.fit(pf.split(pairs, held_out=20, seed=0)[0], steps=150, batch=8, optimizers=rate)
        rows = [test.y.expand_as(test.x), model.translate(test.y, rng=0), test.x]
        drawn.append(images(torch.cat([r.float() for r in rows]), pairs.space, name, columns=6))
    return panels(
        *drawn, columns=2, side=4.6, height=2.6, title="From top: condition, answer, original"
    )
