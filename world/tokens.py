"""Which image token stands for which patch: the assignment that the VQ autoencoder is trained towards.

The world is drawn on whole places, so it has a finite number of distinct patches: each thing in each color has four.
They are the clusters: each gets one token, found exactly where k-means would have to converge. The codebook's vectors
are the patches' principal components; encoder and decoder learn to compute them from pixels and pixels from them.
"""

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.linalg import eigh

from world.nouns import NOUNS
from world.scene import CELL, COLORS, GROUND, IMAGE_SIZE, Item, cell_of, tile

PATCH = 32  # pixels a side of the square that one image token stands for
TOKENS_A_SIDE = IMAGE_SIZE // PATCH
NUM_IMAGE_TOKENS = TOKENS_A_SIDE**2
QUARTERS = CELL // PATCH  # tokens a side of a place
TINTS: tuple[str | None, ...] = (None, *COLORS)


def patches_of(pixels: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) uint8 -> (n, tokens, PATCH * PATCH * 3) uint8, row by row."""
    n, height, width, _ = pixels.shape
    grid = pixels.reshape(n, height // PATCH, PATCH, width // PATCH, PATCH, 3)
    return grid.swapaxes(2, 3).reshape(n, -1, PATCH * PATCH * 3)


class Vocabulary:
    """All patches of some nouns in all colors, equal ones merged.

    patches: (V, PATCH, PATCH, 3) uint8, the plain ground first. codes: (nouns, tints, 4) tokens of each thing, its
    quarters row by row. origin: (V, 3) noun, tint and quarter that a token was first met in; -1 of the ground.
    """

    def __init__(self, nouns: tuple[str, ...] = NOUNS):
        self.nouns = nouns
        tiles = np.stack([tile(noun, tint) for noun in nouns for tint in TINTS])
        quarters = patches_of(tiles)
        ground = np.broadcast_to(np.array(GROUND, dtype=np.uint8), (PATCH, PATCH, 3)).tobytes()
        self.table: dict[bytes, int] = {ground: 0}
        origin = [(-1, -1, -1)]
        codes = np.zeros(quarters.shape[:2], dtype=np.int64)
        for index, patches in enumerate(quarters):
            for quarter, patch in enumerate(patches):
                token = self.table.setdefault(patch.tobytes(), len(origin))
                if token == len(origin):
                    origin.append((*divmod(index, len(TINTS)), quarter))
                codes[index, quarter] = token
        self.codes = codes.reshape(len(nouns), len(TINTS), -1)
        self.origin = np.array(origin)
        self.patches = np.frombuffer(b"".join(self.table), dtype=np.uint8).reshape(-1, PATCH, PATCH, 3)

    def __len__(self) -> int:
        return len(self.origin)

    def tokens(self, items: list[Item]) -> np.ndarray:
        """(NUM_IMAGE_TOKENS,) image tokens of a scene, row by row, without drawing it."""
        grid = np.zeros((TOKENS_A_SIDE, TOKENS_A_SIDE), dtype=np.int64)
        for item in items:
            column, row = cell_of(item.place)
            x, y = column * QUARTERS, row * QUARTERS
            quarters = self.codes[self.nouns.index(item.noun), TINTS.index(item.color)]
            grid[y : y + QUARTERS, x : x + QUARTERS] = quarters.reshape(QUARTERS, QUARTERS)
        return grid.reshape(-1)

    def tokenize(self, image: Image.Image) -> list[int]:
        """Image tokens of a rendered scene, row by row.

        Raises:
            KeyError: the image holds a patch that the world has not.
        """
        patches = patches_of(np.asarray(image, dtype=np.uint8)[None])[0]
        return [self.table[patch.tobytes()] for patch in patches]


@lru_cache(maxsize=2)
def vocabulary(nouns: tuple[str, ...] = NOUNS) -> Vocabulary:
    """The image tokens of a world of these nouns; the whole one unless said otherwise."""
    return Vocabulary(nouns)


def principal_components(words: Vocabulary, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(V, P) patches in [-1, 1] less the plain ground, and (P, count) their principal directions, largest first.

    Signs and order are fixed, so that every machine finds the same up to rounding.
    """
    flat = words.patches.reshape(len(words), -1).astype(np.float32) / 127.5 - 1
    flat = flat - flat[0]
    last = flat.shape[1] - 1
    _, basis = eigh((flat.T @ flat).astype(np.float64), subset_by_index=(last - count + 1, last))
    basis = basis[:, ::-1]
    return flat, basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(count)])


def principal_codes(words: Vocabulary, size: int) -> np.ndarray:
    """(V, size) float32 of unit norm: each patch in the basis of the patches' principal components.

    Half whitened, so that small differences between patches are not lost beside their mean color; the last coordinate
    is the same for all, so that the plain ground, which is the origin, has a direction as well.
    """
    flat, basis = principal_components(words, size - 1)
    codes = np.ones((len(words), size)) * 0.7
    coordinates = flat @ basis
    coordinates /= np.linalg.norm(coordinates[1:], axis=1).mean()
    spread = coordinates.std(0) + 1e-6
    codes[:, :-1] = coordinates * (spread.mean() / spread) ** 0.5
    return (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float32)
