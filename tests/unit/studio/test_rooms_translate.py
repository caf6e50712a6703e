"""The translate room: the results of the commands, drawings, and pictures it refuses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import BadRun, BadSource, InvalidKind, InvalidValue, PushforwardError
from pushforward.data.export.grids import image_bytes
from pushforward.experiments import open_run
from pushforward.experiments.enlargements import enlarge_levels
from pushforward.experiments.translations import translate
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio
from tests.png_chunks import bomb

SIDE = 16
COLOURS = ((0, 48, 252), (252, 80, 1), (250, 240, 4))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Runs told label maps (as colours, as planes, and unknown as such), edges, photographs, and
    one that enlarges.
    """
    root = tmp_path_factory.mktemp("translate")
    rng = torch.Generator().manual_seed(3)
    number = torch.randint(3, (8, 4, 4), generator=rng)
    maps = torch.tensor(COLOURS, dtype=torch.uint8)[number].movedim(-1, 1)
    maps = maps.repeat_interleave(4, 2).repeat_interleave(4, 3)
    photos = torch.randint(0, 256, (8, 3, SIDE, SIDE), generator=rng, dtype=torch.uint8)
    for folder, images in (("sides", torch.cat([photos, maps], 3)), ("photos", photos)):
        (root / folder).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.movedim(0, -1).numpy()).save(root / folder / f"{i}.png")
    how: dict[str, Any] = {"steps": 1, "batch": 2, "quiet": True}
    for name, source, y in (
        ("labels", "sides", "labels"),
        ("planes", "sides", "labels(planes=True)"),
        ("right", "sides", "right"),
        ("edges", "photos", "edges"),
    ):
        pf.Pix2Pix(width=2).fit(str(root / source), y=y, run=root / name, **how)
    pf.Pix2Pix(width=2).fit(photos, photos.flip(0), run=root / "memory", **how)
    small = pf.SRResNet(width=4, blocks=1)
    small.fit(str(root / "photos"), y="low_resolution(2)", run=root / "large", **how)
    pf.GMM(1).fit("moons:40", run=root / "gmm")
    return Studio(root)


def ask(studio: Studio, verb: str, attached: bytes = b"", **content: Any) -> Answer:
    request = Request(1, f"translate.{verb}", content, attached=attached)
    with torch.no_grad():
        return find_verb(request.verb)(studio, request)


def picture(height: int = 20, width: int = 24, mode: str = "RGB") -> bytes:
    levels = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).convert(mode).save(file, "PNG")
    return file.getvalue()


def pixels(answer: Answer, name: str = "output") -> np.ndarray[Any, Any]:
    return np.asarray(answer.arrays[name])[0]


@pytest.mark.parametrize(
    ("run", "how"),
    [
        ("labels", {}),
        ("planes", {"seed": 5}),
        ("memory", {"size": "own", "mean": True}),
        ("edges", {"derive": True, "fit": "stretch"}),
    ],
)
def test_a_photo_gives_what_the_command_makes_of_it(
    studio: Studio, tmp_path: Path, run: str, how: dict[str, Any]
) -> None:
    (tmp_path / "photo.png").write_bytes(picture())
    answer = ask(studio, "photo", picture(), run=run, name="photo.png", **how)
    opened = open_run(studio.path(run))
    (expected,) = translate(
        opened,
        tmp_path / "photo.png",
        derive_conditions=how.get("derive", False),
        size=None if how.get("size") == "own" else (SIDE, SIDE),
        fit=how.get("fit", "crop"),
        seed=how.get("seed", 0),
        using="mean" if how.get("mean") else None,
    )
    levels = image_bytes(expected.x[None], opened.model.fitted_space())[0]
    assert np.array_equal(pixels(answer)[..., :3], levels.transpose(1, 2, 0))
    assert answer.content["before"] == [20, 24]
    assert answer.content["after"] == list(levels.shape[1:])


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_photo_is_enlarged_as_by_the_command(studio: Studio, mode: str) -> None:
    answer = ask(studio, "photo", picture(mode=mode), run="large", name="photo.png")
    levels = np.asarray(Image.open(io.BytesIO(picture(mode=mode))))
    levels = levels[None] if mode == "L" else levels.transpose(2, 0, 1)
    model = studio.open("large").model
    expected = enlarge_levels(model, torch.from_numpy(levels.copy())).movedim(0, -1).numpy()
    assert pixels(answer).shape == (40, 48, 4)
    assert np.array_equal(pixels(answer)[..., : 4 if mode == "RGBA" else 3], np.broadcast_to(
        expected, (40, 48, 4 if mode == "RGBA" else 3)))  # fmt: skip


def test_an_enlarger_is_compared_with_a_photo_of_any_size(studio: Studio) -> None:
    shown = ask(studio, "photo", picture(21, 25), run="large", derive=True, size="own")
    assert pixels(shown, "input").shape == (10, 12, 4)
    assert pixels(shown).shape == (20, 24, 4)


@pytest.mark.parametrize("run", ["labels", "planes", "right"])
def test_a_map_of_classes_is_drawn_in_its_colours(studio: Studio, run: str) -> None:
    facts = ask(studio, "open", run=run).content
    assert sorted(tuple(c) for c in facts["colours"]) == sorted(COLOURS)
    assert not facts["lines"]
    example = ask(studio, "example", run=run, number=2)
    drawing = np.asarray(example.arrays["drawing"])
    again = ask(studio, "drawing", drawing.tobytes(), run=run, height=SIDE, width=SIDE)
    assert np.array_equal(pixels(again, "input"), pixels(example, "input"))
    assert np.array_equal(pixels(again), pixels(example))
    assert np.array_equal(np.array(facts["colours"])[drawing], pixels(example, "input")[..., :3])


def test_edges_are_drawn_in_ink_and_told_in_white(studio: Studio) -> None:
    facts = ask(studio, "open", run="edges").content
    assert (facts["lines"], facts["colours"]) == (True, [[255] * 3, [0] * 3])
    drawing = np.zeros((SIDE, SIDE), np.uint8)
    drawing[3] = 1
    answer = ask(studio, "drawing", drawing.tobytes(), run="edges", height=SIDE, width=SIDE)
    assert np.array_equal(pixels(answer, "input")[..., 0], 255 * drawing)
    y = torch.from_numpy(255 * drawing[None]).float()
    model = studio.open("edges").model
    expected = image_bytes(model.translate(y, rng=0)[None], model.fitted_space())[0]
    assert np.array_equal(pixels(answer)[..., :3], expected.transpose(1, 2, 0))


def test_noise_follows_the_seed(studio: Studio) -> None:
    facts = ask(studio, "open", run="labels").content
    assert facts["noisy"]
    made = [pixels(ask(studio, "example", run="labels", number=0, seed=s)) for s in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not ask(studio, "open", run="large").content["noisy"]


@pytest.mark.parametrize(
    ("verb", "attached", "content", "kind", "words"),
    [
        ("open", b"", {"run": "nothing"}, BadRun, "there is no run 'nothing'"),
        ("open", b"", {"run": "gmm"}, InvalidKind, "translates no images"),
        ("photo", b"", {"run": "labels"}, BadSource, "choose a file"),
        ("photo", b"no", {"run": "labels", "name": "a.png"}, BadSource, "a.png: is not an image"),
        ("photo", picture()[:200], {"run": "labels"}, BadSource, "damaged or cut short"),
        ("photo", bomb(8000, 6000), {"run": "labels"}, BadSource, "has 48 megapixels"),
        ("photo", bomb(60_000, 60_000), {"run": "labels"}, BadSource, "far too many megapixels"),
        ("photo", bomb(6000, 6000), {"run": "large"}, BadSource, "144 megapixels"),
        ("photo", bomb(2000, 2000), {"run": "labels", "size": "own"}, BadSource, "at most 2"),
        ("photo", picture(), {"run": "memory", "derive": True}, InvalidValue, "of their own"),
        ("photo", picture(), {"run": "labels", "fit": "bend"}, InvalidValue, "crop, pad, stretch"),
        ("photo", picture(), {"run": "labels", "seed": -1}, InvalidValue, "seed must be"),
        ("drawing", bytes(9), {"run": "labels", "height": 4, "width": 4}, InvalidValue, "16 bytes"),
        ("drawing", b"\3", {"run": "labels", "height": 1, "width": 1}, InvalidValue, "0 to 2"),
        (
            "drawing",
            b"\0",
            {"run": "labels", "height": 1, "width": 9999},
            InvalidValue,
            "1 to 1024",
        ),
        ("drawing", b"\0", {"run": "memory", "height": 1, "width": 1}, InvalidKind, "photographs"),
        ("example", b"", {"run": "memory"}, BadRun, "cannot be found"),
        ("example", b"", {"run": "labels", "number": 8}, InvalidValue, "0 to 7"),
    ],
)
def test_what_cannot_be_done_is_said(
    studio: Studio,
    verb: str,
    attached: bytes,
    content: dict[str, Any],
    kind: type[PushforwardError],
    words: str,
) -> None:
    with pytest.raises(kind, match=words):
        ask(studio, verb, attached, **content)
