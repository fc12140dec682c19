"""The world: up to nine things on a plain ground, one to a place of a three by three grid.

Knows nothing of prompts, models or tokens. A scene renders to `IMAGE_SIZE` pixels a side; every place is a square of
`CELL` pixels, so that the same thing at another place is the same pixels moved by whole cells. All arithmetic on
pixels is exact, so that every machine draws the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from world.nouns import NOUNS

IMAGE_SIZE = 192  # pixels a side
GRID = 3  # places a side
CELL = IMAGE_SIZE // GRID  # pixels
SHEET = Path(__file__).parent / "sprites.png"  # written by `python -m world.sprites`
SHEET_COLUMNS = 13

GROUND = (190, 222, 204)  # a pale mint that white, black, gray and all tints stand off from
OUTLINE = (60, 68, 84)
OUTLINE_STRENGTH = 0.55
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (222, 38, 38),
    "orange": (250, 140, 18),
    "yellow": (250, 214, 32),
    "green": (40, 165, 70),
    "blue": (36, 96, 224),
    "purple": (134, 52, 184),
    "pink": (250, 118, 186),
    "brown": (128, 76, 38),
    "black": (34, 34, 38),
    "white": (252, 252, 252),
}
"""GenEval's ten."""
PLACES = (
    "top-left", "top", "top-right",
    "left", "center", "right",
    "bottom-left", "bottom", "bottom-right",
)  # fmt: skip
# What people call the colors of these things, where counting pixels says another of the ten, or none.
_CALLED = {
    "bird": "red", "book": "red", "guitar": "red", "pig": "pink", "cactus": "green", "battery": "green",
    "pumpkin": "orange", "octopus": "orange", "crown": "yellow", "honey": "brown", "vase": "brown", "mount fuji": None,
}  # fmt: skip
# What a color becomes where a sprite is darkest and lightest; the other colors take shares of themselves.
_SHADES = {
    "white": ((96, 96, 96), (239, 239, 239), (252, 252, 252)),
    "black": ((0, 0, 0), (34, 34, 38), (128, 128, 128)),
    "brown": ((36, 21, 11), (128, 76, 38), (214, 172, 128)),
}


@dataclass(frozen=True)
class Item:
    """One thing of a scene. color: None where it has its own colors, not a tint."""

    noun: str
    color: str | None
    place: str


def cell_of(place: str) -> tuple[int, int]:
    """(column, row) of a place, each 0 to 2, counted from the top left."""
    index = PLACES.index(place)
    return index % GRID, index // GRID


@lru_cache(maxsize=1)
def _sheet() -> np.ndarray:
    """(nouns, CELL, CELL, 4) uint8."""
    with Image.open(SHEET) as image:
        sheet = np.asarray(image.convert("RGBA"))
    rows = sheet.shape[0] // CELL
    cells = sheet.reshape(rows, CELL, SHEET_COLUMNS, CELL, 4).swapaxes(1, 2).reshape(-1, CELL, CELL, 4)
    return cells[: len(NOUNS)]


@cache
def mask(noun: str) -> np.ndarray:
    """(CELL, CELL) booleans: where the sprite covers more than half of a pixel."""
    return _sheet()[NOUNS.index(noun)][..., 3] > 127


@lru_cache(maxsize=1)  # tints of one thing are mostly asked for together
def _bends(noun: str) -> tuple[np.ndarray, np.ndarray]:
    """How far a sprite's pixels are darker and lighter than its most common luminance: (CELL, CELL, 1) in [0, 1]."""
    sprite = _sheet()[NOUNS.index(noun)]
    luminance = sprite[..., :3].astype(np.int64) @ np.array((299, 587, 114)) // 1000  # 0 to 255
    counts = np.bincount(luminance[sprite[..., 3] > 127], minlength=256)
    middle = int(np.convolve(counts, np.ones(17, dtype=np.int64), "same").argmax())
    below = np.clip((middle - luminance) / max(77, middle), 0, 1)[..., None]
    above = np.clip((luminance - middle) / max(77, 255 - middle), 0, 1)[..., None]
    return below * (1.3 - 0.3 * below), above * (1.3 - 0.3 * above)


def _tinted(noun: str, color: str) -> np.ndarray:
    """(CELL, CELL, 3) floats: colored by luminance. The most common one becomes the color itself, darker parts a dark
    shade of it, lighter parts a light one."""
    base = np.array(COLORS[color], dtype=np.float64)
    shades = _SHADES.get(color)
    dark, base, light = (np.array(s, dtype=np.float64) for s in shades or (base * 0.28, base, base * 0.42 + 148))
    below, above = _bends(noun)
    return base + (dark - base) * below + (light - base) * above


@lru_cache(maxsize=1)
def _under(noun: str) -> np.ndarray:
    """(CELL, CELL, 3) floats: the ground with a thin halo, so that light sprites stand off from it too."""
    alpha = _sheet()[NOUNS.index(noun)][..., 3]
    grown = ndimage.grey_dilation(alpha, size=(3, 3)).astype(np.float64)
    padded = np.pad(grown, 1)
    soft = (padded[:-2, 1:-1] + 6 * grown + padded[2:, 1:-1]) / 8
    padded = np.pad(soft, 1)
    halo = ((padded[1:-1, :-2] + 6 * soft + padded[1:-1, 2:]) / 8 / 255 * OUTLINE_STRENGTH)[..., None]
    return np.array(GROUND) * (1 - halo) + np.array(OUTLINE) * halo


@cache
def tile(noun: str, color: str | None) -> np.ndarray:
    """(CELL, CELL, 3) uint8: a thing on the ground, as it comes or tinted."""
    sprite = _sheet()[NOUNS.index(noun)]
    rgb = _tinted(noun, color) if color else sprite[..., :3].astype(np.float64)
    alpha = sprite[..., 3:] / 255.0
    pixels = np.floor(_under(noun) * (1 - alpha) + rgb * alpha + 0.5).clip(0, 255).astype(np.uint8)
    pixels.flags.writeable = False  # cached and shared
    return pixels


def _named(rgb: np.ndarray) -> np.ndarray:
    """(n,) indices into COLORS, -1 where a pixel has none of the ten (gray): by hue, brown being a dark orange."""
    high, low = rgb.max(-1), rgb.min(-1)
    names = list(COLORS)
    hues = [names.index(name) for name in ("red", "orange", "yellow", "green", "blue", "purple", "pink")]
    hue = _hue(rgb)
    apart = np.abs(hue[:, None] - _hue(np.array([COLORS[names[i]] for i in hues], dtype=np.float64)))
    named = np.array(hues)[np.minimum(apart, 360 - apart).argmin(-1)]
    named[(hue > 5) & (hue < 45) & (high < 185)] = names.index("brown")
    gray = high - low < 45
    named[gray] = -1
    named[gray & (low > 225)] = names.index("white")
    named[gray & (high < 75)] = names.index("black")
    return named


def _hue(rgb: np.ndarray) -> np.ndarray:
    """(n,) degrees in [0, 360); of gray, 0."""
    red, green, blue = rgb.T
    high, spread = rgb.max(-1), np.maximum(rgb.max(-1) - rgb.min(-1), 1e-9)
    turn = np.where(
        high == red,
        (green - blue) / spread,
        np.where(high == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    return turn * 60 % 360


@cache
def natural_color(noun: str) -> str | None:
    """The color of GenEval's ten that more than half of the untinted sprite has; None where there is none."""
    if noun in _CALLED:
        return _CALLED[noun]
    votes = np.bincount(1 + _named(tile(noun, None)[mask(noun)].astype(np.float64)), minlength=1 + len(COLORS))
    return list(COLORS)[votes[1:].argmax()] if 2 * votes[1:].max() > votes.sum() else None


def render(items: Sequence[Item]) -> Image.Image:
    """Draw a scene: RGB, `IMAGE_SIZE` pixels a side."""
    pixels = np.empty((IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    pixels[:] = GROUND
    for item in items:
        column, row = cell_of(item.place)
        x, y = column * CELL, row * CELL
        pixels[y : y + CELL, x : x + CELL] = tile(item.noun, item.color)
    return Image.fromarray(pixels)
