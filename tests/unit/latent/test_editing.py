"""Edits by strokes: colours, sketches, what stays, candidates, and what is refused."""

from __future__ import annotations

from dataclasses import replace
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


@pytest.mark.parametrize("rest", [0.0, 0.5])
def test_a_linear_model_is_solved_exactly(model: pf.PCA, start: Tensor, rest: float) -> None:
    """The minimum of a quadratic: (Aᵀ (M + R) A + K) z = Aᵀ M c' + (Aᵀ R A + K) z_0."""
    strokes = stroke()
    assert strokes.colour_mask is not None
    edited = edit(model, start, strokes, keep=0.1, rest=rest, steps=200, candidates=3, rng=0)
    with torch.no_grad():
        zero = torch.zeros_like(start)
        base = model.decode(zero)[0].flatten().double()
        columns = [model.decode(zero + row[None])[0] for row in torch.eye(12).to(start)]
        a = torch.stack([c.flatten().double() - base for c in columns], 1)
    span = model.space.high - model.space.low
    weights = (strokes.colour_mask / strokes.colour_mask.sum()).flatten().double() / span**2
    variance = model.explained_variance_.double()
    k = torch.diag(0.1 / 12 / variance)
    others = 1 - strokes.colour_mask
    stays = rest * (others / others.sum()).flatten().double() / span**2
    k = k + a.T @ (stays[:, None] * a)
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
    assert len(edit(model, start, stroke(), steps=2, candidates=2, rng=3).codes) == 2
    level = (one.x - model.space.low) / (model.space.high - model.space.low)
    apart = torch.cdist(level.flatten(1), level.flatten(1)) / SIDE
    assert float((apart + torch.eye(len(apart))).min()) >= 0.02


def test_one_candidate_remains_where_all_end_alike(model: pf.PCA, start: Tensor) -> None:
    """A linear model has one minimum, so that more steps leave fewer different candidates."""
    few, many = (edit(model, start, stroke(), steps=s, rng=0) for s in (1, 200))
    assert len(few.codes) > len(many.codes) == 1
    torch.testing.assert_close(many.x, model.decode(many.codes))


def test_what_nobody_asked_about_changes_less(model: pf.PCA, start: Tensor) -> None:
    free, held = (edit(model, start, stroke(), rest=r, rng=0).x[0] for r in (0.0, 0.5))
    far = torch.ones(SIDE, SIDE)
    far[3:12, 5:15] = 0
    before = model.decode(start)[0]
    changes = [float(((x - before).square() * far).sum()) for x in (free, held)]
    assert changes[1] < 0.6 * changes[0]
    standard = edit(model, start, stroke(), rng=0).x[0]
    assert float(((standard - before).square() * far).sum()) < 0.9 * changes[0]


def test_nothing_holds_what_a_drag_leaves(model: pf.PCA, start: Tensor) -> None:
    handles, targets = torch.tensor([[8.0, 8.0]]), torch.tensor([[10.0, 7.0]])
    drag = Strokes(handles=handles, targets=targets, radius=4.0)
    free, held = (edit(model, start, drag, rest=r, steps=3, rng=0) for r in (0.0, 9.0))
    assert torch.equal(free.codes, held.codes)


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


def test_parts_that_are_fixed_change_less(model: pf.PCA, start: Tensor) -> None:
    before, held = model.decode(start)[0], torch.zeros(SIDE, SIDE)
    held[:6] = 1
    strokes = stroke()
    free, fixed = (
        edit(model, start, replace(strokes, fixed=mask), rng=0).x[0] for mask in (None, held)
    )
    changes = [float(((x - before).square() * held).sum()) for x in (free, fixed)]
    assert changes[1] < 0.5 * changes[0]
    mask = strokes.colour_mask
    assert float(((fixed[0] - 0.9).square() * mask).sum() / mask.sum()) < 0.2 * float(
        ((before[0] - 0.9).square() * mask).sum() / mask.sum()
    )


def test_the_way_to_a_candidate_has_sixteen_codes(model: pf.PCA, start: Tensor) -> None:
    edited = edit(model, start, stroke(), rng=0)
    path = edited.path(0)
    assert path.shape == (16, 12)
    assert torch.equal(path[0], edited.start[0])
    assert torch.equal(edited.start, start)
    torch.testing.assert_close(path[-1], edited.codes[0])
    torch.testing.assert_close(path[5], start[0] + (edited.codes[0] - start[0]) / 3)
    assert edited.path(len(edited.codes) - 1, steps=4).shape == (4, 12)
    for candidate in (-1, len(edited.codes)):
        with pytest.raises(pf.InvalidValue, match="candidate must be from 0 to"):
            edited.path(candidate)


def discs(n: int = 1500) -> Tensor:
    """Discs of radius 3 at random places."""
    rng = torch.Generator().manual_seed(0)
    at = torch.rand(n, 2, 1, 1, generator=rng) * 10 + 3
    down, across = torch.meshgrid(*[torch.arange(SIDE).float()] * 2, indexing="ij")
    distance = ((down - at[:, 0]).square() + (across - at[:, 1]).square()).sqrt()
    return torch.sigmoid(2 * (3 - distance))[:, None]


def centre(x: Tensor) -> Tensor:
    """x and y of the mean of what is bright (2,)."""
    down, across = torch.meshgrid(*[torch.arange(SIDE).float()] * 2, indexing="ij")
    bright = (x[0] - 0.3).clamp_min(0)
    return torch.stack([(bright * across).sum(), (bright * down).sum()]) / bright.sum()


@pytest.fixture(scope="module")
def disc_model() -> pf.VAE:
    by = pf.Trainer(epochs=30, batch=50, seed=0, quiet=True)
    return pf.VAE(latent=2, hidden=(96, 96)).fit(discs(), by=by)


def test_a_disc_that_is_dragged_arrives(disc_model: pf.VAE) -> None:
    places = discs()[20:26]
    for x, wanted in zip(discs()[:6], places):
        code = disc_model.encode(x[None]).detach()
        begun = centre(disc_model.decode(code)[0].detach())
        target = centre(wanted)
        drag = Strokes(handles=begun[None], targets=target[None], radius=4.0)
        made = edit(disc_model, code, drag, rng=0).x[0]
        assert float((centre(made) - target).norm()) < 1
        assert float(made.max()) > 0.8


def test_colours_are_painted_over_what_is_dragged(model: pf.PCA, start: Tensor) -> None:
    handles, targets = torch.tensor([[8.0, 8.0]]), torch.tensor([[10.0, 7.0]])
    painted = replace(stroke(), handles=handles, targets=targets, radius=4.0)
    made = edit(model, start, painted, rng=0).x[0, 0]
    error = (made - 0.9).square() * painted.colour_mask
    before = (model.decode(start)[0, 0] - 0.9).square() * painted.colour_mask
    assert float(error.sum()) < 0.5 * float(before.sum())


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"handles": torch.ones(1, 2)}, pf.InvalidValue, "handles and their targets"),
        ({"radius": -1.0}, pf.InvalidValue, "radius must be above 0"),
        ({"fixed": torch.zeros(SIDE, SIDE)}, pf.InvalidValue, "fixed is empty"),
        ({"fixed": torch.ones(4, 4)}, pf.ShapeMismatch, "fixed must have the size"),
        (
            {"handles": torch.ones(1, 2), "targets": torch.tensor([[99.0, 1.0]])},
            pf.InvalidValue,
            "targets must lie in the image",
        ),
    ],
)
def test_drags_and_masks_that_do_not_fit_are_refused(
    model: pf.PCA, start: Tensor, parts: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        edit(model, start, replace(stroke(), **parts))
