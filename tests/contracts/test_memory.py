"""Where memory runs out, the command line says what was needed and what to try, and ends with 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.cli.main import main
from pushforward.core.errors import is_out_of_memory
from pushforward.core.memory_errors import explain_memory_error

VAE = ["fit", "vae", "x.npy", "--steps", "1", "--batch", "8"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 3)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        [*VAE, "--hidden", "1000000000000"],
        [*VAE, "--latent", "1000000000000"],
        [*VAE, "--hidden", "10000000,10000000"],
        [*VAE, "--hidden", "1000000000000000000000"],
        [*VAE, "--latent", "99999999999999999999999999999"],
        ["fit", "gan", "x.npy", "--steps", "1", "--hidden", "10000000,10000000"],
        ["fit", "gmm", "x.npy", "--components", "1000000000000"],
        ["fit", "kmeans", "x.npy", "--clusters", "1000000000000"],
    ],
    ids=lambda line: " ".join(line[1:2] + line[-2:]),
)
def test_huge_sizes_are_one_line(
    place: Path, capfd: pytest.CaptureFixture[str], line: list[str]
) -> None:
    assert main([*line, "--run", "run", "-q"]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")
    assert "defect" not in said[0]
    assert not (place / "run").exists()


def test_a_process_with_little_memory(place: Path) -> None:
    """The limit is set when everything is imported: what fails is the work."""
    code = (
        "import resource, sys, pushforward as pf, pushforward.models.deep.vae, lightning_fabric\n"
        "from pathlib import Path\n"
        "from pushforward.cli.main import main\n"
        "have = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (have + (1 << 29),) * 2)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *VAE, "--hidden", "20000,20000", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert "not enough memory (about 1.6 GB are needed at once" in said
    assert "try a smaller --batch" in said


def test_what_an_allocation_that_fails_says() -> None:
    said = []
    for work in (
        lambda: torch.empty(1 << 50),
        lambda: np.empty(1 << 50),
        lambda: torch.empty(1 << 62, 8),
        lambda: bytearray(1 << 50),
    ):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            work()
        assert is_out_of_memory(caught.value)
        said.append(explain_memory_error(caught.value))
    assert "4.5e+06 GB" in said[0]
    assert "9e+06 GB" in said[1]
    assert all("not enough memory" in text and "try" in text for text in said)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libx.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_library_that_cannot_be_mapped_is_about_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        ValueError("x"),
        TypeError("memory"),
        OSError("no memory"),
        ImportError("no module named x"),
    ],
)
def test_other_errors_are_not_about_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.skipif(
    sys.platform != "linux", reason="the limit of address space is kept on Linux only"
)
def test_a_limit_too_low_for_the_libraries_is_one_line(place: Path) -> None:
    """The dynamic linker refuses to map a library.
    (Between 400 MB and 1 GB the C++ libraries themselves abort.)
    """
    megabytes = 200
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20},) * 2);"
        " from pushforward.cli.main import main"
    )
    line = [
        sys.executable,
        "-c",
        f"{code}; sys.exit(main(sys.argv[1:]))",
        "fit",
        "pca",
        "digits",
        "--run",
        "run",
        "-q",
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("error: not enough memory")
    assert f"this process may use {(megabytes << 20) / 1e9:.1f} GB in all (ulimit -v)" in said
