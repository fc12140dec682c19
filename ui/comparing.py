"""The Compare tab: its controls, its handlers, and the drive that fills the table."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from ui.comparison import METHODS, Comparison
from ui.engine import TOLD, paid
from ui.page import page, url
from ui.panels import script
from ui.session import FINISHED, IDLE, RUNNING, STOPPED, WAITING, Session
from ui.studio import Studio, broke_off
from ui.views.compare import progress, quoted, table
from ui.views.status import estimate, notice, status


class Comparing:
    """Handlers; a comparison waits in the same line as a search, and a session does one of them at a time."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def shown(self, session: Session, message: str = "") -> list[Any]:
        """Table, status, notice, Compare button, Cancel button, clock."""
        made = session.comparison
        busy = made is not None and session.active is made
        rows, phase = (made.rows, made.phase) if made else ([], IDLE)
        return [
            table(rows, url, phase == RUNNING), self.said(session), notice(message),
            gr.update(interactive=not busy), gr.update(interactive=busy), gr.update(active=busy and phase == WAITING),
        ]  # fmt: skip

    def said(self, session: Session) -> str:
        """The status line of the tab."""
        made, line = session.comparison, self.studio.line
        if made is None:
            return progress(IDLE, [], 0, "")
        waiting = status(WAITING, [], None, line.ahead(session), self.studio.wait(session))
        return progress(made.phase, made.rows, len(made.methods), waiting)

    def expect(self, methods: list[str], prompt: str, steps: float | None, *judges: str) -> str:
        """Of what, and what it takes at most: step 0 once, then each method that goes on from it."""
        searches, most = sum(name != "step 0" for name in methods), self.studio.limits.steps(steps)
        if not methods:
            return ""
        cost = self.studio.engine.cost(searches * most)
        return quoted(prompt) + estimate(most, self.studio.seconds_a_step, paid(judges), cost, searches)

    def press_compare(self, request: gr.Request, session: Session, methods: list[str], *controls: Any) -> list[Any]:
        """Check, then ask for a turn; the first output is the ticket."""
        if session.busy:
            return [gr.skip(), *self.shown(session, "A search of yours is running or waiting: stop it first.")]
        if not methods:
            return [gr.skip(), *self.shown(session, "Choose at least one method.")]
        try:
            template = self.studio.begun(session, *controls)
        except TOLD as error:
            return [gr.skip(), *self.shown(session, str(error))]
        self.studio.register(request, session)
        session.comparison = Comparison(template, [name for name in METHODS if name in methods])
        ticket = session.ask(session.comparison)
        self.studio.line.join(session)
        return [ticket, *self.shown(session)]

    def press_cancel(self, session: Session) -> list[Any]:
        """The methods that are done stay."""
        made = session.comparison
        if made is not None and session.active is made:
            if made.phase == WAITING:
                session.revoke()
                self.studio.line.leave(session)
                made.phase = STOPPED
            else:
                session.hold("stop")
        return self.shown(session)

    def inspect(self, session: Session, event: gr.EventData) -> list[Any]:
        """A method's run beside the other runs of the session, and the Inspector in front."""
        row = session.comparison.opened(event.method) if session.comparison else None
        if row is not None:
            if not any(run is row.opened for run in session.runs):
                row.opened = row.run.copy(row.phase)
                session.begin(row.opened)
            session.show(row.opened.number)
        return [gr.Tabs(selected="inspector"), *page(session)]

    def drive(self, ticket: int, session: Session) -> Iterator[list[Any]]:
        """Make the rows one after the other until all are there, or it is cancelled, or its ticket is revoked.

        The first output is whose turn it is, whose change brings the Inspector up to date; then what the tab shows.
        """
        made = session.active
        if session.ticket != ticket or not isinstance(made, Comparison) or made.phase != WAITING:
            yield [gr.skip()] * 7
            return
        made.phase, message, pace = RUNNING, "", self.studio.pace()
        try:
            engine = self.studio.engine_for(made.template)
            for method in made.methods:
                row = made.begin_row(method, self.studio.folder(session))
                yield [ticket, *self.shown(session)]
                for step in made.attempts(engine, row):
                    if session.ticket != ticket:
                        return
                    self.studio.keep(row.run, step)
                    if pace.due:
                        with pace.update():
                            yield [ticket, *self.shown(session)]
                if made.control.stopped:
                    break
                row.done = True
        except Exception as error:  # shown; the steps so far stay, and none is made up
            message = broke_off(error, "The comparison")
        finally:
            self.studio.line.leave(session)
            session.touched = time.monotonic()
            if session.ticket == ticket:
                made.phase = STOPPED
        if session.ticket != ticket:
            return
        made.rows = [row for row in made.rows if row.run.steps]
        made.phase = FINISHED if sum(row.done for row in made.rows) == len(made.methods) else STOPPED
        session.active = None
        yield [0, *self.shown(session, message)]


def build_comparing() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["methods"] = gr.CheckboxGroup(
        [(f"{name}: {what}", name) for name, what in METHODS.items()], value=list(METHODS), label="Methods",
        elem_id="methods",
    )  # fmt: skip
    made["estimate"] = gr.HTML("", elem_id="compare-estimate", padding=False)
    with gr.Row(elem_id="compare-buttons"):
        made["compare"] = gr.Button("Compare", variant="primary", elem_id="compare")
        made["cancel"] = gr.Button("Cancel", interactive=False, elem_id="cancel")
    made["said"] = gr.HTML(progress(IDLE, [], 0, ""), elem_id="compare-status", js_on_load=script("status"))
    made["clock"] = gr.Timer(2, active=False)
    made["problem"] = gr.HTML("", elem_id="compare-notice")
    made["table"] = gr.HTML(table([], url), js_on_load=script("compare"), elem_id="table", container=True, padding=True)
    return made


def wire_comparing(
    studio: Studio,
    session: gr.State,
    made: dict[str, Any],
    asked: list[Any],
    weighed: list[Any],
    tabs: gr.Tabs,
    page_outputs: list[Any],
    computes: dict[str, Any],
    asks: dict[str, Any],
    at_once: dict[str, Any],
    typed: dict[str, Any],
) -> None:
    comparing = Comparing(studio)
    ticket, turn = gr.State(0), gr.State(0)
    shown = [made[name] for name in ("table", "said", "problem", "compare", "cancel", "clock")]
    ticket.change(comparing.drive, [ticket, session], [turn, *shown], **computes)
    turn.change(page, session, page_outputs, trigger_mode="always_last", **at_once)
    made["clock"].tick(comparing.said, session, made["said"], **at_once)
    made["compare"].click(comparing.press_compare, [session, made["methods"], *asked], [ticket, *shown], **asks)
    gr.on(
        [made["tab"].select, made["methods"].change], comparing.expect, [made["methods"], *weighed], made["estimate"],
        trigger_mode="always_last", **typed,
    )  # fmt: skip
    made["cancel"].click(comparing.press_cancel, session, shown, **at_once)
    made["table"].inspect(comparing.inspect, session, [tabs, *page_outputs], **at_once)
