"""Reasoning text: a plan names every shape with its color and the place it goes to. Written, read back, judged.

A plan can be phrased in three ways and places are free where the prompt leaves them free, so that another text
is another image; it can be wrong, and `plan_is_right` says whether it is, without looking at any image.
"""

import random
import re

from shapes.prompts import NUMBERS, Prompt
from shapes.scene import COLORS, PLACES, SHAPES, SIZES, Item, cell_of

STYLES = ("sentence", "list", "map")


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def write_plan(items: list[Item], style: str, facts: list[str] = ()) -> str:
    """Reasoning text for items in the given order; sizes are said where an item has one."""
    names = [" ".join(w for w in (i.size, i.color, i.shape) if w) for i in items]
    if style == "sentence":
        body = "draw " + ", ".join(f"{_article(n)} at {i.place}" for n, i in zip(names, items, strict=True))
    elif style == "list":
        number = list(NUMBERS)[len(items) - 1] if len(items) <= len(NUMBERS) else "many"
        noun = "shape" if len(items) == 1 else "shapes"
        body = f"{number} {noun}: " + ", ".join(f"{n} {i.place}" for n, i in zip(names, items, strict=True))
    elif style == "map":
        body = ", ".join(f"{i.place} {_article(n)}" for n, i in zip(names, items, strict=True))
    else:
        raise ValueError(f"no plan style {style!r}; one of {STYLES}")
    return "".join(f"{fact}. " for fact in facts) + body + "."


_PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
_NAME = rf"(?:({'|'.join(SIZES)}) )?({'|'.join(COLORS)}) ({'|'.join(SHAPES)})"
_NAME_FIRST = re.compile(rf"^(?:draw )?(?:an? )?{_NAME}(?: at)? ({_PLACE})$")
_PLACE_FIRST = re.compile(rf"^({_PLACE}) an? {_NAME}$")


def read_plan(text: str) -> list[Item] | None:
    """Items that a reasoning text names, or None where it is no plan (nonsense, or one place used twice)."""
    body = re.sub(r"\s*([.,:])\s*", r"\1 ", text.lower()).strip().removesuffix(".").split(". ")[-1]
    body = re.sub(r"^(?:\w+ shapes?): ", "", body)
    items = []
    for part in body.split(", "):
        if m := _NAME_FIRST.match(part):
            items.append(Item(m[3], m[2], m[4], m[1]))
        elif m := _PLACE_FIRST.match(part):
            items.append(Item(m[4], m[3], m[1], m[2]))
        else:
            return None
    return items if len({i.place for i in items}) == len(items) else None


def places_satisfy(relation: str, a: str, b: str) -> bool:
    """Whether a shape at place `a` is `relation` one at place `b`, by GenEval's rule.

    With one shape a cell and extents below a cell, the rule comes down to whole cells: the offset along the
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


def satisfies(items: list[Item], prompt: Prompt) -> bool:
    """Whether items at their places satisfy the prompt's spec; an item without a size may be of any."""
    spec = prompt.spec()

    def matching(clause: dict) -> list[Item]:
        return [
            i
            for i in items
            if i.shape == clause["class"]
            and clause.get("color", i.color) == i.color
            and (i.size is None or clause.get("size", i.size) == i.size)
        ]

    found = [matching(clause) for clause in spec["include"]]
    if any(len(group) < clause["count"] for group, clause in zip(found, spec["include"], strict=True)):
        return False
    if any(len(matching(clause)) >= clause["count"] for clause in spec["exclude"]):
        return False
    for group, clause in zip(found, spec["include"], strict=True):
        if "position" in clause:
            relation, target = clause["position"]
            if not all(places_satisfy(relation, a.place, b.place) for a in group for b in found[target]):
                return False
    return True


def random_plan(items: list[Item], prompt: Prompt | None, rng: random.Random) -> str:
    """A plan in a random style, items in the given order; sizes are said where the prompt says them."""
    sizes = {(p.shape, p.color or None): p.size for p in prompt.phrases} if prompt else {}
    said = [Item(i.shape, i.color, i.place, sizes.get((i.shape, i.color)) or sizes.get((i.shape, None))) for i in items]
    return write_plan(said, rng.choice(STYLES), prompt.facts() if prompt else [])
