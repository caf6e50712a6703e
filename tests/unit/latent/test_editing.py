"""Edits by strokes: colours, sketches, what stays, candidates, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.latent import Strokes, edit

SIDE = 16


def blobs(n: int = 300) -> Tensor:
    """Soft discs of random place and grey."""
    rng = torch.Generator().manual_seed(0)
    at = torch.rand(n, 2, 1, 1, generator=rng) * 8 + 4
    level = torch.rand(n, 1, 1, generator=rng)
    down, across = torch.meshgrid(*[torch.arange(SIDE).float()] * 2, indexing="ij")
    square = (down - at[:, 0]).square() + (across - at[:, 1]).square()
    return (level * torch.exp(-square / 12))[:, None]


@pytest.fixture(scope="module")
def model() -> pf.PCA:
    return pf.PCA(12).fit(blobs())


@pytest.fixture
def start(model: pf.PCA) -> Tensor:
    return model.encode(blobs()[:1])


def stroke() -> Strokes:
    mask = torch.zeros(SIDE, SIDE)
    mask[6:9, 9:12] = 1
    return Strokes(colour=torch.full((1, SIDE, SIDE), 0.9), colour_mask=mask)


def test_a_stroke_of_colour_arrives_and_the_rest_stays(model: pf.PCA, start: Tensor) -> None:
    strokes, before = stroke(), model.decode(start)[0]
    edited = edit(model, start, strokes, rng=0)
    mask = strokes.colour_mask

    def error(x: Tensor) -> float:
        return float(((x[0] - 0.9).square() * mask).sum() / mask.sum())

    assert error(edited.x[0]) < 0.2 * error(before)
    changed = ((edited.x[0] - before).square()[0] * (1 - mask)).sum() / (1 - mask).sum()
    assert float(changed.sqrt()) < 0.25
    assert float(edited.cost[0]) < edited.before
    assert edited.cost.tolist() == sorted(edited.cost.tolist())
    torch.testing.assert_close(edited.x, model.decode(edited.codes))


def test_a_linear_model_is_solved_exactly(model: pf.PCA, start: Tensor) -> None:
    """The minimum of a quadratic: (Aᵀ M A + K) z = Aᵀ M c' + K z_0."""
    strokes = stroke()
    edited = edit(model, start, strokes, keep=0.1, steps=200, candidates=3, rng=0)
    with torch.no_grad():
        zero = torch.zeros_like(start)
        base = model.decode(zero)[0].flatten().double()
        columns = [model.decode(zero + row[None])[0] for row in torch.eye(12).to(start)]
        a = torch.stack([c.flatten().double() - base for c in columns], 1)
    span = model.space.high - model.space.low
    weights = (strokes.colour_mask / strokes.colour_mask.sum()).flatten().double() / span**2
    variance = model.explained_variance_.double()
    k = torch.diag(0.1 / 12 / variance)
    right = a.T @ (weights * (0.9 - base)) + k @ start[0].double()
    exact = torch.linalg.solve(a.T @ (weights[:, None] * a) + k, right)
    scale = variance.sqrt()
    assert float(((edited.codes[0].double() - exact) / scale).abs().max()) < 1e-2


def test_a_sketch_is_followed(model: pf.PCA, start: Tensor) -> None:
    other = model.decode(model.encode(blobs()[7:8]))[0, 0].clamp(0, 1)
    edited = edit(model, start, Strokes(sketch=other), sketch=1.0, keep=1e-4, rng=0)
    assert float(edited.cost[0]) < 0.3 * edited.before


def test_candidates_follow_the_seed_and_bad_ones_are_left_out(model: pf.PCA, start: Tensor) -> None:
    one, two = (edit(model, start, stroke(), steps=2, rng=3) for _ in range(2))
    assert torch.equal(one.codes, two.codes)
    assert 1 <= len(one.codes) <= 9
    assert float(one.cost.max()) <= 2 * float(one.cost[: max(1, len(one.cost))].mean()) + 1e-9
    assert len(edit(model, start, stroke(), candidates=2, rng=0).codes) == 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "asks for colours, a sketch or a drag"),
        ({"colour": torch.zeros(1, SIDE, SIDE)}, "belong together"),
        ({"sketch": torch.zeros(SIDE, SIDE)}, "sketch is empty; draw something"),
        ({"sketch": 2 * torch.ones(SIDE, SIDE)}, "lies between 0 and 1"),
        ({"sketch_mask": torch.ones(SIDE, SIDE)}, "needs a sketch"),
    ],
)
def test_strokes_that_say_nothing_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        Strokes(**parts)


def test_what_cannot_be_edited_is_refused(model: pf.PCA, start: Tensor) -> None:
    small = Strokes(sketch=torch.ones(4, 4))
    with pytest.raises(pf.ShapeMismatch, match="sketch must have the size of the images, 16×16"):
        edit(model, start, small)
    with pytest.raises(pf.ShapeMismatch, match=r"the code .1, latent. of one image"):
        edit(model, start.repeat(2, 1), stroke())
    with pytest.raises(pf.InvalidKind, match="does not decode codes"):
        edit(pf.GMM(2).fit(torch.randn(50, 2)), start, stroke())
    plane = pf.PCA(1).fit(torch.randn(50, 2))
    with pytest.raises(pf.InvalidKind, match="edits are of images"):
        edit(plane, torch.zeros(1, 1), stroke())
