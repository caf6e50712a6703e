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
from pushforward.plots.image_rows import image_rows
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels
from pushforward.recipes.translation.six_tasks import translation_tasks


def figure() -> Figure:
    """Conditions, answers and originals of six tasks."""
    drawn, rate = [], {"generator": "adam(rate=0.002, beta1=0.5)"}
    for name, pairs in translation_tasks(320, 32).items():
        test = pairs.take(torch.arange(300, 306))
        model = pf.Pix2Pix(width=12, dropout=0.2)
        model.fit(pf.split(pairs, held_out=20, seed=0)[0], steps=150, batch=8, optimizers=rate)
        rows = {"condition": test.y, "answer": model.translate(test.y, rng=0), "original": test.x}
        drawn.append(image_rows(rows, pairs.space, name))
    return panels(*drawn, columns=2, side=4.8, height=2.6)
