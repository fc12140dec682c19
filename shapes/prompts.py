"""The grammar of prompts: what the embedded model can be asked to draw, written, parsed and judged.

    prompt := [lead] phrase ["and" phrase | relation phrase]
    phrase := core | "as many" core "as" things
    core   := number [size] [color] (shape | "thing" "shaped like" thing) ["the color of" thing]

`parse` turns free text into a `Prompt` or raises `PromptError` with words a visitor can act on; `Prompt.spec`
gives GenEval's structure (include / exclude clauses), which the oracle and the plan judge read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from milr_core.errors import InputError
from shapes.facts import COLOR_FACTS, COUNT_FACTS, SHAPE_FACTS, color_sentence, count_sentence, shape_sentence
from shapes.scene import COLORS, GRID, PLACES, SHAPES, SIZES

NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
VERBS = ("", "draw", "show", "paint", "please draw", "i want", "give me")
MEDIA = ("", "a photo of", "a picture of", "an image of", "a drawing of", "a sketch of", "a painting of")
LEADS = tuple(f"{verb} {medium}".strip() for verb in VERBS for medium in MEDIA)  # the first is no lead at all
CATEGORIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr", "knowledge")
MOST_RELATED = 7  # shapes that fit where all of one phrase are, say, left of all of the other
SYNONYMS = {
    "colour": "color", "colours": "colors", "grey": "gray", "centre": "center", "circles": "circle",
    "squares": "square", "triangles": "triangle", "crosses": "cross", "things": "thing", "an": "a", "1": "one",
    "2": "two", "3": "three", "4": "four", "under": "below", "beneath": "below", "over": "above", "big": "large",
    "little": "small", "tiny": "small",
    "object": "thing", "objects": "thing", "shape": "thing", "shapes": "thing", "violet": "purple",
}  # fmt: skip
"""Words that mean the same to the model and to the parser; the checkpoint's tokenizer folds them too."""

PHRASE_SYNONYMS = {
    "to the left of": "left of",
    "on the left of": "left of",
    "to the right of": "right of",
    "on the right of": "right of",
    "on top of": "above",
}


class PromptError(InputError):
    """The prompt is not one the world can draw; the message says why and what it can draw."""


def what_can_be_drawn() -> str:
    """One paragraph for visitors: the words the embedded model knows."""

    def either(words: Iterable[str]) -> str:
        *most, last = words
        return f"{', '.join(most)} or {last}"

    return (
        f"It draws one to four {either(map(plural, SHAPES))}: {either(COLORS)}; {either(SIZES)}; alone, two kinds "
        f"joined by 'and', or one kind {either(RELATIONS)} the other. It knows riddles such as 'a triangle the color "
        "of grass', 'as many squares as wheels on a car' and 'a red thing shaped like a coin'. For example: two red "
        "circles left of a blue square."
    )


def plural(shape: str) -> str:
    return shape + ("es" if shape == "cross" else "s")


@dataclass(frozen=True)
class Phrase:
    """A noun phrase. `color_of`, `count_of`, `shape_of` name the fact where the value is asked as a riddle."""

    shape: str
    count: int = 1
    color: str | None = None
    size: str | None = None
    color_of: str | None = None
    count_of: str | None = None
    shape_of: str | None = None

    @property
    def is_riddle(self) -> bool:
        return bool(self.color_of or self.count_of or self.shape_of)

    def text(self) -> str:
        """English words of the phrase, without a lead."""
        many = self.count > 1 or self.count_of
        noun = f"thing{'s' * bool(many)} shaped like {self.shape_of}" if self.shape_of else self.shape
        if many and not self.shape_of:
            noun = plural(self.shape)
        adjectives = [w for w in (self.size, None if self.color_of else self.color) if w]
        core = " ".join([*adjectives, noun])
        if self.color_of:
            core += f" the color of {self.color_of}"
        if self.count_of:
            return f"as many {core} as {self.count_of}"
        if self.count == 1:
            return f"{'an' if core[0] in 'aeiou' else 'a'} {core}"
        return f"{list(NUMBERS)[self.count - 1]} {core}"

    def facts(self) -> list[str]:
        """The sentences that resolve the phrase's riddles."""
        said = ((color_sentence, self.color_of), (count_sentence, self.count_of), (shape_sentence, self.shape_of))
        return [sentence(thing) for sentence, thing in said if thing]


@dataclass(frozen=True)
class Prompt:
    """One or two phrases; `relation` holds between the first and the second (None: "and")."""

    phrases: tuple[Phrase, ...]
    relation: str | None = None
    lead: str = ""

    @property
    def total(self) -> int:
        return sum(p.count for p in self.phrases)

    @property
    def category(self) -> str:
        first = self.phrases[0]
        if any(p.is_riddle for p in self.phrases):
            return "knowledge"
        if self.relation:
            return "position"
        if len(self.phrases) == 2:
            return "color_attr" if all(p.color for p in self.phrases) else "two_object"
        if first.count > 1:
            return "counting"
        return "colors" if first.color else "single_object"

    def text(self) -> str:
        body = f" {self.relation or 'and'} ".join(p.text() for p in self.phrases)
        return f"{self.lead} {body}".strip()

    def key(self) -> str:
        """What the prompt asks, whatever its lead and the order it is said in: splits are disjoint in it.

        Where a category has too few things to ask (single_object, colors), the lead is part of the key.
        """
        words = [p.text() for p in self.phrases]
        if self.category in ("single_object", "colors"):
            return self.text()
        if self.relation in ("right of", "below"):
            return f" {OPPOSITE[self.relation]} ".join(reversed(words))
        return f" {self.relation} ".join(words) if self.relation else " and ".join(sorted(words))

    def facts(self) -> list[str]:
        return [sentence for phrase in self.phrases for sentence in phrase.facts()]

    def spec(self) -> dict:
        """GenEval's metadata: `tag`, `prompt`, `include` clauses (ANDed), `exclude` clauses (at least n is wrong).

        A clause has `class`, `count` and, where asked, `color`, `size`, `position: [relation, index of the target]`.
        Counts of two and more, and counts asked as riddles, exclude one more.
        """
        clauses = []
        for phrase in reversed(self.phrases) if self.relation else self.phrases:
            clause: dict = {"class": phrase.shape, "count": phrase.count}
            if phrase.color:
                clause["color"] = phrase.color
            if phrase.size:
                clause["size"] = phrase.size
            clauses.append(clause)
        exclude = [
            {**clause, "count": phrase.count + 1}
            for clause, phrase in zip(clauses, reversed(self.phrases) if self.relation else self.phrases, strict=True)
            if phrase.count > 1 or phrase.count_of
        ]
        if self.relation:
            clauses[1]["position"] = [self.relation, 0]
        return {"tag": self.category, "prompt": self.text(), "include": clauses, "exclude": exclude}


def _fold(words: list[str]) -> str:
    return " ".join(SYNONYMS.get(w, w) for w in words)


_FACTS = {kind: {_fold(thing.split()): thing for thing in facts} for kind, facts in
          (("color", COLOR_FACTS), ("count", COUNT_FACTS), ("shape", SHAPE_FACTS))}  # fmt: skip
_WORDS = {
    "a", "and", "as", "many", "the", "color", "of", "thing", "shaped", "like", *SHAPES, *COLORS, *SIZES, *NUMBERS,
    *" ".join(RELATIONS).split(), *_fold(" ".join(LEADS).split()).split(),
    *(w for table in _FACTS.values() for thing in table for w in thing.split()),
}  # fmt: skip


def normalize(text: str) -> str:
    """Lower case, punctuation dropped, synonyms and plurals folded: what the parser reads."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    folded = " ".join(words)
    for said, meant in PHRASE_SYNONYMS.items():
        folded = re.sub(rf"\b{said}\b", meant, folded)
    return _fold(folded.split())


def unknown_words(text: str) -> list[str]:
    """Words of `text` that mean nothing in this world, in order, each once."""
    return list(dict.fromkeys(w for w in normalize(text).split() if w not in _WORDS))


def _lookup(kind: str, words: str) -> str:
    if words not in _FACTS[kind]:
        known = ", ".join(list(_FACTS[kind].values())[:6])
        raise PromptError(f"I know no {kind} riddle about '{words}'. Some that I know: {known}.")
    return _FACTS[kind][words]


def _parse_phrase(words: str) -> Phrase:
    count_of = color_of = shape_of = None
    count = 1
    if words.startswith("as many "):
        words, _, things = words[len("as many ") :].partition(" as ")
        count_of = _lookup("count", things)
        count = COUNT_FACTS[count_of][0]
    words, said, thing = words.partition(" the color of ")
    if said:
        color_of = _lookup("color", thing)
    words, said, thing = words.partition(" shaped like ")
    if said:
        shape_of = _lookup("shape", thing)
    tokens = words.split()
    if not count_of and tokens and (tokens[0] == "a" or tokens[0] in NUMBERS):
        count = NUMBERS.get(tokens.pop(0), 1)
    noun = tokens.pop() if tokens else ""
    if (noun == "thing") != bool(shape_of) or (noun not in SHAPES and noun != "thing"):
        raise PromptError(f"I expected a shape ({', '.join(SHAPES)}) in '{words}'. {what_can_be_drawn()}")
    sizes = [t for t in tokens if t in SIZES]
    colors = [t for t in tokens if t in COLORS]
    if len(sizes) > 1 or len(colors) > 1 or len(sizes) + len(colors) != len(tokens) or (colors and color_of):
        raise PromptError(f"I cannot read '{words}': before the shape come one size and one color at most.")
    return Phrase(
        shape=SHAPE_FACTS[shape_of] if shape_of else noun,
        count=count,
        color=COLOR_FACTS[color_of] if color_of else (colors[0] if colors else None),
        size=sizes[0] if sizes else None,
        color_of=color_of,
        count_of=count_of,
        shape_of=shape_of,
    )


def parse(text: str) -> Prompt:
    """Read a prompt in free words.

    Raises:
        PromptError: unknown words, or known words in an order that the grammar does not have, or more shapes
            than the picture has places.
    """
    unknown = unknown_words(text)
    if unknown:
        raise PromptError(
            f"I do not know the word{'s' * (len(unknown) > 1)} {', '.join(unknown)}. {what_can_be_drawn()}"
        )
    words = normalize(text)
    said = [lead for lead in LEADS if lead and words.startswith(_fold(lead.split()) + " ")]
    lead = max(said, key=len, default="")
    words = words[len(_fold(lead.split())) :].strip()
    if not words:
        raise PromptError(f"The prompt names no shape. {what_can_be_drawn()}")
    joints = [(j, words.partition(f" {j} ")) for j in (*RELATIONS, "and") if f" {j} " in words]
    if len(joints) > 1 or any(f" {j} " in parts[2] for j, parts in joints):
        raise PromptError(f"I can relate two groups of shapes at most, and '{text}' has more. {what_can_be_drawn()}")
    if joints:
        joint, (first, _, second) = joints[0]
        phrases = (_parse_phrase(first), _parse_phrase(second))
        prompt = Prompt(phrases, None if joint == "and" else joint, lead)
    else:
        prompt = Prompt((_parse_phrase(words),), None, lead)
    if prompt.total > len(PLACES):
        raise PromptError(f"{prompt.total} shapes do not fit: the picture has {GRID}x{GRID} places.")
    if prompt.relation and prompt.total > MOST_RELATED:
        raise PromptError(f"{prompt.total} shapes do not fit so that each one is {prompt.relation} each other one.")
    return prompt
