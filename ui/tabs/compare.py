"""The Compare tab: its controls, its handlers, and the drive that fills the table."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.engines.base import TOLD, paid
from ui.events import ASKS, AT_ONCE, COMPUTES, LATEST, TYPED, Answer
from ui.page import Page
from ui.panels.compare_table import build_table, progress, quoted, table
from ui.panels.scripted import url
from ui.panels.status import build_status, estimate, notice, status
from ui.session import FINISHED, IDLE, RUNNING, STOPPED, WAITING, Session
from ui.shared_state import SharedState, broke_off
from ui.tabs.comparison import METHODS, Comparison
from ui.tabs.inspector import Inspector


class Compare:
    """A comparison waits in the same line as a search, and a session does one of them at a time."""

    def __init__(self, shared: SharedState, page: Page):
        self.shared, self.page = shared, page
        self.methods = gr.CheckboxGroup(
            [(f"{name}: {what}", name) for name, what in METHODS.items()], value=list(METHODS), label="Methods",
            elem_id="methods",
        )  # fmt: skip
        self.estimate = gr.HTML("", elem_id="compare-estimate", padding=False)
        with gr.Row(elem_id="compare-buttons"):
            self.compare = gr.Button("Compare", variant="primary", elem_id="compare")
            self.cancel = gr.Button("Cancel", interactive=False, elem_id="cancel")
        self.status = build_status(progress(IDLE, [], 0, ""), "compare-status").render()
        self.clock = gr.Timer(2, active=False)
        self.notice = gr.HTML("", elem_id="compare-notice")
        self.table = build_table().render()
        self.ticket, self.turn = gr.State(0), gr.State(0)

    def wire(self, session: gr.State, inspector: Inspector, tab: gr.Tab, tabs: gr.Tabs) -> None:
        self.tabs, page = tabs, self.page
        prompt, controls = inspector.prompt, inspector.controls
        shown = list(self.shown(Session()))
        computes = COMPUTES | {"concurrency_limit": self.shared.engine.at_once}
        self.ticket.change(self.drive, [self.ticket, session], [self.turn, *shown], **computes)
        self.turn.change(page.whole, session, page.everything, **LATEST, **AT_ONCE)
        self.clock.tick(self.said, session, self.status, **AT_ONCE)
        asked = [session, self.methods, prompt, *controls.asked]
        self.compare.click(self.press_compare, asked, [self.ticket, *shown], **ASKS)
        weighed = [self.methods, prompt, *controls.weighed]
        gr.on([tab.select, self.methods.change], self.expect, weighed, self.estimate, **LATEST, **TYPED)
        self.cancel.click(self.press_cancel, session, shown, **AT_ONCE)
        self.table.inspect(self.inspect, session, [tabs, *page.everything], **AT_ONCE)

    def shown(self, session: Session, message: str = "") -> Answer:
        """The tab without its choice of methods."""
        made = session.comparison
        busy = made is not None and session.active is made
        rows, phase = (made.rows, made.phase) if made else ([], IDLE)
        return {
            self.table: table(rows, url, phase == RUNNING),
            self.status: self.said(session),
            self.notice: notice(message),
            self.compare: gr.update(interactive=not busy),
            self.cancel: gr.update(interactive=busy),
            self.clock: gr.update(active=busy and phase == WAITING),
        }

    def said(self, session: Session) -> str:
        """The status line of the tab."""
        made, line = session.comparison, self.shared.line
        if made is None:
            return progress(IDLE, [], 0, "")
        waiting = status(WAITING, [], None, line.ahead(session), self.shared.wait(session))
        return progress(made.phase, made.rows, len(made.methods), waiting)

    def expect(self, methods: list[str], prompt: str, steps: float | None, *judges: str) -> str:
        """Of what, and what it takes at most: step 0 once, then each method that goes on from it."""
        searches, most = sum(name != "step 0" for name in methods), self.shared.limits.steps(steps)
        if not methods:
            return ""
        cost = self.shared.engine.cost(searches * most)
        return quoted(prompt) + estimate(most, self.shared.seconds_a_step, paid(judges), cost, searches)

    def press_compare(self, request: gr.Request, session: Session, methods: list[str], *controls: Any) -> Answer:
        """Check, then ask for a turn."""
        if session.busy:
            return self.shown(session, "A search of yours is running or waiting: stop it first.")
        if not methods:
            return self.shown(session, "Choose at least one method.")
        try:
            template = self.shared.begun(session, *controls)
        except TOLD as error:
            return self.shown(session, str(error))
        self.shared.register(request, session)
        session.comparison = Comparison(template, [name for name in METHODS if name in methods])
        ticket = session.ask(session.comparison)
        self.shared.line.join(session)
        return {self.ticket: ticket, **self.shown(session)}

    def press_cancel(self, session: Session) -> Answer:
        """The methods that are done stay."""
        made = session.comparison
        if made is not None and session.active is made:
            if made.phase == WAITING:
                session.revoke()
                self.shared.line.leave(session)
                made.phase = STOPPED
            else:
                session.hold("stop")
        return self.shown(session)

    def inspect(self, session: Session, event: gr.EventData) -> Answer:
        """A method's run beside the other runs of the session, and the Inspector in front."""
        row = session.comparison.opened(event.method) if session.comparison else None
        if row is not None:
            if not any(run is row.opened for run in session.runs):
                row.opened = row.run.copy(row.phase)
                session.begin(row.opened)
            session.show(row.opened.number)
        return {self.tabs: gr.Tabs(selected="inspector"), **self.page.whole(session)}

    def drive(self, ticket: int, session: Session) -> Iterator[Answer]:
        """Make the rows one after the other until all are there, or it is cancelled, or its ticket is revoked.

        Whose turn it is, whose change brings the Inspector up to date; and what the tab shows.
        """
        made = session.active
        if session.ticket != ticket or not isinstance(made, Comparison) or made.phase != WAITING:
            yield gr.skip()
            return
        made.phase, message, pace = RUNNING, "", self.shared.pace()
        try:
            engine = self.shared.engine_for(made.template)
            for method in made.methods:
                row = made.begin_row(method, self.shared.folder(session))
                yield {self.turn: ticket, **self.shown(session)}
                for step in made.attempts(engine, row):
                    if session.ticket != ticket:
                        return
                    self.shared.keep(row.run, step)
                    if pace.due:
                        with pace.update():
                            yield {self.turn: ticket, **self.shown(session)}
                if made.control.stopped:
                    break
                row.done = True
        except Exception as error:  # shown; the steps so far stay, and none is made up
            message = broke_off(error, "The comparison")
        finally:
            self.shared.line.leave(session)
            session.touched = time.monotonic()
            if session.ticket == ticket:
                made.phase = STOPPED
        if session.ticket != ticket:
            return
        made.rows = [row for row in made.rows if row.run.steps]
        made.phase = FINISHED if sum(row.done for row in made.rows) == len(made.methods) else STOPPED
        session.active = None
        yield {self.turn: 0, **self.shown(session, message)}
