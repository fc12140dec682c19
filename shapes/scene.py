"""The world: up to nine coloured shapes on a plain ground, one to a place of a three by three grid.

Knows nothing of prompts, models or tokens. A scene renders to `IMAGE_SIZE` pixels a side; every place is a
square of `CELL` pixels, so that the same drawing at another place is the same pixels moved by whole cells.
"""

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

IMAGE_SIZE = 96  # pixels a side
GRID = 3  # places a side
CELL = IMAGE_SIZE // GRID  # pixels
SUPERSAMPLING = 8

GROUND = (244, 243, 239)
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (247, 140, 20),
    "yellow": (250, 210, 40),
    "green": (38, 158, 72),
    "blue": (38, 92, 216),
    "purple": (140, 56, 170),
    "black": (28, 28, 32),
}
SHAPES = ("circle", "square", "triangle", "cross")
SIZES: dict[str, int] = {"small": 14, "medium": 20, "large": 26}  # extent in pixels
PLACES = (
    "top-left", "top", "top-right",
    "left", "center", "right",
    "bottom-left", "bottom", "bottom-right",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One shape of a scene. `size` is None where it is free (in a plan); a drawn item always has one."""

    shape: str
    color: str
    place: str
    size: str | None = None


def cell_of(place: str) -> tuple[int, int]:
    """(column, row) of a place, each 0 to 2, counted from the top left."""
    index = PLACES.index(place)
    return index % GRID, index // GRID


def outline(shape: str, size: float, cx: float, cy: float) -> list[tuple[float, float]]:
    """Corners of a polygon shape (every shape but the circle) of extent `size` around (cx, cy)."""
    r = size / 2
    if shape == "square":
        unit = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    elif shape == "triangle":
        unit = [(0, -1), (1, 1), (-1, 1)]
    else:  # cross: arms a third of the extent wide
        a = 1 / 3
        unit = [
            (-a, -1),
            (a, -1),
            (a, -a),
            (1, -a),
            (1, a),
            (a, a),
            (a, 1),
            (-a, 1),
            (-a, a),
            (-1, a),
            (-1, -a),
            (-a, -a),
        ]
    return [(cx + r * x, cy + r * y) for x, y in unit]


@lru_cache(maxsize=512)
def shape_mask(shape: str, size: int, side: int) -> Image.Image:
    """Anti-aliased coverage mask ("L", `side` pixels a side) of one centred shape of extent `size` pixels."""
    s = SUPERSAMPLING
    mask = Image.new("L", (side * s, side * s), 0)
    draw = ImageDraw.Draw(mask)
    center = side * s / 2
    if shape == "circle":
        r = size * s / 2
        draw.ellipse((center - r, center - r, center + r - 1, center + r - 1), fill=255)
    else:
        draw.polygon(outline(shape, size * s - 1, center - 0.5, center - 0.5), fill=255)
    return mask.resize((side, side), Image.Resampling.BOX)


def render(items: list[Item] | tuple[Item, ...]) -> Image.Image:
    """Draw a scene: RGB, `IMAGE_SIZE` pixels a side. Items without a size are drawn medium."""
    image = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), GROUND)
    for item in items:
        column, row = cell_of(item.place)
        mask = shape_mask(item.shape, SIZES[item.size or "medium"], CELL)
        image.paste(COLORS[item.color], (column * CELL, row * CELL), mask)
    return image
