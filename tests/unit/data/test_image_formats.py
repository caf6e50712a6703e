"""Every kind of image file means what it shows: depth, transparency,
orientation, colour space, frames.
"""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, features

import pushforward as pf
from pushforward.core.errors import BadSource, DataWarning
from pushforward.data import read
from tests.png_chunks import chunk

AVIF = "avif" in features.get_supported()
"""Whether this Pillow reads AVIF: releases before 11.3 do not know the name."""


def reads_own_tiff(mode):
    """Whether Pillow reads the TIFF of a mode that it writes itself."""
    file = io.BytesIO()
    Image.new(mode, (2, 1)).save(file, "TIFF")
    try:
        with Image.open(file) as image:
            image.load()
    except OSError:
        return False
    return True


TIFF_OF_YCBCR = reads_own_tiff("YCbCr")


def png(path, row, width, depth, colour, transparent=None):
    """A PNG of one row, of any depth and colour type."""
    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    trns = (
        b""
        if transparent is None
        else chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    )
    body = (
        chunk(b"IHDR", head)
        + trns
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def rows(source):
    """The first row of pixels of the first image."""
    return source.x[0, :, 0].T.tolist()


# -------------------------------------------------------------------------------------------- depth

DEEP = {
    "grey.png": lambda p: png(p, struct.pack(">2H", 1, 255), 2, 16, 0),
    "rgb.png": lambda p: png(p, struct.pack(">6H", *range(6)), 2, 16, 2),
    "grey with alpha.png": lambda p: png(p, struct.pack(">4H", *range(4)), 2, 16, 4),
    "rgba.png": lambda p: png(p, struct.pack(">8H", *range(8)), 2, 16, 6),
    "rgb with a transparent colour.png": lambda p: png(
        p, struct.pack(">6H", *range(6)), 2, 16, 2, (3, 4, 5)
    ),
    "grey.pgm": lambda p: p.write_bytes(b"P5 2 1 65535\n" + struct.pack(">2H", 1, 2)),
    "rgb.ppm": lambda p: p.write_bytes(b"P6 2 1 1023\n" + struct.pack(">6H", *range(6))),
    "plain rgb.ppm": lambda p: p.write_text("P3 2 1 65535\n1 2 3 4 5 6\n"),
    "grey.tif": lambda p: Image.fromarray(np.array([[1, 2]], np.uint16)).save(p),
    "rgb.tif": lambda p: tiff(p, 3, np.arange(6, dtype="<u2")),
    "rgba.tif": lambda p: tiff(p, 4, np.arange(8, dtype="<u2")),
    "floats.tif": lambda p: Image.fromarray(np.zeros((1, 2), np.float32)).save(p),
    "rgb.jp2": lambda p: jpeg2000(p),
}


def tiff(path, bands, values):
    """A little-endian TIFF of 2×1 pixels with 16 bits a band."""
    tags = [
        (256, 3, 1, 2),
        (257, 3, 1, 1),
        (258, 3, bands, 200),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 300),
        (277, 3, 1, bands),
        (278, 3, 1, 1),
        (279, 4, 1, values.nbytes),
        (338, 3, 1, 2),
    ]
    tags = tags if bands == 4 else tags[:-1]
    head = (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *t) for t in tags)
        + b"\0" * 4
    )
    depths = struct.pack(f"<{bands}H", *[16] * bands)
    path.write_bytes(head.ljust(200, b"\0") + depths.ljust(100, b"\0") + values.tobytes())


def jpeg2000(path):
    """A JPEG 2000 whose header is made to say 12 bits a component."""
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\x4f\xff\x51") + 4 + 38
    for component in range(3):
        content[place + 3 * component] = 11
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("name", DEEP)
def test_levels_finer_than_bytes_are_refused_by_name(tmp_path, name, channels):
    DEEP[name](tmp_path / name)
    with pytest.raises(
        BadSource,
        match=rf"{name}: holds .* levels, finer than bytes; expected 8 bits a channel: convert it",
    ):
        read(tmp_path, channels=channels)
    with (
        Image.open(tmp_path / name) as item,
        pytest.raises(BadSource, match=r"observation 0: holds .* levels, finer than bytes"),
    ):
        read([item], channels=channels)


@pytest.mark.skipif(not AVIF, reason="this Pillow reads no AVIF")
def test_deep_avif_is_told_by_its_configuration():
    from pushforward.data.formats.image_formats import bit_depth

    item = Image.new("RGB", (1, 1))
    item.format = "AVIF"
    assert bit_depth(item, b"....av1C\x81\x00\x0c\x00") == 8
    assert bit_depth(item, b"....av1C\x81\x00\x4c\x00") == 10


def test_images_of_few_levels_are_spread_over_all_of_them(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 15\n" + bytes([0, 15]))
    assert rows(read(tmp_path / "a.pgm")) == [[0], [255]]
    assert rows(read(png(tmp_path / "a.png", bytes([0b00011011]), 4, 2, 0))) == [
        [0],
        [85],
        [170],
        [255],
    ]


# ------------------------------------------------------------------------------------- transparency

TRANSPARENT = {
    "1 bit": (bytes([0b01000000]), 2, 1, 0, (1,), [[0, 0, 0, 255], [255, 255, 255, 0]]),
    "1 bit, black": (bytes([0b01000000]), 2, 1, 0, (0,), [[0, 0, 0, 0], [255, 255, 255, 255]]),
    "2 bits": (
        bytes([0b00011011]),
        4,
        2,
        0,
        (2,),
        [[0, 0, 0, 255], [85, 85, 85, 255], [170, 170, 170, 0], [255, 255, 255, 255]],
    ),
    "4 bits": (bytes([0x3F]), 2, 4, 0, (3,), [[51, 51, 51, 0], [255, 255, 255, 255]]),
    "8 bits": (bytes([7, 200]), 2, 8, 0, (200,), [[7, 7, 7, 255], [200, 200, 200, 0]]),
    "rgb": (bytes([1, 2, 3, 4, 5, 6]), 2, 8, 2, (4, 5, 6), [[1, 2, 3, 255], [4, 5, 6, 0]]),
}


@pytest.mark.parametrize("case", TRANSPARENT)
def test_one_transparent_colour_is_transparency(tmp_path, case):
    *made, expected = TRANSPARENT[case]
    path = png(tmp_path / "a.png", *made)
    assert rows(read(path)) == expected
    assert rows(read(path, channels=4)) == expected
    flat = [p[:3] if p[3] else [255, 255, 255] for p in expected]
    assert rows(read(path, channels=3)) == flat
    with Image.open(path) as item:
        assert rows(read([item])) == expected
    plain = png(tmp_path / "b.png", *made[:-1])
    assert rows(read(plain, channels=3)) == [p[:3] for p in expected]
    assert read(plain).space.shape[0] == (3 if case == "rgb" else 1)


# -------------------------------------------------------------------------------------------- modes


def in_mode(mode):
    """An image of one colour in any of Pillow's 8-bit modes."""
    colour = Image.new("RGB", (2, 1), (200, 30, 60))
    if mode == "LAB":
        return ImageCms.profileToProfile(
            colour, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode)
    return (colour.convert(through) if through else colour).convert(mode)


GREY = {"L", "LA", "La"}
MODES = ["RGB", "RGBA", "RGBa", "RGBX", "L", "LA", "La", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"]


@pytest.mark.parametrize(("mode", "channels"), list(itertools.product(MODES, [None, 1, 3, 4])))
def test_every_mode_in_every_number_of_channels(tmp_path, mode, channels):
    image = in_mode(mode)
    source = read([image], channels=channels)
    natural = 4 if mode in ("RGBA", "RGBa", "LA", "La", "PA") else 1 if mode == "L" else 3
    count = channels or natural
    assert source.space.shape == (count, 1, 2)
    expected = [84] if count == 1 else [84, 84, 84] if mode in GREY else [200, 30, 60]
    expected = [*expected, 255] if count == 4 else expected
    # a palette of 216 colours
    assert np.allclose(rows(source)[0], expected, atol=32 if mode in ("P", "PA") else 2)
    if mode in ("CMYK", "LAB", "YCbCr", "RGBX", "LA"):
        image.save(tmp_path / "a.tif")
        if mode == "YCbCr" and not TIFF_OF_YCBCR:
            return
        assert rows(read(tmp_path / "a.tif", channels=channels)) == rows(source)


# -------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "lzw.tif", "avif"])
def test_images_are_turned_upright_once(tmp_path, suffix, orientation):
    if suffix == "avif" and not AVIF:
        pytest.skip("this Pillow reads no AVIF")
    upright = np.zeros((3, 5), np.uint8)
    upright[0, 0], upright[0, 1] = 255, 128
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: np.rot90,
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.kron(undo[orientation](upright), np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(
        path, exif=exif, **({"compression": "tiff_lzw"} if "lzw" in suffix else {"quality": 95})
    )
    source = read(path, channels=1)
    assert source.space.shape == (1, 48, 80)
    assert np.allclose(source.x[0, 0, 8::16, 8::16], upright, atol=12)
    streamed = read(path, channels=1, memory=1)
    assert torch.equal(streamed.take(torch.tensor([0])).x.to(torch.uint8), source.x)
    with Image.open(path) as item:
        assert torch.equal(read([item], channels=1).x, source.x)
    if suffix != "tif":  # of a plain TIFF Pillow itself makes a scrambled copy
        with Image.open(path) as item:
            copy = item.convert("L")  # as torchvision's ImageFolder hands them out: metadata kept
        assert torch.equal(read([copy], channels=1).x, source.x)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_means_nothing_is_ignored(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    for suffix in ("png", "jpg", "tif"):
        Image.new("L", (6, 2)).save(tmp_path / f"a.{suffix}", exif=exif)
        assert read(tmp_path / f"a.{suffix}").space.shape == (1, 2, 6)


# ------------------------------------------------------------------------------------------- frames


def frames(path, count, **kwargs):
    images = [
        Image.new("L" if path.suffix == ".tif" else "RGB", (4, 4), 60 * i) for i in range(count)
    ]
    images[0].save(path, save_all=True, append_images=images[1:], **kwargs)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif", "avif"])
def test_only_the_first_frame_is_taken_and_that_is_said(tmp_path, suffix):
    if suffix == "avif" and not AVIF:
        pytest.skip("this Pillow reads no AVIF")
    frames(tmp_path / f"a.{suffix}", 3)
    frames(tmp_path / ("b.tif" if suffix == "tif" else "b.png"), 1)
    words = (
        rf"1 file holds several frames or pages \(a\.{suffix}\); only the first of it is taken;"
        r" clips are files that all are animations or films"
    )
    with pytest.warns(DataWarning, match=words):
        source = read(tmp_path)
    assert float(source.x.max()) < 8
    assert len(source.notes) == 1
    report = pf.data.report(tmp_path)
    assert f"(a.{suffix})" in report.notes[0]
    next(tmp_path.glob("b.*")).unlink()
    frames(tmp_path / f"a.{suffix}", 1)
    assert read(tmp_path).notes == ()


def test_files_of_frames_are_counted_and_the_first_are_named(tmp_path):
    for i in range(5):
        frames(tmp_path / f"{i}.gif", 2)
    frames(tmp_path / "5.png", 1)
    with pytest.warns(
        DataWarning,
        match=(
            r"5 files hold several frames or pages \(0.gif, 1.gif, 2.gif, …\); only the first of"
            r" each"
        ),
    ):
        read(tmp_path)


# ------------------------------------------------------------------------------------ which formats


@pytest.mark.parametrize(
    "suffix",
    ["jfif", "jpe", "avif", "jp2", "j2k", "tga", "qoi", "dib", "pbm", "pnm", "apng", "JPG"],
)
def test_images_are_read_whatever_their_ending(tmp_path, suffix):
    image = Image.new(
        "1" if suffix == "pbm" else "L" if suffix == "pnm" else "RGB",
        (8, 4),
        1 if suffix == "pbm" else 255,
    )
    kind = {
        "jfif": "JPEG",
        "jpe": "JPEG",
        "apng": "PNG",
        "pnm": "PPM",
        "pbm": "PPM",
        "JPG": "JPEG",
        "dib": "DIB",
    }.get(suffix)
    try:
        image.save(tmp_path / f"a.{suffix}", format=kind)
    except (KeyError, ValueError):
        pytest.skip("this Pillow does not write it")
    image.save(tmp_path / "b.png")
    source = read(tmp_path, channels=3)
    assert len(source) == 2
    assert source.notes == ()
    assert read(tmp_path / f"a.{suffix}").space.shape[1:] == (4, 8)


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        b"\xc5\xd0\xd3\xc6"
        + struct.pack("<6I", 32, 100, 0, 0, 0, 0)
        + b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
        b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<4hH", 0, 0, 10, 10, 72) + b"\0" * 40,
        b"\x80\0\0\0\x11\xaf" + b"\0" * 200,
        b"8BPS\0\1" + b"\0" * 60,
        b"DDS |\0\0\0" + b"\0" * 200,
        b"SIMPLE  =                    T" + b" " * 3000,
    ],
)
def test_other_decoders_never_see_a_file(tmp_path, monkeypatch, content):
    seen = []

    def touched(*given, **_):
        seen.append(given)
        raise SyntaxError("not one of mine")

    Image.init()
    for name, (_, accept) in list(Image.OPEN.items()):
        if name in (
            "EPS",
            "WMF",
            "FLI",
            "PSD",
            "DDS",
            "FITS",
            "MPEG",
            "HDF5",
            "GRIB",
            "BUFR",
            "ICNS",
            "XPM",
            "SPIDER",
            "IM",
            "PCD",
        ):
            monkeypatch.setitem(Image.OPEN, name, (touched, accept))
    for name in ("a.png", "a.jpg", "a.tga", "a.tif"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            BadSource, match=rf"{name}: (is not an image that can be read|the image is damaged)"
        ):
            read(tmp_path / name)
        assert seen == []
