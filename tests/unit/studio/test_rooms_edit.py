"""The edit room: projections with their errors, strokes as the command reads them, refusals."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import InvalidValue, PushforwardError
from pushforward.experiments import open_run
from pushforward.experiments.edits import edit as edit_image
from pushforward.latent import project
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with an encoder, without, of colours, and of no images."""
    place = tmp_path_factory.mktemp("runs")
    by = pf.Trainer(steps=60, batch=32, quiet=True, seed=0)
    pf.Experiment(pf.VAE(4, hidden=(32,)), "digits", fitter=by).run(place / "vae")
    pf.Experiment(pf.PCA(3), "digits").run(place / "pca")
    pf.Experiment(pf.DCGAN(latent=4, width=4), "digits", fitter=by).run(place / "dcgan")
    pf.Experiment(pf.GMM(2), "moons:200").run(place / "gmm")
    noise = torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(noise, (16, 16), mode="bicubic").clamp(0, 1)
    pf.PCA(12).fit((255 * x).round().to(torch.uint8), run=place / "colours", quiet=True)
    return place


@pytest.fixture(scope="module")
def studio(folder: Path) -> Studio:
    return Studio(folder)


def ask(studio: Studio, verb: str, file: bytes = b"", **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(f"edit.{verb}")(studio, Request(1, f"edit.{verb}", content, "", file))


def png(levels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


def five(side: int = 8) -> bytes:
    """A digit of the data."""
    x = pf.read("digits").x[5, 0].float() * 255 / 16
    small = Image.fromarray(x.round().to(torch.uint8).numpy())
    return png(np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)))


def test_a_stroke_is_followed_and_its_way_is_shown(studio: Studio) -> None:
    assert ask(studio, "open", run="pca").content["height"] == 8
    begun = ask(studio, "begin", run="pca", seed=3)
    code = begun.content["code"]
    before = torch.as_tensor(begun.arrays["image"])[0, ..., 0].float()
    stroke = np.zeros((8, 8, 4), np.uint8)
    stroke[2:6, 3:5] = 255
    changed = ask(studio, "change", stroke.tobytes(), run="pca", code=code, parts=["colour"])
    made = torch.as_tensor(changed.arrays["images"])[0, ..., 0].float()
    inside = (255 - made[2:6, 3:5]).square().mean()
    assert inside < (255 - before[2:6, 3:5]).square().mean()
    assert changed.content["cost"][0] < changed.content["before"]
    codes = changed.content["codes"]
    assert len(codes) == len(changed.arrays["images"]) <= changed.content["most"] == 9
    film = ask(studio, "film", run="pca", **{"from": code, "to": codes[:1]})
    way = torch.as_tensor(film.arrays["images"])
    assert len(way) == 16
    assert torch.equal(way[0, ..., 0].float(), before)
    assert (way[-1, ..., 0].float() - made).abs().max() <= 1


def test_a_picture_is_projected_by_every_method_with_its_error(studio: Studio) -> None:
    answers = {
        method: ask(studio, "begin", five(), run="vae", name="five.png", method=method)
        for method in ("encoder", "optimisation", "both")
    }
    model = studio.open("vae").model
    x = pf.read("digits").x[5:6].float()
    errors = {one["method"]: one["error"] for one in answers["both"].content["errors"]}
    for method, answer in answers.items():
        code = torch.tensor(answer.content["code"]).to(model.floating())
        missed = (model.decode(code) - x).square().mean().sqrt() / 16
        assert errors[method] == pytest.approx(float(missed), rel=0.02)
        assert answer.content["method"] == method
        assert answer.content["errors"] == answers["both"].content["errors"]
    assert errors["both"] <= min(errors["encoder"], errors["optimisation"]) + 1e-6
    assert errors["both"] < 0.98 * errors["encoder"]
    assert ask(studio, "begin", five(), run="vae").content["method"] == "both"


def test_models_without_an_encoder_have_one_method(studio: Studio) -> None:
    assert ask(studio, "open", run="dcgan").content["methods"] == ["optimisation"]
    assert len(ask(studio, "begin", five(), run="dcgan").content["errors"]) == 1
    with pytest.raises(InvalidValue, match="method must be one of optimisation, got 'encoder'"):
        ask(studio, "begin", five(), run="dcgan", method="encoder")


def test_the_error_of_a_picture_is_compared_with_rows_of_the_data(studio: Studio) -> None:
    found = ask(studio, "typical", run="vae", method="encoder").content
    rows, _ = studio.rows("vae")
    assert rows is not None
    which = torch.linspace(0, len(rows.x) - 1, found["rows"]).round().long()
    model = studio.open("vae").model
    missed = project(model, rows.x[which], start="encoder", steps=0).error / 64
    assert found["error"] == pytest.approx(float(missed.sqrt().median()) / 16)
    assert ask(studio, "typical", run="vae", method="both").content["error"] < found["error"]
    assert ask(studio, "typical", run="colours").content == {"error": None, "rows": 0}


def drawn(run: str) -> dict[str, np.ndarray[Any, Any]]:
    """Planes as the page sends them, with soft edges."""
    side, channels = (16, 3) if run == "colours" else (8, 1)
    rng = np.random.default_rng(2)
    colour = np.zeros((side, side, 4), np.uint8)
    colour[2:5, 3:6, :3] = rng.integers(0, 256, (3, 3, 3)) if channels == 3 else 200
    colour[2:5, 3:6, 0] = 90
    colour[2:5, 3:6, 3] = rng.integers(100, 256, (3, 3))
    sketch = np.zeros((side, side), np.uint8)
    sketch[5] = [255, 90] * (side // 2)
    fixed = np.zeros((side, side), np.uint8)
    fixed[0], fixed[1] = 255, 70
    return {"colour": colour, "sketch": sketch, "fixed": fixed}


def as_pictures(planes: dict[str, np.ndarray[Any, Any]], place: Path) -> dict[str, Path]:
    """The same as files for the command: colours and masks by opacity, a sketch of dark lines."""
    black = np.zeros_like(planes["sketch"])[..., None].repeat(3, 2)
    images = {
        "colour": planes["colour"],
        "sketch": 255 - planes["sketch"],
        "fixed": np.concatenate([black, planes["fixed"][..., None]], 2),
    }
    paths = {name: place / f"{name}.png" for name in images}
    for name, path in paths.items():
        path.write_bytes(png(images[name]))
    return paths


@pytest.mark.parametrize("run", ["pca", "vae", "colours"])
def test_the_room_and_the_command_give_the_same_numbers(
    studio: Studio, tmp_path: Path, run: str
) -> None:
    planes = drawn(run)
    if run == "colours":
        photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        (tmp_path / "photo.png").write_bytes(png(photo))
    else:
        (tmp_path / "photo.png").write_bytes(five(40))
    file = (tmp_path / "photo.png").read_bytes()
    begun = ask(studio, "begin", file, run=run, name="photo.png")
    drags: Any = [[3.0, 3.0, 4.5, 3.0]]
    changed = ask(
        studio, "change", b"".join(plane.tobytes() for plane in planes.values()),
        run=run, code=begun.content["code"], parts=list(planes), drags=drags,
    )  # fmt: skip
    expected = edit_image(
        open_run(studio.path(run)), tmp_path / "photo.png", **as_pictures(planes, tmp_path),
        drags=[((3.0, 3.0), (4.5, 3.0))], full_size=False,
    )  # fmt: skip
    assert expected.projection is not None
    torch.testing.assert_close(
        torch.tensor(begun.content["code"]), expected.projection.codes.float(), check_dtype=False
    )
    assert changed.content["before"] == pytest.approx(expected.edited.before, rel=1e-5)
    cost = expected.edited.cost.tolist()
    assert changed.content["cost"][0] == pytest.approx(cost[0], rel=1e-3)
    assert changed.content["cost"] == pytest.approx(cost, rel=1e-2)


def test_the_command_writes_what_the_room_shows(
    studio: Studio, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pushforward.cli.main import main

    planes = {"colour": drawn("pca")["colour"]}
    colour = as_pictures({**drawn("pca"), **planes}, tmp_path)["colour"]
    out = tmp_path / "made.png"
    code = ask(studio, "begin", run="pca", seed=0).content["code"]
    content: dict[str, Any] = {"run": "pca", "code": code, "parts": ["colour"]}
    changed = ask(studio, "change", planes["colour"].tobytes(), **content)
    words = ["edit", folder / "pca", "--colour", colour, "--seed", 0, "--out", out, "--json"]
    assert main([str(word) for word in words]) == 0
    assert json.loads(capsys.readouterr().out)["what"] == "result"
    made = np.asarray(Image.open(out).convert("L")).astype(int)
    shown = np.asarray(torch.as_tensor(changed.arrays["images"]))[0, ..., 0]
    assert np.abs(made - shown).max() <= 1


def test_a_photograph_is_changed_at_its_own_size(studio: Studio) -> None:
    content: dict[str, Any] = {"run": "pca", "name": "five.png"}
    code = ask(studio, "begin", five(96), **content).content["code"]
    other = [[value + 1 for value in code[0]]]
    full = ask(studio, "photo", five(96), **content, **{"from": code, "to": other})
    assert isinstance(full.arrays["file"], bytes)
    with Image.open(io.BytesIO(full.arrays["file"])) as image:
        assert image.size == (96, 96)
        assert np.abs(np.asarray(image).astype(int) - pixels(five(96))).max() > 5
    same = ask(studio, "photo", five(96), **content, **{"from": code, "to": code})
    assert isinstance(same.arrays["file"], bytes)
    assert np.array_equal(pixels(same.arrays["file"]), pixels(five(96)))
    small = ask(studio, "photo", five(8), **content, **{"from": code, "to": other})
    assert small.content["note"].startswith("five.png is no larger than the model's images")
    assert not small.arrays


def pixels(file: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (b"", {"parts": []}, "an edit asks for colours, a sketch or a drag"),
        (b"12", {"parts": ["sketch"]}, "expected 64 bytes, got 2"),
        (bytes(64), {"parts": ["sketch"]}, "sketch.* is empty"),
        (bytes(256), {"parts": ["colour"]}, "colour.* is empty"),
        (b"", {"parts": ["nothing"]}, "parts are some of colour, sketch, fixed"),
        (b"", {"drags": [[0, 0, 1]]}, "drags must be 1 to 32 rows of 4 numbers"),
        (b"", {"drags": [[0, 0, 99, 1]]}, "99"),
    ],
)
def test_strokes_that_ask_for_nothing(
    studio: Studio, file: bytes, content: dict[str, Any], text: str
) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "change", file, run="pca", code=[[0.0, 0.0, 0.0]], **content)


def test_edits_are_of_images(studio: Studio) -> None:
    with pytest.raises(PushforwardError, match="edits are of images"):
        ask(studio, "open", run="gmm")


def test_all_of_an_image_may_be_painted(studio: Studio) -> None:
    whole = np.full((8, 8, 4), 255, np.uint8)
    code = ask(studio, "begin", run="pca").content["code"]
    made = ask(studio, "change", whole.tobytes(), run="pca", code=code, parts=["colour"]).content
    assert made["cost"][0] < made["before"]
