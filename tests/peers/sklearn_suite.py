"""Runs scikit-learn's own tests of its KernelDensity, GaussianMixture,
PCA and KMeans on our classes.

    python tests/peers/sklearn_suite.py [a part of pytest's command line, such as -k sparse]

The tests are those of the installed wheel; `sklearn_swap` puts our classes in their place and holds
their failures against `sklearn_expected.toml`. Exit code 0 if and only if every test passes that is
not listed, and fails that is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sklearn

HERE = Path(__file__).parent
FILES = (
    "neighbors/tests/test_kde",
    "mixture/tests/test_gaussian_mixture",
    "decomposition/tests/test_pca",
    "cluster/tests/test_k_means",
)


def run(
    files: tuple[str, ...] = FILES, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """One pytest process over some of scikit-learn's files, with a configuration of its own."""
    paths = [str(Path(sklearn.__file__).parent / f"{name}.py") for name in files]
    root = str(Path(sklearn.__file__).parent)
    own = [
        "-c",
        str(HERE / "sklearn_pytest.ini"),
        "--rootdir",
        root,
        "-p",
        "sklearn_swap",
        "-p",
        "no:cacheprovider",
    ]
    command = [sys.executable, "-m", "pytest", "-q", *own]
    path = os.pathsep.join(
        [str(HERE), str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    settings = {
        "PYTHONPATH": path,
        "SKLEARN_RUN_FLOAT32_TESTS": "1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    return subprocess.run(
        [*command, *options, *paths], env={**os.environ, **settings}, capture_output=True, text=True
    )


if __name__ == "__main__":
    done = run(options=tuple(sys.argv[1:]))
    print(done.stdout, done.stderr, sep="")
    sys.exit(done.returncode)
