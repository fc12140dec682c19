"""Which image token stands for which patch: the assignment that the VQ autoencoder is trained towards.

The world is drawn on whole places, so it has a finite number of distinct patches. They are the clusters: each
gets one token, found exactly where k-means would have to converge. The autoencoder learns to compute the
assignment from pixels (encoder), a unit vector for each token (codebook) and the pixels (decoder).
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from shapes.model import PATCH, TOKENS_A_SIDE
from shapes.scene import COLORS, SHAPES, SIZES, Item, render


def patches_of(image: Image.Image) -> np.ndarray:
    """(tokens, PATCH * PATCH * 3) uint8, row by row."""
    pixels = np.asarray(image, dtype=np.uint8).reshape(TOKENS_A_SIDE, PATCH, TOKENS_A_SIDE, PATCH, 3)
    return pixels.transpose(0, 2, 1, 3, 4).reshape(TOKENS_A_SIDE**2, -1)


@lru_cache(maxsize=1)
def patch_tokens() -> dict[bytes, int]:
    """Patch bytes -> token, 0 for the plain ground; the same on every machine that renders the same pixels."""
    table = {patches_of(render([]))[0].tobytes(): 0}
    for color in COLORS:
        for shape in SHAPES:
            for size in SIZES:
                for patch in patches_of(render([Item(shape, color, "center", size)])):
                    table.setdefault(patch.tobytes(), len(table))
    return table


def tokenize(image: Image.Image) -> list[int]:
    """Image tokens of a rendered scene, row by row."""
    table = patch_tokens()
    return [table[patch.tobytes()] for patch in patches_of(image)]
