"""Reports on sound and on faulty sources."""

import json

import numpy as np
import pandas
import pytest
import torch

from pushforward.core.errors import BadSource
from pushforward.data import read, report
from pushforward.data.reports import Distinct, row_hashes


def issues(found):
    return {t.name: t.text for t in found.issues}


def test_a_table_s_faults_are_all_listed():
    frame = pandas.DataFrame(
        {
            "a": [1.0, np.nan, 3.0, 1.0],
            "b": [np.inf, 1.0, 2.0, np.inf],
            "c": [5, 5, 5, 5],
            "t": list("uvwu"),
        }
    )
    found = report(frame)
    assert found.count == 4
    assert set(issues(found)) == {
        "missing", "infinite", "constant", "text", "categorical", "duplicates"
    }  # fmt: skip
    assert issues(found)["text"] == "column 't' holds text, 3 distinct ('u', 'v', 'w')"
    a, b, t, c = found.columns
    assert (t.type, t.reason) == ("categorical", "3 distinct texts")
    assert (a.missing, a.infinite, a.low, a.high, a.mean) == (1, 0, 1.0, 3.0, pytest.approx(5 / 3))
    assert (b.infinite, b.low, b.high, b.mean) == (2, 1.0, 2.0, 1.5)
    assert (c.type, c.kind) == ("constant", "carried")
    assert found.duplicates == 1


def test_the_text_is_an_aligned_table_and_the_dict_is_json():
    found = report(pandas.DataFrame({"a": [1.0, 2.5], "long name": [10, 200]}))
    lines = str(found).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("column"))
    # numbers end where their headings end
    assert (
        lines[head].index("high") + 4
        == lines[head + 1].index("2.5") + 3
        == lines[head + 2].index("200") + 3
    )
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert content["count"] == 2
    assert content["columns"][1]["name"] == "long name"
    assert content["space"]["kind"] == "points"


def test_few_rows_one_row_and_no_rows(tmp_path):
    assert "few" in issues(report(np.random.default_rng(0).normal(size=(3, 5))))
    assert "few" not in issues(report(np.random.default_rng(0).normal(size=(6, 5))))
    assert "single" in issues(report(np.zeros((1, 5))))
    (tmp_path / "a.csv").write_text("a,b\n")
    found = report(tmp_path / "a.csv")
    assert found.count == 0
    assert "empty" in issues(found)


def test_a_folder_with_bad_files_still_reports(image, tmp_path):
    for i in range(4):
        image(f"{i}.png", size=(60, 60))
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:2000])
    (tmp_path / "text.jpg").write_text("x")
    found = report(tmp_path)
    assert found.count == 4
    assert sorted(file.rsplit("/")[-1] for file, _ in found.unreadable) == ["cut.png", "text.jpg"]
    assert "cut.png" in str(found)
    assert found.space.shape == (3, 60, 60)
    image("small.png", mode="L", size=(5, 5))
    mixed = report(tmp_path)
    assert mixed.space is None
    assert issues(mixed)["sizes"] == "images of 2 sizes: 60×60 (4), 5×5 (1)"
    assert issues(mixed)["channels"] == "images of mixed channels: 1 channel (1), 3 channels (4)"
    assert report(tmp_path, size=8, channels=1).count == 5


def test_only_bad_files(tmp_path):
    (tmp_path / "text.jpg").write_text("x")
    assert report(tmp_path).count == 0
    with pytest.raises(BadSource, match="no such file"):
        report(tmp_path / "absent")


def test_duplicate_images_and_labels_are_counted(image, tmp_path):
    image("a/1.png")
    image("b/2.png")
    (tmp_path / "b" / "3.png").write_bytes((tmp_path / "a" / "1.png").read_bytes())
    found = report(tmp_path)
    assert found.duplicates == 1
    assert found.labels == {"a": 1, "b": 2}


def test_a_source_and_a_stream_report_alike(tmp_path):
    x = np.random.default_rng(0).normal(size=(10_000, 2))
    x[77] = x[9_000]
    np.save(tmp_path / "x.npy", x)
    kept, mapped = report(read(tmp_path / "x.npy")), report(tmp_path / "x.npy", memory=100)
    assert kept.duplicates == mapped.duplicates == 1
    assert mapped.columns[0].sd == pytest.approx(x[:, 0].std())
    assert not mapped.resident


def test_hashes_tell_rows_apart_and_equal_rows_alike():
    rows = np.stack(np.meshgrid(np.arange(300.0), np.arange(300.0)), -1).reshape(-1, 2)
    assert len(np.unique(row_hashes(rows))) == len(rows)
    assert row_hashes(np.array([[0.0, 1.0]])) == row_hashes(np.array([[-0.0, 1.0]]))
    assert row_hashes(np.array([[0.0, 1.0]])) != row_hashes(np.array([[1.0, 0.0]]))
    images = np.random.default_rng(0).integers(0, 2, (500, 13)).astype(np.uint8)
    assert len(np.unique(row_hashes(images))) == len(np.unique(images, axis=0))


def test_beyond_the_bound_duplicates_are_estimated():
    distinct = Distinct(most=1000)
    x = torch.arange(20_000, dtype=torch.float64)[:, None]
    for block in torch.cat([x, x]).split(500):
        distinct.add(block)
    assert distinct.modulus > 1
    assert len(distinct.kept) <= 1000
    assert distinct.duplicates(40_000) == pytest.approx(20_000, rel=0.1)


def test_real_reports(shared):
    found = report(shared / "nba_player_stats" / "Seasons_Stats_1956_2017.csv.gz")
    assert found.count == 23_596
    steals = next(c for c in found.columns if c.name == "steals")
    assert steals.missing > 60
    iris = report(shared / "density" / "iris.csv")
    assert iris.duplicates == 1
    assert iris.notes == ("the first column only numbers the rows and is left out",)
