"""The Compare tab, a race of methods: its controls and handlers, `compute`, which fills the lanes, and `watch`, which
shows them."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import gradio as gr

from milr_core import InputError
from ui.engines.base import TOLD, paid
from ui.events import ASKS, AT_ONCE, LATEST, TYPED, WATCHES, Answer
from ui.page import Page
from ui.panels.compare_table import build_table, progress, quoted, table
from ui.panels.hand import build_hand, hand
from ui.panels.lanes import build_lanes, differing, lanes
from ui.panels.runs import about
from ui.panels.scripted import picture_url
from ui.panels.status import build_status, estimate, notice, waiting
from ui.run import FINISHED, IDLE, PAUSED, REPLAYED, RUNNING, STOPPED, WAITING
from ui.session import Session
from ui.shared_state import SharedState, broke_off
from ui.tabs.comparison import METHODS, RACE, Comparison, Move
from ui.tabs.inspector import Inspector


class Compare:
    """A comparison waits in the same line as a search, and a session does one of them at a time."""

    def __init__(self, shared: SharedState, page: Page):
        self.shared, self.page = shared, page
        self.methods = gr.CheckboxGroup(
            [(f"{name}: {what}", name) for name, what in METHODS.items()], value=list(RACE), label="Who races",
            elem_id="methods",
        )  # fmt: skip
        self.estimate = gr.HTML("", elem_id="compare-estimate", padding=False)
        with gr.Row(elem_id="compare-buttons"):
            self.compare = gr.Button("Start the race", variant="primary", elem_id="compare")
            self.cancel = gr.Button("Cancel", interactive=False, elem_id="cancel")
        self.status = build_status(progress(IDLE, [], 0, ""), "compare-status")
        self.clock = gr.Timer(2, active=False)
        self.notice = gr.HTML("", elem_id="compare-notice")
        self.hand = build_hand()
        self.lanes = build_lanes()
        with gr.Accordion("Figures of each method", open=True, elem_id="figures"):
            self.table = build_table()
        self.differing = gr.HTML("", elem_classes="differing")
        with gr.Accordion("Your runs in the Inspector, side by side", open=False, elem_id="your-runs"):
            self.runs = build_lanes(elem_id="runs-lanes")
            self.runs_differing = gr.HTML("", elem_classes="differing")
        self.ticket, self.turn = gr.State(0), gr.State(0)
        self.of_the_tab = list(self.shown(Session()))

    def wire(self, session: gr.State, inspector: Inspector, tab: gr.Tab, tabs: gr.Tabs) -> None:
        self.tabs, page = tabs, self.page
        controls, shown = inspector.controls, self.of_the_tab
        self.ticket.change(self.watch, [self.ticket, session], [self.turn, *shown], **WATCHES)
        self.turn.change(page.whole, session, page.everything, **LATEST, **AT_ONCE)
        self.clock.tick(self.said, session, self.status, **AT_ONCE)
        asked = [session, self.methods, *controls.asked]
        self.compare.click(self.press_compare, asked, [self.ticket, *shown], **ASKS)
        weighed = [self.methods, controls.prompt, *controls.weighed]
        gr.on([tab.select, self.methods.change], self.expect, weighed, self.estimate, **LATEST, **TYPED)
        tab.select(self.side_by_side, session, [self.runs, self.runs_differing], **AT_ONCE)
        self.hand.move(self.press_move, session, [self.ticket, *shown], **ASKS)
        self.cancel.click(self.press_cancel, session, shown, **AT_ONCE)
        self.table.inspect(self.inspect, session, [tabs, *page.everything], **AT_ONCE)

    def shown(self, session: Session, message: str = "") -> Answer:
        """The tab without its choice of methods."""
        made = session.comparison
        busy = made is not None and session.active is made
        rows, phase = (made.rows, made.phase) if made else ([], IDLE)
        racing = [(row.method, METHODS[row.method], row.run, row.done) for row in rows]
        return {
            self.hand: hand(made),
            self.lanes: lanes(racing, picture_url),
            self.table: table(rows, picture_url, phase == RUNNING),
            self.differing: differing(racing),
            self.status: self.said(session),
            self.notice: notice(message or (made.message if made and not made.awaited else "")),
            self.compare: gr.update(interactive=not busy),
            self.cancel: gr.update(interactive=busy or (made is not None and made.awaited)),
            self.clock: gr.update(active=busy and phase == WAITING),
        }

    def side_by_side(self, session: Session) -> Answer:
        """The visit's runs, which one slider scrubs together, and in which settings they differ."""
        runs = [(run.title, about(run), run, run.phase in (FINISHED, REPLAYED)) for run in session.runs if run.steps]
        return {self.runs: lanes(runs, picture_url), self.runs_differing: differing(runs)}

    def said(self, session: Session) -> str:
        """The status line of the tab."""
        made = session.comparison
        if made is None:
            return progress(IDLE, [], 0, "")
        if made.phase == PAUSED and made.awaited:
            return "Your move: the other lanes are done. Cancel ends yours."
        return progress(made.phase, made.rows, len(made.methods), waiting(self.shared.place(session)))

    def expect(self, methods: list[str], prompt: str, steps: float | None, *judges: str) -> str:
        """Say of what and what a comparison takes at most: step 0 once, then each method that goes on from it."""
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
            made = Comparison(self.shared.begun(session, *controls), [name for name in METHODS if name in methods])
            ticket = self.shared.queue(request, session, made, self.compute)
        except TOLD as error:
            return self.shown(session, str(error))
        session.comparison = made
        return {self.ticket: ticket, **self.shown(session)}

    def press_move(self, request: gr.Request, session: Session, event: gr.EventData) -> Answer:
        """The visitor's next step: in the turn that computes, or in one of its own."""
        made = session.comparison
        if made is None or not made.awaited:
            return gr.skip()
        try:
            move = Move(event.what, event.lr, event.word, event.becomes)
            if session.busy and session.active is not made:
                raise InputError("A search of yours is running or waiting: stop it first.")
            if not made.choose(move):
                return gr.skip()  # what watches shows it
            ticket = self.shared.queue(request, session, made, self.compute)
        except InputError as error:
            made.move, made.message = None, str(error)
            return self.shown(session)
        return {self.ticket: ticket, **self.shown(session)}

    def press_cancel(self, session: Session) -> Answer:
        """The methods that are done stay, and the steps of those that are not."""
        made = session.comparison
        if made is not None and made.phase == PAUSED and made.awaited:
            made.yours.done, made.phase = True, FINISHED
        elif made is not None and session.active is made:
            if made.phase == WAITING:
                self.shared.leave(session)
                made.phase = STOPPED
            else:
                session.hold("stop")
        return self.shown(session)

    def inspect(self, session: Session, event: gr.EventData) -> Answer:
        """A method's run beside the other runs of the session, and the Inspector in front."""
        row = session.comparison.opened(event.method) if session.comparison else None
        if row is not None:
            if not any(run is row.opened for run in session.runs):
                row.opened = row.run.fork(row.run.newest, self.shared.folder(session), phase=row.phase)
                session.begin(row.opened)
            session.show(row.opened.number)
        return {self.tabs: gr.Tabs(selected="inspector"), **self.page.whole(session)}

    def compute(self, ticket: int, session: Session) -> Iterator[None]:
        """Make the lanes' steps in turn until all are done, or it is cancelled, or its ticket is revoked; in a turn of
        the line."""
        made = session.active
        if session.ticket != ticket or not isinstance(made, Comparison):
            return
        made.phase, made.message = RUNNING, ""
        try:
            engine = self.shared.engine_for(made.template)
            for row, step in made.steps_in_turn(engine, lambda: self.shared.folder(session)):
                if session.ticket != ticket:
                    return
                self.shared.keep(row.run, step)
                yield
        except Exception as error:  # shown; the steps so far stay, and none is made up
            made.message = broke_off(error, "The comparison")
        session.touched = time.monotonic()
        if session.ticket != ticket:
            return
        made.rows = [row for row in made.rows if row.run.steps]
        if made.phase != PAUSED:  # else it waits for the visitor's move
            made.phase = FINISHED if sum(row.done for row in made.rows) == len(made.methods) else STOPPED
        session.active = None

    async def watch(self, ticket: int, session: Session) -> AsyncIterator[Answer]:
        """What the tab shows while a comparison waits and computes. Whose turn it is comes first: its change brings
        the Inspector up to date."""
        async for answer in self.shared.watch(ticket, session, self._watched):
            yield answer

    def _watched(self, session: Session) -> Answer:
        computes = session.active is not None and session.active is session.comparison
        return {self.turn: session.ticket if computes else 0, **self.shown(session)}
