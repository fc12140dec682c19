"""Prompt sets: the embedded world's, GenEval, T2I-CompBench, WISE, any text file or CSV. Read, never shipped.

A suite also says how the benchmark's own evaluator wants images on disk, and how it averages categories.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from bench import layouts
from milr_core.benchmark_files import FILES, fetch
from milr_core.errors import InputError
from shapes.sampling import SPLITS, prompt_set

SHAPES_PER_CATEGORY = 50
COMPBENCH = ("color", "shape", "texture", "spatial", "non_spatial", "complex")
GENEVAL = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
WISE_LAST_ID = {
    "wise": {"culture": 400, "time": 567, "space": 700, "biology": 800, "physics": 900, "chemistry": 1000},
    "wise-verified": {"culture": 400, "time": 520, "space": 640, "biology": 760, "physics": 880, "chemistry": 1000},
}
WISE_WEIGHTS = {
    "wise": {"culture": 0.4, "time": 0.167, "space": 0.133, "biology": 0.1, "physics": 0.1, "chemistry": 0.1},
    "wise-verified": {"culture": 0.4, **dict.fromkeys(("time", "space", "biology", "physics", "chemistry"), 0.12)},
}


@dataclass(frozen=True)
class Item:
    """One prompt. id: unique in its suite, fit for a file name. number: its place in the benchmark's own counting.

    critic_options: what a critic, by its name, has to be told of this prompt.
    """

    id: str
    prompt: str
    category: str
    number: int
    metadata: dict[str, Any] = field(default_factory=dict)
    critic_options: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """Items in the order in which a limit takes them. critic: what judges it unless said otherwise, with the options
    that it needs to know the suite's prompts.

    weights: of the categories in the overall figure; None is the plain mean over prompts.
    layout: where the image of an item and a seed goes, and what else the official evaluator reads beside it.
    """

    name: str
    items: tuple[Item, ...]
    critic: str = "self"
    critic_options: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] | None = None
    layout: Callable[[Item, int], dict[str, bytes | None]] = layouts.plain

    def limited(self, limit: int | None) -> "Suite":
        return replace(self, items=self.items[:limit])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}.") from error


def shapes(split: str = "test", sets: int = 1) -> Suite:
    """The embedded world's held-out prompts, categories in turn so that any first n are balanced.

    sets: how many times 50 prompts a category to draw; the first are the model card's.
    """
    if split not in SPLITS or split == "train":
        raise InputError(f"The suite shapes has the splits validation and test; got '{split}'.")
    by_category: dict[str, dict[str, Item]] = {}
    for seed in range(sets):
        for prompt in prompt_set(split, SHAPES_PER_CATEGORY, seed):
            own = by_category.setdefault(prompt.category, {})
            name = f"{prompt.category}-{len(own):03d}"
            own.setdefault(prompt.text(), Item(name, prompt.text(), prompt.category, len(own), prompt.spec()))
    rows = zip_longest(*(own.values() for own in by_category.values()))
    return Suite(f"shapes:{split}", tuple(item for item in chain.from_iterable(rows) if item), "oracle")


def geneval(path: Path) -> Suite:
    """GenEval's `evaluation_metadata.jsonl`. Overall is the unweighted mean of the tasks."""
    items = []
    for line in _read(path).splitlines():
        if not line.strip():
            continue
        row = _json(line, f"Line {len(items) + 1} of {path}")
        if not (isinstance(row, dict) and isinstance(row.get("prompt"), str) and row.get("tag") in GENEVAL):
            raise InputError(f"Line {len(items) + 1} of {path} is no GenEval metadata: it needs 'tag' and 'prompt'.")
        items.append(Item(f"{len(items):05d}", row["prompt"], row["tag"], len(items), row))
    tasks = dict.fromkeys(item.category for item in items)
    weights = dict.fromkeys(tasks, 1 / max(1, len(tasks)))
    return Suite("geneval", tuple(items), "geneval", {"metadata": str(path)}, weights, layouts.geneval)


def compbench(path: Path) -> Suite:
    """A T2I-CompBench prompt file (`color_val.txt`), or the folder of them: then the paper's six."""
    files = [path / f"{name}_val.txt" for name in COMPBENCH] if path.is_dir() else [path]
    items = []
    for file in files:
        category = file.stem.split("_val")[0]  # complex_val_action.txt and its like are parts of complex
        lines = [line.split("\t")[0].strip() for line in _read(file).splitlines()]
        prompts = [line for line in lines if line]
        told = {"compbench": {"category": category}}
        items += [Item(f"{category}-{i:05d}", p, category, i, critic_options=told) for i, p in enumerate(prompts)]
    categories = dict.fromkeys(item.category for item in items)
    weights = dict.fromkeys(categories, 1 / max(1, len(categories)))
    folder = path if path.is_dir() else path.parent
    options = {"data": str(folder)} if (folder / "complex_val_spatial.txt").exists() else {}
    return Suite("compbench", tuple(items), "compbench", options, weights, layouts.compbench)


def wise(path: Path, release: str) -> Suite:
    """WISE's JSON (a list, or one object a line), or the folder of its files; ids decide the category."""
    files = sorted(p for p in path.glob("*.json*") if "rewrite" not in p.stem) if path.is_dir() else [path]
    items: dict[int, Item] = {}
    for file in files:
        text = _read(file)
        lines = [line for line in text.splitlines() if line.strip()]
        rows = _json(text, str(file)) if text.lstrip().startswith("[") else [_json(line, str(file)) for line in lines]
        for row in rows:
            number = str(row.get("prompt_id", "")) if isinstance(row, dict) else ""
            if not number.isdigit() or not isinstance(row.get("Prompt"), str):
                raise InputError(f"{file} is no WISE file: every entry needs 'Prompt' and 'prompt_id'.")
            number = int(number)
            category = next((name for name, last in WISE_LAST_ID[release].items() if number <= last), None)
            if category is None or number < 1 or number in items:
                raise InputError(f"{file}: prompt_id {number} is out of 1 to 1000, or there twice.")
            items[number] = Item(f"{number:04d}", row["Prompt"], category, number, row)
    ordered = tuple(items[number] for number in sorted(items))
    options = {"data": str(path), "scale": "original" if release == "wise" else "verified"}
    return Suite(release, ordered, "wise", options, WISE_WEIGHTS[release], layouts.wise)


def plain_text(path: Path) -> Suite:
    """One prompt a line."""
    prompts = [line.strip() for line in _read(path).splitlines() if line.strip()]
    return Suite(path.stem, tuple(Item(f"{i:05d}", p, "prompts", i) for i, p in enumerate(prompts)))


def table(path: Path) -> Suite:
    """A CSV with a column `prompt` and, if it likes, `category`."""
    rows = list(csv.DictReader(_read(path).splitlines()))
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {})}
    if "prompt" not in columns:
        raise InputError(f"{path} needs a column named prompt; it has {', '.join(columns) or 'none'}.")
    category = columns.get("category")
    items = [
        Item(f"{i:05d}", row[columns["prompt"]].strip(), (category and row[category].strip()) or "prompts", i)
        for i, row in enumerate(rows)
        if row[columns["prompt"]]
    ]
    return Suite(path.stem, tuple(items))


SUITES = {
    "shapes": "the embedded world: shapes (its test split), shapes:validation",
    "geneval": "geneval (downloaded), geneval:evaluation_metadata.jsonl",
    "compbench": "compbench (downloaded), compbench:FOLDER of *_val.txt, or compbench:color_val.txt",
    "wise": "wise:FOLDER or JSON of the original release, whose scores the paper reports",
    "wise-verified": "wise-verified:FOLDER or JSON of the release of 2026",
    "FILE.txt, FILE.csv": "one prompt a line; or a column named prompt",
}


def load_suite(name: str, sets: int = 1) -> Suite:
    """A suite by name, `NAME:PATH`, or the path of a prompt file. sets: of `shapes` only.

    Raises:
        InputError: no such suite, a file that cannot be read or is of another format, or no prompts in it.
    """
    kind, _, rest = name.partition(":")
    path = Path(rest or name)
    if kind == "shapes":
        suite = shapes(rest or "test", sets)
    elif kind in FILES:
        suite = {"geneval": geneval, "compbench": compbench}[kind](path if rest else fetch(kind))
    elif kind in SUITES and not rest:
        raise InputError(f"Say where the prompts of {kind} are: {SUITES[kind]}. They are not shipped with this.")
    elif kind in WISE_LAST_ID:
        suite = wise(path, kind)
    elif path.suffix in (".txt", ".csv"):
        suite = {".txt": plain_text, ".csv": table}[path.suffix](path)
    else:
        raise InputError(
            f"There is no suite '{name}'. There are: {'; '.join(f'{k} ({v})' for k, v in SUITES.items())}."
        )
    if not suite.items:
        raise InputError(f"The suite '{name}' has no prompts.")
    return suite


def slug(text: str) -> str:
    """`text` as one file or folder name."""
    return re.sub(r"[^\w.=@+-]+", "_", text)


def check_unique(items: Sequence[Item]) -> None:
    """Raise InputError if two items share an id: their records could not be told apart."""
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        raise InputError("Two prompts of the suite have the same id.")
