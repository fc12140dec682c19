"""Prompt sets of the embedded world, judged by its oracle, which reads pixels by GenEval's rules.

Figures on them are not the benchmarks' own: the pictures are the world's, the detector is the world's, and the oracle
may be the critic of a search and its judge at once.
"""

import os
import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

from bench.layouts import Item
from milr_core.critics.geneval_spec import TAGS
from milr_core.errors import InputError
from world.facts import FACTS, FIELDS
from world.phrases import Prompt, riddle
from world.sampling import SPLITS, prompt_set, split_of
from world.scene import COLORS

PER_CATEGORY = 50
GENEVAL_FILE = "evaluation_metadata.jsonl"
GENEVAL_VARIABLE = "MILR_GENEVAL"  # the environment's way to say where the file is


def _interleaved(rows: Iterable[Iterable[Item]]) -> tuple[Item, ...]:
    """Categories in turn, so that any first n are balanced."""
    return tuple(item for item in chain.from_iterable(zip_longest(*rows)) if item)


def world(split: str = "test", sets: int = 1, tags: tuple[str, ...] = ()) -> tuple[Item, ...]:
    """Held-out prompts of the world. sets: how many times 50 a category to draw. tags: of these categories only.

    Raises:
        InputError: no such split, or that of training.
    """
    if split not in SPLITS or split == "train":
        raise InputError(f"The suite world has the splits validation and test; got '{split}'.")
    by_category: dict[str, dict[str, Item]] = {}
    for seed in range(sets):
        for prompt in prompt_set(split, PER_CATEGORY, seed):
            own = by_category.setdefault(prompt.category, {})
            name = f"{prompt.category}-{len(own):03d}"
            own.setdefault(prompt.text(), Item(name, prompt.text(), prompt.category, len(own), prompt.spec()))
    return _interleaved(own.values() for category, own in by_category.items() if not tags or category in tags)


def geneval_like(sets: int = 1) -> tuple[Item, ...]:
    """Prompts of GenEval's six categories from the world's own test split: its kinds of task, not its lines."""
    return world("test", sets, TAGS)


def riddles() -> tuple[Item, ...]:
    """WISE-like: every held-out way to ask for a fact, alone and in a color, by the facts' six fields."""
    rows: dict[str, list[Item]] = {field: [] for field in FIELDS}
    for fact in FACTS:
        rng = random.Random(fact.sentence)
        for wording in fact.wordings:
            colored = [riddle(wording, 1, rng.choice(list(COLORS)))] if not fact.color and not fact.count else []
            for phrase in (riddle(wording), *colored):
                prompt = Prompt((phrase,))
                if split_of(prompt) == "test":
                    own = rows[fact.field]
                    own.append(Item(f"{fact.field}-{len(own):03d}", prompt.text(), fact.field, len(own), prompt.spec()))
    return _interleaved(rows.values())


def geneval_file() -> Path | None:
    """GenEval's own file where it is on this machine: as the environment says, or beside the checkout; else None.

    Raises:
        InputError: the environment names a file that is not there.
    """
    said = os.environ.get(GENEVAL_VARIABLE)
    if said:
        path = Path(said) / GENEVAL_FILE if Path(said).is_dir() else Path(said)
        if not path.is_file():
            raise InputError(f"{GENEVAL_VARIABLE} says {path}, and there is no such file.")
        return path
    checkout = Path(__file__).resolve().parents[1]
    places = [shared / "shared/benchmarks/geneval" / GENEVAL_FILE for shared in (checkout, checkout.parent)]
    return next((path for path in places if path.is_file()), None)


def in_turn(items: Iterable[Item]) -> tuple[Item, ...]:
    """Items of a file whose categories follow each other, categories in turn."""
    rows: dict[str, list[Item]] = {}
    for item in items:
        rows.setdefault(item.category, []).append(replace(item, metadata={"exclude": [], **item.metadata}))
    return _interleaved(rows.values())
