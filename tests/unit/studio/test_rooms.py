"""What rooms answer, beside the library's own verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio


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
