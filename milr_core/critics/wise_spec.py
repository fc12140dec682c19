"""What WISE asks, on either of its scales: items, categories, weights. Knows nothing of judges.

The items (Prompt, Explanation, Category, Subcategory, prompt_id) have no licence: download them and give their path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from milr_core.benchmark_files import read_objects
from milr_core.critics.prices import DEFAULT_JUDGE
from milr_core.errors import InputError

CATEGORIES = ("culture", "time", "space", "biology", "physics", "chemistry")


@dataclass(frozen=True)
class Scale:
    """last: the last prompt_id of each category, in order. weights: of the categories. judge: unless another is said;
    the paper's own, gpt-4o-2024-05-13, was shut down in October 2026.
    """

    name: str
    judge: str
    last: tuple[int, ...]
    weights: Mapping[str, float]

    def category_of(self, prompt_id: int) -> str:
        """Raises InputError for an id that is none of the scale's."""
        if not isinstance(prompt_id, int) or not 1 <= prompt_id <= self.last[-1]:
            raise InputError(f"WISE's prompt_id lies in 1 to {self.last[-1]}; got {prompt_id!r:.40}.")
        return next(name for name, last in zip(CATEGORIES, self.last, strict=True) if prompt_id <= last)


def _weights(*values: float) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(CATEGORIES, values, strict=True)))


SCALES = {
    "original": Scale(
        "original", DEFAULT_JUDGE, (400, 567, 700, 800, 900, 1000), _weights(0.4, 0.167, 0.133, 0.1, 0.1, 0.1)
    ),
    "verified": Scale("verified", "Qwen3.5-35B-A3B", (400, 520, 640, 760, 880, 1000), _weights(0.4, *[0.12] * 5)),
}


@dataclass(frozen=True)
class WiseItem:
    """record: as it is in the file."""

    number: int
    prompt: str
    explanation: str
    record: dict[str, Any]


def read_items(path: str | Path) -> list[WiseItem]:
    """WISE's items by prompt_id, from a file (a list, or an object a line) or from a folder as it is published.

    In a folder rewrites of the prompts (`*_rewrite.json`) are left out, and an item that two files have (`merge.json`
    holds all of them once more) is taken once.

    Raises:
        InputError: nothing there that can be read, an item that lacks something, or two that differ under one id.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in (".json", ".jsonl") and "rewrite" not in p.stem)
    items: dict[int, WiseItem] = {}
    for file in files:
        for where, record in read_objects(file):
            item = _item(record, where)
            before = items.setdefault(item.number, item)
            if (before.prompt, before.explanation) != (item.prompt, item.explanation):
                raise InputError(f"{where}: prompt_id {item.number} is there twice, with different words.")
    if not items:
        raise InputError(f"There are no items of WISE in {path}: give its JSON file or the folder that holds them.")
    return [items[number] for number in sorted(items)]


def _item(record: dict[str, Any], where: str) -> WiseItem:
    number, words = record.get("prompt_id"), [record.get(name) for name in ("Prompt", "Explanation")]
    if isinstance(number, str) and number.isascii() and number.isdecimal() and len(number) <= 4:
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(f"{where} is no item of WISE: it needs a prompt_id from 1 to 1000.")
    if not 1 <= number <= 1000:
        raise InputError(f"{where}: WISE's prompt_id lies in 1 to 1000; got {number!r:.40}.")
    if not all(isinstance(text, str) and text.strip() for text in words):
        raise InputError(f"{where} is no item of WISE: it needs Prompt and Explanation.")
    return WiseItem(number, str(words[0]).strip(), str(words[1]).strip(), record)
