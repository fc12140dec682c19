"""UnifiedReward: a vision-language model (Qwen2.5-VL) that was trained to mark images, from 1 to 5."""

import re
from collections.abc import Sequence

import torch
from PIL import Image

from milr_core.critics.base import About, Critic, Score, Weights
from milr_core.critics.pretrained import Pretrained
from milr_core.errors import CriticError

LOWEST, HIGHEST = 1.0, 5.0
MAX_NEW_TOKENS = 512
QUESTION = (
    "This image was generated from the caption below. Judge how well it fits the caption and how good it looks: name "
    "the elements of the caption one by one and say whether the image shows each, then say what is well or badly "
    "drawn. End with a line 'Final Score: ' and a number from 1 (worst) to 5 (best).\nCaption: {prompt}"
)
REMINDER = "\nDo not forget the last line: 'Final Score: ' and the number."
_SCORE = re.compile(r"final score\W*?(\d+(?:\.\d+)?)", re.IGNORECASE)


def final_score(answer: str) -> float | None:
    """The last final score of an answer that lies in 1 to 5; None if it has none."""
    said = [float(match) for match in _SCORE.findall(answer)]
    return said[-1] if said and LOWEST <= said[-1] <= HIGHEST else None


class UnifiedRewardModel(Pretrained):
    weights = Weights(
        "CodeGoat24/UnifiedReward-qwen-7b", "Qwen2_5_VLForConditionalGeneration", "vision-language judge", 16.6, "MIT"
    )
    images_kind = "Qwen2VLImageProcessorPil"
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
    """value: (final score - 1) / 4. Without one it is asked once more, with a reminder; then it is an error."""

    name = "unified"
    about = About(
        weights=(UnifiedRewardModel.weights,),
        options={"source": "another id or folder", "device": "cpu, cuda, …"},
    )

    def __init__(self, source: str | None = None, device: str | None = None):
        self.judge = UnifiedRewardModel(source, device)

    @property
    def models(self) -> tuple[UnifiedRewardModel]:
        return (self.judge,)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        question = QUESTION.format(prompt=prompt)
        answers = self.judge.answer(images, question)
        missing = [row for row, answer in enumerate(answers) if final_score(answer) is None]
        if missing:
            again = self.judge.answer([images[row] for row in missing], question + REMINDER)
            for row, answer in zip(missing, again, strict=True):
                answers[row] = answer
        return [self._read(answer) for answer in answers]

    def _read(self, answer: str) -> Score:
        mark = final_score(answer)
        if mark is None:
            raise CriticError(
                f"'{self.judge.source}' was asked twice and gave no final score from 1 to 5; it said: {answer[:120]!r}."
                " Check that these are UnifiedReward's weights."
            )
        value = (mark - LOWEST) / (HIGHEST - LOWEST)
        return Score(value, {"final score": value}, answer.strip()[:500], {"final_score": mark, "answer": answer})
