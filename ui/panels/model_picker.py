"""Which model is loaded for everybody, how far the loading of another one is, and the choice of one."""

from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from milr_core import InputError
from milr_core.settings import recommended_settings
from ui.engines.base import ModelFacts
from ui.engines.models import Models
from ui.events import AT_ONCE, Answer
from ui.panels.controls import Controls, restored
from ui.panels.status import notice
from ui.session import Session
from ui.shared_state import SharedState
from ui.tabs.about import NAME, about, licence, links

SECONDS, REST_SECONDS = 2.0, 10.0
"""How often a page looks whether the model has changed: while one is loading, and else."""


def header(facts: ModelFacts, models: Models | None) -> str:
    """models: where others may be loaded; a loading under way, or why the last one failed, stands below."""
    return (
        f'<header><h1>MILR Studio</h1><p class="lead"><b>MILR</b>: {NAME}. A model draws, is scored, and gets better '
        f"by thinking again. <span>{links()}</span></p>"
        f'<p class="model">Model <b>{escape(facts.name)}</b>: {_state(facts, models)}. '
        f"{escape(licence(facts.name))}</p></header>{_progress(models)}"
    )


def _state(facts: ModelFacts, models: Models | None) -> str:
    """Where there is no model yet, its loading stands here, so that nothing moves when it is there."""
    if not facts.weights_hash and models and models.problem:
        return "not loaded"
    if not facts.weights_hash:
        said = models.said.words if models and models.said else "being loaded"
        return f'<span role="status">{escape(said)}</span>'
    return f"ready, on {escape(facts.device)}, {escape(facts.dtype)}, {facts.weights_bytes / (1 << 20):.0f} MiB"


def _progress(models: Models | None) -> str:
    if models is None or models.said is None or not models.loaded:
        return notice(models.problem if models else "")
    return f'<p class="loading" role="status">{escape(models.said.words)}</p>'


class ModelPicker:
    """The accordion, which is not seen where there is no other model, and what follows the model: header and About."""

    def __init__(self, shared: SharedState, models: Models, controls: Controls, header: gr.HTML, about: gr.HTML):
        self.shared, self.models, self.controls, self.header, self.about = shared, models, controls, header, about
        self._first = shared.engine.facts
        self._recommended = set(self._first.recommended)
        several = len(models.choices) > 1
        with gr.Accordion("Model", open=False, visible=several, elem_id="models") as self.accordion:
            self.model = gr.Dropdown(
                models.choices, value=models.loaded or models.choices[0][1], label="Model", elem_id="model",
                info="One is loaded at a time, for all visitors.",
            )  # fmt: skip
            self.needs = gr.HTML("", elem_id="model-needs", padding=False)
            self.load = gr.Button("Load", size="sm", elem_id="load-model")
            self.refused = gr.HTML("", elem_id="model-notice", padding=False)
        self.clock = gr.Timer(SECONDS)

    def wire(self, session: gr.State) -> list[Component]:
        """What follows the model, when a page is opened too."""
        own = [self.header, self.about, self.accordion, self.clock, self.model, self.load, self.refused]
        follows = [*own, *self.controls.knobs.values()]
        # The clock asks for one number, and all the outputs are touched only where it is another one.
        version = gr.Number(self.models.version, visible=False)
        self.clock.tick(lambda: self.models.version, None, version, **AT_ONCE)
        version.change(self.tick, session, follows, **AT_ONCE)
        self.model.change(self.look, [session, self.model], [self.needs, self.refused], **AT_ONCE)
        pressed = self.load.click(self.press_load, [session, self.model], [self.needs, self.refused], **AT_ONCE)
        pressed.then(self.tick, session, follows, **AT_ONCE)
        return follows

    def arrive(self, session: Session) -> Answer:
        """The page was made for the model that was loaded first: bring it up to date."""
        self.models.opened.set()
        session.model = self._first.weights_hash
        return self.shown(session)

    def tick(self, session: Session) -> Answer:
        """Nothing where nothing has changed."""
        return gr.skip() if session.models_version == self.models.version else self.shown(session)

    def shown(self, session: Session) -> Answer:
        """The knobs go to what another model recommends; what no model says anything of stays."""
        session.models_version, facts = self.models.version, self.shared.engine.facts
        idle = self.models.said is None
        choice: dict[str, Any] = {"choices": self.models.choices, "interactive": idle}
        answer: Answer = {
            self.header: header(facts, self.models),
            self.about: about(facts.can_draw),
            self.accordion: gr.update(visible=len(self.models.choices) > 1 or bool(self.models.problem)),
            self.clock: gr.update(value=REST_SECONDS if idle and self.models.loaded else SECONDS),
            self.load: gr.update(interactive=idle),
            self.refused: notice(session.model_problem),
        }
        if session.model != facts.weights_hash:
            choice["value"] = self.models.loaded
            # A model that the page was made for, and that is there now, recommends what stands in the controls.
            if session.model or facts.recommended != self._first.recommended:
                values = recommended_settings(dict(facts.recommended)).as_dict()
                self._recommended |= set(facts.recommended)
                knobs = self.controls.knobs
                answer |= {knobs[name]: restored(name, values[name]) for name in knobs if name in self._recommended}
            session.model = facts.weights_hash
        return answer | {self.model: gr.update(**choice)}

    def look(self, session: Session, name: str) -> Answer:
        """What the chosen model needs, before it is loaded; why the one before failed is no news any more."""
        session.model_problem = ""
        try:
            words = "" if name == self.models.loaded else f"<p>{self.models.needs(name).words} {licence(name)}</p>"
        except InputError as error:
            words = notice(str(error))
        return {self.needs: words, self.refused: ""}

    def press_load(self, session: Session, name: str) -> Answer:
        """What the model needs, which is no news once it is loaded, and under the button why it is not."""

        def told(problem: str) -> None:
            session.model_problem = problem

        told("")
        try:
            self.models.load(name, not self.shared.line.empty, told)
        except InputError as error:
            return {self.refused: notice(str(error))}
        return {self.needs: "", self.refused: ""}
