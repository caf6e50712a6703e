"""A studio with small runs, served in this process, and its rooms opened in a browser."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pushforward as pf


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs."""
    place = tmp_path_factory.mktemp("runs")
    by = pf.Trainer(steps=150, batch=64, quiet=True)
    pf.Experiment(pf.VAE(2, hidden=(32,)), "digits", fitter=by).run(place / "vae")
    pf.Experiment(pf.PCA(4), "digits").run(place / "pca")
    filming = {"steps": 4, "batch": 64, "film": 4, "quiet": True}
    pf.Experiment(pf.VAE(2, hidden=(16,)), "digits", fitter=filming).run(place / "filmed")
    pf.Experiment(pf.GMM(3), "moons:500").run(place / "gmm")
    return place


class Served:
    """A studio that can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.token = folder, "a-token-for-tests"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def start(self) -> None:
        """Serve in a thread."""
        import uvicorn

        from pushforward.studio.server import application
        from pushforward.studio.studio import Studio

        self.studio = Studio(self.folder)
        app = application(self.studio, self.token, [f"127.0.0.1:{self.port}"])
        config = uvicorn.Config(
            app, port=self.port, log_level="error", ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 30
        while not self.server.started:
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self) -> None:
        """End serving."""
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def served(runs: Path) -> Iterator[Served]:
    """The studio of the runs."""
    pytest.importorskip("starlette", reason="the studio is not installed")
    pytest.importorskip("uvicorn", reason="the studio is not installed")
    studio = Served(runs)
    yield studio
    studio.stop()


@pytest.fixture
def open_page(browser: Any, served: Served) -> Iterator[Callable[..., Any]]:
    """Open a room of the studio; errors of the page and foreign requests fail the test."""
    opened: list[Any] = []
    problems: list[str] = []

    def opening(room: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> Any:
        theme = "dark" if dark else "light"
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
        page.set_default_timeout(30_000)
        opened.append(page)
        page.on("pageerror", lambda error: problems.append(f"error of the page: {error}"))
        page.on("request", lambda request: _check(request.url, served, problems))
        page.goto(f"{served.address}#/{room}")
        return page

    yield opening
    for page in opened:
        page.close()
    assert not problems


def _check(url: str, served: Served, problems: list[str]) -> None:
    own = (f"http://127.0.0.1:{served.port}/", f"ws://127.0.0.1:{served.port}/", "blob:", "data:")
    if not url.startswith(own):
        problems.append(f"foreign request: {url}")
