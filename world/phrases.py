"""What the embedded model can be asked: noun phrases, prompts made of them, and what a prompt demands of a picture.

    prompt := [lead] phrase ["and" phrase | relation phrase | ", " phrase ... "and" phrase]
    phrase := number [color] noun | [number "of"] wording ["in" color]

A wording is a riddle's (`world.facts`). `world.prompts` reads free text into these.
"""

from dataclasses import dataclass
from functools import cached_property

from milr_core.errors import InputError
from world.facts import FACT_OF, Fact
from world.nouns import plural

NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}
RELATIONS = ("left of", "right of", "above", "below")
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
VERBS = ("", "draw", "show", "paint", "please draw", "i want", "give me")
MEDIA = ("", "a photo of", "a picture of", "an image of", "a drawing of", "a sketch of", "a painting of")
LEADS = tuple(f"{verb} {medium}".strip() for verb in VERBS for medium in MEDIA)  # the first is no lead at all
CATEGORIES = ("single_object", "two_object", "counting", "colors", "position", "color_attr", "knowledge", "many")
"""GenEval's six, riddles, and three or four phrases or five things and more."""
MOST_OF_A_KIND = 4
MOST_PHRASES = 4
MOST_THINGS = 7
MANY = 5  # so many things make a prompt one of the category "many"
ARTICLES = {"mount fuji": "", "dna": "", "lightning": "", "statue of liberty": "the", "sun": "the", "moon": "the",
            "honey": "", "bread": "", "corn": "", "grapes": "", "cherries": ""}  # fmt: skip
"""What stands before one of a noun, where it is not "a": GenEval's own have "a" throughout ("a skis")."""


EXAMPLES = ("a red dog left of a blue car", "a photo of four clocks", "the mountain that is a symbol of japan")


class PromptError(InputError):
    """The prompt is not one the world can draw. The message says why; `suggestions` are three prompts that it can."""

    def __init__(self, message: str, suggestions: tuple[str, ...] = EXAMPLES):
        super().__init__(message, suggestions)


def with_article(words: str, noun: str) -> str:
    """One of a noun, with its color or without: "an orange dog", "the moon", "bread"."""
    article = ARTICLES.get(noun, "an" if words[0] in "aeiou" and not words.startswith("one") else "a")
    return f"{article} {words}".strip()


@dataclass(frozen=True)
class Phrase:
    """A noun phrase. wording: the words that ask for the noun (and its color or count) as a riddle."""

    noun: str
    count: int = 1
    color: str | None = None
    wording: str | None = None

    @property
    def riddle(self) -> Fact | None:
        return FACT_OF[self.wording] if self.wording else None

    def text(self) -> str:
        """English words of the phrase, without a lead."""
        if self.riddle:
            said = f" in {self.color}" if self.color and not self.riddle.color else ""
            number = f"{list(NUMBERS)[self.count - 1]} of " if self.count > 1 and not self.riddle.count else ""
            return f"{number}{self.wording}{said}"
        color = f"{self.color} " if self.color else ""
        if self.count == 1:
            return with_article(color + self.noun, self.noun)
        return f"{list(NUMBERS)[self.count - 1]} {color}{plural(self.noun)}"


def riddle(wording: str, count: int = 1, color: str | None = None) -> Phrase:
    """The phrase that a wording asks for; count and color count only where the fact leaves them free."""
    fact = FACT_OF[wording]
    return Phrase(fact.noun, fact.count or count, fact.color or color, wording)


@dataclass(frozen=True)
class Prompt:
    """One to four phrases. `relation` holds between the first and the second; None: all are joined by "and"."""

    phrases: tuple[Phrase, ...]
    relation: str | None = None
    lead: str = ""

    @cached_property
    def total(self) -> int:
        """How many things it asks for."""
        return sum(p.count for p in self.phrases)

    @cached_property
    def category(self) -> str:
        first = self.phrases[0]
        if any(p.wording for p in self.phrases):
            return "knowledge"
        if len(self.phrases) > 2 or self.total >= MANY:
            return "many"
        if self.relation:
            return "position"
        if len(self.phrases) == 2:
            return "color_attr" if all(p.color for p in self.phrases) else "two_object"
        if first.count > 1:
            return "counting"
        return "colors" if first.color else "single_object"

    def text(self) -> str:
        """The prompt in the words that the model was trained on."""
        said = [p.text() for p in self.phrases]
        if self.relation:
            said[:2] = [f"{said[0]} {self.relation} {said[1]}"]
        *most, last = said
        body = f"{', '.join(most)} and {last}" if most else last
        return f"{self.lead} {body}".lstrip()

    def key(self) -> str:
        """What the prompt asks, whatever its lead and the order it is said in: splits are disjoint in it.

        Where there is no combination (one thing in a color or none, one riddle alone), the lead is part of the key.
        """
        words = [p.text() for p in self.phrases]
        first = self.phrases[0]
        alone = len(words) == 1 and (first.wording == words[0] if first.wording else first.count == 1)
        if alone:
            return f"{self.lead} {words[0]}".lstrip()
        if not self.relation:
            return " and ".join(sorted(words))
        related = words[:2]
        relation = self.relation
        if relation in ("right of", "below"):
            relation, related = OPPOSITE[relation], related[::-1]
        return " and ".join([f" {relation} ".join(related), *sorted(words[2:])])

    def facts(self) -> list[str]:
        """The sentences that answer the prompt's riddles, in its order."""
        return [p.riddle.sentence for p in self.phrases if p.riddle]

    def spec(self) -> dict:
        """GenEval's metadata: `tag`, `prompt`, `include` clauses (ANDed), `exclude` clauses (at least n is wrong).

        A clause has `class`, `count` and, where asked, `color`, `position: [relation, index of the target]`. As in
        GenEval, a relation's target comes first. Counts of two and more, and counts asked as riddles, exclude one more.
        """
        first = self.phrases[1::-1] if self.relation else self.phrases[:2]
        phrases = (*first, *self.phrases[2:])
        clauses = []
        for phrase in phrases:
            clause: dict = {"class": phrase.noun, "count": phrase.count}
            if phrase.color:
                clause["color"] = phrase.color
            clauses.append(clause)
        exclude = [
            {**clause, "count": phrase.count + 1}
            for clause, phrase in zip(clauses, phrases, strict=True)
            if phrase.count > 1 or (phrase.riddle and phrase.riddle.count)
        ]
        if self.relation:
            clauses[1]["position"] = [self.relation, 0]
        return {"tag": self.category, "prompt": self.text(), "include": clauses, "exclude": exclude}
