"""The gallery: one tile for each step of a run."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from milr_core import Step
from milr_core.diagnostics import Flag
from ui.panels.flags import SYMBOL, WARNING
from ui.panels.scripted import LABELLED, scripted

TEMPLATE = '<ol aria-label="Steps"></ol><p class="empty">One tile for each step appears here.</p>'


def build_gallery() -> gr.HTML:
    return scripted(__file__, TEMPLATE, {"run": 0, "tiles": []}, label="Trajectory", elem_id="strip", **LABELLED)


def tiles(steps: Sequence[Step], urls: Sequence[str], found: Sequence[Sequence[Flag]]) -> list[dict[str, Any]]:
    """One tile for each step. An earlier tile stays equal when steps are added, but for its best flag, so that only the
    new one travels."""
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
