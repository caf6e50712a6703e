"""What image-to-image models take in Python: files, folders, Pillow's images, arrays, lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import DataWarning
from pushforward.experiments import open_run
from pushforward.experiments.enlargements import enlarge_levels
from pushforward.experiments.translations import translate

SIDE = 16


def levels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from colour to colour, an enlarging one, photographs of one size, and of several."""
    root = tmp_path_factory.mktemp("inputs")
    for folder, sizes in (("same", [(20, 24)] * 3), ("mixed", [(20, 24), (16, 19)])):
        (root / folder).mkdir()
        for i, size in enumerate(sizes):
            Image.fromarray(levels(*size, 3, seed=i)).save(root / folder / f"{i}.png")
    x = torch.from_numpy(levels(8, 3, SIDE, SIDE))
    pf.Pix2Pix(width=2).fit(x, x.flip(0), steps=1, batch=2, quiet=True, run=root / "run")
    drawn = {"y": "edges", "steps": 1, "batch": 2, "quiet": True, "run": root / "drawn"}
    pf.Pix2Pix(width=2).fit(x, **drawn)
    small = pf.SRResNet(width=4, blocks=1)
    small.fit(x, y="low_resolution(2)", steps=1, batch=2, quiet=True, run=root / "large")
    return root


@pytest.fixture(scope="module")
def model(place: Path) -> pf.Pix2Pix:
    return pf.load(place / "run")


FORMS: dict[str, Any] = {
    "text": str,
    "path": Path,
    "image": Image.open,
    "rows of pixels": lambda file: np.array(Image.open(file)),
    "channels first": lambda file: np.array(Image.open(file)).transpose(2, 0, 1),
    "tensor": lambda file: torch.from_numpy(np.array(Image.open(file))),
    "floats": lambda file: torch.from_numpy(np.array(Image.open(file))).movedim(-1, 0).float(),
    "numbers": lambda file: np.array(Image.open(file)).transpose(2, 0, 1).tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_image_gives_one_as_from_the_command_line(
    place: Path, model: pf.Pix2Pix, form: str
) -> None:
    file = place / "same" / "1.png"
    (expected,) = translate(open_run(place / "run"), file, seed=3)
    assert expected.x.shape == (3, 20, 24)
    assert torch.equal(model.translate(FORMS[form](file), rng=3), expected.x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", ["same", "mixed"])
def test_many_give_one_each_with_the_noise_it_would_have_alone(
    place: Path, model: pf.Pix2Pix, form: str, folder: str
) -> None:
    files = sorted((place / folder).glob("*.png"))
    alone = [result.x for result in translate(open_run(place / "run"), place / folder)]
    if form == "numbers":
        many: Any = np.stack([levels(20, 24, 3, seed=i) for i in range(3)])
        alone = [model.translate(image, rng=0) for image in many]
        folder = "same"
    else:
        many = [FORMS[form](file) for file in files]
    made = model.translate(many, rng=0)
    assert isinstance(made, torch.Tensor if folder == "same" else list)
    assert len(made) == len(alone)
    assert all(torch.equal(one, other) for one, other in zip(made, alone))


@pytest.mark.parametrize("form", FORMS)
def test_conditions_are_derived_as_by_the_command(place: Path, form: str) -> None:
    file = place / "same" / "1.png"
    (expected,) = translate(open_run(place / "drawn"), file, seed=3, derive_conditions=True)
    assert expected.y.shape == (1, 20, 24)
    model = pf.load(place / "drawn")
    made = model.translate(FORMS[form](file), rng=3, derive_conditions=True)
    assert torch.equal(made, expected.x)
    assert torch.equal(made, model.translate(expected.y, rng=3))


def test_derived_conditions_of_an_enlarging_model(place: Path) -> None:
    model, x = pf.load(place / "large"), torch.from_numpy(levels(2, 3, SIDE, SIDE))
    assert model.translate(x, derive_conditions=True).shape == x.shape


@pytest.mark.parametrize(("size", "fit"), [(16, "crop"), ("12x20", "stretch"), ((20, 12), "pad")])
@pytest.mark.parametrize("form", FORMS)
def test_images_are_brought_to_a_size_as_by_the_command(
    place: Path, model: pf.Pix2Pix, form: str, size: Any, fit: Any
) -> None:
    file = place / "same" / "1.png"
    height, width = sides = {16: (16, 16), "12x20": (12, 20)}.get(size, size)
    (expected,) = translate(open_run(place / "run"), file, seed=3, size=sides, fit=fit)
    made = model.translate(FORMS[form](file), rng=3, size=size, fit=fit)
    assert made.shape == (3, height, width)
    assert torch.equal(made, expected.x)


def test_a_size_that_is_none_is_refused(place: Path, model: pf.Pix2Pix) -> None:
    file = place / "same" / "1.png"
    with pytest.raises(pf.InvalidValue, match="size must be a whole number of pixels"):
        model.translate(file, size="big")
    with pytest.raises(pf.InvalidValue, match="fit must be 'crop', "):
        model.translate(file, size=16, fit="squeeze")  # type: ignore[arg-type]


def test_conditions_of_their_own_are_not_derived(place: Path, model: pf.Pix2Pix) -> None:
    with pytest.raises(pf.InvalidValue, match="leave derive_conditions out"):
        model.translate(place / "same" / "1.png", derive_conditions=True)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64, np.float16])
def test_types_of_arrays_make_no_difference(model: pf.Pix2Pix, dtype: Any) -> None:
    y = levels(2, 3, SIDE, SIDE)
    assert torch.equal(model.translate(y.astype(dtype), rng=0), model.translate(y, rng=0))


def test_levels_around_zero_and_empty_images_are_refused(model: pf.Pix2Pix) -> None:
    y = levels(2, 3, SIDE, SIDE)
    with pytest.raises(pf.ShapeMismatch, match=r"got values in -1\.\..* look already divided"):
        model.translate(y / 127.5 - 1)
    with pytest.raises(pf.ShapeMismatch, match="expected images with pixels"):
        model.translate(y[:, :, :0])
    with pytest.raises(pf.BadSource, match="got an empty text"):
        model.translate("")


def test_frames_after_the_first_are_warned_of(model: pf.Pix2Pix, tmp_path: Path) -> None:
    frames = [Image.fromarray(levels(20, 24, 3, seed=i)) for i in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    for given in (tmp_path / "a.gif", Image.open(tmp_path / "a.gif")):
        with pytest.warns(DataWarning, match="holds several frames or pages; the first is"):
            assert model.translate(given, rng=0).shape == (3, 20, 24)


def test_files_of_fractions_are_refused(model: pf.Pix2Pix, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((20, 24), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(pf.BadSource, match="holds F levels, finer than bytes"):
        model.translate(tmp_path / "f.tif")


@pytest.mark.parametrize(
    ("factor", "message"),
    [(10, "expected levels 0..255, got levels"), (-10, "scale them alike"), (0.001, "divided")],
)
def test_other_levels_are_refused(
    place: Path, model: pf.Pix2Pix, factor: float, message: str
) -> None:
    y = 0.5 + torch.from_numpy(levels(2, 3, SIDE, SIDE)).float()
    with pytest.raises(pf.ShapeMismatch, match=message):
        model.translate(factor * y)
    with pytest.raises(pf.ShapeMismatch, match="got True and False; pass the levels"):
        model.translate(y > 100)


def test_folders_and_globs_are_many(place: Path, model: pf.Pix2Pix) -> None:
    made = model.translate(place / "same", rng=0)
    assert made.shape == (3, 3, 20, 24)
    assert torch.equal(made, model.translate(f"{place}/same/*.png", rng=0))
    assert model.translate(f"{place}/same/1.*").shape == (1, 3, 20, 24)
    assert isinstance(model.translate(place / "mixed"), list)
    assert model.translate([]).shape == (0, 3, SIDE, SIDE)


@pytest.mark.parametrize(("mode", "channels"), [("L", ()), ("RGBA", (4,)), ("LA", (2,))])
def test_channels_are_converted_as_those_of_files(
    place: Path, model: pf.Pix2Pix, tmp_path: Path, mode: str, channels: tuple[int, ...]
) -> None:
    image = Image.fromarray(levels(20, 24, *channels), mode)
    image.save(tmp_path / "photo.png")
    (expected,) = translate(open_run(place / "run"), tmp_path / "photo.png")
    assert torch.equal(model.translate(image, rng=0), expected.x)
    if mode != "LA":
        assert torch.equal(model.translate(np.array(image), rng=0), expected.x)


def test_what_is_no_image_is_refused(place: Path, model: pf.Pix2Pix) -> None:
    with pytest.raises(pf.ShapeMismatch, match="look already divided; pass the levels"):
        model.translate(torch.rand(3, 20, 24))
    with pytest.raises(pf.ShapeMismatch, match=r"expected shape \(n, 3, any, any\)"):
        model.translate(levels(2, 20, 24))
    with pytest.raises(pf.ShapeMismatch, match="a list of single images, got several"):
        model.translate([place / "same"])
    with pytest.raises(pf.BadSource, match="no file matches"):
        model.translate("none.png")


def test_sixteen_bits_are_reduced(place: Path, model: pf.Pix2Pix, tmp_path: Path) -> None:
    grey = levels(20, 24)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey).save(tmp_path / "bytes.png")
    made = model.translate(tmp_path / "deep.png", rng=0)
    assert torch.equal(made, model.translate(tmp_path / "bytes.png", rng=0))
    assert torch.equal(made, model.translate(Image.open(tmp_path / "deep.png"), rng=0))


def test_models_of_fractions_take_files_too(tmp_path: Path) -> None:
    x = torch.rand(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    model = pf.Pix2Pix(width=2, dropout=0.0).fit(x, x, steps=1, batch=2, quiet=True)
    image = levels(SIDE, SIDE, 3)
    expected = model.translate(torch.from_numpy(image).movedim(-1, 0) / 255)
    torch.testing.assert_close(model.translate(Image.fromarray(image)), expected)
    with pytest.raises(pf.ShapeMismatch, match="divide by 255 first"):
        model.translate(image)


@pytest.mark.parametrize(("mode", "shape"), [("L", ()), ("RGB", (3,)), ("RGBA", (4,))])
def test_enlarge_keeps_channels_and_is_the_command(
    place: Path, mode: str, shape: tuple[int, ...]
) -> None:
    model = pf.load(place / "large")
    array = levels(9, 13, *shape)
    x = torch.from_numpy(array if shape else array[..., None]).movedim(-1, 0)
    made = model.enlarge(Image.fromarray(array, mode))
    assert made.shape == (len(x), 18, 26)
    assert torch.equal(made.round().clamp(0, 255).byte(), enlarge_levels(model, x))
    assert torch.equal(made, model.enlarge(array))
    assert torch.equal(torch.stack([made, made]), model.enlarge([array, array], tile=8))


def test_fit_takes_lists_of_images_as_conditions(place: Path) -> None:
    images = [Image.fromarray(levels(SIDE, SIDE, 3, seed=i)) for i in range(4)]
    greys = [image.convert("L") for image in images]
    for many in (images, [np.array(image) for image in images]):
        model = pf.Pix2Pix(width=2).fit(many, greys, steps=1, batch=2, quiet=True)
        assert model.condition_space.shape == (1, SIDE, SIDE)
        assert model.translate(greys[0]).shape == (3, SIDE, SIDE)


def test_arguments_of_read_are_named_as_such() -> None:
    with pytest.raises(pf.InvalidKind, match=r"pf\.read\(x, size=…\)") as error:
        pf.Pix2Pix().fit("facades", y="left", size=32)
    assert "did you mean" not in str(error.value)
    with pytest.raises(pf.InvalidKind, match="did you mean 'epochs'"):
        pf.Pix2Pix().fit("facades", epoch=3)


@pytest.mark.parametrize("form", ["file", "array", "floats", "list"])
def test_a_drawing_of_dark_lines_is_inverted_for_a_model_of_outlines(
    place: Path, tmp_path: Path, form: str
) -> None:
    drawn = pf.load(place / "drawn")
    lines = np.full((SIDE, SIDE), 255, np.uint8)
    lines[4:6, 2:14], lines[8:14, 7] = 0, 40
    forms: dict[str, Any] = {}
    for name, image in {"dark": lines, "light": 255 - lines}.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        forms[name] = {
            "file": tmp_path / f"{name}.png",
            "array": image,
            "floats": torch.from_numpy(image).float()[None],
            "list": [Image.fromarray(image)],
        }[form]
    expected = drawn.translate(forms["light"], rng=0)
    with pytest.warns(DataWarning, match="dark lines on a light ground is inverted"):
        made = drawn.translate(forms["dark"], rng=0)
    assert torch.equal(made, expected)


def test_other_conditions_are_not_inverted(model: pf.Pix2Pix) -> None:
    white = np.full((3, SIDE, SIDE), 250, np.uint8)
    assert not torch.equal(model.translate(white, rng=0), model.translate(5 + 0 * white, rng=0))
