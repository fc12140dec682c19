"""Detections and the geometry of boxes (x0, y0, x1, y1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milr_core.critics.base import IGNORED, Box

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """One object. box in pixels of the image. mask: (height, width) bool, from detectors that give one."""

    name: str
    score: float
    box: Corners
    mask: np.ndarray | None = None

    def as_dict(self) -> dict:
        """Without the mask: for a score's raw figures."""
        return {"name": self.name, "score": round(self.score, 6), "box": [round(x, 2) for x in self.box]}


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union; 0 where both are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union > 0 else 0.0


def suppressed(detections: Sequence[Detection], threshold: float) -> list[Detection]:
    """Non-maximum suppression: best first, without those that overlap a better one by more than `threshold`."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda d: -d.score):
        if all(iou(candidate.box, better.box) <= threshold for better in kept):
            kept.append(candidate)
    return kept


def drawn(
    detections: Sequence[Detection],
    size: tuple[int, int],
    states: Mapping[str, tuple[Sequence[Detection], str]],
    words: Mapping[str, str],
) -> tuple[Box, ...]:
    """Detections as boxes to be drawn on an image of `size` (width, height), which their corners are in pixels of.

    states: by name, the detections that decided and what came of it; all others are ignored. words: by name, those of
    the prompt that ask for it.
    """
    boxes = []
    for one in detections:
        decided, state = states.get(one.name, ((), IGNORED))
        state = state if any(one is other for other in decided) else IGNORED
        x0, y0, x1, y1 = (min(1.0, max(0.0, edge / size[i % 2])) for i, edge in enumerate(one.box))
        boxes.append(Box(one.name, x0, y0, x1, y1, state, words.get(one.name, "")))
    return tuple(boxes)
