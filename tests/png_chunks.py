"""Chunks of PNG files, for files that no encoder would write."""

from __future__ import annotations

import struct
import zlib

__all__ = ["bomb", "chunk", "png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return SIGNATURE + head + data + chunk(b"IEND", b"")


def png(width: int, height: int) -> bytes:
    """A black PNG."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes((3 * width + 1) * height)))
    return SIGNATURE + head + data + chunk(b"IEND", b"")
