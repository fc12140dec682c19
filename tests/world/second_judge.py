"""A second judge of the world's pictures, for tests only: it shares no code with the oracle and looks otherwise.

Place by place. Which thing: the correlation of how far each pixel is from the ground, a map in gray, with that of every
thing. Which color: the nearest histogram of the channels. Whole: each quarter's histogram and map agree with the
thing's. Where: by rows and columns of the grid, not by boxes.
"""

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from world.nouns import NOUNS
from world.scene import CELL, COLORS, GROUND, PLACES, natural_color, tile

TINTS = (None, *COLORS)
BINS = 16
EMPTY = 4.0  # of 255: mean distance from the ground below which a place is empty
ALIKE = 0.75  # correlation of a thing's map with the sprite's, below which it is none
QUARTER_APART, QUARTER_ALIKE = 0.17, 0.6  # of histograms (0 to 1), and the correlation of a quarter's map


def _softened(pixels: np.ndarray) -> np.ndarray:
    """Pictures and sprites are compared out of focus: what differs then is seen, noise is not."""
    return gaussian_filter(pixels.astype(np.float32), (1, 1, 0), mode="nearest")


def _maps(cells: np.ndarray) -> np.ndarray:
    """(n, s, s, 3) -> (n, s / 2, s / 2): mean distance from the ground."""
    far = np.abs(cells - np.array(GROUND, dtype=np.float32)).mean(-1)
    side = far.shape[1] // 2
    return far.reshape(-1, side, 2, side, 2).mean((2, 4))


def _unit(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def _histograms(cells: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) -> (n, 3, BINS): shares of the pixels, smoothed, of each channel."""
    index = (cells.astype(int) * BINS // 256) + BINS * np.arange(3)
    counts = np.stack([np.bincount(i.ravel(), minlength=3 * BINS) for i in index]).reshape(len(cells), 3, BINS)
    return gaussian_filter1d(counts / counts[0, 0].sum(), 1.0, axis=-1)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Half the L1 distance of histograms, mean over channels."""
    return np.abs(a - b).sum(-1).mean(-1) / 2


def _quarters(cell: np.ndarray) -> np.ndarray:
    side = len(cell) // 2
    return cell.reshape(2, side, 2, side, *cell.shape[2:]).swapaxes(1, 2).reshape(4, side, side, *cell.shape[2:])


@lru_cache(maxsize=1)
def _sheet() -> tuple[np.ndarray, np.ndarray]:
    """Compute of all things in all tints (T, 1024) maps of unit norm, (nouns, tints, 3, BINS) histograms."""
    tiles = [[_softened(tile(noun, tint)) for tint in TINTS] for noun in NOUNS]
    maps = np.concatenate([_unit(_maps(np.stack(row))) for row in tiles])
    return maps, np.stack([_histograms(np.stack(row)) for row in tiles])


def look(image: Image.Image) -> tuple[list[tuple[str, str | None, int, int]], bool]:
    """(noun, color, column, row) of what stands on the places, and whether all of it is whole."""
    pixels = _softened(np.asarray(image.convert("RGB").resize((192, 192), Image.Resampling.BILINEAR)))
    maps, histograms = _sheet()
    things, whole = [], True
    for index in range(len(PLACES)):
        row, column = divmod(index, 3)
        cell = pixels[row * CELL : row * CELL + CELL, column * CELL : column * CELL + CELL]
        own = _maps(cell[None])
        if own.mean() < EMPTY:
            continue
        likeness = maps @ _unit(own)[0]
        best = int(likeness.argmax())
        noun = best // len(TINTS)
        color = int(_apart(histograms[noun], _histograms(cell[None])).argmin())
        there, here = (_quarters(c) for c in (_softened(tile(NOUNS[noun], TINTS[color])), cell))
        apart = _apart(_histograms(there), _histograms(here))
        there, here = _maps(there), _maps(here)
        alike = (_unit(there) * _unit(here)).sum(1)
        plain = there.mean((1, 2)) < EMPTY  # a quarter of little but ground correlates with nothing
        if likeness[best] < ALIKE or (apart > QUARTER_APART).any() or (alike[~plain] < QUARTER_ALIKE).any():
            whole = False
            continue
        things.append((NOUNS[noun], TINTS[color] or natural_color(NOUNS[noun]), column, row))
    return things, whole


def is_right(image: Image.Image, spec: dict) -> bool:
    """Whether the picture is what GenEval's structure asks for and nothing is half drawn."""
    things, whole = look(image)
    groups = []
    for clause in spec["include"]:
        group = [t for t in things if t[0] == clause["class"] and clause.get("color", t[1]) == t[1]]
        if len(group) < clause["count"]:
            return False
        groups.append(group)
    for clause in spec["exclude"]:
        if sum(t[0] == clause["class"] and clause.get("color", t[1]) == t[1] for t in things) >= clause["count"]:
            return False
    for clause, group in zip(spec["include"], groups, strict=True):
        if "position" in clause:
            relation, target = clause["position"]
            if not all(_stands(relation, a, b) for a in group for b in groups[target]):
                return False
    return whole


def _stands(relation: str, a: tuple, b: tuple) -> bool:
    """Nearer to the asked direction than to the ones across it; a diagonal counts for both."""
    right, down = a[2] - b[2], a[3] - b[3]
    along = {"left of": -right, "right of": right, "above": -down, "below": down}[relation]
    across = down if relation in ("left of", "right of") else right
    return along > 0 and abs(across) <= along
