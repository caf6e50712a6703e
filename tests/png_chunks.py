"""Chunks of PNG files, for files that no encoder would write."""

from __future__ import annotations

import struct
import zlib

__all__ = ["chunk"]


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
