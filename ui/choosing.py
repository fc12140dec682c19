"""Which model is loaded for everybody, how far the loading of another one is, and the choice of one."""

from html import escape
from typing import Any

import gradio as gr

from milr_core import InputError
from milr_core.settings import KNOBS, recommended_settings
from ui.controls import restored
from ui.engine import ModelFacts
from ui.models import Models
from ui.session import Session
from ui.studio import Studio
from ui.views.about import about
from ui.views.status import notice

SECONDS = 2.0
"""How often a page looks whether the model has changed."""


def header(facts: ModelFacts, models: Models | None) -> str:
    """models: where others may be loaded; a loading under way, or why the last one failed, stands below."""
    return (
        '<header><h1>MILR Studio</h1><p class="lead">It draws, is scored, and gets better by thinking again.</p>'
        f'<p class="model">Model <b>{escape(facts.name)}</b>: ready, on {escape(facts.device)}, {escape(facts.dtype)}, '
        f"{facts.weights_bytes / (1 << 20):.0f} MiB of weights</p></header>{_progress(models)}"
    )


def _progress(models: Models | None) -> str:
    if models is None or models.said is None:
        return notice(models.problem if models else "")
    return f'<p class="loading" role="status">{escape(models.said.words)}</p>'


class Choosing:
    """Handlers; none of them computes anything but what a model needs."""

    def __init__(self, studio: Studio, models: Models):
        self.studio, self.models = studio, models
        self._first = studio.engine.facts.weights_hash
        self._recommended = set(studio.engine.facts.recommended)

    def arrive(self, session: Session) -> list[Any]:
        """The page was made for the model that was loaded first: bring it up to date."""
        session.model = self._first
        return self.shown(session)

    def tick(self, session: Session) -> list[Any]:
        """Header, About, accordion, dropdown, button, then the knobs; nothing where nothing has changed."""
        if session.models_version == self.models.version:
            return [gr.skip()] * (5 + len(KNOBS))
        return self.shown(session)

    def shown(self, session: Session) -> list[Any]:
        """All of it. The knobs go to what another model recommends; what no model says anything of stays."""
        session.models_version, facts = self.models.version, self.studio.engine.facts
        idle = self.models.said is None
        static = [
            header(facts, self.models), about(facts.can_draw),
            gr.update(visible=len(self.models.choices) > 1),
            gr.update(choices=self.models.choices, interactive=idle), gr.update(interactive=idle),
        ]  # fmt: skip
        if session.model == facts.weights_hash:
            return [*static, *[gr.skip()] * len(KNOBS)]
        static[3] |= {"value": self.models.loaded}
        session.model, values = facts.weights_hash, recommended_settings(dict(facts.recommended)).as_dict()
        self._recommended |= set(facts.recommended)
        return [*static, *(restored(k, values[k]) if k in self._recommended else gr.skip() for k in KNOBS)]

    def look(self, name: str) -> str:
        """What the chosen model needs, before it is loaded."""
        try:
            return "" if name == self.models.loaded else f"<p>{self.models.needs(name).words}</p>"
        except InputError as error:
            return notice(str(error))

    def press_load(self, name: str) -> list[Any]:
        """What the model needs, which is no news once it is loaded, and under the button why it is not."""
        try:
            self.models.load(name, busy=not self.studio.line.empty)
        except InputError as error:
            return [gr.skip(), notice(str(error))]
        return ["", ""]


def build_choice(models: Models) -> dict[str, Any]:
    """Empty of other models, it is not seen."""
    made: dict[str, Any] = {}
    several = len(models.choices) > 1
    with gr.Accordion("Model", open=False, visible=several, elem_id="models") as made["models"]:
        made["model"] = gr.Dropdown(
            models.choices, value=models.loaded, label="Model", elem_id="model",
            info="One is loaded at a time, for all visitors.",
        )  # fmt: skip
        made["needs"] = gr.HTML("", elem_id="model-needs", padding=False)
        made["load"] = gr.Button("Load", size="sm", elem_id="load-model")
        made["refused"] = gr.HTML("", elem_id="model-notice", padding=False)
    return made


def wire_choice(
    demo: gr.Blocks,
    studio: Studio,
    models: Models,
    session: gr.State,
    made: dict[str, Any],
    knobs: list[gr.components.Component],
    at_once: dict[str, Any],
) -> gr.events.Dependency:
    """What happens first when a page is opened."""
    choosing = Choosing(studio, models)
    outputs = [*(made[name] for name in ("header", "about", "models", "model", "load")), *knobs]
    # The clock asks for one number, and all the outputs are touched only where it is another one.
    version = gr.Number(models.version, visible=False)
    gr.Timer(SECONDS).tick(lambda: models.version, None, version, **at_once)
    version.change(choosing.tick, session, outputs, **at_once)
    made["model"].change(choosing.look, made["model"], made["needs"], **at_once)
    pressed = made["load"].click(choosing.press_load, made["model"], [made["needs"], made["refused"]], **at_once)
    pressed.then(choosing.tick, session, outputs, **at_once)
    return demo.load(choosing.arrive, session, outputs, **at_once)
