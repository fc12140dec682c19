"""MixedReward: boxes (GroundingDINO), questions (GIT) and looks, weighted; each is a part of the score.

The releases differ in their weights: they are presets here. HPSv2, which one of them has, is a CLIP that people's
preferences were taught (`preference`); conversions for transformers exist of it and of PickScore.
"""

import math
from collections.abc import Mapping, Sequence

from PIL import Image

from milr_core.critics.aesthetic import Aesthetic
from milr_core.critics.base import FOUND, MISSED, About, Box, Critic, Score
from milr_core.critics.compbench import Part, at_side, pair_boxes, pair_of, position_score
from milr_core.critics.models.boxes import Detection, drawn, suppressed
from milr_core.critics.models.clip import ClipPreference
from milr_core.critics.models.grounding import GroundingDino
from milr_core.critics.models.grounding_py import DETECTOR_OPTION, detector_of
from milr_core.critics.models.questions import GitVqa
from milr_core.critics.phrases import Relation, Thing, relation, things
from milr_core.critics.unified import Unified
from milr_core.errors import InputError

PRESETS: dict[str, dict[str, float]] = {
    "light": {"grounding": 0.4, "questions": 0.4, "aesthetic": 0.2},
    "three": {"grounding": 0.4, "questions": 0.4, "unified": 0.2},
    "four": {"grounding": 0.35, "questions": 0.35, "unified": 0.2, "preference": 0.1},
}
"""`three` and `four` as published; `light` does without a 7B model."""

PARTS = ("grounding", "questions", "aesthetic", "unified", "preference")
PRESENT, PLACED = 0.2, 0.5  # of a spatial score: each thing that is there, and the place
SOME = 0.2  # of a count that is wrong
OVERLAP = 0.5


def grounding_score(wanted: Sequence[Thing], said: Relation | None, found: Sequence[Detection]) -> float:
    """Score boxes at 480 x 480, best first: place if the prompt has one, else numbers and presence, in [0, 1]."""
    if said is not None:
        first, second = pair_of(said, found)
        score = PRESENT * ((first is not None) + (second is not None))
        if first is not None and second is not None:
            score += PLACED * position_score(said.place, first.box, second.box)
        return score / (2 * PRESENT + PLACED)
    values = []
    for thing in wanted:
        there, right = counted(thing, found)
        values.append(1.0 if right else SOME if there else 0.0)
    return sum(values) / len(values)


def counted(thing: Thing, found: Sequence[Detection]) -> tuple[list[Detection], bool]:
    """What was found of a thing, each once, and whether it is as many as there have to be."""
    there = suppressed([d for d in found if d.name == thing.name], OVERLAP)
    return there, len(there) == thing.count if thing.count > 1 else bool(there)


def settled(weights: str | Mapping[str, float]) -> dict[str, float]:
    """A preset by name, or weights by part, normalised.

    Raises:
        InputError: an unknown preset or part, or weights that are not positive.
    """
    if isinstance(weights, str):
        if weights not in PRESETS:
            raise InputError(f"The presets of 'mixed' are {', '.join(PRESETS)}; got '{weights}'.")
        weights = PRESETS[weights]
    for part, weight in weights.items():
        if part not in PARTS:
            raise InputError(f"The parts of 'mixed' are {', '.join(PARTS)}; got '{part}'.")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
            raise InputError(f"The weight of {part} is a number above 0; got {weight!r}.")
    if not weights:
        raise InputError("'mixed' needs the weight of at least one part.")
    total = sum(weights.values())
    return {part: weight / total for part, weight in weights.items()}


class Mixed(Critic):
    """value: the weighted mean of its parts."""

    name = "mixed"
    about = About(
        weights=(GroundingDino.weights, GitVqa.weights, *Aesthetic.about.weights),
        needs="with weights='three' or 'four' also the weights of 'unified', with 'four' a CLIP of preferences "
        f"({ClipPreference.weights.id}, {ClipPreference.weights.gigabytes} GB)",
        options={
            "weights": f"a preset ({', '.join(PRESETS)}; default light), or weights by part: {', '.join(PARTS)}",
            "questions, clip, head, unified": "other ids or folders",
            "preference": f"a CLIP of preferences, such as {ClipPreference.weights.id} (HPSv2, the default) or "
            "yuvalkirstain/PickScore_v1: id, or a folder that also holds its tokenizer and image processor",
            "detector": DETECTOR_OPTION,
            "device": "cpu, cuda, …",
        },
    )

    def __init__(
        self,
        weights: str | Mapping[str, float] = "light",
        detector: str | None = None,
        questions: str | None = None,
        clip: str | None = None,
        head: str | None = None,
        unified: str | None = None,
        preference: str | None = None,
        device: str | None = None,
    ):
        self.weights = settled(weights)
        self.detector, self.questions = detector_of(detector, device), GitVqa(questions, device)
        self.aesthetic, self.unified = Aesthetic(clip, head, device), Unified(unified, device)
        self.preference = ClipPreference(preference, device)

    @property
    def models(self) -> list:
        of = {
            "grounding": (self.detector,),
            "questions": (self.questions,),
            "aesthetic": self.aesthetic.models,
            "unified": self.unified.models,
            "preference": (self.preference,),
        }
        return [model for part in self.weights for model in of[part]]

    def check_prompt(self, prompt: str) -> None:
        if {"grounding", "questions"} & set(self.weights):
            things(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        judged = {part: getattr(self, f"_{part}")(images, prompt) for part in self.weights}
        scores = []
        for row in range(len(images)):
            parts = {part: values[row].value for part, values in judged.items()}
            raw = {part: values[row].raw for part, values in judged.items()} | {"weights": self.weights}
            boxes = tuple(box for values in judged.values() for box in values[row].boxes)
            value = sum(self.weights[part] * value for part, value in parts.items())
            reason = "; ".join(f"{part} {value:.2f} x {self.weights[part]:.2f}" for part, value in parts.items())
            scores.append(Score(min(1.0, value), parts, reason.capitalize() + ".", raw, boxes=boxes))
        return scores

    def _grounding(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        wanted, said = things(prompt), relation(prompt)
        names = list(said.names) if said else [thing.name for thing in wanted]
        judged = []
        for image, found in zip(images, self.detector.detect(images, names), strict=True):
            value = grounding_score(wanted, said, [at_side(d, image) for d in found])
            boxes = self._boxes(image, found, wanted, said)
            judged.append(Part(value, {"detections": [d.as_dict() for d in found]}, boxes))
        return judged

    @staticmethod
    def _boxes(
        image: Image.Image, found: Sequence[Detection], wanted: Sequence[Thing], said: Relation | None
    ) -> tuple[Box, ...]:
        if said is not None:
            pair = pair_of(said, found)
            there = [at_side(one, image) for one in pair if one is not None]
            right = len(there) == 2 and position_score(said.place, there[0].box, there[1].box) > 0
            return pair_boxes(said, pair, found, image, right)
        states, words = {}, {}
        for thing in wanted:
            there, right = counted(thing, found)
            states[thing.name] = (there, FOUND if right else MISSED)
            words[thing.name] = thing.words
        return drawn(found, image.size, states, words)

    def _questions(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        questions = [thing.question() for thing in things(prompt)]
        answers = self.questions.yes_probability(images, questions).tolist()
        return [Part(sum(row) / len(row), dict(zip(questions, row, strict=True))) for row in answers]

    def _aesthetic(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        return [Part(score.value, score.raw) for score in self.aesthetic.score(images, prompt)]

    def _unified(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        return [Part(score.value, score.raw) for score in self.unified.score(images, prompt)]

    def _preference(self, images: Sequence[Image.Image], prompt: str) -> list[Part]:
        cosines = (self.preference.of_images(images) @ self.preference.of_texts([prompt]).T)[:, 0].tolist()
        return [Part(min(1.0, max(0.0, cosine)), {"cosine": cosine}) for cosine in cosines]
