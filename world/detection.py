"""Finding things in a picture: reads pixels only, never tokens, plan or prompt.

What stands off from the ground is looked at through windows of one place each: first those of the nine places, then,
where nothing known is there, windows around it. A window is compared with all things in all colors at a quarter of the
resolution, by one matrix product, and the nearest few are told apart at half of it. A thing is recognised where it fits
as a whole and none of its quarters is clearly more like a quarter of something else: an image token is a quarter, so
that one wrong token spoils one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image
from scipy import ndimage

from world.nouns import NOUNS
from world.scene import CELL, COLORS, GRID, GROUND, IMAGE_SIZE, PLACES, mask, natural_color, tile

TINTS: tuple[str | None, ...] = (None, *COLORS)
FOREGROUND = 30  # of 255: the largest of the channels' distances from the ground, above which a pixel is a thing's
SPECK = 120  # pixels; what is smaller is no thing
WIDEST = 68  # pixels; what is wider is several things that touch
OFF_CENTER = 1.5  # pixels; a thing whose middle is nearer to that of a place stands on it
SAME_GROUND = 14  # of 255; a ground this near the world's own is the world's own
CANDIDATES = 12  # things that are told apart at half the resolution
FITS = 0.5  # mean distance from the sprite, as a share of the sprite's from the ground, above which it is not that
QUARTER_FITS = 0.20  # of 1: mean distance from the sprite over its worst quarter
# A quarter is another's if its mean squared distance from that is smaller by this share of it and this much more:
# softness and noise make all distances grow alike, a wrong quarter only the one from its own.
CLEARER, APART = 0.5, 250.0
REACH = 4  # pixels by which a window off the places is moved to where it fits best
_AROUND = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])


@dataclass(frozen=True)
class Detection:
    """One thing. noun: None where it is none that is known. color: of GenEval's ten, tinted or its own; None where it
    has none of them. box: x0, y0, x1, y1 as shares of the image's side. place: the nearest of the nine. error, worst:
    mean distance from the sprite over all of it and over its worst quarter, in [0, 1].
    """

    noun: str | None
    color: str | None
    place: str
    box: tuple[float, float, float, float]
    error: float
    worst: float

    @property
    def name(self) -> str:
        """Without an article: "red dog", "zebra", "unfinished thing"."""
        return " ".join(filter(None, (self.color, self.noun))) if self.noun else "unfinished thing"


@dataclass
class _Blob:
    """Components that share a place. cells: (column, row) of places with enough of them. parts: label and left, top,
    right, bottom in pixels of each.
    """

    cells: set[tuple[int, int]]
    parts: list[tuple[int, tuple[int, int, int, int]]]
    area: int


def _halved(pixels: np.ndarray) -> np.ndarray:
    """(..., H, W, C) -> (..., H / 2, W / 2, C) means."""
    rows = pixels[..., ::2, :, :] + pixels[..., 1::2, :, :]
    return (rows[..., ::2, :] + rows[..., 1::2, :]) / 4


def _over_channels(join: np.ufunc, values: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...): what `join.reduce` gives along so short an axis, several times as fast."""
    return join(join(values[..., 0], values[..., 1]), values[..., 2])


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 3) colors of 0 to 255 -> (...) mean distances in [0, 1]."""
    return _over_channels(np.add, np.abs(a - b)) / (3 * 255)


def _stands_off(colors: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...): whether they are a thing's."""
    return _over_channels(np.maximum, np.abs(colors - ground)) > FOREGROUND


def _quarters(halves: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) -> (4, n, 192): each quarter by itself, half as large again."""
    small = _halved(halves)
    n, side = len(small), small.shape[1] // 2
    return small.reshape(n, 2, side, 2, side, -1).transpose(1, 3, 0, 2, 4, 5).reshape(4, n, -1)


@lru_cache(maxsize=1)
def _halves() -> tuple[np.ndarray, np.ndarray]:
    """All things in all tints at half resolution, (T, 32, 32, 3) uint8; how bare a pixel is, (nouns, 32, 32, 1)."""
    halves = np.empty((len(NOUNS) * len(TINTS), CELL // 2, CELL // 2, 3), dtype=np.uint8)
    for index in range(len(halves)):
        noun, tint = divmod(index, len(TINTS))
        halves[index] = np.rint(_halved(tile(NOUNS[noun], TINTS[tint]).astype(np.float32)))
    bare = 1 - _halved(np.stack([mask(noun) for noun in NOUNS])[..., None].astype(np.float32))
    return halves, bare


@lru_cache(maxsize=4)
def _templates(shift: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(4, T + 1, 192) quarters of all things in all tints and, last, of the plain ground; their squared norms.

    shift: by how much the picture's ground differs from the world's.
    """
    halves, bare = _halves()
    quarters = _quarters(halves.astype(np.float32))
    if any(shift):
        quarters += np.repeat(_quarters(bare * np.array(shift, dtype=np.float32)), len(TINTS), axis=1)
    plain = np.tile(np.array(GROUND, dtype=np.float32) + np.array(shift), quarters.shape[-1] // 3)
    quarters = np.concatenate([quarters, np.broadcast_to(plain.astype(np.float32), (4, 1, len(plain)))], axis=1)
    return quarters, (quarters**2).sum(-1)


def to_world(image: Image.Image) -> np.ndarray:
    """(IMAGE_SIZE, IMAGE_SIZE, 3) float32 of an image of any size."""
    image = image.convert("RGB")
    if image.size != (IMAGE_SIZE, IMAGE_SIZE):
        smaller = min(image.size) < IMAGE_SIZE
        image = image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC if smaller else Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float32)


def _shares(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Turn pixels into shares of the image's side."""
    x0, y0, x1, y1 = (float(min(max(v / IMAGE_SIZE, 0), 1)) for v in box)
    return x0, y0, x1, y1


def detect(image: Image.Image) -> tuple[list[Detection], float]:
    """Things of an image, row by row, and the share of the image that specks between them cover."""
    rgb = to_world(image)
    small = _halved(rgb)
    ground = np.median(np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]]), axis=0)
    foreground = _stands_off(small, ground)
    grown = ndimage.binary_dilation(foreground, np.ones((3, 3), bool))
    labels, _ = cast(tuple[np.ndarray, int], ndimage.label(grown, np.ones((3, 3))))
    blobs, specks = _blobs(labels * foreground)
    reader = _Reader(rgb, labels, ground)
    on_places = reader.on_places([cell for blob in blobs for cell in blob.cells])
    found: list[Detection] = []
    for blob in blobs:
        placed = [d for d in map(on_places.get, blob.cells) if d]
        centers = [(label, center) for label, box in blob.parts for center in _centers(box)]
        if not all(d.noun for d in placed) and not all(_on_place(*center) for _, center in centers):
            around = [reader.around(label, *center) for label, center in centers]
            placed = max(placed, [d for d in around if d], key=_known)
        found += placed
    found.sort(key=lambda d: (PLACES.index(d.place), d.box))
    return found, specks / IMAGE_SIZE**2


def _on_place(x: float, y: float) -> bool:
    """Whether a center is that of one of the places."""
    return max(abs(v % CELL - CELL / 2) for v in (x, y)) <= OFF_CENTER


def _known(detections: Sequence[Detection]) -> float:
    """The share that are something known."""
    return sum(d.noun is not None for d in detections) / max(1, len(detections))


def _blobs(labels: np.ndarray) -> tuple[list[_Blob], int]:
    """What may be things, and the pixels of specks. labels: components at half resolution."""
    cells = np.stack([np.bincount(b.ravel(), minlength=labels.max() + 1) for b in _by_cell(labels)], axis=1) * 4
    blobs: list[_Blob] = []
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        (top, bottom), (left, right) = ((2 * s.start, 2 * s.stop) for s in window)
        largest = int(cells[label].argmax())
        over = {c for c in range(GRID**2) if cells[label][c] >= SPECK} | {largest}
        area = int(cells[label].sum())
        parts = [(label, (left, top, right, bottom))] if area >= SPECK else []
        new = _Blob({(c % GRID, c // GRID) for c in over}, parts, area)
        for blob in [b for b in blobs if b.cells & new.cells]:
            blobs.remove(blob)
            new = _Blob(blob.cells | new.cells, blob.parts + new.parts, blob.area + new.area)
        blobs.append(new)
    things = [blob for blob in blobs if blob.area >= SPECK]
    return things, sum(blob.area for blob in blobs if blob.area < SPECK)


def _by_cell(labels: np.ndarray) -> np.ndarray:
    """(GRID * GRID, CELL / 2, CELL / 2), row by row."""
    side = CELL // 2
    return labels.reshape(GRID, side, GRID, side).swapaxes(1, 2).reshape(-1, side, side)


def _centers(box: tuple[int, int, int, int]) -> list[tuple[float, float]]:
    """(x, y) of the things that a component is: one, or as many as fit its width and height."""
    left, top, right, bottom = box
    across, down = (1 if extent <= WIDEST else round(extent / CELL) for extent in (right - left, bottom - top))
    return [
        (left + (i + 0.5) * (right - left) / across, top + (j + 0.5) * (bottom - top) / down)
        for j in range(down)
        for i in range(across)
    ]


class _Reader:
    """What stands in windows of one image."""

    def __init__(self, rgb: np.ndarray, labels: np.ndarray, ground: np.ndarray):
        shift = np.rint(ground - GROUND).astype(int)
        self.shift = (0, 0, 0) if np.abs(shift).max() <= SAME_GROUND else tuple(shift.tolist())
        self.ground, self.labels = ground.astype(np.float32), labels
        self.rgb = rgb
        self.quarters, self.norms = _templates(self.shift)

    def on_places(self, cells: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Detection | None]:
        """What stands on each place, (column, row), if it stands there exactly."""
        if not cells:
            return {}
        corners = [(row * CELL, column * CELL) for column, row in cells]
        halves = _halved(np.stack([self.rgb[y : y + CELL, x : x + CELL] for y, x in corners]))
        distances = self._distances(halves)
        return {
            cell: self._told(half, own, corner)
            for cell, half, own, corner in zip(cells, halves, distances, corners, strict=True)
        }

    def around(self, label: int, x: float, y: float) -> Detection | None:
        """What is there of a component where it fits best about a center, pixels; all else counts as ground."""
        reach = CELL // 2 + REACH
        top, left = round(y) - reach, round(x) - reach
        rows, columns = (np.arange(start, start + 2 * reach) for start in (top, left))
        inside = ((rows >= 0) & (rows < IMAGE_SIZE))[:, None] & ((columns >= 0) & (columns < IMAGE_SIZE))
        rows, columns = (np.clip(i, 0, IMAGE_SIZE - 1)[s] for i, s in ((rows, np.s_[:, None]), (columns, np.s_[None])))
        labels = self.labels[rows // 2, columns // 2]
        alone = np.where(
            (inside & ((labels == label) | (labels == 0)))[..., None], self.rgb[rows, columns], self.ground
        )
        near, corner = slice(None, -1), np.array([REACH, REACH])
        for stride in (3, 1):
            corners = corner + stride * _AROUND
            halves = _halved(np.stack([alone[v : v + CELL, u : u + CELL] for v, u in corners]))
            totals = self._distances(halves, near).sum(1)
            best = int(totals.min(-1).argmin())
            corner, near = corners[best], np.argsort(totals[best])[:CANDIDATES]
        at = int(corner[0]) + top, int(corner[1]) + left
        return self._told(halves[best], self._distances(halves[best : best + 1])[0], at)

    def _distances(self, halves: np.ndarray, of: slice | np.ndarray = slice(None)) -> np.ndarray:
        """(n, 4, t) mean squared distances of windows' quarters from those of things, by default all and ground."""
        quarters = _quarters(halves)
        # Window by window: a product of matrices would go to two threads, which wait for each other on a busy machine.
        crossed = np.stack([(self.quarters[:, of] @ window[..., None])[..., 0] for window in quarters.swapaxes(0, 1)])
        squared = self.norms[:, of] - 2 * crossed + (quarters**2).sum(-1).T[..., None]
        return squared.clip(0) / quarters.shape[-1]

    def _told(self, half: np.ndarray, distances: np.ndarray, corner: tuple[int, int]) -> Detection | None:
        """half: (32, 32, 3) pixels of a window. distances: (4, T + 1). corner: y, x of the window in the image."""
        seen = _stands_off(half, self.ground)
        if 4 * seen.sum() < SPECK:
            return None
        halves, bare = _halves()
        near = np.argpartition(distances[:, :-1].sum(0), CANDIDATES)[:CANDIDATES]
        there = halves[near].astype(np.float32)
        if any(self.shift):
            there += bare[near // len(TINTS)] * np.array(self.shift, dtype=np.float32)
        apart = _apart(there, half)  # (candidates, 32, 32)
        over = (bare[near // len(TINTS), ..., 0] < 0.9) | seen
        errors = (apart * over).sum((1, 2)) / over.sum((1, 2))
        best = int(errors.argmin())
        contrast = _apart(there[best], self.ground)[over[best]].mean()
        blocks, parts = (_four(a[best]) for a in (apart * over, over))
        worst = float((blocks.sum((1, 2)) / np.maximum(parts.sum((1, 2)), 16)).max())
        own, nearest = distances[:, near[best]], distances.min(1)
        others = own - nearest > CLEARER * nearest + APART
        fits = errors[best] <= FITS * contrast and worst <= QUARTER_FITS and not others.any()
        index, tint = divmod(int(near[best]), len(TINTS))
        noun = NOUNS[index]
        rows, columns = np.nonzero(mask(noun)) if fits else (2 * i for i in np.nonzero(seen))
        top, left = corner
        box = (left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1)
        return Detection(
            noun if fits else None,
            (TINTS[tint] or natural_color(noun)) if fits else None,
            _place(left + CELL / 2, top + CELL / 2),
            _shares(box),
            float(errors[best]),
            worst,
        )


def _four(window: np.ndarray) -> np.ndarray:
    """(S, S) -> (4, S / 2, S / 2)."""
    side = len(window) // 2
    return window.reshape(2, side, 2, side).swapaxes(1, 2).reshape(4, side, side)


def _place(x: float, y: float) -> str:
    """Name the one of the nine places nearest to a center, pixels."""
    column, row = (min(max(int(v // CELL), 0), GRID - 1) for v in (x, y))
    return PLACES[row * GRID + column]
