"""The film strip: one tile for each step of a run, in one row under the picture."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ui.panels.flags import SYMBOL, WARNING
from ui.panels.scripted import scripted
from ui.run import Outline

TEMPLATE = '<ol aria-label="Steps"></ol><p class="empty">One tile for each step appears here.</p>'


def build_gallery() -> gr.HTML:
    return scripted(__file__, TEMPLATE, {"run": 0, "tiles": []}, elem_id="strip", padding=False)


def tiles(steps: Sequence[Outline], address: Callable[[str], str]) -> list[dict[str, Any]]:
    """One tile for each step. An earlier tile stays equal when steps are added, but for its best flag, so that only the
    new one travels. address: where the browser finds a file."""
    best = steps[-1].best if steps else -1
    return [
        {
            "image": address(step.image),
            "score": f"{step.reward:.2f}",
            "best": step.index == best,
            "flags": [[SYMBOL.get(flag.kind, WARNING), flag.kind] for flag in step.flags],
        }
        for step in steps
    ]
