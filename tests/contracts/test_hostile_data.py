"""Hostile data files: whatever a file holds or claims,
reading gives rows or one clear error, at once, and nothing else.

A few sound files of every format are cut, flipped, zeroed and renamed; beside them are files made
by hand: headers that lie, bombs, pipes and devices, archives in archives. Every one is read in this
process, under a time limit.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import lzma
import os
import random
import signal
import socket
import struct
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.cli.main import main
from pushforward.core.errors import PushforwardError
from pushforward.data import Report, report
from tests.png_chunks import chunk

SECONDS = 5
LONGEST = 1000
IMAGES = ("png", "jpg", "gif", "bmp", "webp", "tif", "lzw.tif", "ppm", "jp2", "avif", "tga", "qoi")
TABLES = (
    "npy",
    "npz",
    "packed.npz",
    "idx",
    "idx.gz",
    "csv",
    "csv.gz",
    "parquet",
    "images.zip",
    "tsv.xz",
)


# -------------------------------------------------------------------------------------- sound files


def sound_image(suffix: str) -> bytes | None:
    """An image of 12×9 pixels; None where this Pillow does not write the format."""
    levels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    kinds = {"jpg": "JPEG", "lzw.tif": "TIFF", "tif": "TIFF", "jp2": "JPEG2000"}
    file = io.BytesIO()
    try:
        Image.fromarray(levels).save(
            file,
            kinds.get(suffix, suffix.upper()),
            **({"compression": "tiff_lzw"} if "lzw" in suffix else {}),
        )
    except (KeyError, ValueError, OSError):
        return None
    return file.getvalue()


PNG = sound_image("png") or b""


def idx_of(x: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{x.ndim}I", 0, 0, 8, x.ndim, *x.shape) + x.tobytes()


def zip_of(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npy_of(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def sound_table(suffix: str) -> bytes:
    """Twenty rows in one of the other formats."""
    x = np.random.default_rng(1).normal(size=(20, 3))
    text = ("a,b,c\n" + "\n".join(",".join(f"{v:.4f}" for v in row) for row in x) + "\n").encode()
    images = {f"{k}/{i}.png": PNG for k in "ab" for i in range(2)}
    makers: dict[str, Callable[[], bytes]] = {
        "npy": lambda: npy_of(x),
        "npz": lambda: zip_of(
            {"x.npy": npy_of(x), "y.npy": npy_of(np.arange(20) % 2)}, zipfile.ZIP_STORED
        ),
        "packed.npz": lambda: zip_of({"x.npy": npy_of(x), "y.npy": npy_of(np.arange(20) % 2)}),
        "idx": lambda: idx_of(np.arange(180, dtype=np.uint8).reshape(20, 3, 3)),
        "idx.gz": lambda: gzip.compress(idx_of(np.arange(180, dtype=np.uint8).reshape(20, 3, 3))),
        "csv": lambda: text,
        "csv.gz": lambda: gzip.compress(text),
        "tsv.xz": lambda: lzma.compress(text.replace(b",", b"\t")),
        "parquet": lambda: parquet_of(x),
        "images.zip": lambda: zip_of(images),
    }
    return makers[suffix]()


def parquet_of(x: np.ndarray) -> bytes:
    pandas = pytest.importorskip("pandas")
    file = io.BytesIO()
    pandas.DataFrame(x, columns=list("abc")).to_parquet(file)
    return file.getvalue()


# ---------------------------------------------------------------------------------------- mutations


def mutations(content: bytes, seed: int) -> dict[str, bytes]:
    """Cut, flipped, zeroed, stretched and repeated copies of a file."""
    rng = random.Random(seed)
    n = len(content)

    def flipped(low: int, high: int, count: int) -> bytes:
        changed = bytearray(content)
        for _ in range(count):
            changed[rng.randrange(low, max(low + 1, min(high, n)))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    def filled(start: int, stop: int, value: int) -> bytes:
        return content[:start] + bytes([value]) * (min(stop, n) - start) + content[min(stop, n) :]

    return {
        "empty": b"",
        "one byte": content[:1],
        "cut in the header": content[: min(20, n // 3)],
        "cut in half": content[: n // 2],
        "cut at the end": content[:-3],
        "head flipped": flipped(4, 60, 3),
        "flipped": flipped(0, n, 5),
        "tail flipped": flipped(n - 30, n, 3),
        "head of ones": filled(8, 40, 255),
        "head of zeros": filled(4, 24, 0),
        "middle of zeros": filled(n // 3, 2 * n // 3, 0),
        "tail of ones": filled(n - 24, n, 255),
        "doubled": content + content,
        "shifted": b"\0" + content,
    }


MUTATIONS_OF_TABLES = tuple(mutations(b"0123456789" * 20, 0))
MUTATIONS_OF_IMAGES = (
    "empty",
    "cut in the header",
    "cut in half",
    "head flipped",
    "flipped",
    "head of ones",
)


def png_of(
    width: int, height: int, body: bytes = b"0", depth: int = 8, colour: int = 0, extra: bytes = b""
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def npy_header(header: str, body: bytes = b"\0" * 64, version: int = 1) -> bytes:
    text = header.encode("latin1") + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + struct.pack("<H" if version == 1 else "<I", len(text))
        + text
        + body
    )


def shape(text: str, descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {text}, }}"


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/tmp/pwned) (w) file"
    b" closefile\nshowpage\n"
)
DEEP = "[" * 100_000 + "]" * 100_000

BY_HAND: dict[str, Callable[[], bytes]] = {
    # arrays
    **{
        f"shape {i}.npy": (lambda s=s: npy_header(shape(s)))
        for i, s in enumerate(
            (
                "(1000000000000, 3)",
                "(-5, 3)",
                "(3, -1)",
                "(0, 3)",
                "()",
                "(9223372036854775807, 9223372036854775807)",
                "(10**400,)",
                "(2.5, 3)",
                "(True, 8)",
                "'x'",
                "[2, 4]",
                "(1,)*70",
                "(4294967296, 4294967296, 4294967296)",
                "None",
                "(2, (4,))",
                f"({'1,' * 40})",
                f"({'1,' * 80})",
            )
        )
    },
    **{
        f"descr {i}.npy": (lambda d=d: npy_header(shape("(2, 4)", d)))
        for i, d in enumerate(
            (
                "'|O'",
                "'<f3'",
                "'<U99999999'",
                "'V0'",
                "'S0'",
                "'<M8[s]'",
                "[('a','<f8'),('b','<i4')]",
                "''",
                "None",
                "3",
                "'<c16'",
                "'>f8'",
                "'" + "A" * 5000 + "'",
                "('<f8',(10,10))",
                "'<f16'",
                "'|b1'",
                "'<f8' if True else 0",
            )
        )
    },
    "no header.npy": lambda: b"\x93NUMPY\x01\x00",
    "version.npy": lambda: b"\x93NUMPY\x09\x00" + b"\0" * 50,
    "deep header.npy": lambda: npy_header("(" * 9000 + ")" * 900, version=2),
    "code.npy": lambda: npy_header("__import__('os').system('touch /tmp/pwned')"),
    "unbalanced.npy": lambda: npy_header("{'descr': '<f8', 'shape': (2"),
    "long header.npy": lambda: npy_header(shape("(2, 4)") + " " * 200_000, version=2),
    "header bytes.npy": lambda: npy_header("\xff\xfe{'descr'", version=3),
    "huge header.npy": lambda: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{",
    "pickle.npy": lambda: npy_of(np.array([{}], dtype=object)),
    "infinite.npy": lambda: npy_of(np.full((3, 2), np.inf)),
    "lying member.npz": lambda: zip_of({"x.npy": npy_header(shape("(1000000000000, 3)"))}),
    "overflowing member.npz": lambda: zip_of(
        {"x.npy": npy_header(shape("(4294967296, 4294967296)"))}
    ),
    "negative member.npz": lambda: zip_of({"x.npy": npy_header(shape("(-2, 4)"))}),
    "no arrays.npz": lambda: zip_of({"readme.txt": b"x"}),
    "bad label.npz": lambda: zip_of({"x.npy": npy_of(np.zeros((4, 2))), "y.npy": b"\x93NUMPY"}),
    "scalar.npz": lambda: zip_of({"x.npy": npy_of(np.float64(3))}),
    "names.npz": lambda: zip_of(
        {
            "A" * 3000 + ".npy": npy_of(np.zeros((4, 2))),
            "B" * 3000 + ".npy": npy_of(np.zeros((4, 2))),
        }
    ),
    "encrypted.npz": lambda: encrypted({"x.npy": npy_of(np.zeros((4, 2)))}),
    "unknown packing.npz": lambda: repacked({"x.npy": npy_of(np.zeros((4, 2)))}),
    # idx
    "rows.idx": lambda: (
        struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"x" * 9
    ),
    "axes.idx": lambda: b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"x",
    "no axes.idx": lambda: b"\0\0\x08\0x",
    "zero.idx": lambda: struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 5),
    "zero by much.idx": lambda: struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 2**32 - 1),
    "type.idx": lambda: b"\0\0\x07\x01\0\0\0\x01x",
    "bomb.idx.gz": lambda: gzip.compress(struct.pack(">BBBB2I", 0, 0, 8, 2, 2, 3) + b"\0" * 2**25),
    "claims.idx.gz": lambda: gzip.compress(
        struct.pack(">BBBB2I", 0, 0, 8, 2, 2**30, 2**20) + b"\0" * 99
    ),
    # tables
    "nul.csv": lambda: b"a,b\n1,\0\0\n\0,3\n",
    "nul header.csv": lambda: b"a\0,b\n1,2\n",
    "binary.csv": lambda: bytes(range(256)) * 20,
    "endless line.csv": lambda: b"1," * 2_000,
    "endless field.csv": lambda: b"a,b\n" + b"9" * 2_000_000 + b",1\n",
    "endless quote.csv": lambda: b'a,b\n"' + b"x,1\n" * 100_000,
    "endless name.csv": lambda: b"a" * 500_000 + b",b\n1,2\n3,4\n",
    "ragged.csv": lambda: b"a,b\n1,2,3\n4\n5,6,7,8,9\n",
    "header only.csv": lambda: b"a,b\n",
    "blank lines.csv": lambda: b"\n" * 100_000,
    "one value.csv": lambda: b"1",
    "separators.csv": lambda: b",,,,\n,,,,\n",
    "quotes.csv": lambda: b'"""\n"",""\n"',
    "huge numbers.csv": lambda: b"a,b\n1e999999,2\n-1e400,1\n" + b"1" * 400 + b",2\n",
    "utf16.csv": lambda: "a,b\n1,2\n".encode("utf-16"),
    "utf7.csv": lambda: b"+ADw-,b\n1,2\n",
    "latin.csv": lambda: "größe,b\n1,2\n3,4\n".encode("latin1"),
    "bomb.csv.gz": lambda: gzip.compress(b"a,b\n" + b"0" * 2**23),
    "tail.csv.gz": lambda: gzip.compress(b"a,b\n1,2\n") + b"garbage",
    "html.csv": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "magic.parquet": lambda: b"PAR1" + b"\xff" * 100 + b"PAR1",
    "footer.parquet": lambda: b"PAR1" + b"\0" * 50 + struct.pack("<I", 2**31 - 1) + b"PAR1",
    "empty.parquet": lambda: parquet_of(np.zeros((0, 3))),
    # images
    "eps.png": lambda: EPS,
    "dos eps.jpg": lambda: (
        b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + b"\xff\xff" + EPS
    ),
    "pdf.png": lambda: b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n",
    "svg.png": lambda: (
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    ),
    "bomb.png": lambda: png_of(60_000, 60_000),
    "largest.png": lambda: png_of(2**31 - 1, 2**31 - 1),
    "no width.png": lambda: png_of(0, 4),
    "text bomb.png": lambda: png_of(
        4, 1, b"\0" * 5, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 2**25))
    ),
    "profile bomb.png": lambda: png_of(
        4, 1, b"\0" * 5, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 2**25))
    ),
    "too many bytes.png": lambda: png_of(4, 1, b"\0" * 2**25),
    "chunks.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"tEXt", b"a\0b") * 2_000),
    "exif.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"eXIf", b"MM\0*" + b"\xff" * 60)),
    "depth.png": lambda: png_of(4, 1, b"\0" * 5, depth=3),
    "palette.png": lambda: png_of(4, 1, b"\0\1\2\3\4", colour=3),
    "flat.bmp": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -5, -5, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    "tall.bmp": lambda: (
        b"BM"
        + struct.pack(
            "<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0
        )
    ),
    "header.ppm": lambda: b"P6 " + b"9" * 10_000,
    "negative.ppm": lambda: b"P6 -1 -1 255\n",
    "comment.ppm": lambda: b"P6\n#" + b"x" * 1_000_000,
    "frames.gif": lambda: (
        b"GIF89a\xff\xff\xff\xff\0\0\0" + b",\0\0\0\0\xff\xff\xff\xff\0\2\0" * 1000
    ),
    "blocks.gif": lambda: b"GIF89a\2\0\2\0\0\0\0" + b"!\xfe\1x\0" * 100_000,
    "loop.tif": lambda: (
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    ),
    "tags.tif": lambda: (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", 65535)
        + b"\0\1\3\0\xff\xff\xff\xff\0\0\0\0" * 5000
    ),
    "big.tif": lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**60),
    "a.tga": lambda: (
        b"\0\0\x0a" + b"\0" * 9 + struct.pack("<HH", 65535, 65535) + b"\x18\0" + b"\xff" * 20
    ),
    "a.qoi": lambda: b"qoif" + struct.pack(">II", 2**32 - 1, 2**32 - 1) + b"\3\0",
    # archives
    "zeros.zip": lambda: zip_of({"a.png": PNG + b"\0" * 2**26}),
    "many zeros.zip": lambda: zip_of({f"{i}.bmp": b"BM" + b"\0" * 2**22 for i in range(20)}),
    "claims.zip": lambda: claiming(2**31),
    "claims little.zip": lambda: claiming(10),
    "nested.zip": lambda: zip_of({"inner.zip": zip_of({"a.png": PNG})}),
    "nested beside.zip": lambda: zip_of({"inner.zip": zip_of({"b.png": b"x"}), "a.png": PNG}),
    "encrypted.zip": lambda: encrypted({"a.png": PNG}),
    "unknown packing.zip": lambda: repacked({"a.png": PNG}),
    "outside.zip": lambda: zip_of({"../../a.png": PNG, "/etc/b.png": PNG}),
    "devices.zip": lambda: zip_of({"/dev/zero.png": b"", "con.png": b"", "a.png/": b""}),
    "names.zip": lambda: zip_of({"x" * 60_000 + ".png": b"no image"}),
    "control names.zip": lambda: zip_of({"a\n\x1b[31m\u202e.png": b"no image"}),
    "no files.zip": lambda: zip_of({}),
    "wrong members.zip": lambda: zip_of({"a.png": EPS, "b.png": b"", "c.jpg": b"\xff\xd8\xff"}),
    "deep metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.jsonl": DEEP.encode()}),
    "binary metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.csv": bytes(range(256)) * 9}),
    "nul metadata.zip": lambda: zip_of(
        {"a.png": PNG, "metadata.csv": b"file_name,label\n\0a.png,x\n"}
    ),
    "long metadata.zip": lambda: zip_of(
        {"a.png": PNG, "metadata.csv": b"file_name,label\n" + b"x" * 200_000}
    ),
    "numbers metadata.zip": lambda: zip_of(
        {"a.png": PNG, "metadata.jsonl": b'{"file_name": ' + b"9" * 10_000 + b"}"}
    ),
    "names metadata.zip": lambda: zip_of(
        {"a.png": PNG, "metadata.csv": b"z" * 100_000 + b",label\n1,2\n"}
    ),
}


def encrypted(members: dict[str, bytes]) -> bytes:
    """An archive whose members are marked as encrypted."""
    content = bytearray(zip_of(members))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    return bytes(content)


def repacked(members: dict[str, bytes]) -> bytes:
    """An archive that claims a packing that nobody knows."""
    content = bytearray(zip_of(members))
    for mark, offset in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.index(mark) + offset] = 77
    return bytes(content)


def claiming(size: int) -> bytes:
    """An archive whose directory says that an image unpacks to `size` bytes."""
    content = bytearray(zip_of({"a.png": PNG}))
    for mark, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", size)
    return bytes(content)


def cases() -> Iterator[tuple[str, Callable[[], bytes | None]]]:
    """Every hostile file's name and how to make it."""
    for number, suffix in enumerate((*IMAGES, *TABLES)):
        make = sound_image if suffix in IMAGES else sound_table

        def content(
            make: Callable[[str], bytes | None] = make, suffix: str = suffix
        ) -> bytes | None:
            return make(suffix)

        for what in MUTATIONS_OF_IMAGES if suffix in IMAGES else MUTATIONS_OF_TABLES:
            yield (
                f"{what}.{suffix}",
                lambda content=content, what=what, n=number: (
                    None if content() is None else mutations(content(), n)[what]
                ),
            )
    for suffix, other in itertools.permutations(
        ("png", "npy", "npz", "csv", "parquet", "idx.gz", "tga", "images.zip"), 2
    ):
        yield (
            f"{suffix} called.{other}",
            lambda suffix=suffix: sound_image(suffix) if suffix in IMAGES else sound_table(suffix),
        )
    yield from BY_HAND.items()


CASES = dict(cases())


@cache
def made(name: str) -> bytes:
    """The content of a hostile file, made once."""
    content = CASES[name]()
    if content is None:
        pytest.skip("this Pillow does not write the format")
    return content


# ---------------------------------------------------------------------------- reading under a limit


class Slow(BaseException):
    """The limit has passed; no BaseException is caught on the way."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Slow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_line(message: str) -> None:
    """One printable line of bounded length, in which no word from
    outside takes more than its share.
    """
    assert len(message) <= LONGEST, len(message)
    assert message.isprintable(), message
    assert not any(len(word) > 260 for word in message.split()), message


def read_or_refused(source: object, **kwargs: object) -> str:
    """What came of reading a source: 'rows' or the message it was refused with;
    anything else raises.
    """
    with warnings.catch_warnings(), limited(SECONDS):
        warnings.simplefilter("ignore")
        try:
            found = pf.read(source, memory="64MB", **kwargs)  # type: ignore[arg-type]
            batch = found.take(torch.arange(min(5, len(found))))
            assert len(batch.x) == min(5, len(found))
        except PushforwardError as error:
            check_line(str(error))
            return str(error)
    return "rows"


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_gives_rows_or_one_clear_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(made(name))
    read_or_refused(str(path))
    if name in BY_HAND:
        with warnings.catch_warnings(), limited(SECONDS), contextlib.suppress(PushforwardError):
            warnings.simplefilter("ignore")
            check_report(report(path))
    assert not Path("/tmp/pwned").exists()


def check_report(found: Report) -> None:
    """A report can be shown and stored."""
    assert str(found)
    assert json.dumps(found.as_dict(), default=str)


def test_bad_images_among_good_ones_are_listed_by_the_report_and_named_by_read(
    tmp_path: Path,
) -> None:
    for name in (
        "empty.png",
        "empty.jpg",
        "cut in half.gif",
        "eps.png",
        "bomb.png",
        "header.ppm",
        "tags.tif",
    ):
        (tmp_path / name).write_bytes(made(name))
    for i in range(3):
        (tmp_path / f"good {i}.png").write_bytes(PNG)
    found = report(tmp_path)
    assert found.count == 3
    assert len(found.unreadable) == 7
    assert "(7 such files" in read_or_refused(tmp_path)


# -------------------------------------------------------------------------------- words that refuse


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shape 0.npy", "the header claims 2.4e+13 bytes of numbers, but 64 follow"),
        ("lying member.npz", "the header claims 2.4e+13 bytes of numbers, but 64 follow"),
        ("overflowing member.npz", "the header claims 1.476e+20 bytes"),
        ("doubled.npy", "608 bytes follow the array; expected one array a file"),
        ("pickle.npy", "holds Python objects (a pickle), which is never opened here"),
        ("encrypted.npz", "its members are encrypted"),
        ("rows.idx", "bytes of data for shape (4294967295, 4294967295, 4294967295), got fewer"),
        ("axes.idx", "claims 255 axes; expected 1 to 8"),
        ("bomb.idx.gz", "expected 6 bytes of data for shape (2, 3), got more"),
        ("claims.idx.gz", "got fewer"),
        ("eps.png", "is not an image that can be read"),
        ("bomb.png", "has 3600 megapixels, expected at most 100"),
        ("cut in half.bmp", "the image is damaged or cut short"),
        ("zeros.zip", "would unpack to 64 MB, more than 100 times its own size"),
        ("many zeros.zip", "would unpack to 80 MB"),
        ("claims.zip", "would unpack to 2048 MB"),
        ("nested.zip", "1 archives, which are not opened (inner.zip)"),
        ("encrypted.zip", "is encrypted; unpack the archive with its password"),
        ("outside.zip", "2 names pointing outside the archive"),
        ("deep metadata.zip", "metadata.jsonl: line 1 is not JSON"),
        ("names.zip", "…"),
    ],
)
def test_the_error_says_what_is_wrong(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(made(name))
    assert words in read_or_refused(tmp_path / name)


@pytest.mark.parametrize(
    "name",
    [
        "zeros.zip",
        "claims.zip",
        "lying member.npz",
        "shape 0.npy",
        "bomb.idx.gz",
        "bomb.png",
        "text bomb.png",
    ],
)
def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(made(name))
    tracemalloc.start()
    try:
        assert read_or_refused(tmp_path / name) != "rows"
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------------------- what is no file

SUFFIXES = ["png", "csv", "csv.gz", "npy", "npz", "parquet", "idx", "zip", "txt", "jpg"]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pipes, sockets and links to devices, one for every suffix."""
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    for suffix in SUFFIXES:
        os.mkfifo(f"pipe.{suffix}")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"socket.{suffix}")
        for device in ("zero", "null", "stdin", "full"):
            Path(f"{device}.{suffix}").symlink_to(f"/dev/{device}")
        Path(f"loop.{suffix}").symlink_to(f"loop.{suffix}")
        Path(f"nowhere.{suffix}").symlink_to("not there")
        Path(f"folder.{suffix}").mkdir()
        Path(f"memory.{suffix}").symlink_to("/proc/self/mem")
    return tmp_path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_regular_file_is_refused_at_once(odd: Path, suffix: str) -> None:
    for what, words in (
        ("pipe", "is a pipe, expected a regular file"),
        ("socket", "is a socket"),
        ("zero", "is a device"),
        ("null", "is a device"),
        ("full", "is a device"),
        ("folder", " no "),
        ("loop", "no such file"),
        ("nowhere", "no such file"),
        ("stdin", ""),
        ("memory", ""),
    ):
        name = f"{what}.{suffix}"
        began = time.monotonic()
        assert words in read_or_refused(name), name
        with contextlib.suppress(PushforwardError), limited(SECONDS):
            check_report(report(name))
        with limited(SECONDS), pytest.raises(PushforwardError):
            pf.read(np.zeros((3, 1)), y=name)
        assert time.monotonic() - began < 2, name


@pytest.mark.parametrize(
    "source",
    ["/dev/zero", "/dev/stdin", "/dev/null", "/dev/fd/0", "/proc/kmsg", "/proc/self/environ"],
)
def test_devices_are_refused(source: str) -> None:
    assert read_or_refused(source) != "rows"


def test_a_pipe_or_device_beside_the_data_is_not_opened(odd: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl", "labels.csv"):
        os.mkfifo(odd / name)
    (odd / "x.npy").write_bytes(npy_of(np.zeros((4, 2))))
    (odd / "a.zip").write_bytes(zip_of({"a.png": PNG}))
    os.mkfifo(odd / "a.csv")
    (odd / "t-images-idx3-ubyte").write_bytes(idx_of(np.zeros((2, 3, 3), np.uint8)))
    os.mkfifo(odd / "t-labels-idx1-ubyte")
    (odd / "1.png").write_bytes(PNG)
    for name in Path().glob("memory.*"):
        name.unlink()
    for name in (".", "x.npy", "a.zip", "t-images-idx3-ubyte", "*.png"):
        assert read_or_refused(name) == "rows", name


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\0",
        "a\0b.png",
        "x" * 5000,
        "x/" * 3000,
        "~nobody-of-this-name/x.png",
        "a\nb.csv",
        "\x1b[31m.npy",
        "\udcff.png",
        "*" * 300,
        "[" * 50,
        ":",
        "a.npz:" + "k" * 5000,
        "a.zip:..",
        "mnist:" + "x" * 5000,
        "ring:" + "9" * 5000,
        "http://example.com/a.png",
    ],
)
def test_texts_that_name_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    assert read_or_refused(source) != "rows"
    with pytest.raises(PushforwardError), limited(SECONDS):
        report(source)


@pytest.mark.parametrize("command", [["data"], ["fit", "pca"]])
@pytest.mark.parametrize(
    "name",
    [
        "eps.png",
        "zeros.zip",
        "shape 0.npy",
        "deep header.npy",
        "axes.idx",
        "magic.parquet",
        "names.zip",
        "pipe.csv",
    ],
)
def test_the_command_line_refuses_in_one_line(
    odd: Path, capfd: pytest.CaptureFixture[str], command: list[str], name: str
) -> None:
    if name in CASES:
        Path(name).write_bytes(made(name))
    with limited(SECONDS):
        code = main([*command, name, *(["--run", "run"] if command[0] == "fit" else [])])
    out, err = capfd.readouterr()
    if command == ["data"] and code == 0:  # images are reported on, one by one
        assert "unreadable (1)" in out
        return
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    check_line(err.strip())
    assert not Path("run").exists()


def test_messages_repeat_little_of_what_came_from_outside() -> None:
    for text in (
        "x" * 10**6,
        "a b " * 10**5,
        "\x1b[31m\n\r\0" * 1000,
        "\u202e" * 500,
        "\udcff" * 500,
    ):
        check_line(str(PushforwardError(f"{text}: is bad; try {text}")))
    assert (
        str(PushforwardError("as it is: 'größe' × 2; pass label=False"))
        == "as it is: 'größe' × 2; pass label=False"
    )
