"""Image files score as they look: the same picture in another format is the same picture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from milr_core import InputError
from milr_core.cli import main
from milr_core.critics.pictures import as_seen, read_picture

GRAY = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
PICTURE = Image.fromarray(np.stack([GRAY, GRAY.T, 255 - GRAY], -1))


def saved(folder, image, name, **how):
    image.save(folder / name, **how)
    return np.asarray(read_picture(folder / name))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (GRAY.astype(np.uint16) * 257, "gray.png"),
        (GRAY.astype(np.uint16) * 257, "gray.tiff"),
        (GRAY.astype(np.int32) * 257, "sixteen-in-thirty-two.tiff"),
        (GRAY.astype(np.int32), "eight-in-thirty-two.tiff"),
        (GRAY.astype(np.float32) / 255, "shares.tiff"),
        (GRAY.astype(np.float32), "float.tiff"),
        (GRAY, "plain.png"),
    ],
)
def test_gray_of_any_depth(tmp_path, values, name):
    assert (saved(tmp_path, Image.fromarray(values), name) == GRAY[..., None]).all()


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path):
    assert saved(tmp_path, Image.fromarray(np.full((4, 4), 200, np.uint16)), "dark.png").max() == 1


def test_what_is_transparent_is_laid_on_white(tmp_path):
    over = PICTURE.convert("RGBA")
    over.putpixel((0, 0), (9, 9, 9, 0))
    over.putpixel((1, 0), (0, 0, 0, 128))
    seen = saved(tmp_path, over, "over.png")
    assert seen[0, 0].tolist() == [255] * 3 and 120 < seen[0, 1, 0] < 135
    assert (seen[1:] == np.asarray(PICTURE)[1:]).all()
    assert saved(tmp_path, over.convert("LA"), "la.png")[0, 0].tolist() == [255] * 3
    palette = PICTURE.convert("P")
    assert saved(tmp_path, palette, "p.png", transparency=palette.getpixel((0, 0)))[0, 0].tolist() == [255] * 3
    assert (saved(tmp_path, PICTURE.convert("CMYK"), "cmyk.tiff") == np.asarray(PICTURE)).all()


def test_a_turned_picture_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    turned = PICTURE.transpose(Image.Transpose.ROTATE_90)
    assert (saved(tmp_path, turned, "turned.png", exif=exif) == np.asarray(PICTURE)).all()


def bomb():
    data = io.BytesIO()
    PICTURE.save(data, "PNG")
    whole = data.getvalue()
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(80 << 20))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return whole[:33] + chunk + whole[33:]


def damaged():
    data = io.BytesIO()
    PICTURE.save(data, "PNG")
    whole = bytearray(data.getvalue())
    whole[45:60] = b"\xff" * 15
    return bytes(whole)


def unheard_of():
    """A DDS of no format that there is."""
    data = io.BytesIO()
    PICTURE.save(data, "DDS")
    whole = bytearray(data.getvalue())
    whole[80:84] = bytes(4)
    return bytes(whole)


@pytest.mark.parametrize(
    "content", [bomb(), damaged(), unheard_of(), b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"II*\0\xff\xff\xff\xff"]
)
def test_what_is_no_picture_is_said_so(tmp_path, content, capsys):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    assert main(["score", str(path), "two red dogs", "--critic", "oracle"]) == 2
    assert "x.png is no image that can be read" in capsys.readouterr().err


def test_pixels_without_a_meaning_are_refused(tmp_path):
    for value in (np.nan, -1.0, 1e9):
        with pytest.raises(InputError, match="gray"):
            as_seen(Image.fromarray(np.full((2, 2), value, np.float32)))
    Image.new("1", (9000, 9000)).save(tmp_path / "vast.png")
    with pytest.raises(InputError, match="make it smaller"):
        read_picture(tmp_path / "vast.png")
