"""What importing the package costs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "use", ["d.read, d.split, d.Split", "d.read('digits')", "d.split(d.read('ring:100'))"]
)
def test_it_loads_no_heavy_package(use):
    heavy = "('pandas', 'sklearn', 'pyarrow', 'PIL', 'matplotlib')"
    code = (
        f"import sys, pushforward.data as d; {use}; print([m for m in {heavy} if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
