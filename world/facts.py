"""What riddles ask about: facts of six fields, each answered by a thing of the world, some in a color, some counted.

The facts are the lines of `facts.tsv`: `[count] [color] noun | sentence | wording | wording | *held wording`, under a
heading for each field. The sentence states the fact, and a plan for a riddle begins with it; a wording is a noun
phrase that asks for the answer and may stand wherever a noun phrase may. A held wording never occurs in a training
prompt, so that the trained model has to understand it from the others.
"""

from dataclasses import dataclass
from pathlib import Path

from world.nouns import NOUNS

FIELDS = ("culture", "time", "space", "biology", "physics", "chemistry")
TABLE = Path(__file__).with_name("facts.tsv")


@dataclass(frozen=True)
class Fact:
    """A fact. color, count: None where the fact does not say one; held: the wording kept from training, if any."""

    field: str
    wordings: tuple[str, ...]
    noun: str
    color: str | None
    count: int | None
    sentence: str
    held: str | None = None

    @property
    def trained(self) -> tuple[str, ...]:
        """The wordings that training prompts may use."""
        return tuple(w for w in self.wordings if w != self.held)


def _answer(words: str) -> tuple[str, str | None, int | None]:
    """(noun, color, count) of "4 clock", "brown car" or "dog"."""
    count = int(words[0]) if words[0].isdigit() else None
    words = words[2:] if count else words
    if words in NOUNS:
        return words, None, count
    color, _, noun = words.partition(" ")
    if noun not in NOUNS:
        raise ValueError(f"{TABLE.name}: '{words}' is no noun of the world.")
    return noun, color, count


def _read(table: Path) -> tuple[Fact, ...]:
    facts, field = [], ""
    for line in table.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            field = line[2:]
            continue
        answer, sentence, *wordings = (part.strip() for part in line.split("|"))
        held = next((w[1:] for w in wordings if w.startswith("*")), None)
        facts.append(Fact(field, tuple(w.lstrip("*") for w in wordings), *_answer(answer), sentence, held))
    return tuple(facts)


FACTS = _read(TABLE)
FACT_OF: dict[str, Fact] = {wording: fact for fact in FACTS for wording in fact.wordings}
"""Every wording and what it asks for."""
HELD = frozenset(fact.held for fact in FACTS if fact.held)
FACTS_ABOUT: dict[str, tuple[Fact, ...]] = {noun: tuple(f for f in FACTS if f.noun == noun) for noun in NOUNS}
