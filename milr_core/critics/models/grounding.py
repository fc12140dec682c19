"""GroundingDINO (Swin-T OGC): boxes for the names it is asked for."""

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import GroundingDinoProcessor

from milr_core.critics.base import Weights
from milr_core.critics.models.boxes import Detection
from milr_core.critics.pretrained import Pretrained

THRESHOLD = 0.35  # of the box, as in its authors' demonstration
TEXT_THRESHOLD = 0.25  # of each token of a name


class GroundingDino(Pretrained):
    weights = Weights(
        "IDEA-Research/grounding-dino-tiny", "GroundingDinoForObjectDetection", "open-vocabulary detector", 0.7,
        "Apache-2.0",
    )  # fmt: skip
    images_kind = "GroundingDinoImageProcessorPil"

    def prepare(self) -> None:
        self._processor = GroundingDinoProcessor(self.image_processor, self.tokenizer)

    @torch.no_grad()
    def detect(
        self,
        images: Sequence[Image.Image],
        names: Sequence[str],
        threshold: float = THRESHOLD,
        text_threshold: float = TEXT_THRESHOLD,
    ) -> list[list[Detection]]:
        """For each image what was found of each name, best first. A box belongs to every name that its phrase meets.

        The model answers with the tokens that it saw, not with a name: a name is met if one of its words is there, and
        of several names the one that shares the most words with the phrase, the first on a tie.
        """
        self.load()
        names = [name.lower().strip() for name in names]
        text = " . ".join(dict.fromkeys(names)) + " ."
        inputs = self._processor(
            images=[image.convert("RGB") for image in images], text=[text] * len(images), return_tensors="pt"
        ).to(self.device)
        results = self._processor.post_process_grounded_object_detection(
            self.model(**inputs),
            inputs["input_ids"],
            threshold=threshold,
            text_threshold=text_threshold,
            target_sizes=[(image.height, image.width) for image in images],
        )
        return [self._named(result, names) for result in results]

    @staticmethod
    def _named(result: dict, names: Sequence[str]) -> list[Detection]:
        phrases = result["text_labels"][: len(result["scores"])]  # where nothing is found, there is still one, empty
        found = [
            Detection(name, float(score), tuple(box.tolist()))
            for score, box, phrase in zip(result["scores"], result["boxes"], phrases, strict=True)
            if (name := name_of(phrase, names)) is not None
        ]
        return sorted(found, key=lambda d: -d.score)


def name_of(phrase: str, names: Sequence[str]) -> str | None:
    """The name that a detected phrase means: the one that shares most words with it, the first on a tie."""
    words = set(phrase.lower().split())
    shared = [len(words & set(name.split())) / len(name.split()) for name in names]
    best = max(range(len(names)), key=shared.__getitem__)
    return names[best] if shared[best] else None
