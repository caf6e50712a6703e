"""Built-in names, IDX files, fetching and missing paths."""

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading

import numpy as np
import pytest
import torch

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.data import centres, read
from pushforward.data.formats import builtin, fetching

FIRST = (-0.7064033164322939, 0.7329305480126995)
"""The first of 50 points of eight_gaussians, seed 0."""


def idx(array):
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def test_digits_are_scikit_learn_s():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    source = read("digits")
    assert source.space.shape == (1, 8, 8)
    assert (source.space.low, source.space.high, source.space.integer) == (0, 16, True)
    assert np.array_equal(source.all().x.flatten(1).numpy(), x)
    assert np.array_equal(source.y.numpy(), y)
    assert source.name == "digits"


@pytest.mark.parametrize("name", ["ring", "eight_gaussians", "grid", "moons", "swissroll"])
def test_drawn_names_repeat_by_seed(name):
    a, b, c = read(f"{name}:50"), read(name, n=50), read(name, n=50, seed=1)
    assert len(a) == 50
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)
    assert a.space.shape == (2,)


@pytest.mark.parametrize(
    ("name", "sd", "count"), [("eight_gaussians", 0.01, 8), ("grid", 0.05, 25)]
)
def test_mixtures_have_their_modes_and_spread(name, sd, count):
    x = read(name, n=20_000).x
    distance, mode = torch.cdist(x, centres(name)).min(1)
    assert torch.bincount(mode, minlength=count).min() > 20_000 / count * 0.8
    # ‖x - μ‖² has mean 2σ² and standard deviation 2σ²
    assert float(distance.square().mean()) == pytest.approx(2 * sd**2, rel=5 / 20_000**0.5)


def test_the_ring_has_its_radius_and_every_angle():
    """R = 1 + ‖z‖/10, ‖z‖ of Rayleigh's distribution (V1: mean 1.1253314, sd .0655136)."""
    x = read("ring", n=40_000).x
    radius, angle = x.norm(dim=1), torch.atan2(x[:, 1], x[:, 0])
    assert radius.min() > 1
    assert float(radius.mean()) == pytest.approx(1.1253314, abs=4 * 0.0655136 / 200)
    assert float(radius.std()) == pytest.approx(0.0655136, rel=0.02)
    below = 1 - torch.exp(-50 * (radius.sort().values - 1).square())
    assert float((below - (torch.arange(40_000) + 0.5) / 40_000).abs().max()) < 1.63 / 200
    assert torch.histc(angle, 8).min() > 40_000 / 8 * 0.93


def test_the_old_use_of_ring_is_told_the_new_name():
    with pytest.raises(InvalidValue, match=r"ring has no centres: .*eight_gaussians"):
        centres("ring")
    with pytest.raises(InvalidValue, match="only eight_gaussians and grid have centres"):
        centres("rings")


def test_eight_gaussians_are_the_points_that_were_called_ring():
    """Records of earlier studies hold for them: the first point of seed 0 is as it was."""
    first = read("eight_gaussians", n=50).x[0].tolist()
    assert first == pytest.approx(FIRST, abs=1e-12)


def test_swissroll_and_moons_lie_where_they_should():
    roll = read("swissroll", n=20_000).x * 7.5
    assert roll.norm(dim=1).min() > 1.5 * np.pi - 1.5
    assert roll.norm(dim=1).max() < 4.5 * np.pi + 1.5
    assert read("moons", n=20_000).x.mean(0).tolist() == pytest.approx([0.5, 0.25], abs=0.02)


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        ("ring:x", {}, "the number of rows"),
        ("ring:0", {}, "at least 1"),
        ("ring:5", {"n": 6}, "disagree"),
        ("digits", {"n": 6}, "leave n out"),
        ("mnist:val", {}, "parts train and test"),
        ("digits:test", {}, "no part"),
    ],
)
def test_bad_parts_are_explained(text, asked, words):
    with pytest.raises(InvalidValue, match=words):
        read(text, **asked)


def test_missing_paths_suggest_near_names(tmp_path):
    (tmp_path / "shots.csv").write_text("a\n1\n")
    with pytest.raises(BadSource, match=r"did you mean .*shots\.csv\?"):
        read(tmp_path / "shot.csv")
    with pytest.raises(BadSource, match="did you mean the built-in 'digits'"):
        read("digts")
    with pytest.raises(BadSource, match="expected a folder, glob or zip"):
        read(tmp_path / "zzz" / "q")
    (tmp_path / "a.exe").write_text("x")
    with pytest.raises(BadSource, match="unknown kind of file"):
        read(tmp_path / "a.exe")


def test_idx_finds_its_labels(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (5, 4, 3)), np.array([2, 0, 1, 1, 0])
    (tmp_path / "t-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(idx(y))
    source = read(tmp_path / "t-images-idx3-ubyte.gz")
    assert np.array_equal(source.all().x[:, 0].numpy(), x)
    assert source.y.tolist() == y.tolist()
    (tmp_path / "t-labels-idx1-ubyte").write_bytes(idx(y[:3]))
    with pytest.raises(BadSource, match="holds 3 labels for the 5 observations"):
        read(tmp_path / "t-images-idx3-ubyte.gz")


def test_damaged_idx_is_named(tmp_path):
    content = idx(np.zeros((5, 4, 3)))
    for name, damaged in {
        "a.idx": content[:-1],
        "b.idx": b"1234567",
        "c.idx": content[:9],
        "d.idx.gz": gzip.compress(content)[:-9],
    }.items():
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(BadSource, match=name):
            read(tmp_path / name)


def test_what_is_not_found_says_how_to_get_it(nothing_found):
    for name in ("mnist", "mnist:test", "cifar10", "cifar10-batch1"):
        with pytest.raises(BadSource, match="fetch it with download=True, or point"):
            read(name)
    assert not nothing_found.exists()


@pytest.fixture
def server(tmp_path):
    """A web server on this machine over tmp_path/web, and its address."""
    (tmp_path / "web").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "web"))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_mnist_is_fetched_with_its_checksum(nothing_found, server, tmp_path, monkeypatch):
    remotes = {}
    for kind, array in (
        ("images-idx3", np.arange(12).reshape(3, 2, 2)),
        ("labels-idx1", np.array([4, 2, 0])),
    ):
        name = f"t10k-{kind}-ubyte.gz"
        content = gzip.compress(idx(array))
        (tmp_path / "web" / name).write_bytes(content)
        remotes[name] = fetching.Remote(
            (server + "absent/" + name, server + name), hashlib.sha256(content).hexdigest()
        )
    monkeypatch.setattr(builtin, "MNIST", remotes)
    source = read("mnist:test", download=True)
    assert source.y.tolist() == [4, 2, 0]
    assert sorted(p.name for p in (nothing_found / "mnist").iterdir()) == sorted(remotes)
    assert len(read("mnist:test")) == 3


def test_a_wrong_checksum_leaves_nothing(nothing_found, server, tmp_path):
    (tmp_path / "web" / "f").write_bytes(b"tampered")
    with pytest.raises(BadSource, match=r"expected SHA-256 000000000000…, got .*fetch it by hand"):
        fetching.fetch(fetching.Remote((server + "f",), "0" * 64), nothing_found / "f")
    assert not list(nothing_found.iterdir())


def test_no_network_is_one_clear_error(nothing_found):
    with pytest.raises(BadSource, match=r"cannot fetch f .*Connection refused"):
        fetching.fetch(fetching.Remote(("http://127.0.0.1:9/f",), "0" * 64), nothing_found / "f")


def test_cifar10_binary_rows(nothing_found, monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    rng = np.random.default_rng(0)
    batches = {
        n: rng.integers(0, 10, (2, 3073)).astype(np.uint8)
        for n in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6)))
    }
    with tarfile.open(tmp_path / "data" / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name, rows in batches.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            info.size = rows.nbytes
            tar.addfile(info, io.BytesIO(rows.tobytes()))
    train, test, first = read("cifar10"), read("cifar10:test"), read("cifar10-batch1")
    assert (len(train), len(test), len(first)) == (10, 2, 2)
    assert np.array_equal(first.all().x.flatten(1).numpy(), batches["data_batch_1"][:, 1:])
    assert train.condition_space.columns[0].categories == builtin.CIFAR10_LABELS
    assert test.y.tolist() == batches["test_batch"][:, 0].tolist()


def test_real_sets(shared):
    mnist = read("mnist")
    assert len(mnist) == 60_000
    assert float(mnist.x.double().mean()) / 255 == pytest.approx(0.1307, abs=1e-4)
    assert float(mnist.x.double().std()) / 255 == pytest.approx(0.3081, abs=1e-4)
    assert len(read("mnist:test")) == 10_000
    cifar = read("cifar10-batch1")
    assert cifar.space.shape == (3, 32, 32)
    assert len(cifar) == 10_000
    assert torch.bincount(cifar.y).sum() == 10_000
    with pytest.raises(BadSource, match="the first batch alone is there as cifar10-batch1"):
        read("cifar10")
