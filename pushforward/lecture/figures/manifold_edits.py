r"""Edits on the manifold

A few strokes of a brush do not make a digit. But among all digits that a model can make there is
one that fits the strokes:

$$\min_z\ \lVert m_c \odot (G(z) - c)\rVert^2 + \lambda\, \lVert (1 - m_c) \odot (G(z) - G(z_0))
\rVert^2 + \dots$$

$c$ are the colours painted, $m_c$ where, $z_0$ the code before the edit. Below, a three gets a
stroke on its left side, and becomes a six; the steps go through codes, so each is nearly a digit.
The model is a VAE; any decoder of images will do.

Try:

* Paint black (0) in place of white (16).
* `latent.transfer`: apply the change to the original photograph.
* The room *Edit* of `pushforward studio`: brushes for colour, sketch and drag.
"""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward import latent
from pushforward.plots.image_rows import image_rows
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import panels


def figure() -> Figure:
    """A digit, a stroke, and the digits on the way to one that fits it."""
    digits = pf.read("digits", label=False)
    model = pf.VAE(latent=8, hidden=(256,), likelihood="bernoulli")
    model.fit(digits, epochs=60, batch=64)
    x = digits.take(torch.tensor([13])).x  # a three
    mask = torch.zeros(8, 8)
    mask[2:6, 2] = 1  # a stroke down its left side
    strokes = latent.Strokes(colour=16 * mask[None], colour_mask=mask)
    z = latent.project(model, x).codes
    steps = model.decode(latent.edit(model, z, strokes, rng=0).path(steps=8))
    painted = torch.where(mask > 0, 16.0, model.decode(z))
    rows = {"before": x, "with a stroke": painted, "on the way": steps}
    return panels(image_rows(rows, digits.space), side=7.5, height=3)
