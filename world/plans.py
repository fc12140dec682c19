"""Reasoning text: a plan names every thing with the place it goes to. Written, read back, judged.

A plan can be phrased in three ways and places are free where the prompt leaves them free, so that another text
is another image. It can be wrong, and `plan_is_right` says whether it is, without looking at any image.
"""

import random
import re
from collections.abc import Sequence
from functools import cache

from world.nouns import NOUNS
from world.phrases import Prompt, with_article
from world.scene import COLORS, PLACES, Item, cell_of, natural_color

STYLES = ("sentence", "list", "map")
TALLY = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ITEM_OF_NAME = {f"{color or ''} {noun}".lstrip(): (noun, color) for noun in NOUNS for color in (None, *COLORS)}


def _name(item: Item) -> str:
    return f"{item.color} {item.noun}" if item.color else item.noun


def write_plan(items: Sequence[Item], style: str, facts: Sequence[str] = ()) -> str:
    """Reasoning text for one to nine items in the given order, after the sentences that answer the riddles."""
    names = [_name(i) for i in items]
    if style == "sentence":
        body = "draw " + ", ".join(f"{with_article(n, i.noun)} at {i.place}" for n, i in zip(names, items, strict=True))
    elif style == "list":
        thing = "thing" if len(items) == 1 else "things"
        body = f"{TALLY[len(items) - 1]} {thing}: " + ", ".join(
            f"{n} {i.place}" for n, i in zip(names, items, strict=True)
        )
    elif style == "map":
        body = ", ".join(f"{i.place} {with_article(n, i.noun)}" for n, i in zip(names, items, strict=True))
    else:
        raise ValueError(f"no plan style {style!r}; one of {STYLES}")
    return "".join(f"{fact}. " for fact in facts) + body + "."


def random_plan(items: Sequence[Item], prompt: Prompt | None, rng: random.Random) -> str:
    """A plan in a random style, items in the given order; for a prompt's riddles, with their sentences in front."""
    return write_plan(items, rng.choice(STYLES), prompt.facts() if prompt else ())


def _read_part(part: str) -> Item | None:
    """One item: "a red dog at top", "red dog top" or "top a red dog"."""
    words = part.removeprefix("draw ").split(" ")
    if words[-1] in PLACES:
        place = words.pop()
        words = words[:-1] if words and words[-1] == "at" else words
    else:
        place = words.pop(0)
    words = words[1:] if words and words[0] in ("a", "an", "the") else words
    found = _ITEM_OF_NAME.get(" ".join(words))
    return Item(*found, place) if found and place in PLACES else None


def read_plan(text: str) -> list[Item] | None:
    """Items that a reasoning text names, or None where it is no plan (nonsense, or one place used twice)."""
    spaced = re.sub(r"\s*([.,:])\s*", r"\1 ", " ".join(text.lower().split())).strip()
    body = spaced.removesuffix(".").split(". ")[-1].split("things: ")[-1].split("thing: ")[-1]
    items = []
    for part in body.split(", "):
        item = _read_part(part)
        if item is None:
            return None
        items.append(item)
    return items if len({i.place for i in items}) == len(items) else None


@cache
def places_satisfy(relation: str, a: str, b: str) -> bool:
    """Whether a thing at place `a` is `relation` one at place `b`, by GenEval's rule.

    With one thing a cell and extents below a cell, the rule comes down to whole cells: the offset along the
    relation's axis is at least one cell and no smaller than the offset across it.
    """
    (ax, ay), (bx, by) = cell_of(a), cell_of(b)
    along, across = {
        "left of": (bx - ax, ay - by),
        "right of": (ax - bx, ay - by),
        "above": (by - ay, ax - bx),
        "below": (ay - by, ax - bx),
    }[relation]
    return along >= 1 and abs(across) <= along


def plan_is_right(text: str, prompt: Prompt) -> bool:
    """Whether an image that follows the reasoning text would satisfy the prompt's spec."""
    items = read_plan(text)
    return items is not None and satisfies(items, prompt)


def matching(items: Sequence[Item], noun: str, color: str | None) -> list[Item]:
    """The items of a noun that have a color, as a tint or as their own; None: any."""
    return [i for i in items if i.noun == noun and (color is None or (i.color or natural_color(noun)) == color)]


def satisfies(items: Sequence[Item], prompt: Prompt) -> bool:
    """Whether items at their places satisfy the prompt's spec by GenEval's rules."""
    spec = prompt.spec()
    found = [matching(items, clause["class"], clause.get("color")) for clause in spec["include"]]
    if any(len(group) < clause["count"] for group, clause in zip(found, spec["include"], strict=True)):
        return False
    if any(len(matching(items, c["class"], c.get("color"))) >= c["count"] for c in spec["exclude"]):
        return False
    for group, clause in zip(found, spec["include"], strict=True):
        if "position" in clause:
            relation, target = clause["position"]
            if not all(places_satisfy(relation, a.place, b.place) for a in group for b in found[target]):
                return False
    return True
