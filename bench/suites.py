"""Prompt sets: the embedded world's, GenEval, T2I-CompBench, WISE, any text file or CSV. Read, never shipped.

A suite also says how the benchmark's own evaluator wants images on disk, and how it averages categories.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import layouts, world_suites
from bench.layouts import Item
from bench.prompt_files import READERS
from milr_core.benchmark_files import FILES, fetch, read_objects, read_text
from milr_core.critics import geneval_spec
from milr_core.critics.compbench import CATEGORIES as COMPBENCH
from milr_core.critics.geneval_spec import TAGS as GENEVAL
from milr_core.critics.wise_spec import SCALES, read_items
from milr_core.errors import InputError

WISE = {"wise": SCALES["original"], "wise-verified": SCALES["verified"]}


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
    weights: Mapping[str, float] | None = None
    layout: Callable[[Item, int], dict[str, bytes | None]] = layouts.plain

    def limited(self, limit: int | None) -> "Suite":
        return replace(self, items=self.items[:limit])


def geneval(path: Path) -> Suite:
    """GenEval's `evaluation_metadata.jsonl`. Overall is the unweighted mean of the tasks."""
    items = []
    for where, row in read_objects(path):
        if not (isinstance(row.get("prompt"), str) and row.get("tag") in GENEVAL):
            raise InputError(f"{where} is no GenEval metadata: it needs 'tag' and 'prompt'.")
        geneval_spec.check(row, where)
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
        lines = [line.split("\t")[0].strip() for line in read_text(file).splitlines()]
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
    scale = WISE[release]
    items = [
        Item(f"{item.number:04d}", item.prompt, scale.category_of(item.number), item.number, item.record)
        for item in read_items(path)
    ]
    options = {"data": str(path), "scale": scale.name}
    return Suite(release, tuple(items), "wise", options, dict(scale.weights), layouts.wise)


def of_file(path: Path) -> Suite:
    """A text file, table or JSON lines of one's own."""
    rows = enumerate(READERS[path.suffix.lower()](path))
    return Suite(path.stem, tuple(Item(f"{i:05d}", prompt, category, i) for i, (prompt, category) in rows))


def of_world(kind: str, rest: str, sets: int) -> Suite:
    """`world`, `geneval-like` or `riddles`: the embedded world's own."""
    if kind == "world":
        return Suite(f"world:{rest or 'test'}", world_suites.world(rest or "test", sets), "oracle")
    if rest:
        raise InputError(f"The suite {kind} has no parts; got '{rest}'.")
    items = world_suites.riddles() if kind == "riddles" else world_suites.geneval_like(sets)
    categories = dict.fromkeys(item.category for item in items)
    return Suite(kind, items, "oracle", weights=dict.fromkeys(categories, 1 / max(1, len(categories))))


def geneval_of(rest: str, embedded: bool) -> Suite:
    """GenEval's file by its path, found on this machine, or downloaded. embedded: drawn by the embedded model, and so
    judged by its world's oracle, by GenEval's rules; tasks in turn, so that a limit takes from all of them.
    """
    path = Path(rest) if rest else world_suites.geneval_file()
    try:
        suite = geneval(path or fetch("geneval"))
    except InputError as error:
        if path:
            raise
        raise InputError(
            f"{error} Or set {world_suites.GENEVAL_VARIABLE} to it. The suite geneval-like needs no file."
        ) from error
    if not embedded:
        return suite
    return replace(suite, items=world_suites.in_turn(suite.items), critic="oracle", critic_options={})


def of_paper() -> Suite:
    """What the paper reports on, in the embedded world: GenEval's own lines where its file is on this machine, else
    `geneval-like`, and the riddles; all twelve categories in turn. Overall is their unweighted mean.
    """
    path = world_suites.geneval_file()
    lines = geneval(path).items if path else world_suites.geneval_like()
    items = world_suites.in_turn((*lines, *world_suites.riddles()))
    categories = dict.fromkeys(item.category for item in items)
    return Suite("paper", items, "oracle", weights=dict.fromkeys(categories, 1 / len(categories)))


def geneval2(path: Path) -> Suite:
    """GenEval 2's `geneval2_data.jsonl`: a prompt and the questions about it; its category is how many atoms it has."""
    items = []
    for where, row in read_objects(path):
        prompt, atoms, questions = (row.get(name) for name in ("prompt", "atom_count", "vqa_list"))
        if not (isinstance(prompt, str) and isinstance(atoms, int) and isinstance(questions, list)):
            raise InputError(f"{where} is no GenEval 2 data: it needs 'prompt', 'atom_count' and 'vqa_list'.")
        items.append(Item(f"{len(items):05d}", prompt, f"atoms-{atoms}", len(items), row))
    return Suite("geneval2", tuple(items))


WORLD = ("world", "geneval-like", "riddles")
SUITES = {
    "world": "the embedded world: world (its test split), world:validation",
    "geneval-like": "GenEval's six kinds of task in the embedded world's own test split",
    "riddles": "WISE's six fields in the embedded world: held-out ways to ask for its facts",
    "geneval": f"geneval:{world_suites.GENEVAL_FILE}; alone: where {world_suites.GENEVAL_VARIABLE} says, or downloaded",
    "paper": "both in the embedded world: geneval where its file is on this machine, else geneval-like; and riddles",
    "geneval2": "geneval2:geneval2_data.jsonl: GenEval 2's prompts, by their number of atoms; name a --critic",
    "compbench": "compbench (downloaded), compbench:FOLDER of *_val.txt, or compbench:color_val.txt",
    "wise": "wise:FOLDER or JSON of the original release, whose scores the paper reports",
    "wise-verified": "wise-verified:FOLDER or JSON of the release of 2026",
    "FILE.txt, FILE.csv, FILE.tsv, FILE.jsonl": "one prompt a line; or a column, or a name, prompt",
}


def load_suite(name: str, sets: int = 1, embedded: bool = False) -> Suite:
    """A suite by name, `NAME:PATH`, or the path of a prompt file.

    sets: of the embedded world's own only. embedded: whether the embedded model draws it (`geneval_of`).

    Raises:
        InputError: no such suite, a file that cannot be read or is of another format, or no prompts in it.
    """
    kind, _, rest = name.partition(":")
    path = Path(rest or name)
    if kind in WORLD:
        suite = of_world(kind, rest, sets)
    elif kind == "paper" and not rest:
        suite = of_paper()
    elif kind == "geneval2" and rest:
        suite = geneval2(path)
    elif kind == "geneval":
        suite = geneval_of(rest, embedded)
    elif kind in FILES:
        suite = compbench(path if rest else fetch(kind))
    elif kind in SUITES and not rest:
        raise InputError(f"Say where the prompts of {kind} are: {SUITES[kind]}. They are not shipped with this.")
    elif kind in WISE:
        suite = wise(path, kind)
    elif path.suffix.lower() in READERS:
        suite = of_file(path)
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
