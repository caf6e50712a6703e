"""A studio in a process of its own, attacked through real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import pushforward as pf
from pushforward.studio.messages import unpack

pytest.importorskip("starlette")
client = pytest.importorskip("websockets.sync.client")
from websockets.exceptions import ConnectionClosed  # noqa: E402

CODE = [[0.0, 0.0]]
RING = {"kind": "built-in", "name": "ring"}


class Process:
    """`pushforward studio` in a process."""

    def __init__(self, folder: Path, log: Path, *more: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "pushforward", "studio", str(folder), "--no-browser"]
        port = free_port()
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [*command, "--port", str(port), *more],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith(f"http://127.0.0.1:{port}/?token="), log.read_text()
        self.host, self.token = f"127.0.0.1:{port}", self.address.partition("token=")[2]
        self.port = port

    def connect(self) -> Any:
        """A page's socket."""
        return client.connect(
            f"ws://{self.host}/socket?token={self.token}",
            origin=f"http://{self.host}",
            max_size=None,
            compression=None,
            open_timeout=30,
        )

    def memory(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("memory is read from /proc")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text())
        assert found is not None
        return int(found[1]) / 1024

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def request(verb: str, id: int = 1, channel: str = "", **content: Any) -> str:
    return json.dumps({"id": id, "verb": verb, "content": content, "channel": channel})


def answer(page: Any) -> dict[str, Any]:
    return unpack(page.recv(timeout=60))[0]


def ask(page: Any, verb: str, **content: Any) -> dict[str, Any]:
    page.send(request(verb, **content))
    return answer(page)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("attacked") / "runs"
    pf.Experiment(pf.PCA(2), "digits").run(place / "pca")
    return place


@pytest.fixture(scope="module")
def studio(folder: Path) -> Iterator[Process]:
    served = Process(folder, folder.parent / "log.txt")
    yield served
    assert served.end() == 0
    said = served.log.read_text()
    assert "Traceback" not in said
    assert "raised" not in said
    assert served.token not in said


@pytest.fixture
def page(studio: Process) -> Iterator[Any]:
    with studio.connect() as page:
        assert "error" not in ask(page, "latent.decode", run="pca", codes=CODE)
        yield page
        assert "error" not in ask(page, "latent.decode", run="pca", codes=CODE)


def test_a_thousand_requests_on_a_channel_are_answered_by_few(studio: Process, page: Any) -> None:
    before = studio.memory()
    for id in range(1000):
        page.send(request("latent.decode", id, "slider", run="pca", codes=CODE))
    answered = [answer(page)["id"]]
    while answered[-1] != 999:
        answered.append(answer(page)["id"])
    assert len(answered) < 500
    assert answered == sorted(answered)
    assert studio.memory() < before + 40


def test_a_thousand_channels_are_refused_but_for_some(studio: Process, page: Any) -> None:
    with studio.connect() as greedy:
        for id in range(1000):
            path = {"from": CODE, "to": [[1.0, 1.0]], "steps": 40}
            greedy.send(request("latent.film", id, f"c{id}", run="pca", **path))
        assert "error" not in ask(page, "latent.decode", run="pca", codes=CODE)
        errors = [answer(greedy).get("error") for _ in range(1000)]
    assert set(errors) == {None, "too many requests at once"}
    assert errors.count(None) >= 32


def test_a_page_that_never_reads_holds_little(studio: Process, page: Any) -> None:
    before = studio.memory()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(("127.0.0.1", studio.port))
        lines = (
            f"GET /socket?token={studio.token} HTTP/1.1", f"Host: {studio.host}",
            f"Origin: http://{studio.host}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "",
        )  # fmt: skip
        raw.sendall("\r\n".join(lines).encode())
        assert b"101" in raw.recv(4096)
        raw.settimeout(2)
        frames = (
            masked(request("latent.decode", id, run="pca", codes=CODE * 400).encode())
            for id in range(100_000)
        )
        with pytest.raises(TimeoutError):  # the server stops reading
            send_all(raw, frames)
        assert "error" not in ask(page, "latent.decode", run="pca", codes=CODE)
        assert studio.memory() < before + 80


def send_all(raw: socket.socket, frames: Iterable[bytes]) -> None:
    for frame in frames:
        raw.sendall(frame)


def masked(data: bytes) -> bytes:
    """A text frame of a client, with a mask of zeros."""
    return struct.pack(">BBH", 0x81, 0x80 | 126, len(data)) + bytes(4) + data


@pytest.mark.parametrize("kind", ["binary", "text", "fragments"])
def test_messages_above_the_limit_close_their_page_only(
    studio: Process, page: Any, kind: str
) -> None:
    large: Any = bytes(2**26 + 1)
    if kind == "text":
        large = "x" * (2**26 + 1)
    elif kind == "fragments":
        large = (bytes(2**22) for _ in range(17))
    with studio.connect() as other, pytest.raises(ConnectionClosed):
        exchange(other, large)


def exchange(page: Any, message: Any) -> Any:
    page.send(message)
    return page.recv(timeout=30)


def test_a_message_may_come_in_fragments(page: Any) -> None:
    page.send(iter(request("runs.list", 7)))
    assert answer(page)["id"] == 7


@pytest.mark.parametrize("depth", range(100, 1100, 100))
def test_deep_nesting_is_refused(page: Any, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for verb, name in (("latent.decode", "codes"), ("runs.show", "run")):
        page.send(f'{{"id": 1, "verb": "{verb}", "content": {{"run": "pca", "{name}": {nested}}}}}')
        assert "please report" not in answer(page)["error"]


def test_a_hundred_pages_are_answered(studio: Process, page: Any) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(studio.connect()) for _ in range(100)]
        for other in pages:
            other.send(request("latent.decode", run="pca", codes=CODE))
        assert all("error" not in answer(other) for other in pages)


def test_pages_killed_in_the_midst_leave_nothing_behind(studio: Process, page: Any) -> None:
    for _ in range(5):
        with studio.connect() as gone:
            for id in range(200):
                gone.send(request("latent.decode", id, run="pca", codes=CODE))
            gone.socket.shutdown(socket.SHUT_RDWR)
    assert "error" not in ask(page, "latent.decode", run="pca", codes=CODE)


def test_two_pages_steer_one_fit_and_fits_of_their_own(studio: Process, page: Any) -> None:
    with studio.connect() as other:
        begun = {"model": "gan", "settings": {"latent": "2"}, "data": RING, "paused": True}
        shared, own = ask(page, "learn.start", **begun), ask(other, "learn.start", **begun)
        fit = shared["content"]["fit"]
        settings = {"latent": "2", "batch": "16"}
        changed = ask(other, "learn.change", fit=fit, **{**begun, "settings": settings})
        assert "this fit is gone" in ask(page, "learn.look", fit=fit)["error"]
        for found in (changed, own):
            name = found["content"]["fit"]
            assert "error" not in ask(page, "learn.look", fit=name)
            assert "error" not in ask(other, "learn.stop", fit=name)


def test_visitors_without_token_or_from_elsewhere_get_nothing(studio: Process) -> None:
    for line, host in (
        ("GET / HTTP/1.1", studio.host),
        (f"GET /?token={studio.token} HTTP/1.1", f"evil.example:{studio.port}"),
        (f"GET http://evil.example/?token={studio.token} HTTP/1.1", "evil.example"),
        (f"POST /?token={studio.token} HTTP/1.1", studio.host),
        ("GET /page/../server.py HTTP/1.1", studio.host),
        ("GET /page/%2e%2e%2fserver.py HTTP/1.1", studio.host),
        ("GET /page/%252e%252e/server.py HTTP/1.1", studio.host),
        ("GET /page/..%5cserver.py HTTP/1.1", studio.host),
        ("GET /page//etc/passwd HTTP/1.1", studio.host),
        ("GET /page/%00 HTTP/1.1", studio.host),
        ("GET /page/" + "a/" * 10_000 + " HTTP/1.1", studio.host),
    ):
        with socket.create_connection(("127.0.0.1", studio.port), 10) as raw:
            raw.sendall(f"{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            said = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))
        assert said.split()[1] in (b"400", b"403", b"404", b"405"), line
        assert studio.token.encode() not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_studio_that_is_at_work(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    served = Process(folder, tmp_path / "log.txt")
    with served.connect() as page:
        begun = {"model": "gan", "settings": {"latent": "2"}, "data": RING}
        for _ in range(2):
            assert "error" not in ask(page, "learn.start", **begun)
        stroke = request("edit.change", 9, run="pca", code=CODE, drags=[[1, 1, 5, 5]])
        page.send(stroke)
        began = time.monotonic()
        assert served.end(number) == 0
        assert time.monotonic() - began < 10  # about one second, on a machine that is idle
    assert served.log.read_text() == "the studio is open; Ctrl-C ends it\n"


def test_other_hosts_are_explained(folder: Path, tmp_path: Path) -> None:
    served = Process(folder, tmp_path / "log.txt", "--host", "0.0.0.0")
    with served.connect() as page:
        assert "error" not in ask(page, "runs.list")
    assert served.end(signal.SIGINT) == 0
    assert "whoever reaches this machine and has the address may use it" in served.log.read_text()
