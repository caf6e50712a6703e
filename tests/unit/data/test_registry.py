"""Readers of the user's own: registered, preferred, refused, listed;
used by read, fit and the command line alike.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pushforward as pf
from pushforward.core import plugins
from pushforward.data import Options, report
from pushforward.data.formats import registry

ROWS = np.arange(24.0).reshape(12, 2)


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone afterwards."""
    registry.every_reader()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def spectra(tmp_path: Path) -> Path:
    """A file of a kind that the library does not read."""
    np.savetxt(tmp_path / "a.spectrum", ROWS)
    return tmp_path / "a.spectrum"


def register() -> None:
    @pf.register_reader(suffixes=(".Spectrum",))
    def spectrum(path: Path, options: Options) -> np.ndarray:
        """Spectra, one a line."""
        return np.loadtxt(path, ndmin=2)


def test_a_suffix_is_read_by_read_fit_and_report(spectra: Path) -> None:
    with pytest.raises(pf.BadSource, match=r"unknown kind of file '\.spectrum'"):
        pf.read(spectra)
    register()
    assert pf.read(spectra).x.tolist() == ROWS.tolist()
    assert pf.read(spectra).name == "a.spectrum"
    assert report(spectra).count == 12
    fitted = pf.PCA(1).fit(str(spectra))
    assert torch.equal(fitted.log_prob(str(spectra)), fitted.log_prob(ROWS))


def test_all_options_apply_to_what_is_in_memory(spectra: Path, tmp_path: Path) -> None:
    @pf.register_reader(suffixes=(".spectrum",))
    def spectrum(path: Path, options: Options) -> pd.DataFrame:
        return pd.DataFrame(np.loadtxt(path), columns=["a", "b"])

    assert pf.read(spectra, columns="b").space.names == ("b",)
    assert pf.read(spectra, y="a").condition_space is not None
    with pytest.raises(pf.InvalidValue, match="describes the format of a text table"):
        pf.read(spectra, separator=";")


def test_conditions_at_a_path_are_read(spectra: Path, tmp_path: Path) -> None:
    register()
    np.save(tmp_path / "y.npy", np.arange(12.0)[:, None])
    source = pf.read(spectra, y=str(tmp_path / "y.npy"))
    assert source.y is not None
    assert source.y[:, 0].tolist() == list(range(12))


def test_a_source_is_taken_as_it_is_and_its_labels_on_request(spectra: Path) -> None:
    @pf.register_reader(suffixes=(".spectrum",))
    def spectrum(path: Path, options: Options) -> pf.Arrays:
        return pf.Arrays(np.loadtxt(path), np.arange(12) % 2)

    assert pf.read(spectra).condition_space.is_label
    assert pf.read(spectra, label=False).condition_space is None
    assert pf.PCA(1).fit(spectra).condition_space is None, "labels that nobody asked for"


def test_names_and_objects_have_readers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Box:
        def __init__(self, content: np.ndarray) -> None:
            self.content = content

    @pf.register_reader(names=["stripes"])
    def stripes(text: str, options: Options) -> np.ndarray:
        return ROWS * float(text.partition(":")[2] or 1)

    @pf.register_reader(claims=lambda source: isinstance(source, Box))
    def boxes(source: Box, options: Options) -> np.ndarray:
        return source.content

    assert pf.read("stripes").x.tolist() == ROWS.tolist()
    assert pf.read("stripes:3").x.tolist() == (3 * ROWS).tolist()
    assert pf.read(Box(ROWS)).x.tolist() == ROWS.tolist()
    with pytest.raises(pf.BadSource, match="did you mean the built-in 'stripes'"):
        pf.read("stripe")


def test_a_reader_of_one_s_own_goes_before_the_library_s(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n2\n")

    @pf.register_reader(suffixes=(".csv",))
    def mine(path: Path, options: Options) -> np.ndarray:
        return ROWS

    assert len(pf.read(tmp_path / "a.csv")) == 12


def test_two_of_one_suffix_or_name_are_refused_and_one_imported_again_is_not() -> None:
    register()
    register()

    with pytest.raises(pf.InvalidValue, match=r"\.spectrum is already read by 'spectrum'"):

        @pf.register_reader(suffixes=(".spectrum",))
        def other(path: Path, options: Options) -> np.ndarray:
            return ROWS

    with pytest.raises(pf.InvalidValue, match="a reader named 'spectrum' is already registered"):

        @pf.register_reader(name="spectrum", suffixes=(".other",))
        def another(path: Path, options: Options) -> np.ndarray:
            return ROWS


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, pf.InvalidValue, "needs suffixes, names or claims"),
        (
            {"suffixes": ["foo"]},
            pf.InvalidValue,
            r"begins with a dot, got 'foo'; write suffixes=\('\.foo',\)",
        ),
        ({"suffixes": ".foo"}, pf.InvalidKind, "are lists of texts"),
    ],
)
def test_what_registers_nothing_is_refused(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pf.register_reader(**arguments)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (ValueError("odd header"), r"the reader 'spectrum' failed \(odd header\)"),
        ("there", "gave str; expected a source"),
        (3, "gave int"),
    ],
)
def test_what_a_reader_cannot_read_or_gives_is_said(
    spectra: Path, gives: object, message: str
) -> None:
    @pf.register_reader(suffixes=(".spectrum",))
    def spectrum(path: Path, options: Options) -> object:
        if isinstance(gives, Exception):
            raise gives
        return gives

    with pytest.raises(pf.BadSource, match=message):
        pf.read(spectra)


def test_a_fault_in_a_reader_is_not_called_a_damaged_file(spectra: Path) -> None:
    @pf.register_reader(suffixes=(".spectrum",))
    def spectrum(path: Path, options: Options) -> object:
        raise AttributeError("a typo")

    with pytest.raises(AttributeError, match="a typo"):
        pf.read(spectra)


def test_installed_packages_offer_readers(
    spectra: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "their_readers.py").write_text(
        "import numpy as np, pushforward as pf\n"
        "@pf.register_reader(suffixes=['.spectrum'])\n"
        "def theirs(path, options):\n    return np.loadtxt(path)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("broken", "no_such_module_at_all", plugins.GROUP),
        EntryPoint("theirs", "their_readers", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "_loaded", False)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == plugins.GROUP else []
    )
    with pytest.warns(UserWarning, match="plugin no_such_module_at_all cannot be loaded"):
        assert len(pf.read(spectra)) == 12


MINE = '''
import numpy as np
import pushforward as pf

@pf.register_reader(suffixes=(".spectrum",))
def spectrum(path, options):
    """Spectra, one a line."""
    return np.loadtxt(path, ndmin=2)
'''


def test_the_command_line_imports_a_file_uses_its_reader_and_lists_it(
    spectra: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(MINE)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "pushforward.cli.main", *words]
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)

    listed = run("data", "--formats", "--import", "mine.py").stdout
    assert "spectrum" in listed
    assert "Spectra, one a line: .spectrum [mine]" in listed
    assert {
        r["name"] for r in json.loads(run("data", "--formats", "--json").stdout)["readers"]
    } >= {
        "table",
        "images",
        "npz",
        "builtin",
        "frame",
    }
    assert "unknown kind of file" in run("data", "a.spectrum").stderr
    assert (
        json.loads(run("--import", "mine.py", "data", "a.spectrum", "--json").stdout)["count"] == 12
    )
    fitted = run(
        "fit", "pca", "a.spectrum", "--import=mine.py", "--components", "1", "--run", "run", "-q"
    )
    assert fitted.returncode == 0, fitted.stderr
    assert pf.load(tmp_path / "run").space.shape == (2,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("import nothing_of_that_name", "cannot be imported (ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_imported_is_said(
    text: str | None, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pushforward.cli.main import main

    if text is not None:
        (tmp_path / "mine.py").write_text(text)
    assert main(["data", "digits", "--import", str(tmp_path / "mine.py")]) == 2
    assert message in " ".join(capfd.readouterr().err.split())
