"""Where images go so that each benchmark's own evaluator can be run on them: `RUN/images/METHOD/` is its input folder.

Each layout gives the files of one item and seed, by path under that folder: the image (None) and what lies beside it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from milr_core.errors import InputError


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


COMPBENCH_SAMPLES = 10  # images a prompt: the number in a file name counts them through all prompts


def plain(item: Item, seed: int) -> dict[str, bytes | None]:
    """ID/SEED.png"""
    return {f"{item.id}/{seed}.png": None}


def geneval(item: Item, seed: int) -> dict[str, bytes | None]:
    """NNNNN/samples/SSSS.png and NNNNN/metadata.jsonl, the line that the evaluator reads."""
    line = json.dumps(item.metadata, ensure_ascii=False).encode()
    return {f"{item.id}/samples/{seed:04d}.png": None, f"{item.id}/metadata.jsonl": line}


def compbench(item: Item, seed: int) -> dict[str, bytes | None]:
    """CATEGORY/samples/PROMPT_NNNNNN.png: the evaluators take the prompt from the name and sort by the number."""
    if seed >= COMPBENCH_SAMPLES:
        raise InputError(f"T2I-CompBench counts {COMPBENCH_SAMPLES} images a prompt: seeds 0 to 9.")
    name = item.prompt.replace("/", " ")
    return {f"{item.category}/samples/{name}_{item.number * COMPBENCH_SAMPLES + seed:06d}.png": None}


def wise(item: Item, seed: int) -> dict[str, bytes | None]:
    """seed-S/ID.png: WISE scores one image a prompt, so each seed is an input folder of its own."""
    return {f"seed-{seed}/{item.number}.png": None}
