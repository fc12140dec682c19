"""The panels of the inspector: each function makes one, empty; `page` says what stands in them.

A scripted panel is a `gr.HTML` whose script in `web/` draws the plain data that is its value.
"""

from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from ui.views.about import DRAWING
from ui.views.plot import reward_figure
from ui.views.reasoning import reasoning
from ui.views.score import score
from ui.views.settings import settings
from ui.views.stage import AGAINST
from ui.views.strip import stepper

WEB = Path(__file__).parent / "web"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
LABELLED = {"show_label": True, "container": True, "padding": False}

STEPPER = """<div class="bar">
<button type="button" class="first" aria-label="First step">«</button>
<button type="button" class="back" aria-label="Step back">‹</button>
<input type="range" min="0" max="0" step="1" value="0" aria-label="Step shown">
<button type="button" class="on" aria-label="Step on">›</button>
<button type="button" class="last" aria-label="Last step">»</button>
<button type="button" class="play" aria-pressed="false">Play</button>
<p class="words"><output></output><span class="follow"></span></p></div>
<span class="announced" role="status" aria-live="polite"></span>"""

STAGE = f"""<div class="nothing">{DRAWING}<p>Press <b>Run</b>, or open a recorded run:
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

STRIP = '<ol aria-label="Steps"></ol><p class="empty">One tile for each step appears here.</p>'

PLOT = """<div class="plot" role="img" aria-label="Score by step: no step yet."></div>
<p class="tools"><button type="button" class="home">Whole run</button>
<button type="button" data-format="svg" aria-label="Save the plot as SVG">SVG ↓</button>
<button type="button" data-format="png" aria-label="Save the plot as PNG">PNG ↓</button></p>"""


def script(name: str) -> str:
    return (WEB / f"{name}.js").read_text(encoding="utf-8")


def scripted(name: str, template: str, value: Any, **more: Any) -> gr.HTML:
    """A panel drawn by `web/<name>.js`, under that id."""
    return gr.HTML(value, html_template=template, js_on_load=script(name), elem_id=name, **more)


def build_panels() -> dict[str, Any]:
    """By name as in `page.OUTPUTS`, and what only the inspector needs."""
    made: dict[str, Any] = {}
    made["runs"] = scripted("runs", '<div class="runs" role="group" aria-label="Runs"></div>', [])
    made["stepper"] = scripted("stepper", STEPPER, stepper(0, [], None, 0))
    with gr.Row(elem_id="now"):
        with gr.Column(min_width=300, elem_id="picture", elem_classes="card"):
            made["stage"] = scripted("stage", STAGE, {}, padding=False)
            with gr.Row(elem_id="against-row"):
                made["against"] = gr.Radio(list(AGAINST), value=AGAINST[0], label="Compare with", elem_id="against")
                made["against_step"] = gr.Number(
                    0, precision=0, minimum=0, label="Step", visible=False, min_width=80, elem_id="against-step"
                )
        with gr.Column(min_width=300, elem_id="words"):
            made["score"] = gr.HTML(score(None), label="Score", elem_id="score", **LABELLED)
            made["flags"] = gr.HTML("", elem_id="flags")
            made["reasoning"] = gr.HTML(reasoning(None), label="Reasoning", elem_id="reasoning", **LABELLED)
    made["plot"] = scripted(
        "plot", PLOT, reward_figure([], None) | {"run": 0}, label="Reward",
        head=f'<script src="gradio_api/file={PLOTLY}"></script>', **LABELLED,
    )  # fmt: skip
    made["strip"] = scripted("strip", STRIP, {"run": 0, "tiles": []}, label="Trajectory", **LABELLED)
    with gr.Accordion("All settings, norms and cost of this step", open=False, elem_id="step-settings"):
        made["settings"] = gr.HTML(settings([], 0), elem_id="settings")
    return made
