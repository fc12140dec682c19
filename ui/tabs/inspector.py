"""The Inspector tab: a prompt, the controls of a search, and every step of it."""

import gradio as gr
from gradio.events import Dependency

from ui.engines.models import Models
from ui.events import AT_ONCE, LATEST, TYPED, Answer
from ui.page import Page
from ui.panels.chips import Chips
from ui.panels.controls import Controls
from ui.panels.export import Export
from ui.panels.model_picker import ModelPicker
from ui.panels.recorded_runs import RecordedRuns
from ui.panels.run_buttons import RunButtons
from ui.panels.stage import build_against, build_overlays
from ui.session import Session
from ui.shared_state import SharedState


class Inspector:
    """Left what is asked and set, right what comes of it. follow: header and About, which say what model there is."""

    def __init__(
        self, shared: SharedState, page: Page, critic: str, models: Models | None, follow: tuple[gr.HTML, gr.HTML]
    ):
        self.page = page
        page.clock.render()
        with gr.Row(elem_id="studio"):
            with gr.Column(elem_id="ask"):
                self.chips = Chips()
                self.controls = Controls(shared, page, critic, self.chips.first)
                self._ask()
                self.controls.live()
            with gr.Column(elem_id="results"):
                self._panels()
                self.export = Export(shared, page, self.controls)
            with gr.Column(elem_id="settings-column"):
                self.recorded = RecordedRuns(shared, page, self.controls)
                self.controls.more()
                self.picker = ModelPicker(shared, models, self.controls, *follow) if models else None
        self.search = RunButtons(shared, page)

    def _ask(self) -> None:
        self.controls.prompt.render()
        with gr.Row(elem_id="buttons"):
            for button in self.page.buttons:
                button.render()
        with gr.Row(elem_id="pace-row"):
            self.controls.seed.render()
            self.controls.pace.render()
        self.page.status.render()
        self.page.notice.render()
        self.page.instead.render()
        self.chips.render()

    def _panels(self) -> None:
        page = self.page
        with gr.Row(elem_id="now"):
            with gr.Column(min_width=300, elem_id="picture", elem_classes="card"):
                page.stage.render()
                page.gallery.render()
                page.stepper.render()
                self.against, self.against_step = build_against()
                build_overlays()
                page.fork.render()
            with gr.Column(min_width=260, elem_id="words"):
                page.score.render()
                page.reasoning.render()
                page.flags.render()
        page.runs.render()
        page.plot.render()
        with gr.Accordion("All settings, norms and cost of this step", open=False, elem_id="step-settings"):
            page.settings.render()

    def wire(self, session: gr.State, arrived: Dependency) -> None:
        """arrived: what happens first when a page is opened."""
        page, controls = self.page, self.controls
        ended = self.search.wire(session, controls, self.chips)
        controls.wire(session, ended)
        self.export.wire(session)
        self.recorded.wire(session)
        follows = self.picker.wire(session) if self.picker else []
        opened = list(dict.fromkeys([*page.everything, *follows, *self.export.linked]))
        arrived.then(self.open, session, opened, **AT_ONCE).then(**controls.expecting)
        page.stepper.step(self.look, session, page.of_the_step, **LATEST, **AT_ONCE)
        page.runs.choose(self.choose, session, page.everything, **AT_ONCE)
        gr.on(
            [self.against.change, self.against_step.change], self.look_against,
            [session, self.against, self.against_step], [self.against_step, *page.of_the_step], **TYPED,
        )  # fmt: skip

    def open(self, request: gr.Request, session: Session) -> Answer:
        """A page is opened: what the model recommends, and before it what the address says."""
        answer = self.picker.arrive(session) if self.picker else {}
        return answer | self.export.restore(request, session) | self.recorded.arrive(request, session) or gr.skip()

    def look(self, session: Session, event: gr.EventData) -> Answer:
        """The step slider moved: the panels of that step."""
        if session.shown is None:  # the page was quicker than its visit
            return gr.skip()
        session.look_at(int(event.index))
        return self.page.step(session)

    def look_against(self, session: Session, against: str, chosen: float | None) -> Answer:
        """Another step to compare with."""
        session.against, session.against_step = against, max(0, int(chosen or 0))
        return {self.against_step: gr.update(visible=against == "a step"), **self.page.step(session)}

    def choose(self, session: Session, event: gr.EventData) -> Answer:
        """Another run in every panel."""
        session.show(int(event.number))
        return self.page.whole(session)
