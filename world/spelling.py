"""Small typing errors: how far two words are apart, and the known word that an unknown one was meant to be."""

from collections.abc import Collection


def distance(a: str, b: str) -> int:
    """How many letters must be added, dropped, changed or swapped with their neighbor to turn `a` into `b`."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            steps = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                steps = min(steps, before[j - 2] + 1)
            row.append(steps)
        before, last = last, row
    return last[-1]


def _plausible(word: str, known: str, steps: int) -> bool:
    """Whether `word` may be meant for `known`: short words are too near to others to be changed much."""
    if len(word) <= 3:
        return steps == 1 and sorted(word) == sorted(known)
    if len(word) == 4:
        return steps == 1 and (len(word) != len(known) or sorted(word) == sorted(known))
    if len(word) == 5 or word[0] != known[0]:
        return steps == 1
    return steps <= 2


def correct(word: str, vocabulary: Collection[str]) -> str | None:
    """The word of the vocabulary that `word` was meant to be, None where none is near enough."""
    near, letters = [], set(word)
    for known in vocabulary:
        # An edit changes at most two of the letters that a word has; most words are ruled out by that.
        if abs(len(known) - len(word)) <= 2 and len(known) > 2 and len(letters ^ set(known)) <= 4:
            steps = distance(word, known)
            if _plausible(word, known, steps):
                near.append((steps, word[0] != known[0], known))
    return min(near)[2] if near else None


def nearest(word: str, vocabulary: Collection[str], number: int = 3) -> tuple[str, ...]:
    """The `number` words of the vocabulary that are spelled most like `word`."""
    return tuple(sorted(vocabulary, key=lambda known: (distance(word, known) / max(len(word), len(known)), known)))[
        :number
    ]
