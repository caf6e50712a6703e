"""Messages between page and server."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.studio.messages import Answer, pack, read_request, unpack


def test_answers_keep_content_and_arrays() -> None:
    arrays = {
        "pixels": torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4),
        "places": np.linspace(0, 1, 5),
        "labels": torch.tensor([3, -1]),
        "file": b"abc",
    }
    header, found = unpack(pack({"id": 7}, Answer({"name": "Größe"}, arrays)))
    assert header["id"] == 7
    assert header["content"] == {"name": "Größe"}
    assert found["pixels"].tolist() == arrays["pixels"].tolist()  # type: ignore[union-attr]
    assert found["places"].dtype == np.float32
    assert np.allclose(found["places"], np.linspace(0, 1, 5), atol=1e-7)
    assert found["labels"].tolist() == [3, -1]
    assert found["file"].tobytes() == b"abc"


def test_arrays_are_aligned_for_typed_arrays() -> None:
    message = pack({"id": 1}, Answer({}, {"a": b"12345", "b": np.ones(3)}))
    header, _ = unpack(message)
    start = -(-(4 + struct.unpack_from("<I", message)[0]) // 8) * 8
    assert all((start + entry["offset"]) % 8 == 0 for entry in header["arrays"])
    assert len(message) % 8 == 0


def test_numbers_that_json_lacks_become_null() -> None:
    content = {"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": -float("inf")}}
    header, _ = unpack(pack({"id": 1}, Answer(content)))
    assert header["content"] == {"a": None, "b": [1.0, None], "c": {"d": None}}


def test_requests_are_read_with_and_without_a_file() -> None:
    text = json.dumps({"id": 3, "verb": "a.b", "content": {"x": 1}, "channel": "c"})
    plain = read_request(text)
    assert (plain.id, plain.verb, dict(plain.content), plain.channel) == (3, "a.b", {"x": 1}, "c")
    head = text.encode()
    attached = read_request(struct.pack("<I", len(head)) + head + b"\x00\xffdata")
    assert attached.verb == "a.b"
    assert attached.attached == b"\x00\xffdata"


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ("", InvalidValue, "this one is no JSON"),
        ("[" * 100_000, InvalidValue, "this one is no JSON"),
        ("[1]", InvalidValue, "a request has id and verb"),
        ('{"id": 1}', InvalidValue, "a request has id and verb"),
        ('{"id": 1, "verb": "a", "more": 2}', InvalidValue, "a request has id and verb"),
        ('{"id": "1", "verb": "a"}', InvalidKind, "id of a request must be int, got '1'"),
        ('{"id": true, "verb": "a"}', InvalidKind, "id of a request must be int, got True"),
        (b"", InvalidValue, "begins with the length"),
        (b"\xff\xff\xff\xff{}", InvalidValue, "begins with the length"),
        (b"\x02\x00\x00\x00\xff\xfe", InvalidValue, "this one is no JSON"),
    ],
)
def test_other_messages_are_refused(message: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        read_request(message)


def test_names_that_are_no_text_reach_the_page_and_come_back() -> None:
    name = b"run\xff \xe2\x80\xae\xf0\x9f\x98\x80".decode("utf-8", "surrogateescape")
    header, _ = unpack(pack({"id": 1}, Answer({"name": name})))
    assert header["content"]["name"] == name
    echoed = json.dumps({"id": 1, "verb": "a", "content": {"run": header["content"]["name"]}})
    assert read_request(echoed).run == name


def test_of_keys_that_come_twice_the_last_counts() -> None:
    request = read_request(
        '{"id": 1, "id": 2, "verb": "a", "verb": "b", "content": {"x": 1, "x": 2}}'
    )
    assert (request.id, request.verb, dict(request.content)) == (2, "b", {"x": 2})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("[" + "[]," * 2**21 + "[]]", "at most 4194304 characters"),
        (struct.pack("<I", 2**23) + b" " * 2**23, "at most 4194304 characters"),
        ('{"id": ' + "9" * 5000 + ', "verb": "a"}', "no JSON"),
        ('{"id": NaN, "verb": "a"}', "id of a request must be int"),
        ('{"id": 1.0, "verb": "a"}', "id of a request must be int"),
        ('{"id": 1, "verb": null}', "verb of a request must be str"),
        ('{"id": 1, "verb": "a", "content": []}', "content of a request must be dict"),
        ('{"id": 1, "verb": "a", "channel": 3}', "channel of a request must be str"),
    ],
)
def test_large_and_odd_headers_are_refused(message: Any, text: str) -> None:
    with pytest.raises((InvalidValue, InvalidKind), match=text):
        read_request(message)
