"""How people type, second part: tokens to a prompt. Noun phrases, joints, relations, and what is passed over.

Tokens between two joints are a segment; a segment holds one noun phrase or more ("a cat riding a horse"). What it
says that no prompt can hold goes into the notes.
"""

import re
from dataclasses import dataclass, field, replace

from world.nouns import plural
from world.phrases import (
    EXAMPLES,
    MOST_OF_A_KIND,
    MOST_PHRASES,
    MOST_THINGS,
    NUMBERS,
    RELATIONS,
    Phrase,
    Prompt,
    PromptError,
    riddle,
)
from world.reading import (
    AND,
    ARTICLES,
    BESIDE,
    FORMS,
    NOT,
    RELATION_OF,
    SIDE_OF,
    VAGUE,
    WHERE,
    guess_riddles,
    number_of,
    take_riddles,
    tokenize,
)
from world.sampling import placements_exist
from world.scene import COLORS
from world.words import FILLERS, LOOKS, NEAREST, NO_COLORS, SHADES

_NUMBER = r"one|two|three|four|five|six|seven|eight|nine|[0-9]+"
_COUNTED = re.compile(rf"\b({_NUMBER}) of (?=§)")  # "two of the animal that barks"
_IN_COLOR = re.compile(rf" in ({'|'.join(COLORS)})(?= (?:,|(?:and|left|right|above|below|next|on|to)\b)|$)")


class UnknownThingError(Exception):
    """A noun phrase whose noun the world lacks. head: the noun as it was said."""

    def __init__(self, words: str, head: str):
        super().__init__(words)
        self.words, self.head = words, head


def understand(body: str, lead: str, notes: list[str]) -> Prompt:
    """The prompt that a cleaned text without its lead asks for; what is passed over is added to the notes.

    Raises:
        UnknownThingError: a noun phrase about something that the world lacks.
        PromptError: more things than it draws, or none.
    """
    riddles: list[str] = []
    body = guess_riddles(take_riddles(body, riddles), riddles, notes)
    body = _IN_COLOR.sub(r" \1", _COUNTED.sub(r"\1 ", body))
    understanding = Understanding(riddles, notes)
    for segment in _segments(tokenize(body)):
        understanding.add(segment)
    return understanding.prompt(lead)


def three(*prompts: str) -> tuple[str, ...]:
    """Exactly three different suggestions, filled up with examples."""
    return tuple(dict.fromkeys((*prompts, *EXAMPLES)))[:3]


def _is_verb(tokens: list[str]) -> bool:
    """Whether a segment that begins with "-ing" says what is done, not what is there ("ring" is no verb)."""
    return tokens[0] not in NEAREST and tokens[0] not in FORMS


@dataclass
class Draft:
    """A noun phrase while it is read. colors: all that were said; skipped: words that cannot be drawn."""

    noun: str | None = None
    word: str = ""  # the noun as it was said
    wording: str | None = None
    count: int | None = None
    many: bool = False
    colors: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    side: str | None = None

    @property
    def found(self) -> bool:
        return bool(self.noun or self.wording)


@dataclass
class Segment:
    """Tokens between two joints. joint: "", "and", a relation, or one of the words of BESIDE, WHERE, NOT."""

    joint: str
    tokens: list[str]
    side: str | None = None


def _segments(tokens: list[str]) -> list[Segment]:
    """Split at joints; of several joints in a row the strongest counts (not, relation, beside, where, and)."""

    def rank(joint: str) -> int:
        groups = (NOT, RELATIONS, BESIDE, WHERE, AND)
        return next((len(groups) - i for i, group in enumerate(groups) if joint in group), 0)

    segments = [Segment("", [])]
    for token in tokens:
        joint = RELATION_OF.get(token, token)
        if token in SIDE_OF:
            segments[-1].side = SIDE_OF[token]
        elif rank(joint):
            last = segments[-1]
            if any(t not in ARTICLES and t not in FILLERS for t in last.tokens) or last.side:
                segments.append(Segment(joint, []))
            elif rank(joint) > rank(last.joint):
                last.joint = joint
        else:
            segments[-1].tokens.append(token)
    return segments


def _chunks(tokens: list[str]) -> list[list[str]]:
    """Split tokens where a new noun phrase begins: an article or number after a noun, a noun after other words.

    Colors right before that noun are its own.
    """
    chunks: list[list[str]] = [[]]
    seen_noun = gap = False
    for index, token in enumerate(tokens):
        number = number_of(token) is not None
        is_noun = token in FORMS or token.startswith("§")
        starts = token in ARTICLES or number
        follows_start = index > 0 and (tokens[index - 1] in ARTICLES or number_of(tokens[index - 1]) is not None)
        another = is_noun and seen_noun and gap
        if another or (starts and not follows_start and chunks[-1] and (seen_noun or gap)):
            end = len(chunks[-1])
            while another and end > 1 and chunks[-1][end - 1] in COLORS:
                end -= 1
            chunks[-1:] = [chunks[-1][:end], chunks[-1][end:]]
            seen_noun = gap = False
        chunks[-1].append(token)
        if is_noun:
            seen_noun, gap = True, False
        elif not starts and (seen_noun or token not in COLORS):
            gap = gap or token not in FILLERS
    return chunks


def _draft(tokens: list[str], riddles: list[str]) -> Draft:
    """One noun phrase. "orange" is a fruit unless a noun follows; of nouns side by side the last one counts."""
    draft = Draft(said=[riddles[int(t[1:])] if t.startswith("§") else t for t in tokens])
    for index, token in enumerate(tokens):
        rest = tokens[index + 1 :]
        color = token in COLORS and (token not in FORMS or draft.found or any(t in FORMS or t[0] == "§" for t in rest))
        if token.startswith("§"):
            draft.wording = riddles[int(token[1:])]
        elif color or token in SHADES or token in NO_COLORS:
            draft.colors.append(token)
        elif token in FORMS:
            if draft.noun:
                draft.skipped.append(tokens[index - 1])
            draft.noun, draft.word, draft.many = FORMS[token].noun, token, FORMS[token].plural
        elif (number := number_of(token)) is not None:
            before = next((t for t in reversed(tokens[:index]) if number_of(t) not in (None, number)), None)
            draft.skipped += [before] if before else []  # of "3-4 dogs" the last one counts
            draft.count = number
        elif token in ARTICLES:
            draft.count = draft.count or (1 if token in ("a", "an", "another") else None)
        elif token not in FILLERS:
            draft.skipped.append(token)
    return draft


def _color(draft: Draft, notes: list[str]) -> str | None:
    """The one color of ten that a draft gets; the others are said to be ignored."""
    color = None
    for said in draft.colors:
        meant = SHADES.get(said, said)
        if said in NO_COLORS:
            notes.append(f"ignored: {said}, which is none of its ten colors ({', '.join(COLORS)})")
        elif color and meant != color:
            notes.append(f"ignored: {said}, because a thing has one color")
        else:
            color = meant
            if said != meant:
                notes.append(f"read '{said}' as '{meant}'")
    return color


def _phrase(draft: Draft, notes: list[str]) -> Phrase:
    color = _color(draft, notes)
    if draft.skipped:
        notes.append(f"ignored: {', '.join(draft.skipped)}")
    if draft.wording:
        phrase = riddle(draft.wording, draft.count or 1, color)
        if (draft.count or phrase.count) != phrase.count or (color or phrase.color) != phrase.color:
            notes.append(f"'{draft.wording}' says by itself how many or in what color")
    else:
        assert draft.noun is not None
        word = draft.word
        if word not in (draft.noun, plural(draft.noun), draft.noun + "s"):
            notes.append(f"read '{word}' as '{plural(draft.noun) if draft.many else draft.noun}'")
        count = draft.count
        if count is None:
            count = 2 if draft.many and plural(draft.noun) != draft.noun else 1
            if count > 1:
                notes.append(f"read '{word}' as 'two {plural(draft.noun)}'")
        vague = next((t for t in draft.said if t in VAGUE), None)
        if vague:
            notes.append(f"read '{vague}' as 'three'")
        if draft.noun in ("skis", "scissors", "cherries") and any(t.endswith("pair of") for t in draft.said):
            count = 1
        phrase = Phrase(draft.noun, count, color)
    if phrase.count > MOST_OF_A_KIND:
        name = plural(phrase.noun)
        raise PromptError(
            f"It draws up to {MOST_OF_A_KIND} of a kind: {phrase.count} {name} are too many.",
            tuple(f"{number} {name}" for number in reversed(NUMBERS) if number != "one"),
        )
    return phrase


class Understanding:
    """The phrases and the relations between them, collected segment by segment."""

    def __init__(self, riddles: list[str], notes: list[str]):
        self.riddles, self.notes = riddles, notes
        self.drafts: list[Draft] = []
        self.relations: list[tuple[int, str]] = []  # (index of the second phrase, relation)
        self.carried = Draft()  # number and colors of "two black" in "two black and white cats"
        self.negated = False

    def said(self, tokens: list[str]) -> str:
        return " ".join(self.riddles[int(t[1:])] if t.startswith("§") else t for t in tokens)

    def add(self, segment: Segment) -> None:
        joint, notes = segment.joint, self.notes
        words = self.said([joint, *segment.tokens])
        self.negated = joint in NOT or (self.negated and joint in ("or", "nor"))
        if self.negated:
            notes.append(f"ignored: {words.strip()} (it cannot be told what to leave out)")
            return
        if joint in RELATIONS and not (segment.tokens and self.drafts):
            notes.append(f"ignored: {joint} (of what, it does not say)")
        if segment.tokens and segment.tokens[0] in ("what", "where", "who", "whose"):
            raise UnknownThingError(self.said(segment.tokens), segment.tokens[-1])
        if (
            self.drafts
            and joint in AND
            and segment.tokens
            and segment.tokens[0].endswith("ing")
            and _is_verb(segment.tokens)
        ):
            notes.append(f"ignored: {words.removeprefix(',').strip()}")
            return
        for number, chunk in enumerate(_chunks(segment.tokens)):
            draft = _draft(chunk, self.riddles)
            joint = segment.joint if number == 0 else "and"
            if draft.count == 0 and draft.found:
                notes.append(f"ignored: {self.said(chunk)} (it cannot be told what to leave out)")
            elif draft.found:
                self._found(draft, joint)
            else:
                self._nothing_found(draft, joint, chunk)
        if self.drafts and segment.side:
            self.drafts[-1].side = segment.side

    def _found(self, draft: Draft, joint: str) -> None:
        head = draft.skipped[-1] if draft.skipped else ""
        if head and draft.said[-1] == head and head in NEAREST and head not in LOOKS:
            raise UnknownThingError(" ".join(draft.said), head)  # "apple pie"
        draft.colors = self.carried.colors + draft.colors
        draft.count = draft.count if draft.count is not None else self.carried.count
        self.carried = Draft()
        if joint in RELATIONS and self.drafts:
            self.relations.append((len(self.drafts), joint))
        elif (joint in BESIDE or joint in WHERE) and self.drafts:
            self.notes.append(f"read '{joint}' as 'and': it draws left of, right of, above and below")
        self.drafts.append(draft)

    def _nothing_found(self, draft: Draft, joint: str, chunk: list[str]) -> None:
        strange = [w for w in draft.skipped if w not in LOOKS]
        if not strange and (draft.colors or not self.drafts):
            if draft.skipped:
                self.notes.append(f"ignored: {', '.join(draft.skipped)}")
            if self.drafts and (joint in WHERE or "is" in chunk or "are" in chunk):
                self.drafts[-1].colors += draft.colors  # "a dog, which is red"
            else:
                self.carried = draft
            return
        if not draft.skipped:
            return
        words = self.said([joint, *chunk] if joint in BESIDE or joint in WHERE else chunk)
        head = next((w for w in reversed(strange) if w in NEAREST), strange[-1] if strange else "")
        passed_over = joint in WHERE or (joint in BESIDE and head not in NEAREST) or not strange
        if self.drafts and passed_over:
            self.notes.append(f"ignored: {words}")
            return
        raise UnknownThingError(self.said(chunk), head or draft.skipped[-1])

    def prompt(self, lead: str) -> Prompt:
        if not self.drafts:
            left_out = "It cannot be told what to leave out. " if self.negated else ""
            raise PromptError(f"{left_out}The prompt names nothing to draw. Try one of the examples.")
        if self.carried.colors:
            self.drafts[-1].colors += self.carried.colors
        self._read_sides()
        phrases = [_phrase(draft, self.notes) for draft in self.drafts]
        relation = None
        if len(self.relations) > 1:
            (one, first), (two, second) = self.relations[:2]
            raise PromptError(
                f"It draws one relation at a time, and '{first}' and '{second}' are two.",
                three(
                    Prompt((phrases[one - 1], phrases[one]), first).text(),
                    Prompt((phrases[two - 1], phrases[two]), second).text(),
                ),
            )
        if self.relations:
            second, relation = self.relations[0]
            phrases = [*phrases[second - 1 : second + 1], *phrases[: second - 1], *phrases[second + 1 :]]
        return _checked(_merged(phrases, relation), relation, lead)

    def _read_sides(self) -> None:
        """ "a dog on the left and a cat on the right" is a relation; one side alone is passed over."""
        sides = [draft.side for draft in self.drafts]
        opposite: dict[tuple[str | None, ...], str] = {
            ("left", "right"): "left of",
            ("right", "left"): "right of",
            ("top", "bottom"): "above",
            ("bottom", "top"): "below",
        }
        relation = opposite.get(tuple(sides[:2]))
        if relation and not self.relations:
            self.relations.append((1, relation))
            sides = sides[2:]
        for side in filter(None, sides):
            self.notes.append(f"ignored: {side} (places are the plan's choice)")


def _merged(phrases: list[Phrase], relation: str | None) -> list[Phrase]:
    """Phrases of the same noun and color are one: "a cat and a cat" is "two cats"."""
    merged: list[Phrase] = []
    for index, phrase in enumerate(phrases):
        same = next((i for i, p in enumerate(merged) if (p.noun, p.color) == (phrase.noun, phrase.color)), None)
        if same is None or phrase.wording or merged[same].wording or (relation and index == 1):
            merged.append(phrase)
        else:
            merged[same] = replace(merged[same], count=merged[same].count + phrase.count)
    return merged


def _checked(phrases: list[Phrase], relation: str | None, lead: str) -> Prompt:
    """The prompt, if the picture has room for it."""
    few = [replace(p, count=min(p.count, MOST_OF_A_KIND)) for p in phrases]
    fewer = three(*(Prompt((few[i], few[j])).text() for i in range(len(few)) for j in range(i + 1, len(few))
                     if few[i].noun != few[j].noun))  # fmt: skip
    total = sum(p.count for p in phrases)
    if max(p.count for p in phrases) > MOST_OF_A_KIND:
        raise PromptError(f"It draws up to {MOST_OF_A_KIND} of a kind, and the prompt asks for more.", fewer)
    if len(phrases) > MOST_PHRASES:
        raise PromptError(f"It draws up to {MOST_PHRASES} different things, and the prompt has {len(phrases)}.", fewer)
    if total > MOST_THINGS:
        raise PromptError(f"It draws up to {MOST_THINGS} things in all, and the prompt asks for {total}.", fewer)
    if relation and (phrases[0].noun, phrases[0].color) == (phrases[1].noun, phrases[1].color):
        raise PromptError(f"Two things '{relation}' each other must differ in kind or color.")
    if relation and not placements_exist(phrases[0].count, phrases[1].count):
        raise PromptError(f"{total} things do not fit so that each one is {relation} each other one.", fewer)
    return Prompt(tuple(phrases), relation, lead)
