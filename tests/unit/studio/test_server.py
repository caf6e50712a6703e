"""The server: who may talk to it, and how requests are answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("starlette")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from pushforward.core.errors import InvalidValue
from pushforward.studio import server
from pushforward.studio.messages import Answer, Request, unpack
from pushforward.studio.server import application
from pushforward.studio.studio import Studio

TOKEN, HOST = "secret", "127.0.0.1:8400"
HEADERS = {"host": HOST, "origin": f"http://{HOST}"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = application(Studio(tmp_path), TOKEN, [HOST, "localhost:8400"])
    with TestClient(app, base_url=f"http://{HOST}") as client:
        yield client


def ask(socket: Any, verb: str, id: int = 1, **content: Any) -> dict[str, Any]:
    socket.send_text(json.dumps({"id": id, "verb": verb, "content": content}))
    return unpack(socket.receive_bytes())[0]


def test_the_page_needs_its_token_and_allows_nothing_foreign(client: TestClient) -> None:
    page = client.get(f"/?token={TOKEN}")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    for path in ("/", "/?token=", "/?token=secre", "/?token=s%C3%A9cret"):
        refused = client.get(path)
        assert refused.status_code == 403
        assert "token" in refused.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8400", "127.0.0.1", ""])
def test_other_names_of_the_server_are_refused(client: TestClient, host: str) -> None:
    assert client.get(f"/?token={TOKEN}", headers={"host": host}).status_code == 403
    assert client.get("/page/main.js", headers={"host": host}).status_code == 403


def test_modules_are_served_and_nothing_outside_the_page(client: TestClient) -> None:
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")
    for path in (
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/page//etc/passwd",
        "/etc/passwd",
    ):
        assert client.get(path).status_code in (400, 403, 404)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/socket", HEADERS),
        ("/socket?token=wrong", HEADERS),
        (f"/socket?token={TOKEN}", {"host": HOST, "origin": "http://evil.example"}),
        (f"/socket?token={TOKEN}", {"host": HOST, "origin": "null"}),
        (f"/socket?token={TOKEN}", {"host": HOST}),
        (f"/socket?token={TOKEN}", {"host": "evil.example", "origin": "http://evil.example"}),
    ],
)
def test_sockets_of_others_are_refused(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=headers):
        pass


def test_requests_are_answered_and_errors_come_back(client: TestClient) -> None:
    with client.websocket_connect(f"/socket?token={TOKEN}", headers=HEADERS) as socket:
        listed = ask(socket, "runs.list", id=5)
        assert listed["id"] == 5
        assert listed["content"]["runs"] == []
        for verb in ("nothing", "runs.nothing", "runs.Path", "..runs.list", "server.serve"):
            assert "there is no" in ask(socket, verb)["error"]
        missing = ask(socket, "runs.show", run="../..")
        assert missing["error"].startswith("there is no run '../..'")
        socket.send_text("{")
        broken, _ = unpack(socket.receive_bytes())
        assert broken["id"] is None
        assert "no JSON" in broken["error"]
        assert ask(socket, "runs.list", id=6)["id"] == 6


def test_defects_are_reported_and_do_not_end_the_connection(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(studio: Studio, request: Any) -> Answer:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(server, "find_verb", lambda name: broken)
    with client.websocket_connect(f"/socket?token={TOKEN}", headers=HEADERS) as socket:
        error = ask(socket, "a.b")["error"]
        assert error == "a.b failed (ZeroDivisionError: division by zero); please report this"
        assert "error" in ask(socket, "a.b")


def test_only_the_latest_request_of_a_channel_is_answered(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, seen = threading.Event(), []

    def slow(studio: Studio, request: Any) -> Answer:
        seen.append(request.id)
        release.wait(10)
        return Answer()

    monkeypatch.setattr(server, "find_verb", lambda name: slow)
    with client.websocket_connect(f"/socket?token={TOKEN}", headers=HEADERS) as socket:
        for id in range(1000):
            socket.send_text(json.dumps({"id": id, "verb": "a", "channel": "slider"}))
        socket.send_text(json.dumps({"id": 5000, "verb": "a", "channel": "other"}))
        until = time.monotonic() + 10
        while 5000 not in seen and time.monotonic() < until:
            time.sleep(0.01)
        release.set()
        answered = {unpack(socket.receive_bytes())[0]["id"] for _ in range(3)}
    assert answered == {0, 999, 5000}
    assert set(seen) == answered


def test_many_channels_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def slow(studio: Studio, request: Any) -> Answer:
        release.wait(10)
        return Answer()

    monkeypatch.setattr(server, "find_verb", lambda name: slow)
    with client.websocket_connect(f"/socket?token={TOKEN}", headers=HEADERS) as socket:
        for id in range(40):
            socket.send_text(json.dumps({"id": id, "verb": "a"}))
        first = unpack(socket.receive_bytes())[0]
        assert first["error"] == "too many requests at once"
        release.set()


def test_a_taken_port_is_refused() -> None:
    with server._listen("127.0.0.1", None) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InvalidValue, match=f"cannot listen on 127.0.0.1, port {port} .*--port"):
            server._listen("127.0.0.1", port)
        with server._listen("127.0.0.1", None) as other:
            assert other.getsockname()[1] != port


def test_answers_are_computed_without_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def verb(studio: Studio, request: Any) -> Answer:
        seen.append(torch.is_grad_enabled())
        return Answer()

    monkeypatch.setattr(server, "find_verb", lambda name: verb)
    server.answer(Studio(tmp_path), Request(1, "a.b"))
    assert seen == [False]
