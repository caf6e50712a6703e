"""Messages between page and server.

A request is a JSON object; with an attached file, it is binary. Answers are binary:

    length of the header (4 bytes, little endian) | header, JSON | padding to 8 bytes | arrays

where the header lists the arrays' names, types, shapes and offsets. So images reach the page as
bytes that its canvas draws, neither compressed nor encoded as text.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.studio import contents

__all__ = ["Answer", "Request", "pack", "read_request", "unpack"]

ALIGNMENT = 8
"""Bytes: typed arrays of a page begin at multiples of their items' size."""
MOST_TEXT = 2**22
"""Bytes of the JSON of a request: a drawing of 20 000 points takes a fifth."""
TYPES = {"float32": "<f4", "uint8": "|u1", "int32": "<i4"}
"""Types of arrays, and their bytes."""


@dataclass(frozen=True)
class Request:
    """What a page asks for.

    Args:
        id: of the request, repeated in its answer.
        verb: such as 'latent.decode'.
        content: arguments of the verb.
        channel: of requests that replace each other: only the latest waiting one is answered.
        attached: bytes of a file.
    """

    id: int
    verb: str
    content: Mapping[str, Any] = field(default_factory=dict)
    channel: str = ""
    attached: bytes = b""

    @property
    def run(self) -> str:
        """The name of the run that the request is about."""
        return contents.text(self.content, "run")


@dataclass(frozen=True)
class Answer:
    """JSON-ready content, and arrays (or files, as bytes) by name."""

    content: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Tensor | np.ndarray[Any, Any] | bytes] = field(default_factory=dict)


def pack(header: Mapping[str, Any], answer: Answer) -> bytes:
    """One binary message."""
    parts: list[bytes] = []
    entries: list[dict[str, Any]] = []
    offset = 0
    for name, array in answer.arrays.items():
        values = _as_numpy(array)
        entries.append(
            {"name": name, "type": values.dtype.name, "shape": values.shape, "offset": offset}
        )
        parts.append(_padded(values.tobytes()))
        offset += len(parts[-1])
    head = {**header, "content": _finite(answer.content), "arrays": entries}
    # names of files may hold bytes that are no text, which only escapes bring to a page and back
    text = json.dumps(head, separators=(",", ":"), allow_nan=False).encode("ascii")
    return _padded(struct.pack("<I", len(text)) + text) + b"".join(parts)


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Header and arrays of a message of `pack`."""
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    start = -(-(4 + length) // ALIGNMENT) * ALIGNMENT
    arrays = {
        entry["name"]: np.frombuffer(
            message,
            TYPES[entry["type"]],
            count=math.prod(entry["shape"]),
            offset=start + entry["offset"],
        ).reshape(entry["shape"])
        for entry in header["arrays"]
    }
    return header, arrays


def read_request(message: str | bytes) -> Request:
    """The request in a message.

    Raises:
        InvalidKind, InvalidValue: If it is none.
    """
    text, attached = ("", message) if isinstance(message, bytes) else (message, b"")
    if isinstance(message, bytes):
        length = struct.unpack_from("<I", message)[0] if len(message) >= 4 else len(message)
        if 4 + length > len(message):
            raise InvalidValue("a binary request begins with the length of its header")
        text = message[4 : 4 + length].decode("utf-8", "replace")
        attached = message[4 + length :]
    if len(text) > MOST_TEXT:
        raise InvalidValue(f"a request has at most {MOST_TEXT} characters, beside a file")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("a request is a JSON object; this one is no JSON") from error
    return _checked(fields, attached)


def _checked(fields: object, attached: bytes) -> Request:
    kinds: dict[str, type] = {"id": int, "verb": str, "content": dict, "channel": str}
    if not isinstance(fields, dict) or not {"id", "verb"} <= set(fields) <= set(kinds):
        raise InvalidValue("a request has id and verb, and may have content and channel")
    for name, value in fields.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise InvalidKind(f"{name} of a request must be {kinds[name].__name__}, got {value!r}")
    return Request(**fields, attached=attached)


def _as_numpy(array: Tensor | np.ndarray[Any, Any] | bytes) -> np.ndarray[Any, Any]:
    if isinstance(array, bytes):
        return np.frombuffer(array, np.uint8)
    values = array.detach().cpu().numpy() if isinstance(array, Tensor) else array
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    kind = np.float32 if values.dtype.kind == "f" else np.int32
    return np.ascontiguousarray(values, dtype=kind)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % ALIGNMENT)


def _finite(content: Any) -> Any:
    """The content with null for numbers that JSON lacks."""
    if isinstance(content, Mapping):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
