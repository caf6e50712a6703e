"""The recipes on the public tables, where they are: what a fan would check."""

import pytest

from pushforward.recipes.registry import run


@pytest.mark.slow
def test_curry_shoots_from_afar(data_folder, tmp_path):
    found, _ = run("curry", out=tmp_path)
    assert found.records["kernels, adaptive"].n == 1585
    assert found.records["share beyond the arc"].value == pytest.approx(0.55, abs=0.01)
    assert (
        found.records["kernels, adaptive"].value
        > found.records["kernels, likeliest bandwidth"].value
    )


@pytest.mark.slow
def test_aldridge_shoots_from_the_middle(data_folder, tmp_path):
    found, _ = run("aldridge", out=tmp_path)
    assert found.records["made"].n == 1045
    assert found.records["made"].value == pytest.approx(0.513, abs=0.001)
    assert found.records["made, 10 ft to the arc"].n > found.records["made, under 4 ft"].n
    assert found.records["bits gained"].value > 2 * found.records["bits gained"].error


@pytest.mark.slow
def test_hall_of_fame_has_centres_together(data_folder, tmp_path):
    found, _ = run("hall-of-fame", out=tmp_path)
    together = next(row for row in found.rows if "Kareem Abdul-Jabbar" in row[3])
    assert "Michael Jordan" not in together[3]
    assert "high blocks" in together[2]


def test_seasons_part_guards_from_big_men(data_folder, tmp_path):
    found, _ = run("seasons", out=tmp_path)
    assert "DeAndre Jordan" in next(n for n in found.notes if n.startswith("far right"))
    assert found.records["squared error, 2"].value < found.records["squared error, 1"].value


def test_trajectories_of_unseen_games_need_ten_numbers(data_folder, tmp_path):
    found, _ = run("trajectories", out=tmp_path)
    assert found.records["miss, 10"].value < 0.5
    assert found.records["miss, 10"].n > 3000


@pytest.mark.slow
def test_shot_maps_put_centres_beside_centres(data_folder, tmp_path):
    found, _ = run("shot-maps", out=tmp_path)
    assert any(
        name in next(n for n in found.notes if n.startswith("DeAndre Jordan"))
        for name in ("Clint Capela", "Rudy Gobert", "Steven Adams")
    )
    assert found.records["auto-encoder, 2"].value < found.records["PCA, 2"].value
