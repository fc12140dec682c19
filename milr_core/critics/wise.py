"""WISE: world knowledge, judged through an OpenAI-compatible endpoint, on one of two scales that are never mixed.

    original   the paper's: consistency, realism and aesthetic quality from 0 to 2, judged by gpt-4o-2024-05-13
    verified   WISE_Verified (2026): right or wrong, judged by Qwen3.5-35B-A3B with thinking off

The items (prompt, explanation, category, prompt_id) have no licence: download them and give their path. The questions
to the judge are worded here, not copied.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import field_validator

from milr_core.critics.base import About, Score
from milr_core.critics.judge import OPTIONS, Answer, Judged, Question
from milr_core.errors import InputError

CATEGORIES = ("culture", "time", "space", "biology", "physics", "chemistry")


@dataclass(frozen=True)
class Scale:
    """One of the two. last: the last prompt_id of each category, in order. weights: of the categories."""

    name: str
    judge: str
    last: tuple[int, ...]
    weights: tuple[float, ...]

    def category_of(self, prompt_id: int) -> str:
        if not isinstance(prompt_id, int) or not 1 <= prompt_id <= self.last[-1]:
            raise InputError(f"WISE's prompt_id lies in 1 to {self.last[-1]}; got {prompt_id!r}.")
        return next(name for name, last in zip(CATEGORIES, self.last, strict=True) if prompt_id <= last)


SCALES = {
    "original": Scale(
        "original", "gpt-4o-2024-05-13", (400, 567, 700, 800, 900, 1000), (0.4, 0.167, 0.133, 0.1, 0.1, 0.1)
    ),
    "verified": Scale("verified", "Qwen/Qwen3.5-35B-A3B", (400, 520, 640, 760, 880, 1000), (0.4, *[0.12] * 5)),
}


def wiscore(consistency: int, realism: int, aesthetic_quality: int) -> float:
    """(0.7 consistency + 0.2 realism + 0.1 aesthetic quality) / 2, each 0 to 2; in [0, 1]."""
    return (0.7 * consistency + 0.2 * realism + 0.1 * aesthetic_quality) / 2


def totals(scores: Mapping[int, Score]) -> tuple[float | None, dict[str, float]]:
    """WISE's overall score and each category's mean, from scores by prompt_id.

    The overall score is the categories' weighted sum, None where a category has no score.

    Raises:
        InputError: scores of both scales, or that are none of WISE's.
    """
    scales = {score.raw.get("scale") for score in scores.values()}
    if len(scales) != 1 or not scales <= set(SCALES):
        raise InputError(f"WISE's two scales are never mixed, and these scores have: {sorted(map(str, scales))}.")
    scale = SCALES[scales.pop()]
    by_category: dict[str, list[float]] = {}
    for prompt_id, score in scores.items():
        by_category.setdefault(scale.category_of(prompt_id), []).append(score.value)
    means = {name: sum(by_category[name]) / len(by_category[name]) for name in CATEGORIES if name in by_category}
    if len(means) < len(CATEGORIES):
        return None, means
    return sum(w * means[name] for name, w in zip(CATEGORIES, scale.weights, strict=True)), means


class Marks(Answer):
    consistency: int
    realism: int
    aesthetic_quality: int

    @field_validator("*")
    @classmethod
    def in_range(cls, value: int) -> int:
        if not 0 <= value <= 2:
            raise ValueError("a mark is 0, 1 or 2")
        return value


class Verdict(Answer):
    reason: str
    correct: int

    @field_validator("correct")
    @classmethod
    def binary(cls, value: int) -> int:
        if value not in (0, 1):
            raise ValueError("correct is 0 or 1")
        return value


SYSTEM = {
    "original": (
        "You audit generated images, strictly. Give three marks of 0, 1 or 2; in doubt, the lower one. "
        "consistency: 2 only if everything that the prompt means, as the explanation resolves it, is there and right; "
        "1 if some of it is; 0 if its key elements are missing or contradicted. "
        "realism: 2 only if it could be a photograph; 1 if it is believable with visible flaws; 0 if it breaks the "
        "laws of physics or is plainly artificial. "
        "aesthetic_quality: 2 only for outstanding composition and color; 1 if it is pleasant; 0 if it is poor."
    ),
    "verified": (
        "You check whether a generated image shows what its prompt means. The explanation says what that is. Say in "
        "one sentence what you see, then give correct: 1 if the image shows it unmistakably and contradicts none of "
        "it, otherwise 0."
    ),
}


class Wise(Judged):
    """value: the WiScore (scale `original`), or 0 or 1 (scale `verified`)."""

    name = "wise"
    about = About(
        remote=True,
        needs="a key (OPENAI_API_KEY) or an endpoint without one (OPENAI_BASE_URL), and WISE's items",
        options={
            "scale": "original (default) or verified",
            "data": "WISE's JSON file, or a folder of them",
            "explanation": "of the prompt, where it is none of the data's",
            **OPTIONS,
        },
        licence="the data has none; the provider's terms",
    )

    def __init__(
        self,
        scale: str = "original",
        data: str | Path | None = None,
        explanation: str | None = None,
        judge: str | None = None,
        **options: Any,
    ):
        if scale not in SCALES:
            raise InputError(f"WISE's scales are {', '.join(SCALES)}; got {scale!r}.")
        self.scale, self.explanation = SCALES[scale], explanation
        self.items = read_items(data) if data is not None else {}
        if scale == "verified":
            options = {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}} | options
        super().__init__(judge or self.scale.judge, **options)

    def _item(self, prompt: str) -> tuple[str, int | None]:
        """The explanation, and the prompt_id where the data has the prompt."""
        item = self.items.get(prompt.strip())
        if item:
            return item["Explanation"], item["prompt_id"]
        if self.explanation:
            return self.explanation, None
        raise InputError("WISE needs the explanation of this prompt: give data (its JSON files) or explanation.")

    def check_prompt(self, prompt: str) -> None:
        self._item(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        explanation, prompt_id = self._item(prompt)
        text = f"Prompt: {prompt}\nExplanation: {explanation}"
        questions = [Question(SYSTEM[self.scale.name], text, image) for image in images]
        raw = {"scale": self.scale.name, "judge": self.judge.judge, "prompt_id": prompt_id}
        if self.scale.name == "verified":
            return [
                Score(float(answer.correct), {"correct": float(answer.correct)}, answer.reason, raw, usage)
                for answer, usage in self.judge.ask(questions, Verdict)
            ]
        scores = []
        for answer, usage in self.judge.ask(questions, Marks):
            marks = answer.model_dump()
            parts = {name: mark / 2 for name, mark in marks.items()}
            reason = (
                ", ".join(f"{name.replace('_', ' ')} {mark} of 2" for name, mark in marks.items()).capitalize() + "."
            )
            scores.append(Score(wiscore(**marks), parts, reason, raw | marks, usage))
        return scores


def read_items(path: str | Path) -> dict[str, dict[str, Any]]:
    """WISE's items by prompt, from a JSON file or every JSON file of a folder.

    Raises:
        InputError: nothing there that can be read, or items without Prompt, Explanation and prompt_id.
    """
    path = Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    items: dict[str, dict[str, Any]] = {}
    try:
        for file in files:
            for item in json.loads(file.read_text(encoding="utf-8")):
                items[str(item["Prompt"]).strip()] = {
                    "Explanation": str(item["Explanation"]), "prompt_id": int(item["prompt_id"]),
                }  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"WISE's items cannot be read from {path}: {error!r}.") from error
    if not items:
        raise InputError(f"There are no items of WISE in {path}: give its JSON file or the folder that holds them.")
    return items
