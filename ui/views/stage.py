"""The image of a step with its grid of tokens, and the image it is compared with: data for `web/stage.js`."""

import math
from collections.abc import Sequence
from typing import Any

from milr_core import Step
from milr_core.diagnostics import changed_cells

AGAINST = ("previous", "first", "best", "last", "a step")
"""What a step can be compared with."""


def other_step(steps: Sequence[Step], index: int, against: str, chosen: int = 0) -> int:
    """Index of the step that `index` is compared with; step 0 has itself for a previous one."""
    last = len(steps) - 1
    wanted = {"previous": index - 1, "first": 0, "best": steps[-1].best, "last": last}.get(against, chosen)
    return min(max(wanted, 0), last)


def image_alt(step: Step, prompt: str) -> str:
    return f"Step {step.index} for '{prompt}', score {step.reward:.2f}. {step.reason}"


def picture(steps: Sequence[Step], index: int, other: int, urls: Sequence[str], prompt: str) -> dict[str, Any]:
    """prompt, image, alt, name of the file, side of the token grid (0: no grid), and what overlays show of each cell.

    An empty dictionary where there is no step yet.
    """
    if not steps:
        return {}
    step, before = steps[index], steps[other]
    cells = len(step.image_tokens)
    side = math.isqrt(cells)
    known = step.probabilities
    return {
        "index": index,
        "prompt": prompt,
        "image": urls[index],
        "alt": image_alt(step, prompt),
        "file": f"milr-step-{index}.png",
        "side": side if side * side == cells else 0,
        "prefix": step.image_positions,
        "changed": changed_cells(step, before),
        "probability": known.image if known else [],
        "entropy": known.image_entropy if known else [],
        "other": {"index": other, "image": urls[other], "alt": image_alt(before, prompt)} if other != index else None,
    }
