"""Each recipe on a small table made to have a known answer, and through the command line."""

import json

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.records import Record
from pushforward.recipes.basketball import curry, hall_of_fame, shot_maps, trajectories
from pushforward.recipes.basketball.aldridge import accuracy, surprise
from pushforward.recipes.basketball.careers import profiles, seasons_of
from pushforward.recipes.basketball.curry import folds
from pushforward.recipes.basketball.shots import places, player_shots
from pushforward.recipes.registry import RECIPES, find, locate, run


def image_of(paths):
    (path,) = paths
    with Image.open(path) as image:
        assert min(image.size) > 400
    assert path.stat().st_size < 200_000
    return path


def test_curry_adapts_better_than_it_blurs(shots, tmp_path, monkeypatch):
    monkeypatch.setattr(curry, "FOLDS", 2)
    found, paths = run("curry", file=shots, out=tmp_path / "a", seed=1)
    image_of(paths)
    assert (
        found.records["kernels, adaptive"].value
        > found.records["kernels, Scott's bandwidth"].value
        > found.records["one normal distribution"].value
    )
    assert found.records["share beyond the arc"].value == pytest.approx(100 / 220, abs=0.02)
    assert (
        found.notes[0]
        == "Stephen Curry: 220 shots on the half court (1 from farther away left out)"
    )
    stored = json.loads((tmp_path / "a/records.json").read_text())
    assert stored["records"]["kernels, adaptive"]["measure"] == "density per unit"
    assert stored["records"]["kernels, adaptive"]["n"] == 220
    again, _ = run("curry", file=shots, out=tmp_path / "b", seed=1)
    assert {k: r.as_dict() for k, r in again.records.items()} == {
        k: r.as_dict() for k, r in found.records.items()
    }


def test_no_row_is_judged_by_a_model_that_has_seen_it():
    class Memory(pf.Gaussian):
        def prepare(self, source, facts):
            super().prepare(source, facts)
            self.seen = set(source.all().x[:, 0].tolist())

        def log_prob(self, x):
            return torch.tensor([float(v in self.seen) for v in x[:, 0].tolist()])

    values = folds(torch.arange(23.0)[:, None], Memory, seed=0)
    assert Memory().fit(torch.arange(3.0)[:, None]).log_prob(torch.ones(1, 1)) == 1
    assert values.tolist() == [0.0] * 23


def test_aldridge_s_accuracy_is_that_of_the_table(shots, tmp_path):
    found, paths = run("aldridge", file=shots, out=tmp_path, players=["Stephen Curry"])
    image_of(paths)
    frame = pandas.read_csv(shots)
    near = frame[
        (frame.PLAYER_NAME == "Stephen Curry") & (np.hypot(frame.LOC_X, frame.LOC_Y - 5.25) < 3.9)
    ]
    assert found.records["made, under 4 ft"].value == pytest.approx(near.SHOT_MADE.mean(), abs=0.02)
    # four in five go in near the rim, one in five from afar: place tells a lot
    assert found.records["bits gained"].value > 5 * found.records["bits gained"].error > 0


def test_accuracy_shrinks_to_the_average_where_there_are_no_shots():
    x, made = (
        torch.tensor([[0.0, 0.0], [0.0, 0.0]], dtype=torch.float64),
        torch.ones(2, dtype=torch.float64),
    )
    at = torch.tensor([[0.0, 0.0], [50.0, 50.0]], dtype=torch.float64)
    assert accuracy(x, made, at, (1.0, 2.0), 0.4).tolist() == pytest.approx([(2 + 0.8) / 4, 0.4])
    coin = torch.tensor([0.0, 1.0] * 50, dtype=torch.float64)
    assert float(surprise(torch.zeros(100, 2).double(), coin, None, 0).mean()) == pytest.approx(
        1, abs=0.02
    )


def test_players_are_found_by_name_or_suggested(shots):
    frame, name = player_shots(shots, ("LOC_X", "LOC_Y"), ("LaMarcus Aldridge",), "Stephen Curry")
    assert (name, len(frame)) == ("LaMarcus Aldridge", 80)
    with pytest.raises(
        InvalidValue, match="no shots by 'Stefan Curry'; did you mean 'Stephen Curry'"
    ):
        player_shots(shots, ("LOC_X", "LOC_Y"), ("Stefan Curry",), "")
    with pytest.raises(InvalidValue, match="one player at a time, got 2"):
        player_shots(shots, ("LOC_X", "LOC_Y"), ("a", "b"), "")


def test_a_table_without_names_is_one_player_s(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("LOC_X,LOC_Y\n1.0,6.0\n-2.0,8.0\n")
    frame, name = player_shots(path, ("LOC_X", "LOC_Y"), (), "Stephen Curry")
    assert (name, len(frame)) == ("mine", 2)


def test_places_spread_within_their_rounding_by_the_seed():
    frame = pandas.DataFrame({"LOC_X": [0.1] * 500, "LOC_Y": [5.0] * 500})
    x = places(frame, 0)
    assert torch.equal(x, places(frame, 0))
    assert not torch.equal(x, places(frame, 1))
    assert (x - torch.tensor([0.1, 5.0])).abs().max() <= 0.05
    assert x.std(0).tolist() == pytest.approx([0.1 / 12**0.5] * 2, rel=0.1)


def test_tenths_of_feet_are_refused(tmp_path):
    path = tmp_path / "tenths.csv"
    path.write_text("LOC_X,LOC_Y\n-120,60\n10,5\n")
    with pytest.raises(BadSource, match="tenths of feet need dividing by 10"):
        run("curry", file=path, out=tmp_path)


def test_careers_count_only_the_seasons_that_counted(tmp_path):
    columns = dict.fromkeys(RECIPES["seasons"].columns, 100.0)
    rows = [
        {
            **columns,
            "player": "A*",
            "year": 1973,
            "minutes_played": 1000,
            "steals": np.nan,
            "points": 500.0,
        },
        {
            **columns,
            "player": "A*",
            "year": 1974,
            "minutes_played": 2000,
            "steals": 100.0,
            "points": 1000.0,
        },
    ]
    pandas.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    career = profiles(seasons_of(tmp_path / "a.csv"), ["player"]).iloc[0]
    assert career["steals"] == pytest.approx(36 * 100 / 2000)
    assert career["points"] == pytest.approx(36 * 1500 / 3000)
    assert career["field goal %"] == pytest.approx(100)


def test_hall_of_fame_parts_big_men_from_guards_although_numbers_are_missing(totals, tmp_path):
    found, paths = run("hall-of-fame", file=totals, out=tmp_path)
    image_of(paths)
    assert "10 of them with numbers nobody counted" in found.notes[0]
    kinds = [{name.split(" ")[0] for name in row[3].split(", ")} for row in found.rows]
    assert all(len(kind) == 1 for kind in kinds)
    words = {kind.pop(): row[2] for kind, row in zip(kinds, found.rows)}
    assert "rebounds" in words["Big"].split(";")[0]
    assert "assists" in words["Quick"].split(";")[0]


def test_words_name_the_strongest_first():
    z = torch.zeros(len(hall_of_fame.FEATURES))
    z[1], z[2], z[4], z[0] = 1.0, 2.0, -0.7, 0.4
    assert hall_of_fame.in_words(z) == "high rebounds, assists; low blocks"
    assert hall_of_fame.in_words(0 * z) == "close to the average in everything"


def test_missing_numbers_are_drawn_at_their_expectation():
    distribution = pf.GMM.of(
        torch.ones(1), torch.zeros(1, 2), torch.tensor([[[1.0, 0.8], [0.8, 1.0]]])
    )
    filled = hall_of_fame.completed(
        distribution, torch.tensor([[2.0, float("nan")], [1.0, 1.0]], dtype=torch.float64)
    )
    assert filled.tolist() == [[2.0, pytest.approx(1.6)], [1.0, 1.0]]


def test_seasons_put_guards_and_big_men_apart(totals, tmp_path):
    found, paths = run("seasons", file=totals, out=tmp_path, players=["Big Man12"])
    image_of(paths)
    assert found.rows[0][0] == "1"
    assert float(found.rows[0][1].rstrip("%")) > 60
    assert found.records["squared error, 5"].value < found.records["squared error, 1"].value
    with pytest.raises(InvalidValue, match="did you mean 'Big Man12'"):
        run("seasons", file=totals, out=tmp_path, players=["Big Man012"])


def test_paths_are_cut_within_stretches(tracking):
    paths = trajectories.paths_of(tracking)
    assert paths.shape[1:] == (25, 2)
    assert len(paths) <= 30 * 2 * 10
    assert float(torch.diff(paths, dim=1).norm(dim=2).max()) * 5 <= 30
    own = trajectories.own_frame(paths)
    assert torch.allclose(own[:, 0], torch.zeros(len(own), 2, dtype=own.dtype))
    assert own[:, 5, 0].min() >= 5
    assert own[:, 5, 1].abs().max() < 1e-9


def test_no_path_crosses_a_gap_and_faults_of_the_cameras_are_left_out(tmp_path):
    """Two stretches of standing players a foot apart;
    in the second, one player leaps across the court.
    """
    coords = np.full((60, 2, 2), 0.5)
    coords[30:, :, 0] += 1 / 94
    coords[40, 1, 0] = 0.9
    np.savez(tmp_path / "a.npz", player_coords=coords, example_stop_idxs=np.array([-1, 29, 60]))
    paths = trajectories.paths_of(tmp_path / "a.npz")
    assert len(paths) == 3
    assert float(torch.diff(paths, dim=1).abs().max()) == 0
    assert sorted(paths[:, 0, 0].tolist()) == pytest.approx([47, 47, 48])


def test_trajectories_are_restored_from_few_numbers(tracking, tmp_path):
    found, paths = run("trajectories", file=tracking, out=tmp_path)
    image_of(paths)
    misses = [found.records[f"miss, {k}"].value for k in (2, 4, 6, 8, 10)]
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] < 0.05 * misses[0]
    assert found.records["miss, 4"].unit == "feet"


def test_shot_maps_see_how_far_players_shoot_from(many_shots, tmp_path, monkeypatch):
    monkeypatch.setattr(shot_maps, "SPLITS", 2)
    monkeypatch.setattr(shot_maps, "LATENTS", (10,))
    found, paths = run(
        "shot-maps", file=many_shots, out=tmp_path, players=["Player 05", "Player 35"]
    )
    image_of(paths)
    assert found.records["PCA, 10"].value < 0.5 * found.records["the mean map, 0"].value
    assert found.records["auto-encoder, 10"].value < 0.5 * found.records["the mean map, 0"].value
    for player, note in (("05", found.notes[-2]), ("35", found.notes[-1])):
        like = [int(name.rsplit(" ", 1)[1]) for name in note.split(" shoots like ")[1].split(", ")]
        assert len(like) == 3
        assert all(0 < abs(i - int(player)) < 12 for i in like)


def test_a_player_is_recognised_when_his_own_code_is_nearest():
    names, seasons = ["a", "b", "c", "a", "b", "d"], ["14", "14", "14", "15", "15", "15"]
    codes = torch.tensor([[0.0], [5.0], [9.0], [0.5], [1.0], [5.1]])
    assert shot_maps.recognised(names, seasons, codes).tolist() == [True, False]
    assert shot_maps.neighbours("a", names, seasons, codes, "15") == [4, 5]


def test_maps_are_shares(many_shots):
    names, seasons, maps = shot_maps.maps_of([many_shots])
    assert (len(names), len(set(seasons)), tuple(maps.shape[1:])) == (80, 2, shot_maps.GRID)
    assert torch.allclose(maps.sum((1, 2)), torch.ones(80, dtype=maps.dtype))


def test_an_unknown_recipe_and_a_table_that_is_not_there_name_the_remedy(
    monkeypatch, tmp_path, shots
):
    with pytest.raises(InvalidValue, match="unknown recipe 'cury'; did you mean 'curry'"):
        find("cury")
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    with pytest.raises(
        BadSource,
        match=(
            r"get it from DomSamangy/NBA_Shots_04_24 on GitHub and pass --file \(columns: LOC_X,"
            r" LOC_Y\)"
        ),
    ):
        locate(RECIPES["curry"])
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    with pytest.raises(BadSource, match=r"stephen_curry_2016\.csv\.gz: not found"):
        locate(RECIPES["curry"])
    with pytest.raises(BadSource, match="no such file"):
        locate(RECIPES["curry"], tmp_path / "none.csv")
    path = tmp_path / "few.csv"
    path.write_text("LOC_X,LOC_Y\n1,2\n")
    with pytest.raises(BadSource, match="column 'SHOT_MADE' is missing"):
        run("aldridge", file=path, out=tmp_path)
    with pytest.raises(InvalidValue, match="no use for a player's name"):
        run("hall-of-fame", file=shots, out=tmp_path, players=["x"])


def test_the_command_line_lists_runs_and_explains(shots, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    assert main(["recipe"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in RECIPES)
    assert main(["recipe", "aldridge", "--file", str(shots), "--out", "here", "-q"]) == 0
    done = capfd.readouterr()
    assert "under 4 ft" in done.out
    assert done.err == ""
    assert {p.name for p in (tmp_path / "here").iterdir()} == {
        "aldridge.png",
        "records.json",
        "runs",
    }
    assert main(["recipe", "curry"]) == 2
    assert "pass --file" in capfd.readouterr().err


def test_records_are_json_lines_on_demand(shots, tmp_path, capfd):
    assert (
        main(
            [
                "recipe",
                "aldridge",
                "--file",
                str(shots),
                "--out",
                str(tmp_path / "a"),
                "--json",
                "-q",
            ]
        )
        == 0
    )
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {"name", "quantity", "value", "n", "data"} <= set(lines[0])
    assert Record(**{k: v for k, v in lines[0].items() if k != "name"}).n == lines[0]["n"]
