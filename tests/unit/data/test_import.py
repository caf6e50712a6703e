"""What importing the package costs."""

import subprocess
import sys


def test_importing_it_loads_no_heavy_package():
    code = "import sys, pushforward.data as d; d.read; d.split; print([m for m in ('pandas', 'sklearn', 'pyarrow', 'PIL', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    digits = "import sys; from pushforward.data import read; read('digits'); print([m for m in ('pandas', 'sklearn', 'PIL') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", digits], capture_output=True, text=True, check=True).stdout.strip() == "[]"
