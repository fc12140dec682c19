"""GroundingDINO (Swin-T OGC): boxes for the names it is asked for."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from transformers import GroundingDinoProcessor

from milr_core.critics.base import Weights
from milr_core.critics.models.boxes import Corners, Detection
from milr_core.critics.pretrained import Pretrained

THRESHOLD = 0.35  # of the box, as in its authors' demonstration
TEXT_THRESHOLD = 0.25  # of each token of a name

Answer = tuple[str, float, Corners]
"""A phrase, its score, its box in pixels."""


class GroundingDino(Pretrained):
    weights = Weights(
        "IDEA-Research/grounding-dino-tiny", "GroundingDinoForObjectDetection", "open-vocabulary detector", 0.7,
        "Apache-2.0",
    )  # fmt: skip
    images_kind = "GroundingDinoImageProcessorPil"

    def prepare(self) -> None:
        self._processor: Any = GroundingDinoProcessor(self.image_processor, self.tokenizer)

    @torch.no_grad()
    def detect(
        self,
        images: Sequence[Image.Image],
        names: Sequence[str],
        threshold: float = THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
    ) -> list[list[Detection]]:
        """Find each name in each image, best first. The model answers with the words that a box belongs
        to, not with a name: see `name_of`.
        """
        self.load()
        names = [name.lower().strip() for name in names]
        text = " . ".join(dict.fromkeys(names)) + " ."
        detections = []
        for answer in self._answers([image.convert("RGB") for image in images], text, threshold, text_threshold):
            named = [(name_of(phrase, names), score, box) for phrase, score, box in answer]
            found = [Detection(name, score, box) for name, score, box in named if name is not None]
            detections.append(sorted(found, key=lambda d: -d.score))
        return detections

    def _answers(
        self, images: Sequence[Image.Image], text: str, threshold: float, text_threshold: float
    ) -> Iterator[list[Answer]]:
        """What the model finds in each image."""
        inputs = self._processor(images=images, text=[text] * len(images), return_tensors="pt").to(self.device)
        results = self._processor.post_process_grounded_object_detection(
            self.model(**inputs),
            inputs["input_ids"],
            threshold=threshold,
            text_threshold=text_threshold,
            target_sizes=[(image.height, image.width) for image in images],
        )
        for result in results:
            scores = result["scores"].tolist()
            phrases = result["text_labels"][: len(scores)]  # where nothing is found, there is still one, empty
            yield list(zip(phrases, scores, map(tuple, result["boxes"].tolist()), strict=True))


def words_of(text: str) -> list[str]:
    """Whole words as the tokenizer has them: lower case, without accents, punctuation and torn-off pieces ("##s")."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return re.findall(r"(?<![#\w])\w+", bare)


def name_of(phrase: str, names: Sequence[str]) -> str | None:
    """The name that a detected phrase means; None if it means none of them.

    The phrase is made of those words of the question that the box answers to. The longest name that it holds whole
    wins, so that "hot dog" is no "dog"; if it holds none whole, the name of which it holds the largest part, rather one
    with the last word, which is the thing itself. The first on a tie.
    """
    said = words_of(phrase)

    def share(name: str) -> tuple[int, float, bool]:
        words = words_of(name)
        runs = (said[i : i + len(words)] for i in range(len(said) - len(words) + 1))
        if words and words in runs:
            return len(words), 1.0, True
        shared = len(set(words) & set(said)) / max(1, len(words))
        return 0, shared, bool(words) and words[-1] in said

    best = max(names, key=share, default=None)
    return best if best is not None and share(best)[1] else None
