"""Free text to a prompt: what the visitor asked, in the words that the model was trained on, and what was passed over.

`read` never drops a word in silence: what it takes for another word, and what cannot be drawn, stands in the notes;
what it cannot make sense of is a `PromptError` with three prompts that it can draw. The grammar is in `world.phrases`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from world.facts import FACTS
from world.nouns import KINDS, NOUNS
from world.phrases import (
    CATEGORIES,
    EXAMPLES,
    LEADS,
    MOST_OF_A_KIND,
    MOST_THINGS,
    NUMBERS,
    OPPOSITE,
    RELATIONS,
    Phrase,
    Prompt,
    PromptError,
    riddle,
    with_article,
)
from world.reading import clean, is_riddle_like, likeliest_riddles, mend, take_lead, turned
from world.scene import COLORS
from world.spelling import nearest
from world.understanding import UnknownThingError, three, understand
from world.words import NEAREST

__all__ = [
    "CATEGORIES", "LEADS", "NUMBERS", "OPPOSITE", "RELATIONS", "Phrase", "Prompt", "PromptError", "Reading", "parse",
    "read", "riddle", "what_can_be_drawn",
]  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """A prompt as it was understood. text: the same in the model's words; notes: what was changed or passed over."""

    prompt: Prompt
    text: str
    notes: tuple[str, ...]


def what_can_be_drawn() -> str:
    """One paragraph for visitors: what the embedded model knows."""
    one, two, three_ = EXAMPLES
    return (
        f"It draws {len(NOUNS)} things ({', '.join(KINDS)}), each in its own colors or in one of ten "
        f"({', '.join(COLORS)}): one to {MOST_OF_A_KIND} of a kind, up to {MOST_THINGS} in all, alone, joined by "
        f"'and', or one kind left of, right of, "
        f"above or below another. It also knows riddles about {len(FACTS)} facts. For example: "
        f"'{one}', '{two}', '{three_}'."
    )


def parse(text: str) -> Prompt:
    """The prompt that free text asks for.

    Raises:
        PromptError: a thing that the world lacks, more of them than it draws, or no thing at all.
    """
    return read(text).prompt


@lru_cache(maxsize=32)  # every step of a search asks again
def read(text: str) -> Reading:
    """Read a prompt as people type it.

    Raises:
        PromptError: a thing that the world lacks, more of them than it draws, or no thing at all.
    """
    notes: list[str] = []
    words = clean(text, notes)
    lead, body = take_lead(words, notes)
    if not body:
        raise PromptError("The prompt names nothing to draw. Try one of the examples.")
    body = turned(mend(body, notes))
    try:
        prompt = understand(body, lead, notes)
    except UnknownThingError as unknown:
        raise _refusal(unknown, body, lead) from None
    return Reading(prompt, prompt.text(), tuple(dict.fromkeys(notes)))


def _nearest(head: str) -> tuple[str, ...]:
    """The three nouns nearest to one that the world lacks: by meaning where a table knows it, by spelling elsewhere."""
    for said in (head, head.removesuffix("s"), head.removesuffix("es")):
        if said in NEAREST:
            return NEAREST[said]
    return nearest(head, NOUNS)


def _refusal(unknown: UnknownThingError, body: str, lead: str) -> PromptError:
    """The error for a thing that the world lacks; its suggestions are the prompt with one of the three nearest each."""
    if is_riddle_like(unknown.words):
        likeliest = [wording for _, wording in likeliest_riddles(unknown.words)[:3]]
        return PromptError(
            f"I do not know '{unknown.words}'. The nearest riddles that I know are these.", three(*likeliest)
        )
    nouns = _nearest(unknown.head)
    prompts = [_with(noun, unknown, body, lead) for noun in nouns]
    others = " or ".join((", ".join(nouns[:2]), nouns[2]))
    return PromptError(f"I cannot draw '{unknown.head}'. The nearest that I can draw: {others}.", three(*prompts))


def _with(noun: str, unknown: UnknownThingError, body: str, lead: str) -> str:
    """The prompt with a noun for the unknown one and the nearest for others unknown; the noun alone if that fails."""
    for _ in range(MOST_THINGS):
        body = re.sub(rf"\b{re.escape(unknown.head)}\b", noun, body)
        try:
            return understand(body, lead, []).text()
        except UnknownThingError as another:
            if another.head not in body.split():
                break
            unknown, noun = another, _nearest(another.head)[0]
        except PromptError:
            break
    return with_article(noun, noun)
