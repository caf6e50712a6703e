"""What goes in comes out."""

import errno
import io

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from pushforward.core.errors import BadRun, InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.data import image_grid, read, write, write_image
from pushforward.data.export.tables import write_csv


@pytest.fixture
def table():
    frame = pandas.DataFrame({"len": [1.25, -3.5], "n": [4, 5], "team, home": ["a,b", 'c"d']})
    return read(frame, categorical=["team, home"])


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "d.tsv", "d.parquet"])
def test_tables_come_back(table, tmp_path, name):
    path = write(table.all().x, table.space, tmp_path / "new" / name)
    back = (
        pandas.read_parquet(path)
        if name.endswith("parquet")
        else pandas.read_csv(path, sep="\t" if "tsv" in name else ",")
    )
    assert back.columns.tolist() == ["len", "n", "team, home"]
    assert back["len"].tolist() == [1.25, -3.5]
    assert back["n"].dtype.kind == "i"
    assert back["team, home"].astype(str).tolist() == ["a,b", 'c"d']
    assert not list(tmp_path.rglob("*.part"))


def test_single_precision_is_written_in_its_shortest_form():
    stream = io.StringIO()
    write_csv(torch.tensor([[0.1, float("nan")]]), read(np.zeros((1, 2))).space, stream)
    assert stream.getvalue() == "x0,x1\n0.1,\n"


def test_labels_and_further_columns_stand_beside(tmp_path):
    x, y, labels = torch.zeros(2, 1), torch.tensor([1, 0]), Space.labels(["no", "yes"])
    write(
        x,
        read(np.zeros((1, 1))).space,
        tmp_path / "d.csv",
        y=y,
        condition_space=labels,
        extra={"log_prob": [1.5, 2.5]},
    )
    assert (tmp_path / "d.csv").read_text() == "x0,label,log_prob\n0.0,yes,1.5\n0.0,no,2.5\n"
    write(x, read(np.zeros((1, 1))).space, tmp_path / "d.npz", extra={"log_prob": [1.5, 2.5]})
    assert np.load(tmp_path / "d.npz")["log_prob"].tolist() == [1.5, 2.5]


def test_arrays_come_back_with_their_axes(tmp_path):
    for shape in ((3, 4, 5), (3, 5, 4, 3), (3, 1, 4, 5)):
        x = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        source = read(x)
        name = f"{len(shape)}{shape[1]}"
        write(source.all().x, source.space, tmp_path / f"{name}.npz")
        write(source.all().x, source.space, tmp_path / f"{name}.npy")
        assert np.array_equal(np.load(tmp_path / f"{name}.npz")["x"], x)
        assert np.array_equal(np.load(tmp_path / f"{name}.npy"), x)
        assert np.load(tmp_path / f"{name}.npy").dtype == np.uint8


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_folder_of_images_comes_back(image, tmp_path, mode):
    for i in range(3):
        image(f"in/{i}.png", mode)
    source = read(tmp_path / "in")
    write(source.all().x, source.space, f"{tmp_path}/out/")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    assert torch.equal(read(tmp_path / "out").x, source.x)


def test_labelled_images_go_to_sub_folders(image, tmp_path):
    for name in ("in/cat/0.png", "in/dog/1.png"):
        image(name)
    source = read(tmp_path / "in")
    write(
        source.all().x,
        source.space,
        tmp_path / "out",
        y=source.y,
        condition_space=source.condition_space,
    )
    assert (tmp_path / "out" / "cat" / "0.png").is_file()
    assert read(tmp_path / "out").y.tolist() == [0, 1]


def test_an_image_of_any_size_is_written_as_it_is(tmp_path):
    space = Space.infer(np.zeros((2, 3, 8, 8), np.uint8))
    x = torch.arange(3 * 5 * 7).reshape(3, 5, 7).double()
    write_image(x, space, str(tmp_path / "one.png"))
    with Image.open(tmp_path / "one.png") as image:
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), x.numpy())
    write(x.expand(4, 3, 5, 7), space, tmp_path / "grid.png")
    with pytest.raises(ShapeMismatch, match=r"expected one image .channels, height, width., got"):
        write_image(x[None], space, tmp_path / "one.png")
    with pytest.raises(InvalidValue, match=r"one.bmp: expected a name that ends in .png"):
        write_image(x, space, tmp_path / "one.bmp")
    with pytest.raises(ShapeMismatch, match="expected"):
        write(x[None, :2], space, tmp_path / "two-channels.png")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_grid_lays_images_in_reading_order(channels, mode):
    space = Space("images", (channels, 60, 50), (), 0.0, 255.0, True)
    x = torch.stack([torch.full((channels, 60, 50), float(10 * i)) for i in range(5)])
    grid = image_grid(x, space, columns=3)
    assert grid.mode == mode
    assert grid.size == (3 * 52 + 2, 2 * 62 + 2)
    array = np.asarray(grid).reshape(grid.size[1], grid.size[0], channels)
    assert [array[2 + 62 * (i // 3) + 5, 2 + 52 * (i % 3) + 5, 0] for i in range(5)] == [
        0,
        10,
        20,
        30,
        40,
    ]
    assert array[0, 0, 0] == (0 if channels == 4 else 255)


def test_tiny_images_are_enlarged_by_whole_pixels_and_levels_stretched():
    digits = read("digits")
    grid = np.asarray(image_grid(digits.all().x[:4], digits.space, padding=0))
    assert grid.shape == (96, 96)
    assert np.array_equal(grid[:48:6, :48:6], (digits.x[0, 0].double() * 255 / 16).round().numpy())
    assert grid[:6, :6].std() == 0
    fractions = Space("images", (1, 1, 1), (), -1.0, 1.0)
    levels = image_grid(
        torch.tensor([-3.0, 0.0, 9.0, torch.nan]).reshape(4, 1, 1, 1),
        fractions,
        columns=4,
        padding=0,
    )
    assert np.asarray(levels)[0, ::48].tolist() == [0, 128, 255, 128]


def test_nothing_is_overwritten(table, tmp_path):
    (tmp_path / "d.csv").write_text("precious")
    with pytest.raises(BadRun, match=r"d.csv exists; choose another name"):
        write(table.all().x, table.space, tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text() == "precious"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("precious")
    with pytest.raises(BadRun, match="exists"):
        write(
            torch.zeros(1, 1, 2, 2), Space("images", (1, 2, 2), (), 0, 255, True), tmp_path / "full"
        )


@pytest.mark.parametrize("name", ["d.csv", "d.npz", "d.png", "d/"])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch, name):
    source = read("digits")
    x, space = (
        (source.all().x[:9], source.space)
        if name in ("d.png", "d/")
        else (torch.zeros(9, 2), read("ring:2").space)
    )

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    target = {
        "d.csv": "csv.writer",
        "d.npz": "numpy.lib.format.write_array",
        "d.png": "PIL.Image.Image.save",
        "d/": "PIL.Image.Image.save",
    }[name]
    monkeypatch.setattr(target, full)
    with pytest.raises(BadRun, match=r"No space left on device.*; free some space"):
        write(x, space, f"{tmp_path}/{name}")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(table, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadRun, match="cannot write"):
        write(table.all().x, table.space, tmp_path / "file" / "d.csv")


@pytest.mark.parametrize(
    ("shape", "name", "error", "words"),
    [
        ((2, 3), "d.png", InvalidValue, "use .csv, .parquet or .npz"),
        ((2, 3), "folder", InvalidValue, "use .csv, .parquet or .npz"),
        ((2, 1, 4, 4), "d.csv", InvalidValue, "use .png, a folder/ or .npz"),
        ((2, 3), "d.xlsx", InvalidValue, "cannot write '.xlsx' files"),
    ],
)
def test_forms_that_do_not_suit_are_refused(tmp_path, shape, name, error, words):
    x = np.zeros(shape, np.uint8)
    with pytest.raises(error) as caught:
        write(torch.zeros(shape), read(x).space, tmp_path / name)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_shapes_are_checked(table, tmp_path):
    with pytest.raises(ShapeMismatch, match=r"expected \(n, 3\)"):
        write(torch.zeros(2, 4), table.space, tmp_path / "d.csv")
    with pytest.raises(ShapeMismatch, match="y must have one entry per row: expected 2, got 1"):
        write(table.all().x, table.space, tmp_path / "d.csv", y=torch.zeros(1))


def test_the_grid_is_an_image(tmp_path):
    write(read("digits").all().x[:10], read("digits").space, tmp_path / "g.png", columns=5)
    with Image.open(tmp_path / "g.png") as image:
        assert image.size == (5 * 50 + 2, 2 * 50 + 2)


@pytest.mark.parametrize("name", ["file", "args", "allow_pickle", "a/b"])
def test_a_column_beside_may_have_any_name(tmp_path, name):
    write(
        torch.zeros(2, 1),
        read(np.zeros((1, 1))).space,
        tmp_path / "d.npz",
        extra={name: ["p", "q"]},
    )
    assert np.load(tmp_path / "d.npz")[name].tolist() == ["p", "q"]
