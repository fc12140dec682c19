"""Texts word by word: which words differ, which were moved; and figures as they read in a sentence."""

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

from milr_core import Step
from milr_core.critics.base import plain_text
from milr_core.diagnostics import text_diff

ADDED, REMOVED = "inserted", "removed"
"""What `diagnostics.text_diff` calls them."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+(?:['’\-]\w+)*|[^\w\s]")
_GAP = 8
"""Characters between two tokens in which a token is still looked for: spaces, and bytes that decode only together."""

_MOST = 160_000
"""Pairs of words that are still compared: a longer text has changed as a whole, for comparing it would take minutes."""


class Word(NamedTuple):
    """A word, or a mark of punctuation. gap: what stands before it. moved: decoded from optimised latents."""

    gap: str
    text: str
    moved: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is a word rather than a mark."""
        return self.text[0].isalnum() or self.text[0] == "_"


class Change(NamedTuple):
    """A word of a text in comparison with another text. kind: as of `diagnostics.text_diff`."""

    kind: str
    word: Word


def safe(text: str) -> str:
    """Escape text for any place in HTML: no markup, no control characters, no halves of characters."""
    return escape(plain_text(text).encode("utf-8", "replace").decode())


def plan(step: Step) -> list[Word]:
    """The words of a step's text."""
    moved = _moved(step)
    words, end = [], 0
    for found in _WORD.finditer(step.text):
        at = range(found.start(), found.end())
        words.append(Word(step.text[end : found.start()], found[0], any(i in moved for i in at)))
        end = found.end()
    return words


def _moved(step: Step) -> set[int]:
    """Characters of the text that were decoded from optimised latents."""
    moved: set[int] = set()
    at, optimised = 0, set(step.text_positions)
    for i, token in enumerate(step.token_strings):
        core = token.strip()
        found = step.text.find(core, at, at + len(core) + _GAP) if core else -1
        if found < 0:
            continue  # no token of the text: its end, or part of a character
        at = found + len(core)
        if i in optimised:
            moved.update(range(found, at))
    return moved


def changes(words: Sequence[Word], other: Sequence[Word]) -> list[Change]:
    """How `words` differ from `other`, in reading order."""
    ours, theirs = [w.text for w in words], [w.text for w in other]
    if len(ours) * len(theirs) > _MOST and ours != theirs:
        return [Change(REMOVED, w) for w in other] + [Change(ADDED, w) for w in words]
    return [Change(kind, (other if kind == REMOVED else words)[i]) for kind, i in text_diff(ours, theirs)]


def changed(made: Sequence[Change]) -> int:
    """How many words differ: a word for another word counts once."""
    return max(sum(c.kind == kind and c.word.counts for c in made) for kind in (ADDED, REMOVED))


def marked(made: Sequence[Change]) -> str:
    """HTML of the text: `ins` and `del` around what differs, `.moved` around what was moved."""
    written = []
    for (kind, moved), run in groupby(made, key=lambda c: (c.kind, c.word.moved and c.kind != REMOVED)):
        words = [c.word for c in run]
        gap = words[0].gap or (" " if kind == REMOVED else "")
        text = safe(words[0].text + "".join(w.gap + w.text for w in words[1:]))
        text = f'<span class="moved">{text}</span>' if moved else text
        tag = {ADDED: "ins", REMOVED: "del"}.get(kind)
        written.append(safe(gap) + (f"<{tag}>{text}</{tag}>" if tag else text))
    return "".join(written).strip()


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def scores(*values: float) -> list[str]:
    """Write scores with two decimals, or as many as tell different ones apart, up to four."""
    for digits in (2, 3, 4):
        written = [f"{value:.{digits}f}" for value in values]
        if len(set(written)) == len(set(values)):
            break
    return written


def moved_part(moved: Sequence[bool], noun: str) -> str:
    """ "the first 18 of 36 words", "3 of 36 cells"; empty where none was moved."""
    count = sum(moved)
    if not count:
        return ""
    if not all(moved[:count]):
        return f"{count} of {counted(len(moved), noun)}"
    return f"the first{f' {count}' if count > 1 else ''} of {counted(len(moved), noun)}"


def listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))
