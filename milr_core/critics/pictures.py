"""Image files as people see them: upright, on white where they are transparent, with their whole range of gray."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from milr_core.errors import InputError, brief

SIXTEEN_BITS = 65535
MOST_PIXELS = 64_000_000
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, OverflowError, NotImplementedError, struct.error, zlib.error)
"""What Pillow's readers raise for damaged files, text that unpacks to too much among it."""


def read_picture(path: Path) -> Image.Image:
    """The picture in a file, RGB.

    Raises:
        InputError: no image that can be read, or one of too many pixels.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError(f"{path} has {image.width} x {image.height} pixels: make it smaller.")
            return as_seen(image)
    except InputError:
        raise
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is no image that can be read: {brief(error)}.") from error


def as_seen(image: Image.Image) -> Image.Image:
    """An image of any of Pillow's modes as RGB, turned as its EXIF says.

    Raises:
        InputError: pixel values that have no meaning as gray.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _gray(np.asarray(image, dtype=np.float64), image.mode).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def _gray(values: np.ndarray, mode: str) -> Image.Image:
    """(height, width) numbers as 8-bit gray.

    What white is, no such file says: 65535 in modes of 16 bits, elsewhere the least of 1 (floating point alone), 255
    and 65535 that holds every value.
    """
    largest = values.max(initial=0)
    if not np.isfinite(values).all() or values.min(initial=0) < 0 or largest > SIXTEEN_BITS:
        raise InputError("The image's pixels are no gray from 0 to 65535: save it with 8 or 16 bits a channel.")
    if mode.startswith("I;16") or largest > 255:
        white = SIXTEEN_BITS
    else:
        white = 1 if mode == "F" and largest <= 1 else 255
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
