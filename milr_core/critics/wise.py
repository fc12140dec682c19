"""WISE: world knowledge, judged through an OpenAI-compatible endpoint, on one of two scales that are never mixed.

    original   the paper's: consistency, realism and aesthetic quality from 0 to 2. Its judge, gpt-4o-2024-05-13, was
               shut down in October 2026, so figures of another do not compare with published ones
    verified   WISE_Verified (2026): right or wrong, judged by Qwen3.5-35B-A3B with thinking off

The questions to the judge are worded here, not copied.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from PIL import Image
from pydantic import BeforeValidator, Field, WithJsonSchema

from milr_core.critics.base import About, Score
from milr_core.critics.judge import OPTIONS, Judged, Question
from milr_core.critics.replies import Answer, number
from milr_core.critics.wise_spec import SCALES, read_items
from milr_core.errors import InputError


def wiscore(consistency: int, realism: int, aesthetic_quality: int) -> float:
    """(0.7 consistency + 0.2 realism + 0.1 aesthetic quality) / 2, each 0 to 2; in [0, 1]."""
    return (0.7 * consistency + 0.2 * realism + 0.1 * aesthetic_quality) / 2


AS_INTEGER = WithJsonSchema({"type": "integer"})  # judges are not told the range: some servers take none in a schema
Mark = Annotated[int, Field(ge=0, le=2), BeforeValidator(number), AS_INTEGER]


class Marks(Answer):
    consistency: Mark
    realism: Mark
    aesthetic_quality: Mark


class Verdict(Answer):
    reason: str
    correct: Annotated[int, Field(ge=0, le=1), AS_INTEGER]


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
        "one sentence what you see, then give correct: 1 if the image shows it unmistakably, contradicts none of it, "
        "and is a picture that somebody could use, realistic and without gross faults of drawing; otherwise 0."
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
        self.items = {item.prompt: item for item in read_items(data)} if data is not None else {}
        if scale == "verified":
            options = {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}} | options
        self.default_judge = self.scale.judge
        super().__init__(judge, **options)

    def _item(self, prompt: str) -> tuple[str, int | None]:
        """The explanation, and the prompt_id where the data has the prompt."""
        item = self.items.get(prompt.strip())
        if item:
            return item.explanation, item.number
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
