"""T2I-CompBench: BLIP-VQA for attributes, CLIPScore for actions, boxes for places, and their mean for complex prompts.

As its README's switch for complex prompts does (`--complex True`), CLIPScore sees these without their adjectives.

The benchmark's own detector (UniDet) has no port to transformers: GroundingDINO stands in for it, so call the spatial
figures "T2I-CompBench (GroundingDINO)"; they do not compare with published ones.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from milr_core.critics.base import FOUND, MISSED, About, Box, Critic, Score
from milr_core.critics.models.boxes import Corners, Detection, drawn, iou
from milr_core.critics.models.clip import ClipBase
from milr_core.critics.models.grounding import GroundingDino
from milr_core.critics.models.grounding_py import DETECTOR_OPTION, detector_of
from milr_core.critics.models.questions import BlipVqa
from milr_core.critics.phrases import (
    Relation,
    noun_chunks,
    official_relation,
    relation,
    spacy_chunks,
    spacy_without_adjectives,
    without_adjectives,
)
from milr_core.errors import InputError

CATEGORIES = ("color", "shape", "texture", "spatial", "non_spatial", "complex")
MAX_CHUNKS = 8
SIDE = 480  # pixels a side at which NEAR is meant
NEAR = 150
MAX_IOU = 0.1


class Part(NamedTuple):
    """One part of an image's score. value: as measured, not cut. raw: what it was measured from."""

    value: float
    raw: dict[str, Any]
    boxes: tuple[Box, ...] = ()


def position_score(place: str, first: Corners, second: Corners) -> float:
    """How well box `first` is `place` box `second`, in pixels of a 480 x 480 image; 0 for a place it does not know.

    "on top of" is one of those: the benchmark looks for it in a prompt and then gives it nothing.
    """
    dx, dy = ((second[i] + second[i + 2] - first[i] - first[i + 2]) / 2 for i in (0, 1))
    if place in ("next to", "on side of", "near"):
        return 1.0 if min(abs(dx), abs(dy)) < NEAR else NEAR / max(abs(dx), abs(dy))
    right_way = {
        "on the left of": dx > 0 and abs(dx) > abs(dy),
        "on the right of": dx < 0 and abs(dx) > abs(dy),
        "on the top of": dy > 0 and abs(dy) > abs(dx),
        "on the bottom of": dy < 0 and abs(dy) > abs(dx),
    }
    if not right_way.get(place, False):
        return 0.0
    overlap = iou(first, second)
    return 1.0 if overlap < MAX_IOU else MAX_IOU / overlap


def spatial_score(place: str, first: Detection | None, second: Detection | None) -> float:
    """0.25 (c1 + c2) + 0.5 position, or 0.25 c where one is found; below 0.5 it is 0. Boxes at 480 x 480."""
    score = 0.25 * sum(found.score for found in (first, second) if found is not None)
    if first is not None and second is not None:
        score += 0.5 * position_score(place, first.box, second.box)
    return score if score >= 0.5 else 0.0


def at_side(detection: Detection, image: Image.Image) -> Detection:
    """The detection with its box in pixels of a 480 x 480 image."""
    x, y = SIDE / image.width, SIDE / image.height
    box = detection.box
    return Detection(detection.name, detection.score, (box[0] * x, box[1] * y, box[2] * x, box[3] * y))


def pair_of(said: Relation, found: Sequence[Detection]) -> list[Detection | None]:
    """The best detection of each of a relation's two things. found: best first."""
    return [next((one for one in found if one.name == name), None) for name in said.names]


def pair_boxes(
    said: Relation, pair: Sequence[Detection | None], found: Sequence[Detection], image: Image.Image, right: bool
) -> tuple[Box, ...]:
    """What was found of a relation's two things; the pair that was judged is found or missed, all else is ignored."""
    states = {one.name: ([one], FOUND if right else MISSED) for one in pair if one is not None}
    return drawn(found, image.size, states, {name: name for name in said.names})


def complex_parts(prompt: str, spatial: Sequence[str], action: Sequence[str]) -> tuple[str, ...]:
    """What a complex prompt's score is the mean of, by the benchmark's lists of prompts with places, with actions."""

    def plain(text: str) -> str:
        return text.strip().split(".")[0].lower()

    if plain(prompt) in {plain(line) for line in spatial}:
        return "attributes", "spatial"
    if plain(prompt) in {plain(line) for line in action}:
        return "attributes", "action"
    return "attributes", "spatial", "action"


class CompBench(Critic):
    """value: the score of the prompt's category."""

    name = "compbench"
    about = About(
        weights=(BlipVqa.weights, GroundingDino.weights, ClipBase.weights),
        needs="only the models of the category that is asked for",
        options={
            "category": f"{', '.join(CATEGORIES)}; default complex",
            "data": "folder with complex_val_spatial.txt and complex_val_action.txt: which parts a complex prompt has; "
            "without it, a prompt with a place has attributes and spatial, another attributes and action",
            "official_vocabulary": "read places and nouns as the benchmark does, people as 'person'; default: whole "
            "names, in anybody's words",
            "chunks": "'plain' (default), 'spacy' (the benchmark's), or a function from a prompt to noun chunks",
            "questions, clip": "other ids or folders",
            "detector": DETECTOR_OPTION,
            "device": "cpu, cuda, …",
        },
        licence="MIT (the benchmark)",
    )

    def __init__(
        self,
        category: str = "complex",
        data: str | Path | None = None,
        official_vocabulary: bool = False,
        chunks: str | Callable[[str], list[str]] = "plain",
        questions: str | None = None,
        detector: str | None = None,
        clip: str | None = None,
        device: str | None = None,
    ):
        if category not in CATEGORIES:
            raise InputError(f"T2I-CompBench's categories are {', '.join(CATEGORIES)}; got {category!r}.")
        if chunks not in ("plain", "spacy") and not callable(chunks):
            raise InputError(f"chunks is 'plain', 'spacy' or a function; got {chunks!r}.")
        self.category, self.official_vocabulary = category, official_vocabulary
        self._chunks = chunks if callable(chunks) else {"plain": noun_chunks, "spacy": spacy_chunks}[chunks]
        self._bare = spacy_without_adjectives if chunks == "spacy" else without_adjectives
        self._lists = (
            None if data is None else [_lines(Path(data) / f"complex_val_{n}.txt") for n in ("spatial", "action")]
        )
        self.questions = BlipVqa(questions, device)
        self.detector = detector_of(detector, device)
        self.clip = ClipBase(clip, device)

    @property
    def models(self) -> tuple:
        return {
            "spatial": (self.detector,),
            "non_spatial": (self.clip,),
            "complex": (self.questions, self.detector, self.clip),
        }.get(self.category, (self.questions,))

    def parts_of(self, prompt: str) -> tuple[str, ...]:
        """What the value is the mean of: attributes, spatial, action."""
        if self.category != "complex":
            return ({"spatial": "spatial", "non_spatial": "action"}.get(self.category, "attributes"),)
        if self._lists is not None:
            return complex_parts(prompt, *self._lists)
        return ("attributes", "spatial") if self.relation(prompt) else ("attributes", "action")

    def relation(self, prompt: str) -> Relation | None:
        return official_relation(prompt) if self.official_vocabulary else relation(prompt)

    def chunks(self, prompt: str) -> list[str]:
        return self._chunks(prompt)[:MAX_CHUNKS]

    def check_prompt(self, prompt: str) -> None:
        parts = self.parts_of(prompt)
        # A complex prompt whose place cannot be read has a spatial score of 0, as in the benchmark.
        if self.category == "spatial" and self.relation(prompt) is None:
            raise InputError(f"'{prompt}' says of no two things where they are, as in 'a cow on the left of a car'.")
        if "attributes" in parts and not self.chunks(prompt):
            raise InputError(f"'{prompt}' has no noun that a question could be asked about.")

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        self.check_prompt(prompt)
        by_part = {part: getattr(self, f"_{part}")(images, prompt) for part in self.parts_of(prompt)}
        scores = []
        for row in range(len(images)):
            values = {part: judged[row].value for part, judged in by_part.items()}
            raw = {"category": self.category} | {part: judged[row].raw for part, judged in by_part.items()}
            boxes = tuple(box for judged in by_part.values() for box in judged[row].boxes)
            value = sum(values.values()) / len(values)
            reason = "; ".join(f"{part} {value:.2f}" for part, value in values.items()) + "."
            shown = {part: min(1.0, max(0.0, value)) for part, value in values.items()}
            scores.append(Score(min(1.0, max(0.0, value)), shown, reason.capitalize(), raw, boxes=boxes))
        return scores

    def _attributes(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        questions = [f"{chunk}?" for chunk in self.chunks(prompt)]
        answers = self.questions.yes_probability(images, questions)
        return [Part(math.prod(row), dict(zip(questions, row, strict=True))) for row in answers.tolist()]

    def _action(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        text = self._bare(prompt) if self.category == "complex" else prompt
        cosines = (self.clip.of_images(images) @ self.clip.of_texts([text]).T)[:, 0]
        return [Part(cosine, {"cosine": cosine, "text": text}) for cosine in cosines.tolist()]

    def _spatial(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        said = self.relation(prompt)
        if said is None:
            return [Part(0.0, {"relation": None})] * len(images)
        judged = []
        for image, found in zip(images, self.detector.detect(images, said.names), strict=True):
            pair = pair_of(said, found)
            first, second = (d and at_side(d, image) for d in pair)
            raw = {"relation": [said.first, said.place, said.second], "detections": [d.as_dict() for d in found]}
            value = spatial_score(said.place, first, second)
            judged.append(Part(value, raw, pair_boxes(said, pair, found, image, value > 0)))
        return judged


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"T2I-CompBench's prompts cannot be read from {path}: {error}.") from error
