"""Rows shared out among threads."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from pushforward.core.threads import in_threads, parts


@pytest.mark.parametrize(("count", "pieces"), [(0, 3), (1, 3), (7, 3), (9, 3), (10, 1)])
def test_parts_cover_every_row_once(count: int, pieces: int) -> None:
    rows = [row for start, stop in parts(count, pieces) for row in range(start, stop)]
    assert rows == list(range(count))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_fill_every_row(threads: int) -> None:
    before = torch.get_num_threads()
    seen = np.zeros(10_001)

    def count(start: int, stop: int) -> None:
        seen[start:stop] += 1

    try:
        torch.set_num_threads(threads)
        in_threads(count, len(seen), least=10, pieces=4)
    finally:
        torch.set_num_threads(before)
    assert (seen == 1).all()


@pytest.mark.parametrize("error", [ValueError, IndexError])
@pytest.mark.parametrize("first", [0, 5_000])
def test_an_error_in_a_thread_is_raised(error: type[Exception], first: int) -> None:
    def fail(start: int, stop: int) -> None:
        if start == first:
            raise error("in a thread")

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(error, match="in a thread"):
            in_threads(fail, 10_000, least=1)
    finally:
        torch.set_num_threads(before)


def test_loops_run_in_many_callers_threads_and_after_a_fork() -> None:
    script = """
    import os, threading
    import numpy as np, torch
    from pushforward.core.threads import in_threads
    torch.set_num_threads(3)

    def check():
        seen = np.zeros(5_000)
        def count(start, stop):
            torch.ones(40_000).add_(1)  # OpenMP's threads, between pauses
            seen[start:stop] += 1
        for _ in range(20):
            in_threads(count, len(seen), least=10, pieces=4)
        assert (seen == 20).all()

    def together():
        threads = [threading.Thread(target=check) for _ in range(4)]
        [t.start() for t in threads]
        [t.join(30) for t in threads]
        assert not any(t.is_alive() for t in threads)

    together()
    child = os.fork()
    if not child:
        seen = np.zeros(100)
        def fill(start, stop):
            seen[start:stop] = 1
        in_threads(fill, 100, least=10)
        os._exit(0 if seen.all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    print("fine")
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.stdout.strip() == "fine", run.stderr
