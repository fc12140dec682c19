"""How people type, first part: free text to tokens. Characters, leads, riddles, typing errors, words of several parts.

A token is a word of the grammar, a noun form ("hot dogs"), a joint ("and", "left of", "next to"), or a riddle.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from math import log

from world.facts import FACT_OF
from world.nouns import NOUNS, plural
from world.phrases import LEADS, MEDIA, NUMBERS, VERBS, PromptError
from world.scene import COLORS
from world.spelling import correct
from world.words import FILLERS, LOOKS, NAMES, NEAREST, NO_COLORS, REAL, SHADES

MOST_CHARACTERS = 400
ARTICLES = frozenset(("a", "an", "the", "this", "these", "those", "another"))
COUNTS = {
    **NUMBERS, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "dozen": 12, "hundred": 100, "thousand": 1000, "million": 1000000, "both": 2, "pair": 2,
    "zero": 0,
}  # fmt: skip
VAGUE = (
    "some", "several", "a few", "few", "many", "lots of", "a lot of", "a bunch of", "bunch of", "a group of",
    "group of", "a herd of", "herd of", "a flock of", "flock of", "multiple", "various", "a swarm of", "a pack of",
    "a pile of",
)  # fmt: skip
PAIRS = ("a pair of", "pair of", "a couple of", "couple of")
_BY = ("", "to ", "on ", "to the ", "on the ", "at the ", "in the ")
RELATION_OF = {
    **{
        f"{by}{side} {of}": f"{side} of"
        for side in ("left", "right")
        for by in _BY
        for of in ("of", "side of", "from", "hand side of")
    },
    "leftof": "left of", "rightof": "right of", "above": "above", "over": "above", "atop": "above",
    "on top of": "above",
    "on the top of": "above", "below": "below", "under": "below", "beneath": "below", "underneath": "below",
    "below of": "below", "underneath of": "below", "at the bottom of": "below", "on the bottom of": "below",
    "on bottom of": "below",
}  # fmt: skip
SIDE_OF = {
    f"{by} {words}": side
    for side in ("left", "right", "top", "bottom")
    for by in ("on the", "at the", "to the", "in the", "on", "at")
    for words in (side, f"{side} side", f"{side} hand side")
}
AND = ("and", ",", "plus", "as well as", "also", "along with", "together with", "followed by", "but")
BESIDE = (
    "next to", "beside", "besides", "near", "near to", "nearby", "by", "behind", "in front of", "with", "between",
    "among", "around", "against", "alongside", "close to", "opposite", "across from", "or", "adjacent to",
    "surrounded by", "far from", "away from", "touching", "side by side with", "on side of", "on the side of",
    "at the side of", "by the side of",
)  # fmt: skip
"""Between things, but no relation that it draws."""
WHERE = (
    "in", "inside", "inside of", "on", "onto", "into", "at", "during", "through", "from", "to", "towards", "for",
    "of", "made of", "made from", "as", "while", "when", "in the style of", "by night", "off", "out of", "across",
    "along", "within", "upon", "after", "before", "against a", "like",
)  # fmt: skip
NOT = (
    "no", "not", "without", "without any", "except", "except for", "but no", "but not", "never", "minus",
    "excluding", "dont draw", "do not draw", "nor", "neither", "dont", "do not", "with no", "and no", "zero", "0",
    "anything but", "apart from",
)  # fmt: skip
_MARKERS = frozenset("that thats which what whats where who whose as when called".split())
_POLITE = (
    "hi|hello|hey|ok|okay|pls|plz|kindly|can you|could you|would you|will you|i want you to|i want to see|"
    "i would like to see|"
    "id like to see|i would like|id like|i need|i wish for|let me see|lets see|let us see|show me|draw me|paint me|"
    "make me|make|create|generate|render|sketch|design|produce|illustrate|imagine|depict|put|me|us|to see|see|there is|"
    "there are|"
    "theres|here is|here are|this is|it is|its|i see|let there be|also|now|just|try|to draw|have|get me|how about|do"
)
_LEAD = re.compile(rf"^(?:(please|{'|'.join(v for v in VERBS if v)})|{_POLITE})\b\s*")
_MEDIUM = re.compile(
    r"^(?:(?:a|an|the|one|some|another) )?((?:[a-z0-9]+ ){0,3})"
    r"(photo|photograph|picture|pic|image|drawing|sketch|painting|illustration|icon|clipart|cartoon|portrait|snapshot|scene|"
    r"rendering|artwork|photos|pictures|images|drawings|foto|photography)s? "
    r"(?:of|showing|with|depicting|containing)\b\s*"
)
_OF = re.compile(r"^((?:(?:a|an|the) )?)([a-z]+)(?= of\b)")
_MEDIUM_OF = {"photograph": "photo", "photos": "photo", "foto": "photo", "photography": "photo", "pic": "picture",
              "pictures": "picture", "images": "image", "drawings": "drawing"}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """What a noun form stands for."""

    noun: str
    plural: bool


def _forms() -> dict[str, Form]:
    """Every way to say a noun of the world, in the singular and in the plural, GenEval's "benchs" included."""
    forms: dict[str, Form] = {}
    for noun in NOUNS:
        forms[noun] = Form(noun, False)
        for many in (plural(noun), noun + "s"):
            forms.setdefault(many, Form(noun, True))
    for said, noun in NAMES.items():
        already_many = said in ("men", "women", "children", "cattle", "calves", "mice", "oxen", "leaves", "cacti",
                                "lambs", "flames", "mobiles", "goldfish", "fishes")  # fmt: skip
        forms.setdefault(said, Form(noun, already_many and said != "goldfish"))
        if said.endswith("y"):
            forms.setdefault(said[:-1] + "ies", Form(noun, True))
        if not said.endswith("s"):
            forms.setdefault(said + ("es" if said.endswith(("x", "z", "ch", "sh")) else "s"), Form(noun, True))
    return forms


FORMS = _forms()
_PHRASES = (FORMS, RELATION_OF, SIDE_OF, AND, BESIDE, WHERE, NOT, VAGUE, PAIRS)
_GRAMMAR = frozenset(
    w
    for group in (*_PHRASES, COLORS, SHADES, NO_COLORS, COUNTS, ARTICLES)
    for entry in group
    for w in entry.split()
)  # fmt: skip
_MEDIA = tuple(medium.split()[1] for medium in MEDIA if medium)
_RELATED = "|".join(sorted(RELATION_OF, key=len, reverse=True))
_SAID = r"(?:there is|there are|is|are|sits?|stands?|lies?|hangs?)"
_NAMED = r"(?:(?:a|an|the|one|two|three|four|[0-9]) )?(?:(?!(?:of|that|which|and) )\w+ ){0,2}?(?!and\b)\w+"
_FIRST = re.compile(rf"^({_RELATED}) (?:(.+?) {_SAID} (.+)|({_NAMED})(?: ,)? ((?:a|an|one|two|three|four|[0-9]) .+))$")
_TAIL = re.compile(r" (?:and|,) ")
_NO_COUNT = re.compile(r"(?<!\w)-[0-9]+|[0-9]+[.,/][0-9]+")
_MEANT = frozenset(
    w for group in (FORMS, COLORS, RELATION_OF, COUNTS) for entry in group for w in entry.split() if len(w) > 2
) - {"pair", "couple", "left", "side", "hand"}  # fmt: skip
_KNOWN = _GRAMMAR | LOOKS | FILLERS | REAL | NEAREST.keys() | {w for wording in FACT_OF for w in wording.split()}
_SCAN = re.compile(
    "|".join(
        rf"\b{re.escape(words)}\b"
        for words in sorted(
            {w for group in _PHRASES for w in group if " " in w},
            key=len,
            reverse=True,
        )
    )
    + r"|§\d+|\w+|,"
)  # fmt: skip


def clean(text: str, notes: list[str]) -> str:
    """Lower case, one space between words, commas kept; pictures among the letters are said to be ignored."""
    if not isinstance(text, str):
        raise PromptError("The prompt must be a text.")
    if len(text) > MOST_CHARACTERS:
        raise PromptError(f"The prompt is longer than {MOST_CHARACTERS} characters; name up to seven things.")
    text = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) not in ("Mn", "Cf"))
    strange = [c for c in text if not c.isascii() and unicodedata.category(c)[0] in "LN"]
    if strange:
        raise PromptError(f"I cannot read '{strange[0]}': I know English words and the digits 1 to 4.")
    pictures = [c for c in text if unicodedata.category(c) in ("So", "Co", "Cn")]
    if pictures:
        notes.append(f"ignored: {' '.join(dict.fromkeys(pictures))}")
    if number := _NO_COUNT.search(text):
        raise PromptError(f"It draws whole things, one to four of a kind: '{number[0]}' is no such number.")
    text = re.sub(r"['’‘`´]", "", text).replace("&", " and ").replace("+", " and ")
    text = re.sub(r"\bmt\b\.?", "mount", re.sub(r"\bpairs of\b", "", text))
    text = re.sub(r"[;/|.!?:\n]+(?=\s*\w)", " , ", text)
    text = re.sub(r"(\d)x\b", r"\1", text)
    return " ".join(re.sub(r"[^a-z0-9,]+", " ", text).replace(",", " , ").split()).strip(" ,")


def turned(words: str) -> str:
    """ "right of a cat is a dog", or without "is", as "a dog right of a cat"; what follows "and" stays behind that."""
    match = _FIRST.match(words)
    if not match:
        return words
    other, first = match[2] or match[4], match[3] or match[5]
    tail = _TAIL.search(first)
    end = tail.start() if tail else len(first)
    return f"{first[:end]} {match[1]} {other}{first[end:]}"


def take_lead(words: str, notes: list[str]) -> tuple[str, str]:
    """(the lead as training knows it, what follows it) of a cleaned text."""
    verbs: list[str] = []
    while match := _LEAD.match(words):
        verbs += [match[1]] if match[1] else []
        words = words[match.end() :].lstrip(", ")
    typed = None if _MEDIUM.match(words) else _OF.match(words)
    if typed and typed[2] not in _KNOWN and (meant := correct(typed[2], _MEDIA)):
        notes.append(f"read '{typed[2]}' as '{meant}'")
        words = f"{typed[1]}{meant}{words[typed.end() :]}"
    medium = ""
    if match := _MEDIUM.match(words):
        looks = match[1].split()
        if all(w in LOOKS for w in looks):
            if looks:
                notes.append(f"ignored: {', '.join(looks)}")
            kind = _MEDIUM_OF.get(match[2], match[2])
            medium = next((m for m in MEDIA if m.endswith(f" {kind} of")), MEDIA[2])
            words = words[match.end() :]
    words = re.sub(r"[\s,]*\b(?:please|pls|plz|thanks|thank you|thx)$", "", words)
    verb = " ".join(verbs) if " ".join(verbs) in VERBS else (verbs[-1] if verbs and verbs[-1] in VERBS else "")
    lead = f"{verb} {medium}".strip()
    return (lead if lead in LEADS else ""), words


def _bare(words: str) -> tuple[str, ...]:
    """The words of a riddle that matter for finding it."""
    same = {"which": "that", "who": "that", "thats": "that is", "colour": "color", "whats": "what is"}
    return tuple(w for word in words.split() for w in same.get(word, word).split() if w not in ("a", "an", "the"))


_WORDING_OF = {_bare(wording): wording for wording in FACT_OF}
_LENGTHS = sorted({len(words) for words in _WORDING_OF}, reverse=True)


def take_riddles(words: str, found: list[str]) -> str:
    """Replace every riddle's wording by "§" and its number in `found`."""
    tokens, out, start = words.split(), [], 0
    while start < len(tokens):
        for length in _LENGTHS:
            end, bare = start, ()
            while end < len(tokens) and len(bare) < length:
                end += 1
                bare = _bare(" ".join(tokens[start:end]))
            if tokens[end - 1] not in ARTICLES and (wording := _WORDING_OF.get(bare)):
                found.append(wording)
                out.append(f"§{len(found) - 1}")
                start = end
                break
        else:
            out.append(tokens[start])
            start += 1
    return " ".join(out)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


@cache
def _stems(words: str) -> frozenset[str]:
    dull = {"that", "is", "of", "in", "on", "what", "with", "are", "thing", "to", "as", "many", "where", "it", "its"}
    return frozenset(_stem(w) for w in _bare(words) if w not in dull)


@cache
def _weights() -> dict[str, float]:
    seen: dict[str, int] = {}
    for wording in FACT_OF:
        for stem in _stems(wording):
            seen[stem] = seen.get(stem, 0) + 1
    return {stem: log(len(FACT_OF) / number) for stem, number in seen.items()}


def likeliest_riddles(words: str) -> list[tuple[float, str]]:
    """(share of the meaning in common, wording), the most like first."""
    weights, mine = _weights(), _stems(words)
    most = max(weights.values())

    def weigh(stems: frozenset[str]) -> float:
        return sum(weights.get(s, most) for s in stems)

    scored = [(weigh(mine & _stems(w)) / max(weigh(mine | _stems(w)), 1e-9), w) for w in FACT_OF]
    return sorted(scored, key=lambda pair: (-pair[0], pair[1]))


def is_riddle_like(words: str) -> bool:
    """Whether somebody asks for a thing by what is known of it."""
    return any(w in _MARKERS for w in words.split()) and any(w not in _GRAMMAR | LOOKS | FILLERS for w in words.split())


def guess_riddles(words: str, found: list[str], notes: list[str]) -> str:
    """Riddles in words of the visitor's own, where they are near enough to a wording; said in a note."""
    pieces = re.split(rf"( and | , | (?:{_RELATED}) )", words)
    for index, piece in enumerate(pieces):
        strange = [w for w in piece.split() if w not in _GRAMMAR | LOOKS | FILLERS]
        if "§" in piece or not strange or len(piece.split()) < 3:
            continue
        score, wording = likeliest_riddles(piece)[0]
        if score >= 0.5:
            found.append(wording)
            notes.append(f"read '{piece.strip()}' as '{wording}'")
            pieces[index] = f"§{len(found) - 1}"
    return "".join(pieces)


def mend(words: str, notes: list[str]) -> str:
    """Correct small typing errors in words that nothing else knows."""
    out = []
    for word in words.split():
        meant = None
        if word.isalpha() and word not in _KNOWN and _stem(word) not in _KNOWN:
            meant = correct(word, _MEANT)
        if meant:
            notes.append(f"read '{word}' as '{meant}'")
        out.append(meant or word)
    return " ".join(out)


def tokenize(words: str) -> list[str]:
    """Tokens of a cleaned text, words of several parts as one."""
    return _SCAN.findall(words)


def number_of(token: str) -> int | None:
    """How many a token says, None where it is no number."""
    if token.isdecimal():
        return int(token)
    return 3 if token in VAGUE else 2 if token in PAIRS else COUNTS.get(token)
