"""GenEval: what is there, how many, in which color, where. Its rules exactly, over transformers' detector.

The detector's weights are not those of mmdetection that the benchmark was published with: call figures
"GenEval (transformers detector)"; they do not compare to 0.01 with published ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import normalize

from milr_core.benchmark_files import fetch
from milr_core.critics import geneval_spec
from milr_core.critics.base import FOUND, MISSED, About, Box, Critic, Score
from milr_core.critics.geneval_spec import COLORS
from milr_core.critics.models.boxes import Detection, drawn
from milr_core.critics.models.clip import ClipLarge
from milr_core.critics.models.mask2former import Mask2Former

THRESHOLD, COUNTING_THRESHOLD = 0.3, 0.9
MAX_OBJECTS = 16
POSITION_MARGIN = 0.1
GROUND = "#999"
TEMPLATES = ("a photo of a {color} {name}", "a photo of a {color}-colored {name}", "a photo of a {color} object")


def relations(a: Sequence[float], b: Sequence[float]) -> set[str]:
    """What box `a` (x0, y0, x1, y1) is to box `b`: a subset of left of, right of, above, below."""
    offset = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    extents = [abs(a[i + 2] - a[i]) + abs(b[i + 2] - b[i]) for i in (0, 1)]
    revised = [
        math.copysign(max(abs(o) - POSITION_MARGIN * extent, 0.0), o) for o, extent in zip(offset, extents, strict=True)
    ]
    if all(abs(r) < 1e-3 for r in revised):
        return set()
    x, y = (r / math.hypot(*offset) for r in revised)
    said = {"left of": x < -0.5, "right of": x > 0.5, "above": y < -0.5, "below": y > 0.5}
    return {relation for relation, holds in said.items() if holds}


def kept(detections: Sequence[Detection], tag: str) -> dict[str, list[Detection]]:
    """Sort what GenEval counts by class: above the threshold of the tag, at most 16, best first, overlaps included."""
    threshold = COUNTING_THRESHOLD if tag == "counting" else THRESHOLD
    objects: dict[str, list[Detection]] = {}
    for detection in sorted(detections, key=lambda d: -d.score):
        if detection.score > threshold and len(objects.setdefault(detection.name, [])) < MAX_OBJECTS:
            objects[detection.name].append(detection)
    return {name: found for name, found in objects.items() if found}


def evaluate(
    objects: Mapping[str, Sequence[Detection]],
    spec: Mapping[str, Any],
    colors_of: Callable[[Sequence[Detection], str], list[str]],
) -> tuple[bool, list[str], dict[str, float]]:
    """GenEval's verdict, why it is not right, and each clause as a part (1 met, 0 not).

    objects: by class, best first, as `kept` gives them. colors_of: the color of each of some objects of a class; asked
    only for objects that a clause with a color is about.
    """
    wrong: list[str] = []
    parts: dict[str, float] = {}
    groups: list[list[Detection] | None] = []
    for clause in spec["include"]:
        name, count = clause["class"], clause["count"]
        found = list(objects.get(name, ()))[:count]
        failed = _include(clause, found, groups, colors_of)
        groups.append(None if failed else found)
        parts[part_name(clause)] = float(not failed)
        if "position" in clause:
            relation, target = clause["position"]
            parts[f"{name} {relation} {spec['include'][target]['class']}"] = float(not failed)
        wrong += failed
    for clause in spec.get("exclude", []):
        there = len(objects.get(clause["class"], ()))
        parts[f"fewer than {clause['count']} {clause['class']}"] = float(there < clause["count"])
        if there >= clause["count"]:
            wrong.append(f"expected {clause['class']} < {clause['count']}, found {there}")
    return not wrong, wrong, parts


def part_name(clause: Mapping[str, Any]) -> str:
    """What a clause is called among the parts of a score: "1 red car"."""
    return " ".join(str(clause[key]) for key in ("count", "color", "class") if key in clause)


def _include(
    clause: Mapping[str, Any],
    found: Sequence[Detection],
    groups: Sequence[Sequence[Detection] | None],
    colors_of: Callable[[Sequence[Detection], str], list[str]],
) -> list[str]:
    """Why a clause is not met; empty if it is. groups: what met the clauses before it, None where nothing did."""
    name, count = clause["class"], clause["count"]
    if len(found) < count:
        return [f"expected {name} >= {count}, found {len(found)}"]
    if "color" in clause:
        colors = colors_of(found, name)
        if colors.count(clause["color"]) < count:
            seen = ", ".join(f"{colors.count(color)} {color}" for color in COLORS if color in colors)
            return [f"expected {clause['color']} {name} >= {count}, found {seen}"]
    if "position" in clause:
        relation, target = clause["position"]
        if groups[target] is None:
            return [f"no target for {name} to be {relation}"]
        for one in found:
            for other in groups[target]:
                seen = relations(one.box, other.box)
                if relation not in seen:
                    return [f"expected {name} {relation} target, found {' and '.join(sorted(seen)) or 'no relation'}"]
    return []


class GenEval(Critic):
    """1 where GenEval's rules are met, otherwise 0; with `soft`, otherwise 0.8 x the share of parts that are met."""

    name = "geneval"
    about = About(
        weights=(Mask2Former.weights, ClipLarge.weights),
        needs="a prompt in GenEval's grammar, or its spec",
        options={
            "spec": "GenEval's structure of the prompt (a dictionary), instead of parsing it",
            "metadata": "path of evaluation_metadata.jsonl, or official to download it: the spec of a prompt",
            "soft": "partial credit below 1 instead of 0",
            "detector": "another id or folder of the Mask2Former",
            "clip": "another id or folder of the CLIP",
            "device": "cpu, cuda, …",
        },
        licence="MIT (the benchmark)",
    )

    def __init__(
        self,
        spec: Mapping[str, Any] | None = None,
        metadata: str | Path | None = None,
        soft: bool = False,
        detector: str | None = None,
        clip: str | None = None,
        device: str | None = None,
    ):
        self.soft = soft
        self.detector, self.clip = Mask2Former(detector, device), ClipLarge(clip, device)
        self._spec = None if spec is None else geneval_spec.check(spec)
        metadata = fetch("geneval") if metadata == "official" else metadata
        self._specs = geneval_spec.read_metadata(metadata) if metadata else {}
        self._color_texts: dict[str, torch.Tensor] = {}

    @property
    def models(self) -> tuple[Mask2Former, ClipLarge]:
        return self.detector, self.clip

    def unload(self) -> None:
        super().unload()
        self._color_texts.clear()

    def spec_of(self, prompt: str) -> dict[str, Any]:
        """Given, found in the metadata, or parsed; InputError if it cannot be."""
        return self._spec or self._specs.get(prompt.strip()) or geneval_spec.parse(prompt)

    def check_prompt(self, prompt: str) -> None:
        self.spec_of(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        spec = self.spec_of(prompt)
        images = [image.convert("RGB") for image in images]
        found = self.detector.detect(images)
        return [self._judge(image, row, spec) for image, row in zip(images, found, strict=True)]

    def _judge(self, image: Image.Image, found: Sequence[Detection], spec: Mapping[str, Any]) -> Score:
        objects = kept(found, spec["tag"])
        seen: dict[str, list[str]] = {}

        def colors_of(some: Sequence[Detection], name: str) -> list[str]:
            seen[name] = self.colors(image, some, name)
            return seen[name]

        right, wrong, parts = evaluate(objects, spec, colors_of)
        value = 1.0 if right else 0.8 * sum(parts.values()) / len(parts) if self.soft else 0.0
        counted = ", ".join(f"{len(group)} {name}" for name, group in objects.items()) or "nothing it knows"
        reason = f"{'Right' if right else '; '.join(wrong).capitalize()}. Sees {counted}."
        raw = {
            "correct": right,
            "tag": spec["tag"],
            "detections": [d.as_dict() for group in objects.values() for d in group],
            "colors": seen,
        }
        return Score(value, parts, reason, raw, boxes=self._boxes(image, objects, spec, parts))

    @staticmethod
    def _boxes(
        image: Image.Image,
        objects: Mapping[str, Sequence[Detection]],
        spec: Mapping[str, Any],
        parts: Mapping[str, float],
    ) -> tuple[Box, ...]:
        """What it saw: of each clause the objects that it looked at, found or missed; what is too many, missed."""
        states: dict[str, tuple[Sequence[Detection], str]] = {}
        words = {}
        for clause in spec["include"]:
            name = clause["class"]
            state = FOUND if parts[part_name(clause)] else MISSED
            states[name] = (objects.get(name, ())[: clause["count"]], state)
            words[name] = geneval_spec.words_for(clause, str(spec.get("prompt", "")))
        for clause in spec.get("exclude", []):
            name = clause["class"]
            if not parts[f"fewer than {clause['count']} {name}"]:
                states[name] = (objects[name], MISSED)
        return drawn([one for group in objects.values() for one in group], image.size, states, words)

    def colors(self, image: Image.Image, objects: Sequence[Detection], name: str) -> list[str]:
        """The color of each object, by CLIP: what is outside its mask is gray, the rest is cropped to its box."""
        blank = Image.new("RGB", image.size, GROUND)
        crops = []
        for one in objects:
            shown = image if one.mask is None else Image.composite(image, blank, Image.fromarray(one.mask))
            crops.append(shown.crop(one.box))
        nearest = (self.clip.of_images(crops) @ self._colors_as_text(name).T).argmax(-1)
        return [COLORS[index] for index in nearest.tolist()]

    def _colors_as_text(self, name: str) -> torch.Tensor:
        """(colors, D) unit vectors: the mean over templates of unit text vectors, made unit again."""
        if name not in self._color_texts:
            texts = [template.format(color=color, name=name) for color in COLORS for template in TEMPLATES]
            vectors = self.clip.of_texts(texts).unflatten(0, (len(COLORS), len(TEMPLATES)))
            self._color_texts[name] = normalize(vectors.mean(1), dim=-1)
        return self._color_texts[name]
