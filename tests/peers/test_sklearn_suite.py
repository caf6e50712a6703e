"""scikit-learn's own tests pass on our classes,
but for those that `sklearn_expected.toml` names.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import sklearn_suite


@pytest.mark.timeout(900)
def test_scikit_learns_own_tests():
    """About 40 s of one core: a process of its own, with scikit-learn's fixtures and settings."""
    done = sklearn_suite.run()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed, listed = (
        int(re.search(rf"(\d+) {word}", done.stdout).group(1)) for word in ("passed", "xfailed")
    )
    assert passed > 600
    assert listed < 40
