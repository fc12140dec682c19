"""python -m world.sprites ICONS_JSON: renders every noun's sprite into the one sheet that the world is drawn from.

ICONS_JSON is `icons.json` of the npm package `@iconify-json/fluent-emoji-flat` (MIT). The sheet is committed, the set
is not: this is run again only when a noun is added. What the set lacks, or has in a shape that is hard to make out, are
this project's own drawings in `svg/`. Needs `resvg-py`.
"""

import argparse
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from world.nouns import NOUNS
from world.scene import CELL, SHEET, SHEET_COLUMNS

OWN = Path(__file__).parent / "svg"
EXTENT = 58  # pixels of a sprite's longer side; the rest of a cell keeps neighbours apart
LARGE = 512  # pixels a side at which an icon is rendered before it is cropped and made small
ICONS = {
    "person": "person-standing", "car": "automobile", "train": "locomotive", "truck": "delivery-truck",
    "boat": "sailboat", "traffic light": "vertical-traffic-light", "sheep": "ewe", "suitcase": "luggage",
    "frisbee": "flying-disc", "sports ball": "soccer-ball", "tennis racket": "tennis",
    "bottle": "bottle-with-popping-cork", "cup": "hot-beverage", "knife": "kitchen-knife", "apple": "red-apple",
    "orange": "tangerine", "donut": "doughnut", "cake": "birthday-cake", "tv": "television",
    "computer keyboard": "keyboard", "cell phone": "mobile-phone", "book": "closed-book",
    "clock": "mantelpiece-clock", "vase": "amphora", "bee": "honeybee", "tree": "deciduous-tree",
    "pine tree": "evergreen-tree", "corn": "ear-of-corn", "cheese": "cheese-wedge", "ice cream": "soft-ice-cream",
    "honey": "honey-pot", "moon": "crescent-moon", "water drop": "droplet", "lightning": "high-voltage",
    "pumpkin": "jack-o-lantern", "hourglass": "hourglass-done", "globe": "globe-showing-americas",
    "planet": "ringed-planet", "heart": "red-heart",
}  # fmt: skip
"""Names that the set spells otherwise; every other noun has the icon of its own name, with dashes."""


def read_svg(noun: str, icons: dict) -> str:
    """The SVG text of a noun.

    Raises:
        KeyError: the set has no such icon and there is no drawing of our own.
    """
    own = OWN / f"{noun.replace(' ', '-')}.svg"
    if own.exists():
        return own.read_text(encoding="utf-8")
    icon = icons["icons"][ICONS.get(noun, noun.replace(" ", "-"))]
    width = icon.get("width", icons.get("width", 32))
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {width}">{icon["body"]}</svg>'


def shrink(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 4) uint8: averaged over boxes with the colors weighted by their coverage, so that edges stay clean."""
    rgba = np.asarray(image, dtype=np.float32)
    alpha = rgba[..., 3:] / 255
    weighted = np.concatenate([rgba[..., :3] * alpha, rgba[..., 3:]], axis=-1)
    planes = [Image.fromarray(weighted[..., c]).resize(size, Image.Resampling.BOX) for c in range(4)]
    small = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    small[..., :3] /= np.maximum(small[..., 3:] / 255, 1e-3)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def sprite(svg: str) -> np.ndarray:
    """(CELL, CELL, 4) uint8: an icon cropped to what it shows, its longer side `EXTENT`, centred."""
    import resvg_py  # noqa: PLC0415  (only this script needs it)

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=LARGE, height=LARGE))
    large = Image.open(io.BytesIO(png)).convert("RGBA")
    shown = large.crop(large.getchannel("A").point([255 * (a > 8) for a in range(256)]).getbbox())
    factor = EXTENT / max(shown.size)
    width, height = (max(1, round(side * factor)) for side in shown.size)
    cell = np.zeros((CELL, CELL, 4), dtype=np.uint8)
    x, y = (CELL - width) // 2, (CELL - height) // 2
    cell[y : y + height, x : x + width] = shrink(shown, (width, height))
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m world.sprites", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("icons", type=Path, help="icons.json of the icon set")
    args = parser.parse_args()
    icons = json.loads(args.icons.read_text(encoding="utf-8"))
    rows = -(-len(NOUNS) // SHEET_COLUMNS)
    sheet = np.zeros((rows * CELL, SHEET_COLUMNS * CELL, 4), dtype=np.uint8)
    for index, noun in enumerate(NOUNS):
        row, column = divmod(index, SHEET_COLUMNS)
        sheet[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = sprite(read_svg(noun, icons))
    Image.fromarray(sheet, "RGBA").save(SHEET, optimize=True)


if __name__ == "__main__":
    main()
