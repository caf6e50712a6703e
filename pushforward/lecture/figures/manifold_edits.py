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
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.panels import images, panels


def figure() -> Figure:
    """A digit, a stroke, and the digits on the way to one that fits it."""
    digits = pf.read("digits")
    model = pf.VAE(latent=8, hidden=(256,), likelihood="bernoulli")
    model.fit(pf.read("digits", label=False), epochs=60, batch=64)
    x = digits.take(torch.tensor([13])).x  # a three
    mask = torch.zeros(8, 8)
    mask[2:6, 2] = 1  # a stroke down its left side
    strokes = latent.Strokes(colour=16 * mask[None], colour_mask=mask)
    z = latent.project(model, x).codes
    edited = latent.edit(model, z, strokes, rng=0)
    painted = torch.where(mask > 0, 16.0, model.decode(z))
    steps = model.decode(edited.path(steps=8))
    return panels(
        images(torch.cat([x.double(), painted]), digits.space, "Before; stroke", columns=2),
        images(steps, digits.space, "On the way", columns=8),
        columns=1,
        side=6,
        height=1.4,
    )
