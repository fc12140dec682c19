"""Runs side by side: a lane each, one slider over the images spent, and a table of the settings that differ."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from milr_core.settings import KNOBS
from ui.panels.scripted import scripted
from ui.panels.words import number
from ui.run import Run

TEMPLATE = """<p class="scrub" hidden><label>Images spent
<input type="range" min="1" max="1" value="1" step="1"></label> <output></output></p><div class="lanes"></div>"""

Lane = tuple[str, str, Run, bool]
"""Name, what it is, the run, whether it has come to its end."""


def build_lanes(**more: Any) -> gr.HTML:
    return scripted(__file__, TEMPLATE, [], padding=False, render=True, **more)


def lanes(shown: Sequence[Lane], address: Callable[[str], str]) -> list[dict[str, Any]]:
    """Give each lane's name, what it is, and by image spent: address, score, index of the best so far. address: where
    the browser finds a file."""
    return [
        {
            "name": name,
            "what": what,
            "done": done,
            "images": [address(step.image) for step in run.steps],
            "scores": [round(step.reward, 4) for step in run.steps],
            "best": [step.best for step in run.steps],
        }
        for name, what, run, done in shown
    ]


def differing(shown: Sequence[Lane]) -> str:
    """A table of the settings in which runs differ; nothing where they do not."""
    names = [name for name in KNOBS if len({getattr(run.planned, name) for _, _, run, _ in shown}) > 1]
    if not names:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, *_ in shown)
    rows = (
        f'<tr><th scope="row">{escape(KNOBS[name].label)}</th>'
        + "".join(f"<td>{escape(number(getattr(run.planned, name)))}</td>" for _, _, run, _ in shown)
        + "</tr>"
        for name in names
    )
    return (
        '<h2>Settings that differ</h2><div class="scroll" role="region" tabindex="0" aria-label="Settings that differ">'
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
