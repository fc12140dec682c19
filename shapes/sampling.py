"""Random prompts, scenes that satisfy them, and the three disjoint splits.

A split is a property of what a prompt asks (`Prompt.key`), decided by a hash: for the composed categories the
test split holds combinations that training never shows, whatever the seed.
"""

import hashlib
import random
from functools import lru_cache
from itertools import combinations

from shapes.facts import COLOR_FACTS, COUNT_FACTS, SHAPE_FACTS
from shapes.plans import places_satisfy, satisfies
from shapes.prompts import CATEGORIES, LEADS, MOST_RELATED, RELATIONS, Phrase, Prompt
from shapes.scene import COLORS, PLACES, SHAPES, SIZES, Item

SPLITS = {"train": range(0, 76), "validation": range(76, 88), "test": range(88, 100)}


def split_of(prompt: Prompt) -> str:
    """ "train", "validation" or "test"."""
    bucket = int.from_bytes(hashlib.md5(prompt.key().encode()).digest()[:4], "big") % 100
    return next(name for name, buckets in SPLITS.items() if bucket in buckets)


def _maybe(rng: random.Random, p: float, options) -> str | None:
    return rng.choice(list(options)) if rng.random() < p else None


def _few(rng: random.Random, p_more: float) -> int:
    return rng.choice((2, 2, 3, 4)) if rng.random() < p_more else 1


def _riddle(rng: random.Random) -> Phrase:
    size = _maybe(rng, 0.1, SIZES)
    kind = rng.choice(("color", "color", "count", "shape"))
    if kind == "color":
        thing = rng.choice(list(COLOR_FACTS))
        return Phrase(rng.choice(SHAPES), _few(rng, 0.35), COLOR_FACTS[thing], size, color_of=thing)
    if kind == "count":
        things = rng.choice(list(COUNT_FACTS))
        count, shape = COUNT_FACTS[things][0], rng.choice(SHAPES)
        if rng.random() < 0.25:
            thing = rng.choice(list(COLOR_FACTS))
            return Phrase(shape, count, COLOR_FACTS[thing], size, color_of=thing, count_of=things)
        return Phrase(shape, count, _maybe(rng, 0.6, COLORS), size, count_of=things)
    thing = rng.choice(list(SHAPE_FACTS))
    return Phrase(SHAPE_FACTS[thing], _few(rng, 0.25), rng.choice(list(COLORS)), size, shape_of=thing)


def _pair(rng: random.Random, p_color: float, p_more: float) -> tuple[Phrase, Phrase]:
    while True:
        a, b = (
            Phrase(rng.choice(SHAPES), _few(rng, p_more), _maybe(rng, p_color, COLORS), _maybe(rng, 0.12, SIZES))
            for _ in range(2)
        )
        if a.shape != b.shape or (a.color and b.color and a.color != b.color):
            return a, b


def _phrases(category: str, rng: random.Random) -> tuple[tuple[Phrase, ...], str | None]:
    if category == "single_object":
        return (Phrase(rng.choice(SHAPES), 1, None, _maybe(rng, 0.5, SIZES)),), None
    if category == "colors":
        return (Phrase(rng.choice(SHAPES), 1, rng.choice(list(COLORS)), _maybe(rng, 0.3, SIZES)),), None
    if category == "counting":
        size, color = _maybe(rng, 0.15, SIZES), _maybe(rng, 0.5, COLORS)
        return (Phrase(rng.choice(SHAPES), rng.choice((2, 3, 4)), color, size),), None
    if category == "two_object":
        while True:
            a, b = _pair(rng, rng.choice((0.0, 0.0, 0.5)), 0.4)
            if not (a.color and b.color):
                return (a, b), None
    if category == "color_attr":
        return _pair(rng, 1.0, 0.4), None
    if category == "position":
        while True:
            a, b = _pair(rng, rng.choice((0.0, 1.0)), 0.4)
            if a.count + b.count <= MOST_RELATED:
                return (a, b), rng.choice(RELATIONS)
    first = _riddle(rng)
    if rng.random() < 0.4:
        return (first,), None
    while True:
        if rng.random() < 0.6:
            second = _riddle(rng)
        else:
            second = Phrase(rng.choice(SHAPES), _few(rng, 0.3), rng.choice(list(COLORS)))
        if second.shape != first.shape and first.count + second.count <= MOST_RELATED:
            return (first, second), rng.choice((None, *RELATIONS))


def random_prompt(category: str, split: str, rng: random.Random) -> Prompt:
    """A prompt of a category from one split."""
    while True:
        phrases, relation = _phrases(category, rng)
        prompt = Prompt(phrases, relation, rng.choice(("", "a photo of", rng.choice(LEADS))))
        if split_of(prompt) == split:
            return prompt


def random_scene(prompt: Prompt, rng: random.Random) -> list[Item]:
    """Items that satisfy the prompt, everything free chosen at random; those of a phrase in reading order."""
    groups = []
    for phrase in prompt.phrases:
        shared = rng.choice(list(COLORS)) if rng.random() < 0.6 else None
        groups.append(
            [
                (
                    phrase.shape,
                    phrase.color or shared or rng.choice(list(COLORS)),
                    phrase.size or rng.choice(list(SIZES)),
                )
                for _ in range(phrase.count)
            ]
        )
    first, second = rng.choice(_placements(prompt.relation, len(groups[0]), prompt.total - len(groups[0])))
    drawn = [item for group in groups for item in group]
    return [Item(s, c, place, z) for (s, c, z), place in zip(drawn, first + second, strict=True)]


@lru_cache(maxsize=128)
def _placements(relation: str | None, first: int, second: int) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """All choices of places, in reading order, for the shapes of one or two phrases."""
    choices = []
    for a in combinations(PLACES, first):
        for b in combinations([p for p in PLACES if p not in a], second):
            if relation is None or all(places_satisfy(relation, x, y) for x in a for y in b):
                choices.append((a, b))
    return choices


def random_items(count: int, rng: random.Random) -> list[Item]:
    """Any `count` items, for pictures that answer no prompt."""
    return [
        Item(rng.choice(SHAPES), rng.choice(list(COLORS)), place, rng.choice(list(SIZES)))
        for place in rng.sample(PLACES, count)
    ]


def _phrase_about(items: list[Item], one: bool, rng: random.Random) -> Phrase:
    """A phrase for some of a scene's items, or, half of the time, one that misses them in one respect."""
    item = rng.choice(items)
    shape, color, size = item.shape, item.color, item.size
    missed = rng.choice(("shape", "color", "size", "count")) if rng.random() < 0.5 else None
    if missed == "shape":
        shape = rng.choice(SHAPES)
    if missed == "color":
        color = rng.choice(list(COLORS))
    if missed == "size":
        size = rng.choice(list(SIZES))
    color = color if missed == "color" or rng.random() < 0.75 else None
    size = size if missed == "size" or rng.random() < 0.15 else None
    if one:
        return Phrase(shape, 1, color, size)
    count = sum(i.shape == shape and color in (None, i.color) and size in (None, i.size) for i in items)
    count = rng.randint(1, 4) if missed == "count" else min(4, max(1, count))
    facts: dict[str, str | None] = {"color_of": None, "count_of": None, "shape_of": None}
    riddle = rng.choice(list(facts)) if rng.random() < 0.25 else None
    if riddle == "color_of" and color:
        facts["color_of"] = rng.choice([thing for thing, value in COLOR_FACTS.items() if value == color])
    elif riddle == "count_of" and count > 1:
        facts["count_of"] = rng.choice([things for things, value in COUNT_FACTS.items() if value[0] == count])
    elif riddle == "shape_of" and color:
        facts["shape_of"] = rng.choice([thing for thing, value in SHAPE_FACTS.items() if value == shape])
    return Phrase(shape, count, color, size, **facts)


def random_question(items: list[Item], wanted: bool, simple: bool, rng: random.Random) -> tuple[Prompt, bool]:
    """A prompt of the training split about a scene, and whether the scene is what it asks for.

    simple: one phrase, about one thing. The truth is `wanted` unless no such prompt turns up in a hundred tries.
    Where it is not, a third of the others have nothing to do with the scene: near misses alone teach to say yes.
    """
    unrelated = not wanted and not simple and rng.random() < 0.35
    for _ in range(100):
        if unrelated:
            prompt = random_prompt(rng.choice(CATEGORIES), "train", rng)
            if not (truth := satisfies(items, prompt)):
                break
            continue
        phrases = [_phrase_about(items, simple, rng)]
        relation = None
        if not simple and rng.random() < 0.6:
            phrases.append(_phrase_about(items, False, rng))
            fits = sum(phrase.count for phrase in phrases) <= MOST_RELATED
            relation = rng.choice((None, *RELATIONS)) if fits else None
        prompt = Prompt(tuple(phrases), relation, rng.choice(("", "a photo of", rng.choice(LEADS))))
        truth = satisfies(items, prompt)
        same = len(phrases) == 2 and phrases[0].shape == phrases[1].shape and phrases[0].color == phrases[1].color
        if truth == wanted and not same and split_of(prompt) == "train":
            break
    return prompt, truth


@lru_cache(maxsize=32)
def prompt_set(split: str, per_category: int, seed: int = 0) -> tuple[Prompt, ...]:
    """`per_category` distinct prompts of each category, the same for the same arguments on every machine.

    Within a category they are spread evenly over the number of shapes and of riddles, so far as there are enough.
    """
    prompts: list[Prompt] = []
    for category in CATEGORIES:
        rng = random.Random(f"{split}/{category}/{seed}")
        kinds: dict[tuple[int, int], dict[str, Prompt]] = {}
        for _ in range(40 * per_category):
            prompt = random_prompt(category, split, rng)
            kinds.setdefault((prompt.total, len(prompt.facts())), {}).setdefault(prompt.text(), prompt)
        queues = [list(kinds[kind].values()) for kind in sorted(kinds)]
        turns = [queue[turn] for turn in range(max(map(len, queues))) for queue in queues if turn < len(queue)]
        if len(turns) < per_category:
            raise ValueError(f"The {split} split has fewer than {per_category} prompts of '{category}'.")
        prompts += turns[:per_category]
    return tuple(prompts)
