"""The Inspector tab: a prompt, the controls of a search, and every step of it."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.choosing import build_choice
from ui.controls import LIVE, SLIDERS, Controls, build_controls, random_seed
from ui.engine import paid
from ui.exporting import Exporting, build_export, wire_export
from ui.looking import Looking
from ui.models import Models
from ui.page import IN_FORCE, OUTPUTS, PANEL, PRESSED, SHOWN, pressed
from ui.panels import build_panels, script
from ui.replaying import build_replay, wire_replay
from ui.search import Search
from ui.session import IDLE
from ui.studio import Studio
from ui.views.status import estimate, status

EXAMPLES = (
    "three small blue circles and two large orange squares",
    "two red circles left of a blue square",
    "three green triangles",
    "a triangle the color of grass",
    "as many squares as wheels on a car",
)
"""The first is what a new visitor runs: with the first settings it is wrong, then gets better."""
COMPUTES: dict[str, Any] = {
    "concurrency_id": "search", "show_progress": "hidden", "api_visibility": "private",
    "trigger_mode": "multiple",
}  # fmt: skip
"""What computes: as many at a time as the engine can, whoever asked."""
ASKS: dict[str, Any] = {
    "concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private", "preprocess": False,
}  # fmt: skip
"""A press that may hand out a ticket. The browser sees a State's change only in answers that came through the queue."""
AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
TYPED = AT_ONCE | {"preprocess": False}
"""Of fields that someone may be typing in. The handlers say what is wrong with a value: gradio would answer that the
first digit of 0.25 is out of range with an error on every panel that waits for the answer."""


def build_inspector(studio: Studio, critic: str, models: Models | None) -> tuple[dict[str, Any], Controls]:
    """Left what is asked and set, right what comes of it."""
    parts: dict[str, Any] = {"clock": gr.Timer(2, active=False)}
    with gr.Row(elem_id="studio"):
        with gr.Column(elem_id="ask"):
            _ask(parts)
        with gr.Column(elem_id="results"):
            parts |= build_panels()
            build_export(parts)
        with gr.Column(elem_id="settings-column"):
            parts["estimate"] = gr.HTML("", elem_id="estimate", padding=False)
            controls = build_controls(studio.engine.facts.recommended, critic)
            if models is not None:
                parts |= build_choice(models)
    parts["fork"] = controls.fork
    parts |= {f"{name}_in_force": controls.in_force[name] for name in SLIDERS}
    return parts, controls


def _ask(parts: dict[str, Any]) -> None:
    parts["prompt"] = gr.Textbox(
        label="Prompt",
        placeholder="What to draw, for example: two red circles",
        value=EXAMPLES[0],
        max_lines=3,
        elem_id="prompt",
    )
    with gr.Row(elem_id="buttons"):
        parts["run"] = gr.Button("Run", variant="primary", min_width=70, elem_id="run")
        parts["pause"] = gr.Button("Pause", interactive=False, min_width=70, elem_id="pause")
        parts["resume"] = gr.Button("Resume", visible=False, min_width=70, elem_id="resume")
        parts["one_step"] = gr.Button("Step", min_width=70, elem_id="one-step")
        parts["stop"] = gr.Button("Stop", interactive=False, min_width=70, elem_id="stop")
        parts["leave"] = gr.Button("Leave", visible=False, min_width=70, elem_id="leave")
    parts["status"] = gr.HTML(status(IDLE, [], None), elem_id="status", js_on_load=script("status"), padding=False)
    parts["notice"] = gr.HTML("", elem_id="notice", padding=False)
    with gr.Row(elem_id="examples", elem_classes="chips"):
        gr.HTML("Try", elem_classes="before-chips", padding=False)
        parts["examples"] = [gr.Button(text, size="sm", elem_classes="chip") for text in EXAMPLES]
    build_replay(parts)


def wire_inspector(
    opened: Callable[..., Any],
    studio: Studio,
    session: gr.State,
    ticket: gr.State,
    parts: dict[str, Any],
    controls: Controls,
    computes: dict[str, Any],
) -> None:
    """opened: takes what is to happen when a page is opened."""
    search, looking = Search(studio), Looking()
    page = [parts[name] for name in OUTPUTS]
    panel = [parts[name] for name in PANEL]
    asked = [session, parts["prompt"], *controls.asked]
    # A press that wants computing hands out a ticket; the ticket's change, not the press, then waits in the queue.
    phase = gr.State(IDLE)
    drive = ticket.change(search.drive, [ticket, session], [phase, *[parts[name] for name in SHOWN]], **computes)
    buttons = [parts[name] for name in PRESSED]
    phase.change(pressed, session, buttons, trigger_mode="always_last", **AT_ONCE)
    gr.on([parts["run"].click, parts["prompt"].submit], search.press_run, asked, [ticket, *page], **ASKS)
    parts["one_step"].click(search.press_step, asked, [ticket, *page], **ASKS)
    parts["fork"].click(search.press_fork, asked, [ticket, *page], **ASKS)
    parts["resume"].click(search.press_resume, session, [ticket, *page], **ASKS)
    for name, press, outputs in (("pause", search.press_pause, None), ("stop", search.press_stop, page)):
        said = f"() => '{'Pausing' if name == 'pause' else 'Stopping'} after the token it is at.'"
        parts[name].click(None, None, parts["status"], js=said, api_visibility="private")
        parts[name].click(press, session, outputs, **AT_ONCE)
    parts["leave"].click(search.press_leave, session, page, cancels=drive, **AT_ONCE)
    parts["clock"].tick(search.tick, session, parts["status"], **AT_ONCE)
    parts["stepper"].step(looking.look, session, panel, trigger_mode="always_last", **AT_ONCE)
    parts["runs"].choose(looking.choose, session, page, **AT_ONCE)
    gr.on(
        [parts["against"].change, parts["against_step"].change], looking.look_against,
        [session, parts["against"], parts["against_step"]], [parts["against_step"], *panel], **TYPED,
    )  # fmt: skip
    live = [controls.knobs[name] for name in LIVE]
    beside = [parts[name] for name in (*IN_FORCE, "notice")]
    gr.on([k.change for k in live], search.move_slider, [session, *live], beside, trigger_mode="always_last", **TYPED)
    presets = [controls.preset, parts["notice"], *controls.knobs.values()]
    controls.preset.input(search.choose_preset, [session, controls.preset], presets, **AT_ONCE)
    controls.dice.click(random_seed, None, controls.knobs["seed"], **AT_ONCE)
    for chip, text in zip(parts["examples"], EXAMPLES, strict=True):
        chip.click(None, None, parts["prompt"], js=f"() => {text!r}", api_visibility="private")
    wire_export(studio, session, parts, AT_ONCE)
    wire_replay(studio, session, parts, page, AT_ONCE)

    def expect(steps: float | None, *judges: str) -> list[Any]:
        """What a run will take, and whether the fields for a service's key are needed."""
        asked_for_money, most = paid(judges), studio.limits.steps(steps)
        return [
            estimate(most, studio.seconds_a_step, asked_for_money, studio.engine.cost(most)),
            gr.update(visible=asked_for_money > 0),
        ]

    weighed, weighing = controls.weighed, [parts["estimate"], controls.paid]
    drive.then(expect, weighed, weighing, **TYPED)
    gr.on([c.change for c in weighed], expect, weighed, weighing, trigger_mode="always_last", **TYPED)
    linked = [parts["prompt"], *controls.judges, *controls.knobs.values(), parts["notice"]]
    opened(Exporting(studio).restore, None, linked, **AT_ONCE).then(expect, weighed, weighing, **TYPED)
