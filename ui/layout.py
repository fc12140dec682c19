"""Composes the page and wires its events; what they do stands in `handlers`, how things read in `views`."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from milr_core import Janus
from ui import views
from ui.controls import LIVE, SLIDERS, Controls, build_controls, random_seed
from ui.figure import reward_figure
from ui.handlers import Studio
from ui.page import IN_FORCE, OUTPUTS, PANEL
from ui.session import IDLE, Session

HERE = Path(__file__).parent
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
EXAMPLES = (
    "two red circles left of a blue square",
    "three green triangles",
    "a triangle the color of grass",
    "as many squares as wheels on a car",
    "a purple cross above a yellow circle",
)
ANNOUNCED = "element.setAttribute('role', 'status'); element.setAttribute('aria-live', 'polite');"
LABELLED = {"show_label": True, "container": True, "padding": True}
COMPUTES = {"concurrency_id": "search", "concurrency_limit": 1}
ASKS: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
"""A press that may hand out a ticket. The browser sees a State's change only in answers that came through the queue."""
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


def launch_options() -> dict[str, Any]:
    """What belongs to `launch` and not to the page: theme and style."""
    theme = gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
    )
    return {"theme": theme, "css_paths": [HERE / "style.css"], "footer_links": ["gradio", "settings"]}


def build_demo(model: Janus, critic: str = "oracle") -> gr.Blocks:
    """The page for one loaded model; `critic` is the one chosen at first."""
    gr.set_static_paths([PLOTLY])
    studio = Studio(model)
    with gr.Blocks(title="MILR Studio", analytics_enabled=False, fill_width=True, delete_cache=(3600, 7200)) as demo:
        session, ticket = gr.State(Session()), gr.State(0)
        parts: dict[str, Any] = {"clock": gr.Timer(2, active=False)}
        _header(model)
        with gr.Row(elem_id="studio"):
            with gr.Column(elem_id="ask"):
                _ask(parts)
            with gr.Column(elem_id="results"):
                _results(parts)
            with gr.Column(elem_id="settings-column"):
                controls = build_controls(model.recommended, critic)
        parts |= {f"{name}_in_force": controls.in_force[name] for name in SLIDERS}
        _wire(demo, studio, session, ticket, parts, controls)
    return demo


def _header(model: Janus) -> None:
    kind = f"{escape(model.name)}, {escape(model.device.type)}, ready"
    gr.HTML(
        f'<header><h1>MILR Studio</h1><p class="lead">It draws, is scored, and gets better by thinking again.</p>'
        f'<p class="model">Model: <b>{kind}</b></p></header>',
        elem_id="header",
    )
    with gr.Accordion("How it works", open=False, elem_id="method"):
        gr.HTML(f"<p>{views.METHOD}</p><p>{escape(model.can_draw)}</p>")


def _ask(parts: dict[str, Any]) -> None:
    parts["prompt"] = gr.Textbox(
        label="Prompt",
        placeholder="What to draw, for example: two red circles",
        value=EXAMPLES[0],
        max_lines=3,
        elem_id="prompt",
    )
    with gr.Row(elem_id="examples"):
        parts["examples"] = [gr.Button(text, size="sm", elem_classes="chip") for text in EXAMPLES]
    with gr.Row(elem_id="buttons"):
        parts["run"] = gr.Button("Run", variant="primary", min_width=70, elem_id="run")
        parts["pause"] = gr.Button("Pause", interactive=False, min_width=70, elem_id="pause")
        parts["resume"] = gr.Button("Resume", visible=False, min_width=70, elem_id="resume")
        parts["one_step"] = gr.Button("Step", min_width=70, elem_id="one-step")
        parts["stop"] = gr.Button("Stop", interactive=False, min_width=70, elem_id="stop")
        parts["leave"] = gr.Button("Leave", visible=False, min_width=70, elem_id="leave")
    parts["status"] = gr.HTML(views.status(IDLE, [], None), elem_id="status", js_on_load=ANNOUNCED)
    parts["notice"] = gr.HTML("", elem_id="notice")


def _results(parts: dict[str, Any]) -> None:
    parts["step"] = gr.Slider(
        0, 1, value=0, step=1, precision=0, interactive=False, label="Step shown",
        info="The newest one, until you move away from it.", buttons=[], elem_id="step-slider",
    )  # fmt: skip
    with gr.Row(elem_id="now"):
        with gr.Column(min_width=300, elem_id="picture"):
            parts["image"] = gr.Image(
                label="Image", interactive=False, buttons=["download", "fullscreen"], elem_id="image",
                placeholder="The drawing of each step appears here.",
            )  # fmt: skip
        with gr.Column(min_width=300):
            parts["score"] = gr.HTML(views.score(None), label="Score", elem_id="score", **LABELLED)
            parts["reasoning"] = gr.HTML(views.reasoning(None), label="Reasoning", elem_id="reasoning", **LABELLED)
    parts["plot"] = gr.HTML(
        reward_figure([], 0, None), label="Reward", elem_id="plot", html_template='<div class="plot" role="img"></div>',
        head=f'<script src="gradio_api/file={PLOTLY}"></script>', js_on_load=(HERE / "plot.js").read_text(), **LABELLED,
    )  # fmt: skip
    parts["gallery"] = gr.Gallery(
        label="Trajectory", columns=6, object_fit="contain", height="auto", allow_preview=False, interactive=False,
        buttons=[], elem_id="gallery",
    )  # fmt: skip
    with gr.Accordion("Settings and cost of this step", open=False, elem_id="step-settings"):
        parts["settings"] = gr.HTML(views.settings([], 0), elem_id="settings")


def _wire(
    demo: gr.Blocks, studio: Studio, session: gr.State, ticket: gr.State, parts: dict[str, Any], controls: Controls
) -> None:
    page = [parts[name] for name in OUTPUTS]
    asked = [session, parts["prompt"], controls.critic, *controls.knobs.values()]
    # A press that wants computing hands out a ticket; the ticket's change, not the press, then waits in the queue.
    drive = ticket.change(
        studio.drive, [ticket, session], page, show_progress="hidden", api_visibility="private",
        trigger_mode="multiple", **COMPUTES,
    )  # fmt: skip
    gr.on([parts["run"].click, parts["prompt"].submit], studio.press_run, asked, [ticket, *page], **ASKS)
    parts["one_step"].click(studio.press_step, asked, [ticket, *page], **ASKS)
    parts["resume"].click(studio.press_resume, session, [ticket, *page], **ASKS)
    held = {"pause": (studio.press_pause, None), "stop": (studio.press_stop, page)}
    for name, (press, outputs) in held.items():
        said = f"() => '{'Pausing' if name == 'pause' else 'Stopping'} after the token it is at.'"
        parts[name].click(None, None, parts["status"], js=said, api_visibility="private")
        parts[name].click(press, session, outputs, **AT_ONCE)
    parts["leave"].click(studio.press_leave, session, page, cancels=drive, **AT_ONCE)
    parts["clock"].tick(studio.tick, session, parts["status"], **AT_ONCE)
    panel = [parts[name] for name in PANEL]
    parts["step"].input(studio.look, [session, parts["step"]], panel, trigger_mode="always_last", **AT_ONCE)
    parts["gallery"].select(studio.look_at_tile, session, [*panel, parts["step"]], **AT_ONCE)
    live = [controls.knobs[name] for name in LIVE]
    beside = [parts[name] for name in (*IN_FORCE, "notice")]
    gr.on([k.change for k in live], studio.move_slider, [session, *live], beside, trigger_mode="always_last", **AT_ONCE)
    controls.dice.click(random_seed, None, controls.knobs["seed"], **AT_ONCE)
    for chip, text in zip(parts["examples"], EXAMPLES, strict=True):
        chip.click(None, None, parts["prompt"], js=f"() => {text!r}", api_visibility="private")
    demo.unload(studio.unload)
