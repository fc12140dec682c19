"""The oracle: reads the pixels of an image, never tokens or plan, and judges by GenEval's rules.

Segmentation against the ground, connected components, color by majority, shape by overlap with templates, size by
extent. Images of another size are brought to the world's own first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

from milr_core.critics.base import Critic, Score
from shapes.prompts import Prompt, parse, plural
from shapes.scene import COLORS, IMAGE_SIZE, SHAPES, SIZES, shape_mask

FOREGROUND = 70.0  # RGB distance from the ground above which a pixel belongs to a shape
SMALLEST = 0.004  # share of the image below which a component is a speck, not an object
SPECKS_ALLOWED = 0.004  # share of the image that specks may cover in all
MIN_OVERLAP = 0.85  # intersection over union with the best template, below which a blob is no shape
MIN_PURITY = 0.9  # share of a shape's inner pixels that have its color
EDGE = 0.3  # coverage from which an anti-aliased pixel counts as the shape's
_SIZE_BOUNDS = {  # extent as a share of the image's side, halfway between the sizes of the world
    "small": (0.0, (SIZES["small"] + SIZES["medium"]) / 2 / IMAGE_SIZE),
    "medium": (
        (SIZES["small"] + SIZES["medium"]) / 2 / IMAGE_SIZE,
        (SIZES["medium"] + SIZES["large"]) / 2 / IMAGE_SIZE,
    ),
    "large": ((SIZES["medium"] + SIZES["large"]) / 2 / IMAGE_SIZE, 1.0),
}
POSITION_MARGIN = 0.1  # GenEval: of the two extents together
POSITION_COSINE = 0.5  # GenEval: of the offset, along an axis


@dataclass(frozen=True)
class Detection:
    """One blob. box: x0, y0, x1, y1 as shares of the image's side. shape, color: None where it has none."""

    shape: str | None
    color: str | None
    size: str
    box: tuple[float, float, float, float]
    overlap: float
    purity: float

    @property
    def name(self) -> str:
        return f"{self.size} {self.color or 'many-colored'} {self.shape or 'blob'}"


@lru_cache(maxsize=len(SIZES))
def _templates(side: int) -> np.ndarray:
    """(shapes, side, side) booleans: each shape as it is drawn at that extent, in its own box."""
    masks = np.stack([np.asarray(shape_mask(shape, side, side)) for shape in SHAPES])
    return masks / 255.0 >= EDGE


def detect(image: Image.Image) -> tuple[list[Detection], float]:
    """Blobs of an image, largest first, and the share of the image that specks cover."""
    image = image.convert("RGB")
    if image.size != (IMAGE_SIZE, IMAGE_SIZE):
        image = image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
    rgb = np.asarray(image, dtype=np.float32)
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]])
    ground = np.median(border, axis=0)
    foreground = np.linalg.norm(rgb - ground, axis=-1) > FOREGROUND
    labels, count = ndimage.label(foreground)
    palette = np.array(list(COLORS.values()), dtype=np.float32)
    found, specks = [], 0.0
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        mask = labels[window] == index
        share = mask.sum() / IMAGE_SIZE**2
        if share < SMALLEST:
            specks += share
            continue
        inner = ndimage.binary_erosion(mask)
        inner = inner if inner.any() else mask
        nearest = np.linalg.norm(rgb[window][inner][:, None] - palette, axis=-1).argmin(-1)
        votes = np.bincount(nearest, minlength=len(palette))
        purity = votes.max() / votes.sum()
        rows, columns = window
        extent = max(rows.stop - rows.start, columns.stop - columns.start) / IMAGE_SIZE
        squat = min(mask.shape) / max(mask.shape) < 0.75
        size = next(name for name, (low, high) in _SIZE_BOUNDS.items() if low <= extent <= high)
        templates = _templates(SIZES[size])
        blob = np.asarray(Image.fromarray(mask).resize(templates.shape[1:], Image.Resampling.NEAREST))
        overlaps = (templates & blob).sum((1, 2)) / (templates | blob).sum((1, 2))
        found.append(
            Detection(
                SHAPES[overlaps.argmax()] if overlaps.max() >= MIN_OVERLAP and not squat else None,
                list(COLORS)[votes.argmax()] if purity >= MIN_PURITY else None,
                size,
                tuple(x / IMAGE_SIZE for x in (columns.start, rows.start, columns.stop, rows.stop)),
                float(overlaps.max()),
                float(purity),
            )
        )
    found.sort(key=lambda d: -(d.box[2] - d.box[0]) * (d.box[3] - d.box[1]))
    return found, specks


def relations(a: Sequence[float], b: Sequence[float]) -> set[str]:
    """What box `a` (x0, y0, x1, y1) is to box `b`, by GenEval's rule: a subset of left of, right of, above, below."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a, b
    offset = np.array([(ax0 + ax1 - bx0 - bx1) / 2, (ay0 + ay1 - by0 - by1) / 2])
    extents = np.array([ax1 - ax0 + bx1 - bx0, ay1 - ay0 + by1 - by0])
    revised = np.maximum(np.abs(offset) - POSITION_MARGIN * extents, 0) * np.sign(offset)
    if (np.abs(revised) < 1e-3 * max(1.0, extents.max())).all():
        return set()
    x, y = revised / np.linalg.norm(offset)
    said = {"left of": x < -POSITION_COSINE, "right of": x > POSITION_COSINE}
    said |= {"above": y < -POSITION_COSINE, "below": y > POSITION_COSINE}
    return {name for name, holds in said.items() if holds}


def _wanted(clause: dict) -> str:
    shape = clause["class"] if clause["count"] == 1 else plural(clause["class"])
    return " ".join([*(str(clause[k]) for k in ("count", "size", "color") if k in clause), shape])


def judge(image: Image.Image, spec: dict) -> Score:
    """Score an image against GenEval's structure. 1 where it is right; at most 0.8 where it is not: the share of parts.

    raw: `correct` (GenEval's verdict), `detections`.
    """
    found, specks = detect(image)
    parts: dict[str, float] = {}
    wrong: list[str] = []

    def matching(clause: dict) -> list[Detection]:
        keys = {"class": "shape", "color": "color", "size": "size"}
        return [d for d in found if all(getattr(d, keys[k]) == clause[k] for k in keys if k in clause)]

    groups = [matching(clause) for clause in spec["include"]]
    for clause, group in zip(spec["include"], groups, strict=True):
        parts[_wanted(clause)] = min(len(group), clause["count"]) / clause["count"]
        if len(group) < clause["count"]:
            wrong.append(f"expected {_wanted(clause)}, found {len(group)}")
    for clause in spec["exclude"]:
        count = len(matching(clause))
        parts[f"fewer than {_wanted(clause)}"] = float(count < clause["count"])
        if count >= clause["count"]:
            wrong.append(f"expected fewer than {_wanted(clause)}, found {count}")
    for clause, group in zip(spec["include"], groups, strict=True):
        if "position" in clause:
            relation, target = clause["position"]
            pairs = [relation in relations(a.box, b.box) for a in group for b in groups[target]]
            parts[relation] = sum(pairs) / len(pairs) if pairs else 0.0
            if not pairs or not all(pairs):
                wrong.append(f"expected {clause['class']} {relation} {spec['include'][target]['class']}")
    malformed = [d for d in found if d.shape is None or d.color is None]
    parts["clean"] = float(not malformed and specks <= SPECKS_ALLOWED)
    if not parts["clean"]:
        wrong.append("parts of the drawing are malformed")
    seen = ", ".join(d.name for d in found) or "nothing"
    correct = not wrong
    value = 1.0 if correct else 0.8 * sum(parts.values()) / len(parts)
    reason = f"Right. Sees {seen}." if correct else f"{'; '.join(wrong).capitalize()}. Sees {seen}."
    return Score(value, parts, reason, {"correct": correct, "detections": [asdict(d) for d in found]})


class Oracle(Critic):
    """The world's own evaluator as a critic: what it accepts is right by definition, so it says nothing of taste."""

    name = "oracle"

    def check_prompt(self, prompt: str) -> None:
        parse(prompt)

    def score(self, images: Sequence[Image.Image], prompt: str) -> list[Score]:
        spec = parse(prompt).spec()
        return [judge(image, spec) for image in images]


def is_right(image: Image.Image, prompt: Prompt) -> bool:
    return judge(image, prompt.spec()).raw["correct"]
