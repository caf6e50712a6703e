"""Folders and zips: every image in them is read, no test set is learnt,
and what is left out is counted and named.
"""

import os
import pickle
import shutil
import socket
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import BadSource, DataWarning
from pushforward.data import read


def save(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), level).save(path)
    return path


def left_out(path, **kwargs):
    """What a source notes, which must be what Python warns of and the report shows."""
    with pytest.warns(DataWarning) as caught:
        source = read(path, **kwargs)
    assert [str(w.message) for w in caught] == [f"{path.name}: {note}" for note in source.notes]
    shown = pf.data.report(path)
    assert [n for n in shown.notes if "beside" not in n] == list(source.notes)
    return source, " ".join(source.notes)


def test_linked_class_folders_are_followed(tmp_path):
    save(tmp_path / "store/cats/1.png", 10)
    save(tmp_path / "data/dog/2.png", 20)
    (tmp_path / "data/cat").symlink_to(tmp_path / "store/cats")
    source = read(tmp_path / "data")
    assert source.condition_space.columns[0].categories == ("cat", "dog")
    assert source.x[:, 0, 0, 0].tolist() == [10, 20]
    (tmp_path / "all").symlink_to(tmp_path / "data")
    assert len(read(tmp_path / "all")) == 2


def test_folders_are_read_once_whatever_links_to_them(tmp_path):
    save(tmp_path / "z/1.png")
    for name in ("a", "y", "z/back", "z/loop"):
        (tmp_path / name).symlink_to(tmp_path / ("z" if name == "a" else "."))
    for i in range(12):  # every folder linked to every other: more paths than could ever be walked
        save(tmp_path / f"f{i}/1.png")
        for j in range(12):
            (tmp_path / f"f{i}/to{j}").symlink_to(tmp_path / f"f{j}")
    source, notes = left_out(tmp_path)
    assert len(source) == 13
    assert "148 links to a folder that was already read (a, " in notes


def test_files_that_are_no_images_here_are_counted_and_named(tmp_path):
    save(tmp_path / "1.png")
    for name in ("a.heic", "b.HEIC", "c.npy", "more.zip", "old.tar.gz", "noending"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("README.md", "labels.txt", "LICENSE", ".hidden.heic", "._1.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # paths of sockets are short
        server.bind("socket.png")
        os.chdir(here)
        source, notes = left_out(tmp_path)
    assert len(source) == 1
    for words in (
        "9 files are left out", "4 of an unsupported kind (a.heic, b.HEIC, c.npy, …)",
        "2 archives", "(more.zip, old.tar.gz)", "1 broken links (gone.png)",
        "2 pipes, sockets or devices (pipe.png, socket.png)",
    ):  # fmt: skip
        assert words in notes, notes
    assert "3 other files" in str(pf.data.report(tmp_path))


def test_loose_images_beside_class_folders_are_said_to_take_the_labels_away(tmp_path):
    for name in ("cat/1.png", "dog/2.png", "stray.png"):
        save(tmp_path / name)
    source, notes = left_out(tmp_path)
    assert source.y is None
    assert (
        "1 image lies outside the sub-folders (stray.png), so these are not taken as labels"
        in notes
    )
    assert read(tmp_path, label=False).notes == ()


def test_the_command_line_says_once_what_is_left_out(tmp_path, capfd, monkeypatch):
    for i in range(20):
        save(tmp_path / f"photos/{i}.png", i)
    (tmp_path / "photos/a.heic").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "photos"]) == 0
    out, err = capfd.readouterr()
    assert "1 file is left out: 1 of an unsupported kind (a.heic)" in out
    assert err == ""
    assert main(["fit", "pca", "photos", "--components", "2", "--run", "run"]) == 0
    _, err = capfd.readouterr()
    assert err.count("1 file is left out") == 1
    assert "warning: photos: 1 file is left out" in err
    assert "DataWarning" not in err


def test_a_lazily_read_folder_and_zip_can_be_pickled(tmp_path):
    for i in range(4):
        save(tmp_path / f"in/{i}.png", i)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(4):
            archive.write(tmp_path / f"in/{i}.png", f"{i}.png")
    for path in (tmp_path / "in", tmp_path / "a.zip"):
        source = read(path, memory=1)
        again = pickle.loads(pickle.dumps(source))
        assert again.take(torch.arange(4)).x[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


# ------------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("train/cat/1.png", "test/cat/2.png"), "train"),
        (("training/1.png", "testing/2.png"), "training"),
        (("Train/a/1.png", "Val/a/2.png", "Test/a/3.png"), "Train"),
        (("train2017/1.png", "val2017/2.png"), "train2017"),
        (("pets/train/1.png", "pets/valid/2.png"), "pets/train"),
        (("bottle/test/1.png", "bottle/train/2.png", "cable/train/3.png"), "bottle/train"),
        (("test/1.png", "val/1.png"), "test"),
    ],
)
def test_training_and_test_folders_are_never_read_together(tmp_path, names, first):
    for name in names:
        save(tmp_path / "data" / name)
    with pytest.raises(
        BadSource, match=r"holds the splits .*, which would be mixed; read one of them"
    ) as caught:
        read(tmp_path / "data")
    assert str(tmp_path / "data" / first) in str(caught.value)
    assert len(read(tmp_path / "data" / first)) >= 1
    assert len(read(str(tmp_path / "data/**/*.*"))) == len(names)
    assert "splits" in str(pf.data.report(tmp_path / "data"))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "data" / name, name)
    with pytest.raises(BadSource, match=rf"read one of them \(.*data.zip:{first}\)"):
        read(tmp_path / "data.zip")
    assert len(read(f"{tmp_path}/data.zip:{first}")) >= 1
    with pytest.raises(BadSource, match="holds no folder 'trian'"):
        read(f"{tmp_path}/data.zip:trian")


@pytest.mark.parametrize(
    "names",
    [
        ("train/1.png", "plane/2.png"),
        ("test_tube/1.png", "train_station/2.png"),
        ("train/cat/1.png", "train/dog/2.png"),
        ("test/1.png",),
    ],
)
def test_classes_that_merely_sound_like_splits_are_classes(tmp_path, names):
    for name in names:
        save(tmp_path / name)
    assert len(read(tmp_path)) == len(names)


# --------------------------------------------------------------------------------------------- zips


def test_members_that_lead_out_links_archives_and_repeats_are_counted_and_named(tmp_path):
    content = save(tmp_path / "1.png", 7).read_bytes()
    other = save(tmp_path / "2.png", 9).read_bytes()
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a\\1.png", content)
        for name in ("../2.png", "/etc/3.png", "b/../../4.png", "C:\\5.png"):
            archive.writestr(name, content)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", b"x")
        archive.writestr("folder.png/", b"")
        archive.writestr("c.heic", b"x")
        archive.writestr("b/6.png", content)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("b/6.png", other)
    source, notes = left_out(tmp_path / "a.zip")
    assert source.x[:, 0, 0, 0].tolist() == [7, 9]
    assert source.condition_space.columns[0].categories == ("a", "b")
    for words in (
        "8 files are left out", "4 names pointing outside the archive",
        "1 links inside the archive (link.png)", "1 archives", "inner.zip",
        "1 of an unsupported kind (c.heic)",
        "1 earlier files with a repeated name (b/6.png)",
    ):  # fmt: skip
        assert words in notes, notes


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_hidden_files_and_documents_are_counted_in_the_report(tmp_path, packed):
    """They are no data, so nothing warns of them; but the report counts and names them."""
    for name in ("a/1.png", "b/2.png", "a/.3.png", "__MACOSX/._1.png", ".git/4.png"):
        save(tmp_path / "all" / name, 9)
    (tmp_path / "all/README.txt").write_text("about")
    path = tmp_path / "all"
    if packed:
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "all"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read(path)) == 2
    other, hidden = (n for n in pf.data.report(path).notes if n.startswith("beside"))
    assert other == "beside the images: 1 other file (README.txt)"
    assert "3 hidden files" in hidden
    assert all(name in hidden for name in (".git/", "__MACOSX/", ".3.png"))
