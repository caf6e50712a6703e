"""Hostile data files: whatever a file holds or claims, reading gives rows or one clear error, at once, and nothing else.

A few sound files of every format are cut, flipped, zeroed and renamed; beside them are files made by hand: headers that lie,
bombs, pipes and devices, archives in archives. Every one is read in this process, under a time limit.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import signal
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.core.errors import PushforwardError
from pushforward.data import report

SECONDS = 5
LONGEST = 700
IMAGES = ("png", "jpg", "gif", "bmp", "webp", "tif", "lzw.tif", "ppm", "jp2", "avif", "tga", "qoi")
TABLES = ("npy", "npz", "packed.npz", "idx", "idx.gz", "csv", "csv.gz", "parquet", "images.zip", "tsv.xz")


# ------------------------------------------------------------------------------------------------ sound files


def sound_image(suffix: str) -> bytes | None:
    """An image of 12×9 pixels; None where this Pillow does not write the format."""
    levels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    kinds = {"jpg": "JPEG", "lzw.tif": "TIFF", "tif": "TIFF", "jp2": "JPEG2000"}
    file = io.BytesIO()
    try:
        Image.fromarray(levels).save(file, kinds.get(suffix, suffix.upper()), **({"compression": "tiff_lzw"} if "lzw" in suffix else {}))
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
        "npz": lambda: zip_of({"x.npy": npy_of(x), "y.npy": npy_of(np.arange(20) % 2)}, zipfile.ZIP_STORED),
        "packed.npz": lambda: zip_of({"x.npy": npy_of(x), "y.npy": npy_of(np.arange(20) % 2)}),
        "idx": lambda: idx_of(np.arange(180, dtype=np.uint8).reshape(20, 3, 3)),
        "idx.gz": lambda: gzip.compress(idx_of(np.arange(180, dtype=np.uint8).reshape(20, 3, 3))),
        "csv": lambda: text,
        "csv.gz": lambda: gzip.compress(text),
        "tsv.xz": lambda: __import__("lzma").compress(text.replace(b",", b"\t")),
        "parquet": lambda: parquet_of(x),
        "images.zip": lambda: zip_of(images),
    }
    return makers[suffix]()


def parquet_of(x: np.ndarray) -> bytes:
    pandas = pytest.importorskip("pandas")
    file = io.BytesIO()
    pandas.DataFrame(x, columns=list("abc")).to_parquet(file)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------ mutations


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
        "empty": b"", "one byte": content[:1], "cut in the header": content[: min(20, n // 3)], "cut in half": content[: n // 2],
        "cut at the end": content[:-3], "head flipped": flipped(4, 60, 3), "flipped": flipped(0, n, 5),
        "tail flipped": flipped(n - 30, n, 3),
        "head of ones": filled(8, 40, 255), "head of zeros": filled(4, 24, 0), "middle of zeros": filled(n // 3, 2 * n // 3, 0),
        "tail of ones": filled(n - 24, n, 255), "doubled": content + content, "shifted": b"\0" + content,
    }  # fmt: skip


def png_of(width: int, height: int, body: bytes = b"0", depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def npy_header(header: str, body: bytes = b"\0" * 64, version: int = 1) -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + body


def shape(text: str, descr: str = "'<f8'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {text}, }}"


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/tmp/pwned) (w) file closefile\nshowpage\n"
DEEP = "[" * 100_000 + "]" * 100_000

BY_HAND: dict[str, Callable[[], bytes]] = {
    # arrays
    **{
        f"shape {i}.npy": (lambda s=s: npy_header(shape(s)))
        for i, s in enumerate((
            "(1000000000000, 3)", "(-5, 3)", "(3, -1)", "(0, 3)", "()", "(9223372036854775807, 9223372036854775807)", "(10**400,)",
            "(2.5, 3)", "(True, 8)", "'x'", "[2, 4]", "(1,)*70", "(4294967296, 4294967296, 4294967296)", "None", "(2, (4,))",
            f"({'1,' * 40})", f"({'1,' * 80})",
        ))
    },
    **{
        f"descr {i}.npy": (lambda d=d: npy_header(shape("(2, 4)", d)))
        for i, d in enumerate((
            "'|O'", "'<f3'", "'<U99999999'", "'V0'", "'S0'", "'<M8[s]'", "[('a','<f8'),('b','<i4')]", "''", "None", "3", "'<c16'", "'>f8'",
            "'" + "A" * 5000 + "'", "('<f8',(10,10))", "'<f16'", "'|b1'", "'<f8' if True else 0",
        ))
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
    "overflowing member.npz": lambda: zip_of({"x.npy": npy_header(shape("(4294967296, 4294967296)"))}),
    "negative member.npz": lambda: zip_of({"x.npy": npy_header(shape("(-2, 4)"))}),
    "no arrays.npz": lambda: zip_of({"readme.txt": b"x"}),
    "bad label.npz": lambda: zip_of({"x.npy": npy_of(np.zeros((4, 2))), "y.npy": b"\x93NUMPY"}),
    "scalar.npz": lambda: zip_of({"x.npy": npy_of(np.float64(3))}),
    "names.npz": lambda: zip_of({"A" * 3000 + ".npy": npy_of(np.zeros((4, 2))), "B" * 3000 + ".npy": npy_of(np.zeros((4, 2)))}),
    "encrypted.npz": lambda: encrypted({"x.npy": npy_of(np.zeros((4, 2)))}),
    "unknown packing.npz": lambda: repacked({"x.npy": npy_of(np.zeros((4, 2)))}),
    # idx
    "rows.idx": lambda: struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"x" * 9,
    "axes.idx": lambda: b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"x",
    "no axes.idx": lambda: b"\0\0\x08\0x",
    "zero.idx": lambda: struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 5),
    "zero by much.idx": lambda: struct.pack(">BBBB2I", 0, 0, 8, 2, 0, 2**32 - 1),
    "type.idx": lambda: b"\0\0\x07\x01\0\0\0\x01x",
    "bomb.idx.gz": lambda: gzip.compress(struct.pack(">BBBB2I", 0, 0, 8, 2, 2, 3) + b"\0" * 2**27),
    "claims.idx.gz": lambda: gzip.compress(struct.pack(">BBBB2I", 0, 0, 8, 2, 2**30, 2**20) + b"\0" * 99),
    # tables
    "nul.csv": lambda: b"a,b\n1,\0\0\n\0,3\n",
    "nul header.csv": lambda: b"a\0,b\n1,2\n",
    "binary.csv": lambda: bytes(range(256)) * 20,
    "endless line.csv": lambda: b"1," * 200_000,
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
    "bomb.csv.gz": lambda: gzip.compress(b"a,b\n" + b"0" * 2**26),
    "tail.csv.gz": lambda: gzip.compress(b"a,b\n1,2\n") + b"garbage",
    "html.csv": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "magic.parquet": lambda: b"PAR1" + b"\xff" * 100 + b"PAR1",
    "footer.parquet": lambda: b"PAR1" + b"\0" * 50 + struct.pack("<I", 2**31 - 1) + b"PAR1",
    "empty.parquet": lambda: parquet_of(np.zeros((0, 3))),
    # images
    "eps.png": lambda: EPS,
    "dos eps.jpg": lambda: b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + b"\xff\xff" + EPS,
    "pdf.png": lambda: b"%PDF-1.4\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n",
    "svg.png": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "bomb.png": lambda: png_of(60_000, 60_000),
    "largest.png": lambda: png_of(2**31 - 1, 2**31 - 1),
    "no width.png": lambda: png_of(0, 4),
    "text bomb.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 2**27))),
    "profile bomb.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 2**27))),
    "too many bytes.png": lambda: png_of(4, 1, b"\0" * 2**27),
    "chunks.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"tEXt", b"a\0b") * 20_000),
    "exif.png": lambda: png_of(4, 1, b"\0" * 5, extra=chunk(b"eXIf", b"MM\0*" + b"\xff" * 60)),
    "depth.png": lambda: png_of(4, 1, b"\0" * 5, depth=3),
    "palette.png": lambda: png_of(4, 1, b"\0\1\2\3\4", colour=3),
    "flat.bmp": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -5, -5, 1, 24, 0, 0, 0, 0, 0, 0),
    "tall.bmp": lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**31 - 1, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0),
    "header.ppm": lambda: b"P6 " + b"9" * 10_000,
    "negative.ppm": lambda: b"P6 -1 -1 255\n",
    "comment.ppm": lambda: b"P6\n#" + b"x" * 1_000_000,
    "frames.gif": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0" + b",\0\0\0\0\xff\xff\xff\xff\0\2\0" * 1000,
    "blocks.gif": lambda: b"GIF89a\2\0\2\0\0\0\0" + b"!\xfe\1x\0" * 100_000,
    "loop.tif": lambda: b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8),
    "tags.tif": lambda: b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 65535) + b"\0\1\3\0\xff\xff\xff\xff\0\0\0\0" * 5000,
    "big.tif": lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**60),
    "a.tga": lambda: b"\0\0\x0a" + b"\0" * 9 + struct.pack("<HH", 65535, 65535) + b"\x18\0" + b"\xff" * 20,
    "a.qoi": lambda: b"qoif" + struct.pack(">II", 2**32 - 1, 2**32 - 1) + b"\3\0",
    # archives
    "zeros.zip": lambda: zip_of({"a.png": PNG + b"\0" * 2**27}),
    "many zeros.zip": lambda: zip_of({f"{i}.bmp": b"BM" + b"\0" * 2**22 for i in range(40)}),
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
    "nul metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.csv": b"file_name,label\n\0a.png,x\n"}),
    "long metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.csv": b"file_name,label\n" + b"x" * 200_000}),
    "numbers metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.jsonl": b'{"file_name": ' + b"9" * 10_000 + b"}"}),
    "names metadata.zip": lambda: zip_of({"a.png": PNG, "metadata.csv": b"z" * 100_000 + b",label\n1,2\n"}),
}  # fmt: skip


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

        def content(make: Callable[[str], bytes | None] = make, suffix: str = suffix) -> bytes | None:
            return make(suffix)

        for what in mutations(b"0123456789" * 20, 0):
            yield (
                f"{what}.{suffix}",
                lambda content=content, what=what, n=number: None if content() is None else mutations(content(), n)[what],
            )
        for other in ("png", "npy", "npz", "csv", "parquet", "zip", "idx", "csv.gz", "idx.gz", "tga"):
            if not suffix.endswith(other):
                yield f"{suffix} called.{other}", content
    yield from BY_HAND.items()


CASES = dict(cases())


# ------------------------------------------------------------------------------------------------ reading under a limit


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


def check_line(message: str, where: str) -> None:
    """One line of bounded length without control characters, which names the file."""
    assert len(message) <= LONGEST, len(message)
    assert message.isprintable(), message
    assert not any(len(word) > 260 for word in message.split()), message


def read_or_refused(source: object, **kwargs: object) -> str:
    """What came of reading a source: 'rows' or the message it was refused with; anything else raises."""
    with warnings.catch_warnings(), limited(SECONDS):
        warnings.simplefilter("ignore")
        try:
            found = pf.read(source, memory="64MB", **kwargs)  # type: ignore[arg-type]
            batch = found.take(torch.arange(min(5, len(found))))
            assert len(batch.x) == min(5, len(found))
        except PushforwardError as error:
            check_line(str(error), str(source))
            return str(error)
    return "rows"


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_gives_rows_or_one_clear_error(tmp_path: Path, name: str) -> None:
    content = CASES[name]()
    if content is None:
        pytest.skip("this Pillow does not write the format")
    path = tmp_path / name
    path.write_bytes(content)
    read_or_refused(str(path))
    with warnings.catch_warnings(), limited(SECONDS):
        warnings.simplefilter("ignore")
        with contextlib.suppress(PushforwardError):
            json.dumps(report(path).as_dict(), default=str)
    assert not Path("/tmp/pwned").exists()
