"""Random prompts, scenes that satisfy them, questions about scenes, and the three disjoint splits.

A split is a property of what a prompt asks (`Prompt.key`), decided by a hash: of the composed categories the
test split holds combinations that training never shows, whatever the seed. GenEval's own are all in the test split.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import combinations, product

from world.facts import FACTS, FACTS_ABOUT, HELD
from world.held_out import is_genevals
from world.nouns import KIND_OF, KINDS, NOUNS, plural
from world.phrases import (
    CATEGORIES,
    LEADS,
    MANY,
    MOST_OF_A_KIND,
    MOST_PHRASES,
    MOST_THINGS,
    NUMBERS,
    RELATIONS,
    Phrase,
    Prompt,
    riddle,
    with_article,
)
from world.plans import STYLES, TALLY, matching, places_satisfy, satisfies, write_plan
from world.scene import COLORS, PLACES, Item, natural_color

SPLITS = {"train": range(0, 76), "validation": range(76, 88), "test": range(88, 100)}
WEIGHTS = {"single_object": 1.0, "two_object": 2.0, "counting": 2.0, "colors": 1.5, "position": 3.0,
           "color_attr": 3.0, "knowledge": 4.0, "many": 3.0}  # fmt: skip
"""How often training meets each category."""
_COLORS = tuple(COLORS)
_COUNTS = {
    (phrases, total): [c for c in product(range(1, MOST_OF_A_KIND + 1), repeat=phrases) if sum(c) == total]
    for phrases in range(2, MOST_PHRASES + 1)
    for total in range(MANY, MOST_THINGS + 1)
}


def split_of(prompt: Prompt) -> str:
    """ "train", "validation" or "test"; never "train" for a held wording, always "test" for GenEval's own."""
    digest = hashlib.md5(prompt.key().encode()).digest()
    if is_genevals(digest):
        return "test"
    bucket = int.from_bytes(digest[:4], "big") % 100
    if any(p.wording in HELD for p in prompt.phrases):
        return "test" if bucket % 2 else "validation"
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def random_category(rng: random.Random) -> str:
    """A category, as often as training meets it."""
    return rng.choices(CATEGORIES, [WEIGHTS[c] for c in CATEGORIES])[0]


def _few(rng: random.Random, p_more: float) -> int:
    return rng.choice((2, 2, 3)) if rng.random() < p_more else 1


def _nouns(number: int, rng: random.Random) -> list[str]:
    """Distinct nouns; of two, sometimes both of one kind."""
    if number == 2 and rng.random() < 0.2:
        kind = KINDS[KIND_OF[rng.choice(NOUNS)]]
        return rng.sample(kind if len(kind) > 1 else NOUNS, 2)
    return rng.sample(NOUNS, number)


def _pair(rng: random.Random, colored: Sequence[bool]) -> tuple[Phrase, ...]:
    """Two phrases of four things at most; of two colored ones, some of the same noun."""
    nouns = _nouns(2, rng)
    colors = [c if use else None for c, use in zip(rng.sample(_COLORS, 2), colored, strict=True)]
    if all(colored) and rng.random() < 0.08:
        nouns[1] = nouns[0]
    elif all(colored) and rng.random() < 0.1:
        colors[1] = colors[0]
    counts = [1, 1] if rng.random() < 0.6 else rng.choice([(1, 2), (2, 1), (2, 2), (1, 3), (3, 1)])
    return tuple(Phrase(n, k, c) for n, k, c in zip(nouns, counts, colors, strict=True))


def _many(rng: random.Random) -> tuple[tuple[Phrase, ...], str | None]:
    """Five to seven things in two to four phrases, nearly all of them with a color."""
    number = rng.choice((2, 3, 3, 3, 4, 4, 4))
    counts = rng.choice(_COUNTS[number, rng.randint(MANY, MOST_THINGS)])
    p_plain = rng.choice((0.0, 0.0, 0.3))
    phrases = tuple(
        Phrase(n, k, None if rng.random() < p_plain else rng.choice(_COLORS))
        for n, k in zip(_nouns(number, rng), counts, strict=True)
    )
    related = rng.random() < 0.3 and placements_exist(counts[0], counts[1])
    return phrases, rng.choice(RELATIONS) if related else None


def _riddle(rng: random.Random) -> Phrase:
    fact = rng.choice(FACTS)
    wording = rng.choice(fact.wordings)
    if fact.count or fact.color or rng.random() < 0.6:
        return riddle(wording)
    return riddle(wording, _few(rng, 0.4), rng.choice(_COLORS) if rng.random() < 0.7 else None)


def _knowledge(rng: random.Random) -> tuple[tuple[Phrase, ...], str | None]:
    """One riddle, a riddle beside plain things, or two riddles."""
    first = _riddle(rng)
    if rng.random() < 0.35:
        return (first,), None
    while True:
        if rng.random() < 0.6:
            second = _riddle(rng)
        else:
            second = Phrase(rng.choice(NOUNS), _few(rng, 0.3), rng.choice((None, *rng.sample(_COLORS, 2))))
        if second.noun != first.noun and first.count + second.count <= MOST_THINGS:
            break
    pair = (first, second) if rng.random() < 0.7 else (second, first)
    related = rng.random() < 0.6 and placements_exist(pair[0].count, pair[1].count)
    return pair, rng.choice(RELATIONS) if related else None


def _phrases(category: str, rng: random.Random) -> tuple[tuple[Phrase, ...], str | None]:
    if category == "single_object":
        return (Phrase(rng.choice(NOUNS)),), None
    if category == "colors":
        return (Phrase(rng.choice(NOUNS), 1, rng.choice(_COLORS)),), None
    if category == "counting":
        color = rng.choice(_COLORS) if rng.random() < 0.4 else None
        return (Phrase(rng.choice(NOUNS), rng.randint(2, MOST_OF_A_KIND), color),), None
    if category == "two_object":
        return _pair(rng, rng.choice(((False, False), (False, False), (True, False), (False, True)))), None
    if category == "color_attr":
        return _pair(rng, (True, True)), None
    if category == "position":
        pair = _pair(rng, rng.choice(((False, False), (True, True), (True, False), (False, True))))
        return pair, rng.choice(RELATIONS)
    return _many(rng) if category == "many" else _knowledge(rng)


def random_prompt(category: str, split: str, rng: random.Random) -> Prompt:
    """A prompt of a category from one split."""
    while True:
        phrases, relation = _phrases(category, rng)
        prompt = Prompt(phrases, relation, rng.choice(("", "a photo of", rng.choice(LEADS))))
        if split_of(prompt) == split:
            return prompt


def _tint(rng: random.Random) -> str | None:
    """The color of a thing whose color nobody asked for: mostly its own."""
    return rng.choice(_COLORS) if rng.random() < 0.15 else None


def random_scene(prompt: Prompt, rng: random.Random) -> list[Item]:
    """Items that satisfy the prompt, everything free chosen at random; those of a phrase in reading order."""
    counts = [p.count for p in prompt.phrases]
    if prompt.relation:
        related = rng.choice(placements(prompt.relation, counts[0], counts[1]))
        free = [p for p in PLACES if p not in related]
        places = [*related, *rng.sample(free, sum(counts[2:]))]
    else:
        places = rng.sample(PLACES, sum(counts))
    items, start = [], 0
    for phrase in prompt.phrases:
        color = phrase.color or _tint(rng)
        mine = sorted(places[start : start + phrase.count], key=PLACES.index)
        items += [Item(phrase.noun, color, place) for place in mine]
        start += phrase.count
    return items


@cache
def placements(relation: str, first: int, second: int) -> tuple[tuple[str, ...], ...]:
    """All choices of places for two related groups: the first group's, then the second's."""
    choices = []
    for a in combinations(PLACES, first):
        fits = [p for p in PLACES if p not in a and all(places_satisfy(relation, x, p) for x in a)]
        choices += [a + b for b in combinations(fits, second)]
    return tuple(choices)


def placements_exist(first: int, second: int) -> bool:
    """Whether two groups of so many things fit into the picture in a relation (the same for all four)."""
    return bool(placements(RELATIONS[0], first, second))


def random_items(count: int, rng: random.Random) -> list[Item]:
    """Any `count` items, half of them tinted, for pictures that answer no prompt."""
    return [
        Item(rng.choice(NOUNS), rng.choice(_COLORS) if rng.random() < 0.5 else None, place)
        for place in rng.sample(PLACES, count)
    ]


def wrong_in_one_respect(prompt: Prompt, items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The items of a scene that satisfies the prompt, but for one: of another color, another thing, or not there."""
    phrase = rng.choice(prompt.phrases)
    index = next(i for i, item in enumerate(items) if item.noun == phrase.noun and phrase.color in (None, item.color))
    changed = list(items)
    if phrase.color and rng.random() < 0.5:
        other = [c for c in _COLORS if all(c != p.color for p in prompt.phrases)]
        changed[index] = replace(items[index], color=rng.choice(other))
    elif rng.random() < 0.5:
        asked = {p.noun for p in prompt.phrases}
        changed[index] = replace(items[index], noun=rng.choice([n for n in NOUNS if n not in asked]))
    else:
        del changed[index]
    return changed


def _other_noun(noun: str, rng: random.Random) -> str:
    """Another noun, half of the time of the same kind."""
    kind = [n for n in KINDS[KIND_OF[noun]] if n != noun]
    return rng.choice(kind) if kind and rng.random() < 0.5 else rng.choice(NOUNS)


def _as_riddle(phrase: Phrase, rng: random.Random) -> Phrase:
    """The phrase asked as a riddle, where a fact fits it; the phrase itself elsewhere."""
    fits = [
        fact
        for fact in FACTS_ABOUT[phrase.noun]
        if fact.trained and fact.count in (None, phrase.count) and fact.color in (None, phrase.color)
    ]
    if not fits:
        return phrase
    fact = rng.choice(fits)
    return riddle(rng.choice(fact.trained), phrase.count, phrase.color)


def _phrase_about(items: Sequence[Item], one: bool, rng: random.Random) -> Phrase:
    """A phrase for some of a scene's items, or, half of the time, one that misses them in one respect."""
    item = rng.choice(items)
    noun, color = item.noun, item.color or natural_color(item.noun)
    missed = rng.choice(("noun", "color", "count")) if rng.random() < 0.5 else None
    if missed == "noun":
        noun = _other_noun(noun, rng)
    if missed == "color":
        color = rng.choice(_COLORS)
    elif rng.random() < (0.25 if item.color else 0.7):
        color = None
    if one:
        return Phrase(noun, 1, color)
    count = len(matching(items, noun, color))
    count = rng.randint(1, 4) if missed == "count" else min(MOST_OF_A_KIND, max(1, count))
    phrase = Phrase(noun, count, color)
    return _as_riddle(phrase, rng) if rng.random() < 0.3 else phrase


def _prompt_about(items: Sequence[Item], simple: bool, rng: random.Random) -> Prompt | None:
    """A prompt about a scene, true of it or a near miss; None where its parts do not go together."""
    phrases = [_phrase_about(items, simple, rng)]
    relation = None
    if not simple and rng.random() < 0.6:
        phrases.append(_phrase_about(items, False, rng))
        a, b = phrases
        if a.noun == b.noun and (not a.color or not b.color or a.color == b.color):
            return None
        related = rng.random() < 0.75 and placements_exist(a.count, b.count)
        relation = rng.choice(RELATIONS) if related else None
    if sum(p.count for p in phrases) > MOST_THINGS:
        return None
    return Prompt(tuple(phrases), relation, rng.choice(("", "a photo of", rng.choice(LEADS))))


def random_question(items: Sequence[Item], wanted: bool, simple: bool, rng: random.Random) -> tuple[Prompt, bool]:
    """A prompt of the training split about a scene, and whether the scene is what it asks for.

    simple: one phrase, about one thing. The truth is `wanted` unless no such prompt turns up in a hundred tries.
    Where it is not, a third of the others have nothing to do with the scene: near misses alone teach to say yes.
    """
    unrelated = not wanted and not simple and rng.random() < 0.35
    for _ in range(100):
        prompt = random_prompt(random_category(rng), "train", rng) if unrelated else _prompt_about(items, simple, rng)
        if prompt and satisfies(items, prompt) == wanted and (unrelated or split_of(prompt) == "train"):
            return prompt, wanted
    prompt = random_prompt("single_object", "train", rng)
    return prompt, satisfies(items, prompt)


@lru_cache(maxsize=32)
def prompt_set(split: str, per_category: int, seed: int = 0) -> tuple[Prompt, ...]:
    """`per_category` distinct prompts of each category, the same for the same arguments on every machine.

    Within a category they are spread evenly over the number of things and of riddles, so far as there are enough.
    """
    prompts: list[Prompt] = []
    for category in CATEGORIES:
        rng = random.Random(f"{split}/{category}/{seed}")
        kinds: dict[tuple[int, int], dict[str, Prompt]] = {}
        for _ in range(20 * per_category):
            prompt = random_prompt(category, split, rng)
            kinds.setdefault((prompt.total, len(prompt.facts())), {}).setdefault(prompt.text(), prompt)
        queues = [list(kinds[kind].values()) for kind in sorted(kinds)]
        turns = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
        if len(turns) < per_category:
            raise ValueError(f"The {split} split has fewer than {per_category} prompts of '{category}'.")
        prompts += turns[:per_category]
    return tuple(prompts)


def vocabulary_texts() -> Iterator[str]:
    """Texts that together hold every word of prompts, riddles and plans, for a tokenizer of whole words.

    A noun of several words stands in them as itself, in the singular and in the plural.
    """
    yield from LEADS
    yield from RELATIONS
    yield from NUMBERS
    yield from TALLY
    for noun in NOUNS:
        yield from (f"{color} {noun}" for color in _COLORS)
        yield from (with_article(noun, noun), f"an {noun}", f"two {plural(noun)}", f"two {noun}s")
    for fact in FACTS:
        yield from (fact.sentence + ".", *fact.wordings, f"two of {fact.wordings[0]} in red, and")
    for style in STYLES:
        for place in PLACES:
            yield from (write_plan([Item(NOUNS[0], "red", place)], style), f"{TALLY[1]} things: ")
