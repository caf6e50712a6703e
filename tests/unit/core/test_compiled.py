"""Compiled loops: what they keep, and folders that cannot be written to."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numba
import numpy as np

from pushforward.core import compiled
from pushforward.core.compiled import loop


def test_infinity_and_nan_keep_their_meaning_in_loops() -> None:
    @loop
    def largest(x: np.ndarray) -> float:
        out = -np.inf
        for value in x:
            if np.isnan(value):
                return np.nan
            out = max(out, value)
        return out

    assert largest(np.array([1.0, np.inf])) == np.inf
    assert largest(np.zeros(0)) == -np.inf
    assert np.isnan(largest(np.array([1.0, np.nan])))


def test_loops_compile_where_no_folder_can_be_written_to(tmp_path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(
        textwrap.dedent("""
        from numba.core import caching
        for locator in list(caching.CacheImpl._locator_classes):
            locator.from_function = classmethod(lambda *_: None)
        from pushforward.core.compiled import loop

        @loop
        def twice(x):
            return 2 * x

        print(twice(21))
        """)
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "42"


def test_machine_code_is_kept_apart_when_any_loop_changes(tmp_path, monkeypatch) -> None:
    package = tmp_path / "package"
    for folder in ("core", "models/classical"):
        (package / folder).mkdir(parents=True)
    inner = package / "models" / "classical" / "inner_loops.py"
    inner.write_text("one")
    monkeypatch.setattr(compiled, "__file__", str(package / "core" / "compiled.py"))
    first = compiled.machine_code_folder.__wrapped__()
    inner.write_text("two")
    second = compiled.machine_code_folder.__wrapped__()
    assert first != second
    assert Path(first).parent == package / "__pycache__"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "own"))
    assert Path(compiled.machine_code_folder.__wrapped__()).parent == tmp_path / "own"


def test_the_folder_of_other_functions_stays_the_users() -> None:
    before = numba.config.CACHE_DIR

    @loop
    def one() -> int:
        return 1

    assert one() == 1
    assert before == numba.config.CACHE_DIR
