"""What rooms answer, beside the library's own verbs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

RING: dict[str, Any] = {"kind": "built-in", "name": "ring"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    by = pf.Trainer(steps=20, batch=32, quiet=True)
    pf.Experiment(pf.VAE(2, hidden=(16,)), "digits", fitter=by).run(place / "vae")
    pf.Experiment(pf.PCA(3), "digits").run(place / "below" / "pca")
    pf.Experiment(pf.GMM(2), "moons:200").run(place / "gmm")
    (place / "empty").mkdir()
    return place


@pytest.fixture
def studio(folder: Path) -> Studio:
    return Studio(folder)


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content))


def until(found: Any, seconds: float = 30.0) -> Any:
    """The first true answer of a function."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


# -------------------------------------------------------------------------------------------- runs


def test_runs_are_listed_with_what_they_can_do(studio: Studio) -> None:
    runs = {run["name"]: run for run in ask(studio, "runs.list").content["runs"]}
    assert set(runs) == {"vae", "below/pca", "gmm"}
    assert "Decodes" in runs["vae"]["able"]
    assert runs["gmm"]["source"] == "moons:200"
    assert (runs["vae"]["state"], runs["vae"]["reason"]) == ("finished", "budget")


def test_a_run_shows_its_curves_and_images(studio: Studio, folder: Path) -> None:
    shown = ask(studio, "runs.show", run="vae").content
    assert shown["curves"][-1]["samples"] == 20 * 32
    assert "vae" in shown["curves"][-1]["terms"] or len(shown["curves"][-1]["terms"]) > 0
    name = shown["images"][0]
    file = ask(studio, "runs.image", run="vae", image=name).arrays["file"]
    assert file == (folder / "vae" / name).read_bytes()


@pytest.mark.parametrize("name", ["..", "../..", "/etc", "empty", "none", "vae/images", "\0"])
def test_nothing_but_runs_of_the_folder_is_opened(studio: Studio, name: str) -> None:
    with pytest.raises((PushforwardError, ValueError)):
        ask(studio, "runs.show", run=name)


@pytest.mark.parametrize("name", ["run.json", "images/../run.json", "../gmm/images/density.png"])
def test_images_of_a_run_only(studio: Studio, name: str) -> None:
    with pytest.raises(PushforwardError, match="this run has no image"):
        ask(studio, "runs.image", run="vae", image=name)


def test_links_out_of_the_folder_are_not_followed(
    folder: Path, tmp_path: Path, studio: Studio
) -> None:
    outside = tmp_path / "outside"
    pf.PCA(1).fit(torch.randn(20, 2)).save(outside)
    link = folder / "link"
    link.symlink_to(outside)
    try:
        with pytest.raises(PushforwardError, match="there is no run 'link'"):
            ask(studio, "runs.show", run="link")
    finally:
        link.unlink()


def test_a_run_that_changed_is_opened_anew(tmp_path: Path) -> None:
    pf.PCA(1).fit(torch.randn(20, 2)).save(tmp_path / "run")
    studio = Studio(tmp_path)
    first = studio.open("run")
    assert studio.open("run") is first
    pf.PCA(2).fit(torch.randn(20, 3)).save(tmp_path / "run", overwrite=True)
    assert studio.open("run").model.space.size == 3


# ------------------------------------------------------------------------------------------ latent


def test_codes_decode_as_the_model_decodes_them(studio: Studio, folder: Path) -> None:
    model = pf.load(folder / "vae")
    codes = torch.tensor([[0.5, -1.0], [0.0, 2.0]])
    pixels = ask(studio, "latent.decode", run="vae", codes=codes.tolist()).arrays["images"]
    expected = (model.decode(codes)[:, 0] / 16 * 255).clamp(0, 255).round().to(torch.uint8)
    assert torch.equal(torch.as_tensor(pixels)[..., 0], expected)
    assert torch.equal(torch.as_tensor(pixels)[..., 3], torch.full((2, 8, 8), 255).byte())


def test_a_room_knows_codes_and_labels(studio: Studio) -> None:
    facts = ask(studio, "latent.open", run="vae").content
    assert facts["latent"] == 2
    assert sorted(facts["order"]) == [0, 1]
    assert facts["labels"] == [str(digit) for digit in range(10)]
    assert ask(studio, "latent.open", run="below/pca").content["latent"] == 3


def test_the_map_leads_back_to_codes(studio: Studio, folder: Path) -> None:
    answer = ask(studio, "latent.map", run="below/pca")
    model, rows = pf.load(folder / "below" / "pca"), pf.read("digits").x
    centre, basis = (torch.tensor(answer.content[name]) for name in ("centre", "basis"))
    codes = model.encode(rows).to(torch.float64)
    places = torch.as_tensor(answer.arrays["places"])
    assert torch.allclose((codes - centre) @ basis.T.to(torch.float64), places, atol=1e-4)
    assert torch.allclose(basis @ basis.T, torch.eye(2), atol=1e-6)
    assert len(answer.content["labels"]) == len(rows)


def test_ways_films_and_nearest_rows(studio: Studio) -> None:
    ends = {"from": [[-1, 0]], "to": [[1, 1]], "steps": 5}
    way = ask(studio, "latent.path", run="vae", **ends)
    assert way.content["codes"][2] == [0.0, 0.5]
    assert len(way.arrays["images"]) == 5
    gif = ask(studio, "latent.film", run="vae", **ends).arrays["file"]
    assert isinstance(gif, bytes)
    assert gif[:6] == b"GIF89a"
    row = pf.read("digits").x[12]
    code = pf.load(studio.folder / "vae").encode(row[None]).tolist()
    near = ask(studio, "latent.nearest", run="vae", codes=code).content
    assert near["of"] == 1797
    assert near["distances"] == sorted(near["distances"])


def test_codes_drawn_with_a_seed_are_the_same(studio: Studio) -> None:
    one, two = (ask(studio, "latent.codes", run="vae", seed=4, n=2).content for _ in range(2))
    assert one == two != ask(studio, "latent.codes", run="vae", seed=5, n=2).content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"run": "gmm", "codes": [[0.0]]}, "does not decode codes"),
        ({"run": "vae", "codes": [[0.0]]}, "codes must be 1 to 400 rows of 2 numbers"),
        ({"run": "vae", "codes": "x"}, "codes must be rows of numbers"),
        ({"run": "vae", "codes": [[0.0, 1e400]]}, "codes must be finite"),
        ({"run": "vae"}, "codes must be rows of numbers"),
        ({"run": 3, "codes": [[0, 0]]}, "run must be str, got 3"),
        ({"run": "vae", "codes": [[0.0, 0.0]] * 401}, "1 to 400 rows"),
    ],
)
def test_codes_that_cannot_be_decoded(studio: Studio, content: dict[str, Any], text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "latent.decode", **content)


# ------------------------------------------------------------------------------------------- learn


def started(studio: Studio, model: str, **settings: str) -> Answer:
    data = {"kind": "built-in", "name": "moons"}  # on which no mixture converges at once
    return ask(studio, "learn.start", model=model, settings=settings, data=data, paused=True)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        ("gan", {"samples", "critic", "manifold", "gradients"}),
        ("vae", {"samples", "manifold", "posterior"}),
        ("gmm", {"samples", "density", "clusters"}),
        ("kmeans", {"clusters"}),
    ],
)
def test_a_fit_is_watched_layer_by_layer(studio: Studio, model: str, layers: set[str]) -> None:
    width = {"latent": "2"} if model in ("gan", "vae") else {}
    begun = started(studio, model, **width).content
    assert set(begun["layers"]) == layers
    assert begun["paused"]
    fit = begun["fit"]
    ask(studio, "learn.control", fit=fit, action="step", steps=2)

    def stepped() -> Answer | None:
        seen = ask(studio, "learn.look", fit=fit, layers=[*layers])
        facts = seen.content
        return seen if facts["steps"] == 2 and facts["paused"] and facts["reports"] else None

    seen = until(stepped)
    shapes = {name: tuple(array.shape) for name, array in seen.arrays.items()}
    expected = {
        "samples": (600, 2), "critic": (48, 48), "density": (48, 48), "clusters": (48, 48),
        "manifold": (21, 21, 2), "gradients": (120, 4), "posterior": (120, 4),
    }  # fmt: skip
    assert shapes == {name: expected[name] for name in layers}
    ask(studio, "learn.stop", fit=fit)
    with pytest.raises(PushforwardError, match="this fit is gone"):
        ask(studio, "learn.look", fit=fit)


def test_settings_change_and_checkpoints_are_returned_to(studio: Studio) -> None:
    fit = started(studio, "gan", latent="2").content["fit"]
    ask(studio, "learn.control", fit=fit, action="step", steps=3)
    until(lambda: ask(studio, "learn.look", fit=fit).content["samples"] == 3 * 128)
    changed = ask(
        studio, "learn.change", fit=fit, model="gan", data=RING,
        settings={"latent": "2", "game": "wasserstein", "batch": "16"},
    ).content  # fmt: skip
    assert changed["samples"] == 3 * 128
    assert changed["checkpoints"] == [3 * 128]
    live = studio.fit(changed["fit"])
    assert str(live.model.game) == "wasserstein"  # type: ignore[attr-defined]
    kept = live.checkpoints[0].model.state_dict()
    now = live.visit(lambda model: {name: t.clone() for name, t in model.state_dict().items()})
    assert all(torch.equal(now[name], kept[name]) for name in now if "generator" in name)
    ask(studio, "learn.control", fit=changed["fit"], action="step", steps=2)
    until(lambda: ask(studio, "learn.look", fit=changed["fit"]).content["steps"] == 2)
    back = ask(studio, "learn.back", fit=changed["fit"], number=0).content
    assert back["samples"] == 3 * 128
    ask(studio, "learn.stop", fit=back["fit"])


@pytest.mark.parametrize("settings", [{"latent": "3"}, {"hidden": "7"}, {"game": "chess"}])
@pytest.mark.parametrize("name", ["moons", "digits"])
def test_a_change_that_cannot_be_made_leaves_the_fit_as_it_is(
    studio: Studio, settings: dict[str, str], name: str
) -> None:
    data = {"kind": "built-in", "name": name}
    begun = {"model": "gan", "data": data, "settings": {"latent": "2"}}
    fit = ask(studio, "learn.start", **begun, paused=True).content["fit"]
    with pytest.raises(PushforwardError):
        ask(studio, "learn.change", fit=fit, **{**begun, "settings": settings})
    assert not studio.fit(fit).ended
    ask(studio, "learn.control", fit=fit, action="step", steps=2)
    until(lambda: ask(studio, "learn.look", fit=fit).content["steps"] == 2)
    ask(studio, "learn.stop", fit=fit)


def test_drawn_points_and_images_are_fitted(studio: Studio) -> None:
    points = torch.randn(50, 2).tolist()
    drawn = {"kind": "drawn", "points": points}
    begun = ask(studio, "learn.start", model="gmm", settings={"components": "2"}, data=drawn)
    assert begun.content["rows"] == 50
    digits = {"kind": "built-in", "name": "digits"}
    images = ask(studio, "learn.start", model="vae", settings={}, data=digits, paused=True)
    assert images.arrays["data"].shape == (25, 8, 8, 4)
    seen = ask(studio, "learn.look", fit=images.content["fit"])
    assert seen.arrays["images"].shape == (25, 8, 8, 4)
    studio.close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"model": "none", "data": RING}, "none"),
        ({"model": "gan", "data": {}}, "data are built-in or drawn"),
        ({"model": "gan", "data": {"kind": "built-in", "name": "/etc/passwd"}}, "name must be one"),
        ({"model": "gan", "data": RING, "settings": {"run": "x"}}, "there is no setting 'run'"),
        ({"model": "gan", "data": RING, "settings": {"latent": "0"}}, "latent"),
        ({"model": "gan", "data": RING, "settings": {"game": "chess"}}, "chess"),
        ({"model": "gan", "data": {"kind": "drawn", "points": [[1, 2, 3]]}}, "rows of 2 numbers"),
    ],
)
def test_fits_that_cannot_begin(studio: Studio, content: dict[str, Any], text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, "learn.start", **{"settings": {}, **content})


def test_fits_end_with_the_last_page(studio: Studio) -> None:
    fit = studio.fit(started(studio, "gan").content["fit"])
    studio.enter()
    studio.enter()
    studio.leave(grace=0.05)
    time.sleep(0.2)
    assert not fit.ended
    studio.leave(grace=0.05)
    until(lambda: fit.ended)


def test_fits_outlive_a_reload(studio: Studio) -> None:
    fit = studio.fit(started(studio, "gan").content["fit"])
    studio.enter()
    studio.leave(grace=0.2)
    studio.enter()
    time.sleep(0.4)
    assert not fit.ended
    assert ask(studio, "learn.rejoin", fit=fit.name).content["fit"] == fit.name
    studio.close()
