"""Names of the server: which are its own, for each host that it may listen on."""

from __future__ import annotations

from typing import Any

import pytest

from pushforward.studio.guard import Guard, is_loopback, names_of, new_token
from tests.loops import run

TOKEN = "secret"


def status(guard: Guard, path: str, host: str, *origins: str, token: str = TOKEN) -> int:
    """What a visit is answered: 200 is the application behind the guard."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(b"host", host.encode()), *((b"origin", o.encode()) for o in origins)]
    query = f"token={token}".encode()
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": pairs}
    run(guard(scope, receive, send))
    return int(sent[0]["status"])


async def behind(scope: Any, receive: Any, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"Cache-Control", b"x")]}
    )


def guard(host: str = "127.0.0.1", port: int = 8400, numbered: int | None = None) -> Guard:
    return Guard(behind, TOKEN, names_of(host, port, "Box"), numbered)


@pytest.mark.parametrize(
    ("host", "port", "names"),
    [
        ("127.0.0.1", 8400, ["127.0.0.1:8400", "[::1]:8400", "localhost:8400"]),
        ("::1", 8400, ["127.0.0.1:8400", "[::1]:8400", "localhost:8400"]),
        ("127.0.0.2", 1, ["127.0.0.1:1", "127.0.0.2:1", "[::1]:1", "localhost:1"]),
        ("10.0.0.3", 8400, ["10.0.0.3:8400"]),
        ("fd00::2", 8400, ["[fd00::2]:8400"]),
        ("10.0.0.3", 80, ["10.0.0.3", "10.0.0.3:80"]),
        ("0.0.0.0", 8400, ["box.local:8400", "box:8400", "localhost:8400"]),
    ],
)
def test_names_of_a_host(host: str, port: int, names: list[str]) -> None:
    assert names_of(host, port, "Box") == names


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "127.1"])
def test_hosts_of_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.3", "127.evil.example", "localhost.evil"]
)
def test_hosts_that_others_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1:8400", "LocalHost:8400", "[::1]:8400"])
def test_own_names_in_any_case(host: str) -> None:
    assert status(guard(), "/", host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8401", "127.0.0.1", "127.0.0.1.nip.io:8400", "localhost.:8400", "0.0.0.0:8400",
        "[::ffff:127.0.0.1]:8400", "user@127.0.0.1:8400", "2130706433:8400", "10.0.0.3:8400", "",
    ],
)  # fmt: skip
def test_other_names_are_refused_even_with_the_token(host: str) -> None:
    for path in ("/", "/page/main.js"):
        assert status(guard(), path, host) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "null", "http://evil.example", "evil://127.0.0.1:8400", "https://127.0.0.1:8400",
        "http://127.0.0.1:8400/", "http://evil@127.0.0.1:8400", "http://127.0.0.1",
        "127.0.0.1:8400", "chrome-extension://127.0.0.1:8400", "file://", "",
    ],
)  # fmt: skip
def test_foreign_origins_are_refused(origin: str) -> None:
    own = "http://127.0.0.1:8400"
    assert status(guard(), "/", "127.0.0.1:8400", own) == 200
    assert status(guard(), "/", "127.0.0.1:8400", origin) == 403
    assert status(guard(), "/", "127.0.0.1:8400", own, origin) == 403
    assert status(guard(), "/page/main.js", "127.0.0.1:8400", origin) == 403


def test_only_the_files_of_the_page_need_no_token() -> None:
    host = "127.0.0.1:8400"
    assert status(guard(), "/page/main.js", host, token="wrong") == 200
    for path in ("/", "/socket", "/socket/", "//", "/page", "/pages/x", "/anything", ""):
        assert status(guard(), path, host, token="wrong") == 403


def test_a_server_for_all_networks_is_called_by_numbers_but_by_no_foreign_name() -> None:
    everywhere = guard("0.0.0.0", numbered=8400)
    for host in ("10.0.0.3:8400", "[fd00::2]:8400", "box:8400", "BOX.local:8400", "localhost:8400"):
        assert status(everywhere, "/", host) == 200
        assert status(everywhere, "/", host, f"http://{host}") == 200
    for host in (
        "evil.example:8400",
        "10.0.0.3:8401",
        "10.0.0.3",
        "1.2.3:8400",
        "10:8400",
        ":8400",
    ):
        assert status(everywhere, "/", host) == 403
    assert status(everywhere, "/", "10.0.0.3:8400", "http://evil.example:8400") == 403


def test_tokens_are_long_and_differ() -> None:
    assert len({new_token() for _ in range(50)}) == 50
    assert len(new_token()) >= 32
