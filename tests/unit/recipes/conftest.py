"""Small tables in the form of the public ones."""

import numpy as np
import pandas
import pytest


@pytest.fixture
def shots(tmp_path):
    """Two players: one from the rim and beyond the arc, the other from the middle;
    half of the first's near shots go in.
    """
    rng = np.random.default_rng(0)
    near = rng.normal([0, 6], 1.2, (120, 2))
    angle = rng.uniform(0.5, np.pi - 0.5, 100)
    far = np.stack([24.5 * np.cos(angle), 5.25 + 24.5 * np.sin(angle)], 1)
    middle = rng.normal([10, 12], 2, (80, 2))
    xy = np.concatenate([near, far, middle, [[0, 80.0]]]).clip([-25, 0], [25, 90]).round(1)
    names = ["Stephen Curry"] * 220 + ["LaMarcus Aldridge"] * 80 + ["Stephen Curry"]
    made = [*(rng.random(120) < 0.8), *(rng.random(100) < 0.2), *(rng.random(80) < 0.5), False]
    frame = pandas.DataFrame(
        {
            "SEASON_2": "2015-16",
            "PLAYER_NAME": names,
            "SHOT_MADE": made,
            "LOC_X": xy[:, 0],
            "LOC_Y": xy[:, 1],
        }
    )
    path = tmp_path / "shots.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def totals(tmp_path):
    """Season totals of 60 players, half of them big men, half guards,
    all in the Hall of Fame; the first ten before 1974.
    """
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        big, old = i % 2 == 0, i < 10
        for year in range(1960 if old else 1990, 1963 if old else 1994):
            minutes = 2800
            rates = rng.normal(
                [18, 2, 11, 0.7, 2.2, 0.05, 6] if big else [19, 8, 4, 1.8, 0.3, 4, 5], 0.25
            )
            points, assists, rebounds, steals, blocks, threes, throws = (
                max(r, 0.01) * minutes / 36 for r in rates
            )
            seen = (lambda v: np.nan) if old else (lambda v: v)
            rows.append(
                {
                    "year": year,
                    "player": f"{'Big' if big else 'Quick'} Man{i}*",
                    "games": 80,
                    "minutes_played": minutes,
                    "field_goals": 0.5 * points / 2,
                    "field_goal_attempts": points / 2 * (0.95 if big else 1.1),
                    "three_point_attempts": seen(threes),
                    "free_throws": throws * (0.6 if big else 0.85) * rng.uniform(0.97, 1.03),
                    "free_throw_attempts": throws,
                    "offense_rebounds": seen(rebounds * 0.3),
                    "defense_rebounds": seen(rebounds * 0.7),
                    "assists": assists,
                    "steals": seen(steals),
                    "blocks": seen(blocks),
                    "turnovers": seen(100.0),
                    "points": points,
                }
            )
    frame = pandas.DataFrame([*rows, {"year": np.nan}])
    path = tmp_path / "totals.csv.gz"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def tracking(tmp_path):
    """Ten players who run along the court at random speeds,
    in stretches of 60 steps with a jump between.
    """
    rng = np.random.default_rng(0)
    stretches, stops, at = [], [-1], -1
    for _ in range(30):
        start, speed = rng.uniform([10, 5], [80, 45], (10, 2)), rng.normal(0, [12, 3], (10, 2)) / 5
        steps = np.arange(60)[:, None, None]
        stretches.append((start + speed * steps * np.cos(steps / 25)) / [94, 50])
        at += 60
        stops.append(at)
    stops[-1] += 1
    path = tmp_path / "tracking.npz"
    np.savez(
        path,
        player_coords=np.concatenate(stretches).clip(0, 1).astype(np.float32),
        example_stop_idxs=np.array(stops),
    )
    return path


@pytest.fixture
def many_shots(tmp_path):
    """Forty players of 320 shots in two seasons,
    each with his own share of shots beyond the arc.
    """
    rng = np.random.default_rng(0)
    parts = []
    for season in ("2014-15", "2015-16"):
        for i in range(40):
            n, share = 320, i / 40
            far = rng.random(n) < share
            angle = rng.uniform(0.4, np.pi - 0.4, n)
            xy = np.where(
                far[:, None],
                np.stack([24.5 * np.cos(angle), 5.25 + 24.5 * np.sin(angle)], 1),
                rng.normal([0, 6], 2, (n, 2)),
            )
            xy = xy.clip([-25, 0], [25, 35])
            parts.append(
                pandas.DataFrame(
                    {
                        "PLAYER_NAME": f"Player {i:02d}",
                        "SEASON_2": season,
                        "LOC_X": xy[:, 0],
                        "LOC_Y": xy[:, 1],
                    }
                )
            )
    path = tmp_path / "all.csv"
    pandas.concat(parts).to_csv(path, index=False)
    return path
