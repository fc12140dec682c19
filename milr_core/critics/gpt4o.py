"""GPT-4o, or any model behind an OpenAI-compatible endpoint, as the critic: how well an image fits its prompt."""

from collections.abc import Sequence
from typing import Annotated

from PIL import Image
from pydantic import BeforeValidator, Field, WithJsonSchema

from milr_core.critics.base import About, Score
from milr_core.critics.judge import OPTIONS, Judged, Question
from milr_core.critics.replies import Answer, number

SYSTEM = (
    "You judge whether an image shows what a prompt asks for. List every element that the prompt asks for: each object "
    "with its number, color, size and place, each relation, and what is only hinted at and has to be worked out. Say "
    "of each whether the image shows it. Then give the alignment of image and prompt as a whole number from 0 "
    "(unrelated) to 10 (everything is right), and one sentence that says why. Judge what is visible, not what is "
    "likely."
)


class Element(Answer):
    asked: str
    shown: bool


class Alignment(Answer):
    elements: list[Element]
    reason: str
    alignment: Annotated[  # a half is taken as well
        float, Field(ge=0, le=10, allow_inf_nan=False), BeforeValidator(number), WithJsonSchema({"type": "integer"})
    ]


class Gpt4o(Judged):
    """value: alignment / 10. parts: the elements that the judge found in the prompt, 1 shown, 0 not."""

    name = "gpt-4o"
    about = About(
        remote=True,
        needs="a key (OPENAI_API_KEY) or an endpoint without one (OPENAI_BASE_URL)",
        options=OPTIONS,
        licence="the provider's terms",
    )

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        questions = [Question(SYSTEM, f"Prompt: {prompt}", image) for image in images]
        scores = []
        for answer, usage in self.judge.ask(questions, Alignment):
            parts: dict[str, float] = {}
            for element in answer.elements:
                times = sum(name == element.asked or name.startswith(f"{element.asked} (") for name in parts)
                parts[f"{element.asked} ({times + 1})" if times else element.asked] = float(element.shown)
            raw = {"judge": self.judge.judge, **answer.model_dump()}
            scores.append(Score(answer.alignment / 10, parts, answer.reason, raw, usage))
        return scores
