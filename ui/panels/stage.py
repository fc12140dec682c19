"""Two pictures side by side, the step compared with and the step shown: what the critic saw in each, what changed."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from milr_core import Step
from milr_core.control import Forming
from milr_core.diagnostics import changed_cells, text_diff
from ui.panels.scripted import scripted
from ui.panels.words import counted
from ui.run import Outline

AGAINST = ("first", "previous", "best", "last", "a step")
"""What a step can be compared with."""


def _figure(name: str, more: str = "") -> str:
    return (
        f'<figure class="{name}"><figcaption><span class="where"></span> <b class="points"></b>'
        f'<span class="badge" hidden>★ best</span></figcaption>'
        f'<div class="frame"{more}><img alt=""><svg class="grid" preserveAspectRatio="none" aria-hidden="true"></svg>'
        '<div class="boxes" aria-hidden="true"></div></div></figure>'
    )


HATCH = """<svg class="defs" aria-hidden="true"><defs>
<pattern id="milr-hatch" width="0.16" height="0.16" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="pattern dark" width="0.16" height="0.16"/>
<rect class="pattern light" width="0.08" height="0.16"/></pattern></defs></svg>"""

FRAME = ' tabindex="0" role="group" aria-label="Image of the step; arrow keys change the step"'
TEMPLATE = f"""<p class="nothing">Say what to draw and press <b>Run</b>, or open a recorded run.</p>
<div class="stage" hidden>{HATCH}<p class="prompt"></p><p class="verdict"></p>
<div class="pair">{_figure("before")}<span class="arrow" aria-hidden="true">→</span>{_figure("now", FRAME)}</div>
<p class="seen"><label><input type="checkbox" checked> what the critic saw</label>
<span class="state found">✓ found</span><span class="state missed">✗ not as asked</span>
<span class="state ignored">+ also drawn</span>
<a class="save" href="#" title="Save as PNG, with prompt, model and settings in its metadata">PNG ↓</a></p>
</div>"""

OVERLAYS = """<fieldset class="overlays"><legend>Show cells</legend>
<label><input type="radio" name="overlay" value="none" checked> none</label>
<label><input type="radio" name="overlay" value="prefix"> moved by the search</label>
<label><input type="radio" name="overlay" value="changed"> changed</label>
<label><input type="radio" name="overlay" value="probability"> unlikely</label>
<label><input type="radio" name="overlay" value="entropy"> unsure</label></fieldset>
<p class="told" aria-live="polite"></p>"""


def build_stage() -> gr.HTML:
    return scripted(__file__, TEMPLATE, {}, padding=False)


def build_overlays() -> gr.HTML:
    """The choice of what is drawn over the cells; the stage's script listens to it."""
    return gr.HTML(OVERLAYS, elem_id="overlays", padding=False)


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


def verdict(step: Step, other: Step) -> str:
    """What changed between two steps, in one line."""
    if step.index == other.index:
        return f"Step {step.index}: {step.reward:.2f}"
    words = sum(kind == "inserted" for kind, _ in text_diff(step.text_tokens, other.text_tokens))
    cells = f"{len(changed_cells(step, other))} of {len(step.image_tokens)} cells"
    return (
        f"Step {other.index}: {other.reward:.2f} → step {step.index}: {step.reward:.2f} · {counted(words, 'word')} and "
        f"{cells} changed"
    )


def _side(step: Step, image: str, prompt: str, best: int) -> dict[str, Any]:
    return {
        "index": step.index,
        "image": image,
        "alt": image_alt(step, prompt),
        "score": f"{step.reward:.2f}",
        "best": step.index == best,
        "boxes": [
            {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(box).items()}
            for box in step.score.boxes
        ],
    }


def picture(step: Step, other: Step, images: tuple[str, str], prompt: str, best: int = -1) -> dict[str, Any]:
    """Both sides, what changed in words, side of the token grid (0: no grid), and what overlays show of each cell.

    images: addresses of both steps' images. best: index of the best step of the run as it stands.
    """
    cells = len(step.image_tokens)
    side = math.isqrt(cells)
    known = step.probabilities
    return {
        "prompt": prompt,
        "verdict": verdict(step, other),
        "now": _side(step, images[0], prompt, best) | {"file": f"milr-step-{step.index}.png"},
        "before": _side(other, images[1], prompt, best),
        "side": side if side * side == cells else 0,
        "prefix": step.image_positions,
        "changed": changed_cells(step, other),
        "probability": known.image if known else [],
        "entropy": known.image_entropy if known else [],
    }


def forming(coming: Forming, prompt: str, shown: dict[str, Any] | None = None) -> dict[str, Any]:
    """The step under way as far as it is drawn, beside what the step shown is compared with, if there is one."""
    file = io.BytesIO()
    coming.image.save(file, "WEBP", quality=75)
    said = f"row {coming.row} of {coming.rows}"
    now = {
        "index": coming.index,
        "image": f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}",
        "alt": f"Step {coming.index} for '{prompt}' as it forms: {said}",
        "score": said,
        "best": False,
        "boxes": [],
        "file": "",
    }
    return {
        "prompt": prompt,
        "verdict": f"Step {coming.index}: {said}",
        "now": now,
        "before": shown["before"] if shown else now,
        "side": coming.rows,
        **dict.fromkeys(("prefix", "changed", "probability", "entropy"), []),
    }
