"""Which words of a plan became which boxes of the picture: read off the plan's clauses and the critic's boxes."""

import re
from collections.abc import Sequence

from milr_core.critics.base import Box

CLAUSE = re.compile(r"[.,:;\n]")
ACROSS = {"left": 1 / 6, "right": 5 / 6}
DOWN = {"top": 1 / 6, "above": 1 / 6, "bottom": 5 / 6, "below": 5 / 6}
"""Where in a picture a word puts a thing, as a share of its side."""


def _spot(words: Sequence[str]) -> tuple[float, float]:
    """Find where a clause puts what it names; the middle, unless it says more."""
    parts = [part for word in words for part in word.split("-")]
    x = next((ACROSS[part] for part in parts if part in ACROSS), 0.5)
    return x, next((DOWN[part] for part in parts if part in DOWN), 0.5)


def _distance(box: Box, spot: tuple[float, float]) -> float:
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    return (x - spot[0]) ** 2 + (y - spot[1]) ** 2


def clauses(tokens: Sequence[str]) -> list[list[int]]:
    """Indices of the tokens of each clause of a plan."""
    found: list[list[int]] = [[]]
    for at, token in enumerate(tokens):
        if CLAUSE.search(token.strip()):
            found.append([])
        elif token.strip():
            found[-1].append(at)
    return [clause for clause in found if clause]


def linked(tokens: Sequence[str], boxes: Sequence[Box]) -> dict[int, int]:
    """Map the index of a token to the index of the box that its clause became.

    A clause takes the box whose thing it names, with the most words in common, and of several the one nearest to where
    it puts it; a box is taken once. Empty for critics without boxes.
    """
    links: dict[int, int] = {}
    free = set(range(len(boxes)))
    for clause in clauses(tokens):
        words = " ".join(tokens[at].strip().lower() for at in clause).split()
        spot = _spot(words)

        def rank(at: int, words: Sequence[str] = words, spot: tuple[float, float] = spot) -> tuple[int, float]:
            return -len(set(words) & set(boxes[at].label.lower().split())), _distance(boxes[at], spot)

        named = [at for at in free if boxes[at].label.lower().split()[-1:] and boxes[at].label.split()[-1] in words]
        if named:
            taken = min(named, key=rank)
            free.discard(taken)
            links |= dict.fromkeys(clause, taken)
    return links
