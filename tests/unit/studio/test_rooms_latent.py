"""The room Latent: maps, ways, walks, directions and nearest rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.rooms.latent import _judge, _spacing
from pushforward.studio.studio import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    place = tmp_path_factory.mktemp("runs")
    pf.Experiment(pf.PCA(5), "digits").run(place / "pca")
    pf.Experiment(pf.PCA(2), "moons:60").run(place / "moons")
    by = pf.Trainer(steps=5, batch=32, quiet=True)
    pf.Experiment(pf.GAN(latent=2, hidden=(8,)), "digits", fitter=by).run(place / "gan")
    return Studio(place)


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    with torch.no_grad():
        return find_verb(verb)(studio, Request(1, verb, content))


def model(studio: Studio, run: str) -> Any:
    return studio.open(run).model


# --------------------------------------------------------------------------------------------- maps


def test_the_plane_is_that_of_the_widest_axes_around_the_mean(studio: Studio) -> None:
    answer = ask(studio, "latent.map", run="pca")
    z = model(studio, "pca").encode(pf.read("digits").x).to(torch.float64)
    centre, basis = (
        torch.tensor(answer.content[name], dtype=torch.float64) for name in ("centre", "basis")
    )
    assert torch.allclose(centre, z.mean(0))
    covariance = (z - z.mean(0)).T @ (z - z.mean(0)) / len(z)
    variances = torch.linalg.eigvalsh(covariance).flip(0)[:2]
    found = (basis @ covariance @ basis.T).diagonal()
    assert torch.allclose(found, variances), "the widest first"
    assert bool((basis.gather(1, basis.abs().argmax(1, keepdim=True)) > 0).all()), "one sign"
    labels = torch.tensor(answer.content["labels"])
    assert torch.equal(labels, pf.read("digits", label=True).y.long().flatten())


def test_codes_of_two_numbers_are_their_own_map(studio: Studio) -> None:
    answer = ask(studio, "latent.map", run="moons")
    assert answer.content["basis"] == [[1.0, 0.0], [0.0, 1.0]]


def test_the_neighbour_map_is_made_once_and_leads_back_to_codes(studio: Studio) -> None:
    answer = ask(studio, "latent.neighbours", run="moons")
    places = torch.as_tensor(answer.arrays["places"])
    codes = model(studio, "moons").encode(pf.read("moons:60").x)
    assert places.shape == (60, 2)
    again = ask(studio, "latent.neighbours", run="moons").arrays["places"]
    assert again is answer.arrays["places"], "kept, not made again"
    landed = ask(studio, "latent.at", run="moons", place=[places[7].tolist()])
    assert torch.allclose(torch.tensor(landed.content["code"]), codes[7].float(), atol=1e-5)
    there = ask(studio, "latent.decode", run="moons", codes=[codes[7].tolist()], placed=True)
    assert torch.allclose(torch.tensor(there.content["place"]), places[7].float(), atol=1e-4)
    assert there.content["columns"] == landed.content["columns"]
    assert "place" not in ask(studio, "latent.decode", run="moons", codes=[[0, 0]]).content


def test_without_an_encoder_maps_show_the_prior_and_say_so(studio: Studio) -> None:
    answer = ask(studio, "latent.map", run="gan")
    assert "draws of the prior" in answer.content["notes"][-1]
    assert answer.content["labels"] == []


# ----------------------------------------------------------------------------------- ways and walks


@pytest.mark.parametrize("along", ["line", "sphere"])
def test_a_way_begins_and_ends_at_its_codes(studio: Studio, along: str) -> None:
    ends = {"from": [[1.0, 0, 0, 0, 2]], "to": [[0.0, 3, 1, 0, 0]]}
    way = ask(studio, "latent.path", run="pca", **ends, steps=4, along=along)
    codes = torch.tensor(way.content["codes"])
    assert torch.allclose(codes[[0, -1]], torch.tensor([*ends["from"], *ends["to"]]), atol=1e-6)
    shown = torch.as_tensor(way.arrays["images"])
    for which, name in ((0, "from"), (-1, "to")):
        alone = ask(studio, "latent.decode", run="pca", codes=ends[name]).arrays["images"]
        assert (shown[which].int() - torch.as_tensor(alone)[0].int()).abs().max() <= 1


def test_a_walk_is_a_loop_and_so_is_its_film(studio: Studio) -> None:
    import io

    from PIL import Image

    stops = ask(studio, "latent.codes", run="pca", seed=1, n=3).content["codes"]
    walk = ask(studio, "latent.walk", run="pca", through=stops, steps=4)
    codes = torch.tensor(walk.content["codes"])
    assert len(codes) == len(walk.arrays["images"]) == 12
    assert torch.allclose(codes[::4], torch.tensor(stops), atol=1e-6)
    file = ask(studio, "latent.film", run="pca", through=stops, steps=4).arrays["file"]
    assert isinstance(file, bytes)
    with Image.open(io.BytesIO(file)) as film:
        assert getattr(film, "n_frames", 1) == 12, "once around, without the way back"


@pytest.mark.parametrize(
    ("verb", "content", "text"),
    [
        ("walk", {"through": [[0.0] * 5]}, "passes 2 to 20 codes, got 1"),
        ("walk", {"through": [[0.0] * 5] * 21}, "passes 2 to 20 codes, got 21"),
        ("walk", {"through": [[0.0] * 5] * 2, "steps": 21}, "steps must be a whole number"),
        ("walk", {"through": [[0.0] * 4] * 2}, "rows of 5 numbers"),
        ("film", {"through": [[0.0] * 5] * 2, "format": "exe"}, "format must be one of"),
        ("at", {"place": [[0.0]]}, "rows of 2 numbers"),
        ("decode", {"codes": [[0.0] * 5], "placed": 3}, "placed must be bool"),
    ],
)
def test_walks_and_places_that_make_no_sense(
    studio: Studio, verb: str, content: dict[str, Any], text: str
) -> None:
    with pytest.raises(PushforwardError, match=text):
        ask(studio, f"latent.{verb}", run="pca", **content)


# ------------------------------------------------------------------------------------- what is near


def test_the_nearest_rows_come_first_with_their_distances(studio: Studio) -> None:
    x = pf.read("digits").x
    code = model(studio, "pca").encode(x[12][None])
    near = ask(studio, "latent.nearest", run="pca", codes=code.tolist())
    made = model(studio, "pca").decode(code)
    distances = (x.to(made) - made).flatten(1).square().mean(1).sqrt()
    best = distances.sort()
    assert near.content["numbers"] == best.indices[:6].tolist()
    assert torch.allclose(torch.tensor(near.content["distances"]), best.values[:6].float())
    levels = torch.as_tensor(near.arrays["images"])[..., 0].float()
    expected = (x[best.indices[:6], 0].float() / 16 * 255).round()
    assert torch.equal(levels, expected)


def test_the_typical_distance_is_the_median_to_the_nearest_other_row(studio: Studio) -> None:
    near = ask(studio, "latent.nearest", run="pca", codes=[[0.0] * 5]).content
    x = pf.read("digits").x.flatten(1).to(torch.float64)
    assert near["typical"] == pytest.approx(_spacing(x))
    distances = torch.cdist(x[::2], x) / 8  # 64 values
    distances[torch.arange(len(distances)), torch.arange(0, len(x), 2)] = torch.inf
    assert near["typical"] == pytest.approx(float(distances.amin(1).median()))
    assert _spacing(torch.tensor([[0.0], [1.0], [3.0], [3.0], [3.0]])) == 0


@pytest.mark.parametrize(
    ("distance", "close", "text"),
    [
        (0.0, True, "nearly a row of the data"),
        (0.24, True, "nearly a row of the data"),
        (0.26, True, "closer to a row than rows are"),
        (1.0, False, "as far from its nearest row"),
        (1.6, False, "far from every row"),
    ],
)
def test_the_verdict_follows_the_typical_distance(distance: float, close: bool, text: str) -> None:
    assert _judge(3 * distance, 3.0)[0] is close
    assert text in _judge(3 * distance, 3.0)[1]
    assert "equal twin" in _judge(distance, 0.0)[1]


def test_a_direction_leads_towards_its_label(studio: Studio) -> None:
    rows = pf.read("digits", label=True)
    found = ask(studio, "latent.direction", run="pca", positive="3").content
    z = model(studio, "pca").encode(rows.x)
    threes = rows.y.flatten() == 3
    gap = z[threes].mean(0) - z[~threes].mean(0)
    vector = torch.tensor(found["vector"])
    assert float(vector @ gap.to(vector)) > 0.99 * float(gap.norm())
    assert found["name"] == "3"


# ------------------------------------------------------------------------------------------ sliders


def test_dimensions_are_named_after_what_they_change(studio: Studio) -> None:
    facts = ask(studio, "latent.open", run="moons").content
    axes = model(studio, "moons").components_[facts["order"]]
    largest = axes.abs() / axes.abs().amax(1, keepdim=True)
    names = facts["names"]
    for name, share in zip(facts["changes"], largest.tolist(), strict=True):
        assert names[share.index(1.0)] in name
    images = ask(studio, "latent.open", run="pca").content["changes"]
    assert len(images) == 5
    assert len(set(images)) == 5, "no two sliders have one name"
