"""Drives the handlers as gradio drives them, without a browser."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.blocks import Block

from milr_core import SearchSettings, Step
from milr_core.settings import KNOBS
from ui.engines.base import Engine
from ui.engines.models import Models
from ui.page import Page
from ui.run import Run
from ui.session import Session
from ui.shared_state import SharedState
from ui.tabs.compare import Compare
from ui.tabs.inspector import Inspector

PROMPT = "two red dogs"
SETTINGS = SearchSettings(
    strategy="joint", text_ratio=0.5, image_ratio=0.2, lr=0.5, guidance=3.0, steps=4, threshold=0.95, seed=3
)


def request(name: str = "a") -> gr.Request:
    return gr.Request(None, None, session_hash=name)


class Studio:
    """The page of an engine, and its handlers. What they answer is read by name: that of the attribute which holds the
    component, with `_in_force` behind that of a slider for what stands beside it, and `compare_` before Compare's."""

    def __init__(self, engine: Engine, models: Models | None = None, **more: Any):
        self.shared = SharedState(engine, **more)
        self.shared.line.start = lambda turn: None  # turns are computed where a test says so
        with gr.Blocks(analytics_enabled=False):
            self.header, self.about = gr.HTML(), gr.HTML()
            self.page = Page()
            self.inspector = Inspector(self.shared, self.page, "oracle", models, (self.header, self.about))
            self.compare = Compare(self.shared, self.page)
            self.compare.tabs = gr.Tabs()
        self.search, self.controls = self.inspector.search, self.inspector.controls
        self.export, self.recorded, self.picker = self.inspector.export, self.inspector.recorded, self.inspector.picker
        self.names: dict[Block, str] = {}
        for owner in (self, self.page, self.search, self.controls, self.export, self.picker, self.inspector):
            self._name(vars(owner) if owner else {}, "", "")
        self._name(self.page.in_force, "", "_in_force")
        self._name(self.controls.knobs, "", "")
        self._name(vars(self.compare), "compare_", "")

    def _name(self, given: dict[str, Any], before: str, behind: str) -> None:
        for name, value in given.items():
            if isinstance(value, Block):
                self.names.setdefault(value, before + name + behind)

    def read(self, answer: dict[Any, Any]) -> dict[str, Any]:
        """An answer by name; nothing of one that skips all."""
        return {} if answer == gr.skip() else {self.names[component]: value for component, value in answer.items()}

    def press(self, how: str, session: Session, *given: Any, **more: Any) -> dict[str, Any]:
        """A button that takes the controls."""
        return self.read(getattr(self.search, how)(request(), session, *controls(*given, **more)))

    def drive(self, answer: dict[str, Any], session: Session) -> Iterator[dict[str, Any]]:
        """What the browser has after each step of the turn that was asked for, which is computed here meanwhile."""
        return self._computed(answer.get("ticket"), session, self.search.compute, self.page.whole)

    def drive_comparison(self, answer: dict[str, Any], session: Session) -> Iterator[dict[str, Any]]:
        return self._computed(answer.get("compare_ticket"), session, self.compare.compute, self.compare.shown)

    def _computed(self, ticket: int | None, session: Session, compute: Any, shown: Any) -> Iterator[dict[str, Any]]:
        turn = session.turn
        if ticket is None:
            return
        try:
            for _ in compute(ticket, session):
                yield self.read(shown(session))
        finally:
            if turn:
                self.shared.line.end(turn)
        if session.ticket == ticket:
            yield self.read(shown(session))

    def finish(self, session: Session, *given: Any, **more: Any) -> dict[str, Any]:
        """A whole run; the last page."""
        return list(self.drive(self.press("press_run", session, *given, **more), session))[-1]

    def resume(self, session: Session) -> Iterator[dict[str, Any]]:
        return self.drive(self.read(self.search.press_resume(request(), session)), session)

    def look(self, session: Session, index: int) -> dict[str, Any]:
        """The step slider moved."""
        return self.read(self.inspector.look(session, event(index=index)))

    def compared(self, session: Session, methods: list[str], *given: Any, **more: Any) -> dict[str, Any]:
        """Compare is pressed."""
        return self.read(self.compare.press_compare(request(), session, methods, *controls(*given, **more)))


def controls(settings: SearchSettings = SETTINGS, prompt: str = PROMPT, critic: str = "redness") -> list[Any]:
    """What the page's controls say, in the order in which handlers take them."""
    return [prompt, critic, "none", "", "", "", *[getattr(settings, name) for name in KNOBS]]


def whole(run: Run) -> list[Step]:
    """A run's steps, as they are on disk."""
    return [run.step(index) for index in range(len(run.steps))]


def read(steps: list[Step]) -> list[tuple]:
    """What two equal steps have in common, whether from memory or from disk."""
    return [(s.index, s.text, s.image_tokens, s.reward, s.settings) for s in steps]


def event(**data: Any) -> gr.EventData:
    return gr.EventData(None, data)
