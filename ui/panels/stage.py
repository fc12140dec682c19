"""The image of a step with its grid of tokens, and the image it is compared with."""

import math
from collections.abc import Sequence
from typing import Any

import gradio as gr

from milr_core import Step
from milr_core.diagnostics import changed_cells
from ui.panels.scripted import scripted
from ui.session import Outline
from ui.tabs.about import DRAWING

AGAINST = ("previous", "first", "best", "last", "a step")
"""What a step can be compared with."""

TEMPLATE = f"""<div class="nothing">{DRAWING}<p>Press <b>Run</b>, or open a recorded run:
nothing is computed for that.</p></div>
<div class="figure" hidden><p class="prompt"></p>
<div class="frame" tabindex="0" role="group" aria-label="Image of the step; arrow keys change the step">
<img class="now"><img class="other" hidden>
<svg class="grid" preserveAspectRatio="none" aria-hidden="true"><defs>
<pattern id="milr-hatch" width="0.16" height="0.16" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="pattern dark" width="0.16" height="0.16"/>
<rect class="pattern light" width="0.08" height="0.16"/></pattern>
</defs></svg>
<a class="save" href="#" title="Save as PNG, with prompt, model and settings in its metadata">PNG ↓</a></div>
<label class="reveal" hidden><span class="name"></span>
<input type="range" min="0" max="100" value="0" step="1"></label>
<fieldset class="overlays"><legend>Tokens</legend>
<label><input type="radio" name="overlay" value="none" checked> none</label>
<label><input type="radio" name="overlay" value="prefix"> optimised</label>
<label><input type="radio" name="overlay" value="changed"> changed</label>
<label><input type="radio" name="overlay" value="probability"> probability</label>
<label><input type="radio" name="overlay" value="entropy"> entropy</label></fieldset>
<p class="told" aria-live="polite"></p></div>"""


def build_stage() -> gr.HTML:
    return scripted(__file__, TEMPLATE, {}, padding=False)


def build_against() -> tuple[gr.Radio, gr.Number]:
    """The choice of what to compare with, and the field for the number of a step."""
    with gr.Row(elem_id="against-row"):
        against = gr.Radio(list(AGAINST), value=AGAINST[0], label="Compare with", elem_id="against")
        step = gr.Number(0, precision=0, minimum=0, label="Step", visible=False, min_width=80, elem_id="against-step")
    return against, step


def other_step(steps: Sequence[Outline], index: int, against: str, chosen: int = 0) -> int:
    """Index of the step that `index` is compared with; step 0 has itself for a previous one."""
    last = len(steps) - 1
    wanted = {"previous": index - 1, "first": 0, "best": steps[-1].best, "last": last}.get(against, chosen)
    return min(max(wanted, 0), last)


def image_alt(step: Step, prompt: str) -> str:
    return f"Step {step.index} for '{prompt}', score {step.reward:.2f}. {step.reason}"


def picture(step: Step, other: Step, images: tuple[str, str], prompt: str) -> dict[str, Any]:
    """prompt, image, alt, name of the file, side of the token grid (0: no grid), and what overlays show of each cell.

    images: addresses of both steps' images.
    """
    cells = len(step.image_tokens)
    side = math.isqrt(cells)
    known = step.probabilities
    return {
        "index": step.index,
        "prompt": prompt,
        "image": images[0],
        "alt": image_alt(step, prompt),
        "file": f"milr-step-{step.index}.png",
        "side": side if side * side == cells else 0,
        "prefix": step.image_positions,
        "changed": changed_cells(step, other),
        "probability": known.image if known else [],
        "entropy": known.image_entropy if known else [],
        "other": None
        if other.index == step.index
        else {"index": other.index, "image": images[1], "alt": image_alt(other, prompt)},
    }
