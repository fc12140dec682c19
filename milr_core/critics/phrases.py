"""Plain English prompts taken apart without a parser's weights: noun chunks, counted and colored things, one relation.

Made for the sentences of T2I-CompBench ("a green bench and a blue bowl", "a cow next to a plate"). Where figures have
to be the benchmark's own, give the critics spaCy's noun chunks instead (`spacy_chunks`).
"""

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from milr_core.errors import InputError

NUMBERS = {
    n: i for i, n in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1)
}
COLORS = frozenset(
    (
        "red orange yellow green blue purple pink brown black white gray grey silver gold golden beige turquoise tan"
    ).split()
)
ADJECTIVES = COLORS | frozenset(
    (
        "abstract aerodynamic ancient angular artistic autumnal beautiful beige big billowing black blazing blended "
        "blooming blue bright brilliant brown bulky bumpy bustling busy calm cast chilled chilly choppy circular "
        "clean colorful comfortable comforting compact conical cool country cozy cracked crashing crisp crispy "
        "crunchy crystal-clear cubic curious curved curvy cylindrical damp dappled dark deep delectable delicate "
        "delicious detailed dim distant dizzying dramatic dry dull dusty dynamic eager earthy elegant emotional "
        "endless enduring fast fiery flickering floral flowing fluffy fluttering fragrant fresh furry fuzzy gentle "
        "geometric gigantic glittering glossy glowing gnarled golden gooey graceful grand gray greasy green grey hard "
        "hardworking healing healthful heavy hexagonal high hot huge icy immense intricate inviting iridescent jagged "
        "juicy large light lit little long loud low lumpy lush luxurious majestic massive maternal matte metallic "
        "modern multicolored murky narrow natural new oblong octagonal old opaque orange ornate oval peaceful "
        "pentagonal perfect pillowy pink plain plush polished powerful priceless prickly protruding pungent purple "
        "pyramidal quiet raked rectangular red reedy refreshing rich ripe rippled rippling rocky romantic rough "
        "rough-edged round rounded rugged rusted rusty savory seasonal serene sharp sheer shifting shimmering shiny "
        "short silky silver simple sizzling sleek slim slimy slow slushy small smooth soft soothing sour spherical "
        "spicy spiky square standing steep sticky straight streamlined striking striped stunning sturdy stylish "
        "sugary sweet swimming swirling tall tart tech-savvy tender textured therapeutic thick thin thorny tiled "
        "timeless tiny tired towering translucent transparent treacherous triangular twisted unique urban velvety "
        "vibrant warm weathered welcoming wet white wide winding wooden woolen yellow young"
    ).split()
)
"""Words that a tagger would call adjectives in T2I-CompBench's prompts, and their like."""

RELATIONS = (
    "on side of", "next to", "near", "on the left of", "on the right of", "on the bottom of", "on the top of",
    "on top of",
)  # fmt: skip
"""T2I-CompBench's words of place, in the order in which it looks for them."""

_SAME = {
    "to the left of": "on the left of", "left of": "on the left of", "to the right of": "on the right of",
    "right of": "on the right of", "on top of": "on the top of", "above": "on the top of", "over": "on the top of",
    "on the side of": "on side of", "beside": "next to", "below": "on the bottom of", "under": "on the bottom of",
    "underneath": "on the bottom of", "beneath": "on the bottom of",
}  # fmt: skip
_PLACED = re.compile(rf"\b({'|'.join(sorted({*RELATIONS, *_SAME}, key=len, reverse=True))})\b")
_ARTICLES = frozenset("a an the his her its their this that some".split())
_BREAKS = frozenset(
    "and or but with of in on at by for from to into onto over under above below beneath near between against through "
    "along across around behind beside inside outside next side as while that which who is are was were be been being "
    "has have had sits sit sat stands stand standing lies lay lying hangs hung hanging rests resting parked features "
    "feature flash reads necessary".split()
)
_PLACES = frozenset(
    ("top", "the top", "the side", "the left", "the right", "side", "left", "right", "bottom", "the bottom", "front")
)


def noun_chunks(prompt: str) -> list[str]:
    """Runs of words between verbs, prepositions and conjunctions; an article begins a new one; places are left out."""
    chunks: list[list[str]] = [[]]
    for token in re.findall(r"[\w'-]+|[,;.]", prompt.lower()):
        if token in _BREAKS or token in ",;.":
            chunks.append([])
        elif token in _ARTICLES and chunks[-1]:
            chunks.append([token])
        else:
            chunks[-1].append(token)
    said = [" ".join(_without_verb(chunk)) for chunk in chunks if any(word not in _ARTICLES for word in chunk)]
    return [chunk for chunk in said if chunk not in _PLACES]


def _without_verb(chunk: list[str]) -> list[str]:
    """ "the oblong boom propelled" -> "the oblong boom": a last word in -ed, after a noun, is taken for a verb."""
    nouns = [word for word in chunk if word not in _ARTICLES]
    return chunk[:-1] if len(nouns) > 1 and chunk[-1].endswith("ed") and chunk[-1] not in ("bed", "sled") else chunk


def without_adjectives(prompt: str) -> str:
    """The prompt less its adjectives, as T2I-CompBench takes it for the CLIPScore of complex prompts.

    By a list of words; one that ends a noun chunk is the noun itself ("an orange", "the light") and stays.
    """
    kept, tokens = [], re.findall(r"[\w'-]+|[^\w\s]", prompt)
    words = [token.lower() for token in tokens]
    for i, token in enumerate(tokens):
        next_words = words[i + 1 : i + 3]
        if next_words[:1] == [","] and next_words[-1] in ADJECTIVES:  # "soft, fluffy pillow"
            next_words = next_words[1:]
        after = next_words[0] if next_words else "."
        modifies = after[0].isalnum() and after not in _BREAKS and after not in _ARTICLES
        if not (words[i] in ADJECTIVES and modifies):
            kept.append(token)
    return re.sub(r"\s+([,;.!?])", r"\1", " ".join(kept))


def _spacy(prompt: str) -> Any:
    """spaCy's reading of a prompt. Raises InputError where it or its model is not installed."""
    try:
        return import_module("spacy").load("en_core_web_sm")(prompt)
    except (ImportError, OSError) as error:
        raise InputError(
            "spaCy's noun chunks need: pip install spacy && python -m spacy download en_core_web_sm."
        ) from error


def spacy_without_adjectives(prompt: str) -> str:
    """Do what `without_adjectives` does by spaCy's tagger, which is the benchmark's own.

    Raises InputError without it.
    """
    return " ".join(token.text for token in _spacy(prompt) if token.pos_ != "ADJ")


def spacy_chunks(prompt: str) -> list[str]:
    """spaCy's noun chunks as T2I-CompBench takes them; needs `spacy` and its model en_core_web_sm.

    Raises:
        InputError: they are not installed.
    """
    chunks = [chunk.text for chunk in _spacy(prompt).noun_chunks]
    return [chunk for chunk in chunks if chunk not in ("top", "the side", "the left", "the right")]


@dataclass(frozen=True)
class Thing:
    """A noun chunk read: "two red dogs" is Thing("dogs", 2, "red")."""

    name: str
    count: int = 1
    color: str | None = None

    @property
    def words(self) -> str:
        return f"{self.color} {self.name}" if self.color else self.name

    def question(self) -> str:
        """Asked of a network that answers yes or no."""
        return f"Are there {self.count} {self.words}?" if self.count > 1 else f"Is this a {self.words}?"


def thing(chunk: str) -> Thing:
    words = [word for word in chunk.lower().split() if word not in _ARTICLES]
    count, color = 1, None
    if len(words) > 1 and (words[0] in NUMBERS or re.fullmatch("[1-9][0-9]{0,2}", words[0])):
        count = NUMBERS.get(words[0]) or int(words[0])
        words = words[1:]
    if len(words) > 1 and words[0] in COLORS:
        color, words = words[0], words[1:]
    return Thing(" ".join(words), count, color)


def things(prompt: str) -> list[Thing]:
    """Raises InputError where the prompt names nothing."""
    text = re.sub(r"^an? (?:photo|picture|image) of ", "", prompt.strip().lower())
    found = [thing(chunk) for chunk in noun_chunks(_PLACED.sub(",", text))]
    if not found:
        raise InputError(f"'{prompt}' names nothing that can be looked for. Say what the image shows.")
    return found


@dataclass(frozen=True)
class Relation:
    """`first` is `place` (one of RELATIONS) `second`."""

    first: str
    place: str
    second: str

    @property
    def names(self) -> tuple[str, str]:
        return self.first, self.second


def _sides(before: str, after: str) -> tuple[str, str] | None:
    """The noun chunks next to a word of place; None where a side has none."""
    nouns = noun_chunks(before), noun_chunks(after)
    return (nouns[0][-1], nouns[1][0]) if all(nouns) else None


def official_relation(prompt: str) -> Relation | None:
    """Read a relation as T2I-CompBench reads its prompts.

    Head nouns on both sides, people as "person"; its words of place alone.
    """
    text = prompt.lower().strip().rstrip(".")
    place = next((place for place in RELATIONS if place in text), None)
    sides = place and _sides(*text.split(place, 1))
    if not place or not sides:
        return None
    heads = (chunk.split()[-1] for chunk in sides)
    first, second = ("person" if head in ("girl", "boy", "man", "woman") else head for head in heads)
    return Relation(first, place, second)


def relation(prompt: str) -> Relation | None:
    """The relation of a prompt in anybody's words, with whole names ("wine glass"); None where it has none."""
    text = prompt.lower().strip().rstrip(".")
    match = _PLACED.search(text)
    sides = match and _sides(text[: match.start()], text[match.end() :])
    if not match or not sides:
        return None
    first, second = (thing(chunk).name for chunk in sides)
    return Relation(first, _SAME.get(match[1], match[1]), second)
