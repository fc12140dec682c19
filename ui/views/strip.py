"""The steps of a run in a row: the tiles of the gallery, and what the step slider says. Data for scripts in `web/`."""

from collections.abc import Sequence
from typing import Any

from milr_core import SearchSettings, Step
from milr_core.diagnostics import Flag
from ui.views.flags import SYMBOL, WARNING


def tiles(steps: Sequence[Step], urls: Sequence[str], found: Sequence[Sequence[Flag]]) -> list[dict[str, Any]]:
    """One tile a step. An earlier tile stays equal when steps are added, but for its best flag, so that only the new
    one travels."""
    best = steps[-1].best if steps else -1
    return [
        {
            "image": url,
            "score": f"{step.reward:.2f}",
            "best": step.index == best,
            "flags": [[SYMBOL.get(flag.kind, WARNING), flag.kind] for flag in flags],
        }
        for step, url, flags in zip(steps, urls, found, strict=True)
    ]


def stepper(run: int, steps: Sequence[Step], planned: SearchSettings | None, index: int) -> dict[str, Any]:
    """run: its number, so that the slider knows another run from a longer one. index: the step to begin with."""
    return {
        "run": run,
        "scores": [round(step.reward, 4) for step in steps],
        "best": steps[-1].best if steps else 0,
        "planned": max(planned.steps, len(steps) - 1) if planned else 0,
        "index": max(index, 0),
    }
