"""Which tokens of a text a critic's verdict puts in doubt: credit that is finer than one number for all of them.

Some critics say what they saw: boxes, each with a label and whether it was asked for, and named parts of the score.
Their words are compared with the text's, clause by clause; nothing is known here of the prompt, of what would be right,
or of any world. Of a critic that says nothing of the kind every token is in the same doubt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

from milr_core.critics.base import FOUND, IGNORED, Score
from milr_core.state import Drawn

DOUBTED, UNKNOWN, CLEARED = 1.0, 0.4, 0.1
"""Of a token: in a clause about what is wrong; about nothing that the critic speaks of; about what is right."""
SMALL_WORDS = frozenset("a an and at fewer in is more nothing of on than the to".split())
ENDING = 3  # letters by which one of a thing and many of it may differ


@dataclass(frozen=True)
class Clause:
    """A stretch of a text up to a comma or a stop. words: in lower case, each with the token that it begins in."""

    tokens: Sequence[int]
    words: dict[str, int]

    def shared(self, words: Sequence[str]) -> int:
        """How many of the words it has."""
        return sum(any(alike(word, own) for own in self.words) for word in words)

    def names(self, label: Sequence[str]) -> int:
        """Compare as `shared` does; 0 unless it has the last word, which in English is the thing itself."""
        return self.shared(label) if label and self.shared(label[-1:]) else 0


def alike(a: str, b: str) -> bool:
    """Whether two words are the same, or one of a thing and many: "dog" and "dogs", "berry" and "berries"."""
    if a == b:
        return True
    short, long = sorted((a, b), key=len)
    near = len(short) > 2 and len(commonprefix((a, b))) >= len(short) - 1
    return near and long.endswith("s") and len(long) - len(short) <= ENDING


def words_of(text: str) -> list[str]:
    return [word for word in re.findall(r"[\w-]+", text.lower()) if word not in SMALL_WORDS]


def clauses(drawn: Drawn) -> list[Clause]:
    """The text's, in order. Every token is in one; special tokens are in the one before them."""
    starts, at = [], 0
    for token in drawn.token_strings:
        found = drawn.text.find(token.strip(), at) if token.strip() else -1
        near = 0 <= found <= at + 2  # a space or two; a special token stands nowhere in the text
        starts.append(found if near else at)
        at = found + len(token.strip()) if near else at
    ends = [*(m.end() for m in re.finditer(r"[,.;:!?\n]+", drawn.text)), len(drawn.text) + 1]
    parts, begin = [], 0
    for end in ends:
        tokens = [i for i, start in enumerate(starts) if begin <= start < end]
        words: dict[str, int] = {}
        for match in re.finditer(r"[\w-]+", drawn.text[begin:end].lower()):
            inside = [i for i in tokens if starts[i] <= begin + match.start()]
            if inside and match[0] not in SMALL_WORDS:
                words.setdefault(match[0], inside[-1])
        parts.append(Clause(tokens, words))
        begin = end
    return [part for part in parts if part.tokens]


def _labels(score: Score, *states: str) -> list[list[str]]:
    return [words_of(box.label) for box in score.boxes if box.state in states]


def _best(clause: Clause, labels: Sequence[Sequence[str]]) -> int:
    return max((clause.names(label) for label in labels), default=0)


def doubts(drawn: Drawn) -> list[float]:
    """Mark each token of the text DOUBTED, UNKNOWN or CLEARED.

    In doubt is a clause that names something that was not asked for, or not so, at least as well as something that was;
    and one about a part of the score that is not 1: that shares most words with the part's name, or names a thing seen
    that the part is about. Cleared is any other clause that names something that was asked for.
    """
    parts, score = clauses(drawn), drawn.score
    good = _labels(score, FOUND)
    strange = [words_of(box.label) for box in score.boxes if box.state != FOUND]
    failed = [words_of(name) for name, value in score.parts.items() if value < 1]
    most = [max((clause.shared(words) for clause in parts), default=0) for words in failed]
    about = [label for label in good for words in failed if any(alike(label[-1], word) for word in words)]
    result = [UNKNOWN] * len(drawn.token_strings)
    for clause in parts:
        asked, unasked = _best(clause, good), _best(clause, strange)
        wrong = any(n and clause.shared(words) == n for words, n in zip(failed, most, strict=True))
        if (unasked and unasked >= asked) or wrong or (asked and _best(clause, about) == asked):
            value = DOUBTED
        else:
            value = CLEARED if asked else UNKNOWN
        for token in clause.tokens:
            result[token] = value
    return result


def named(drawn: Drawn, asked: bool) -> set[int]:
    """Ids of the tokens that begin the names of things seen: of those asked for (in whatever state), or of the rest."""
    labels = [words_of(box.label) for box in drawn.score.boxes if (box.state != IGNORED) == asked]
    heads = {label[-1] for label in labels if label}
    return {
        drawn.text_tokens[token]
        for clause in clauses(drawn)
        for word, token in clause.words.items()
        if any(alike(word, head) for head in heads)
    }
