"""UnifiedReward: a vision-language model that was trained to mark images, from 1 to 5.

1.0   on Qwen2.5-VL: one final score
2.0   on Qwen2.5-VL, Qwen3-VL or Qwen3.5: alignment, coherence and style; the value is their mean
"""

import re
from collections.abc import Sequence

import torch
from PIL import Image

from milr_core.critics.base import About, Critic, Score, Weights
from milr_core.critics.pretrained import Pretrained
from milr_core.errors import CriticError, InputError

LOWEST, HIGHEST = 1.0, 5.0
MAX_NEW_TOKENS = 512
QUESTION = (
    "This image was generated from the caption below. Judge how well it fits the caption and how good it looks: name "
    "the elements of the caption one by one and say whether the image shows each, then say what is well or badly "
    "drawn. End with a line 'Final Score: ' and a number from 1 (worst) to 5 (best).\nCaption: {prompt}"
)
SECOND_ID = "CodeGoat24/UnifiedReward-2.0-qwen3vl-{2b,4b,8b,32b} or -2.0-qwen-{3b,7b,32b,72b}"
MARKS = ("alignment", "coherence", "style")
SECOND_QUESTION = (
    "This image was generated from the caption below. Mark it three times from 1 (worst) to 5 (best): alignment, how "
    "well it fits the caption; coherence, whether what it shows is whole and plausible; style, how good it looks. "
    "Answer in three lines: 'Alignment Score: ', 'Coherence Score: ', 'Style Score: ', each with its number.\n"
    "Caption: {prompt}"
)
QUESTIONS = {"1.0": (("final",), QUESTION), "2.0": (MARKS, SECOND_QUESTION)}
REMINDER = "\nDo not forget the last lines: the name of each score, a colon and the number."
_SCORE = r"{} score\W*?(?:\(1-5\)\W*?)?(\d+(?:\.\d+)?)"


def mark_of(answer: str, name: str) -> float | None:
    """The last score of a name in an answer, if it lies in 1 to 5."""
    said = [float(match) for match in re.findall(_SCORE.format(name), answer, re.IGNORECASE)]
    return said[-1] if said and LOWEST <= said[-1] <= HIGHEST else None


class UnifiedRewardModel(Pretrained):
    weights = Weights(
        "CodeGoat24/UnifiedReward-qwen-7b", "Qwen2_5_VLForConditionalGeneration", "vision-language judge", 16.6, "MIT"
    )
    images_kind = "Qwen2VLImageProcessorPil"
    other_kinds = ("Qwen3VLForConditionalGeneration", "Qwen3_5ForConditionalGeneration")
    half = True
    max_new_tokens = MAX_NEW_TOKENS

    def prepare(self) -> None:
        self._image_token = self.tokenizer.convert_ids_to_tokens(self.model.config.image_token_id)
        if not self.tokenizer.chat_template:
            raise CriticError("its tokenizer has no chat template")

    @torch.no_grad()
    def answer(self, images: Sequence[Image.Image], question: str) -> list[str]:
        """What it says to one question about each image, greedily."""
        self.load()
        seen = self.image_processor([image.convert("RGB") for image in images], return_tensors="pt").to(self.device)
        turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        chat = self.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        merged = self.image_processor.merge_size**2
        texts = [
            chat.replace(self._image_token, self._image_token * (int(grid.prod()) // merged), 1)
            for grid in seen["image_grid_thw"]
        ]
        self.tokenizer.padding_side = "left"
        inputs = self.tokenizer(texts, padding=True, return_tensors="pt").to(self.device)
        output = self.model.generate(
            **inputs,
            pixel_values=seen["pixel_values"].to(self.dtype),
            image_grid_thw=seen["image_grid_thw"],
            mm_token_type_ids=(inputs["input_ids"] == self.model.config.image_token_id).int(),
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            temperature=None, top_p=None, top_k=None,
        )  # fmt: skip
        return self.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


class Unified(Critic):
    """value: (score - 1) / 4, of 2.0 the mean of three. Without one it is asked once more, reminded; then it fails."""

    name = "unified"
    about = About(
        weights=(UnifiedRewardModel.weights,),
        options={
            "source": f"another id or folder, of 1.0 or 2.0 ({SECOND_ID})",
            "release": "1.0 or 2.0, which differ in what they are asked; default: what the source's name says",
            "device": "cpu, cuda, …",
        },
    )

    def __init__(self, source: str | None = None, device: str | None = None, release: str | float | None = None):
        self.judge = UnifiedRewardModel(source, device)
        self.release = str(release or ("2.0" if "2.0" in self.judge.source else "1.0"))
        if self.release not in QUESTIONS:
            raise InputError(f"UnifiedReward's releases are {' and '.join(QUESTIONS)}; got {release!r}.")

    @property
    def models(self) -> tuple[UnifiedRewardModel]:
        return (self.judge,)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        names, question = QUESTIONS[self.release]
        question = question.format(prompt=prompt)
        answers = self.judge.answer(images, question)
        missing = [row for row, answer in enumerate(answers) if None in self._marks(answer, names)]
        if missing:
            again = self.judge.answer([images[row] for row in missing], question + REMINDER)
            for row, answer in zip(missing, again, strict=True):
                answers[row] = answer
        return [self._read(answer, names) for answer in answers]

    @staticmethod
    def _marks(answer: str, names: Sequence[str]) -> list[float | None]:
        return [mark_of(answer, name) for name in names]

    def _read(self, answer: str, names: Sequence[str]) -> Score:
        marks = {
            f"{n} score": mark for n, mark in zip(names, self._marks(answer, names), strict=True) if mark is not None
        }
        if len(marks) < len(names):
            raise CriticError(
                f"'{self.judge.source}' was asked twice and gave no {' or '.join(names)} score from 1 to 5; it said: "
                f"{answer[:120]!r}. Check that these are UnifiedReward's weights."
            )
        parts = {name: (mark - LOWEST) / (HIGHEST - LOWEST) for name, mark in marks.items()}
        raw = {name.replace(" ", "_"): mark for name, mark in marks.items()} | {"answer": answer}
        return Score(sum(parts.values()) / len(parts), parts, answer.strip()[:500], raw)
