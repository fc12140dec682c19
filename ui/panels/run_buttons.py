"""Run, Pause, Resume, Step, Stop, Leave and Fork; and `drive`, which computes, one visitor at a time.

`press_…` answer at once. `drive` holds the queue while steps are made and never while a search is paused: pausing ends
it, resuming starts another from the last state, which continues exactly.

An answer outside the queue can reach the browser after a later one of `drive`, so while `drive` runs such an answer
holds only what belongs to its own control.
"""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from milr_core import InputError
from ui.engines.base import TOLD
from ui.events import ASKS, AT_ONCE, COMPUTES, LATEST, Answer
from ui.page import Page
from ui.panels.controls import Controls
from ui.panels.status import status
from ui.session import FINISHED, IDLE, PAUSED, RUNNING, STOPPED, WAITING, Run, Session
from ui.shared_state import SharedState, broke_off


class RunButtons:
    """A press that wants computing hands out a ticket; the ticket's change, not the press, then waits in the queue."""

    def __init__(self, shared: SharedState, page: Page):
        self.shared, self.page = shared, page
        self.ticket, self.phase = gr.State(0), gr.State(IDLE)

    def wire(self, session: gr.State, prompt: gr.Textbox, controls: Controls) -> gr.events.Dependency:
        """What happens when a search has ended or is held."""
        page, asked = self.page, [session, prompt, *controls.asked]
        computes = COMPUTES | {"concurrency_limit": self.shared.engine.at_once}
        drive = self.ticket.change(self.drive, [self.ticket, session], [self.phase, *page.of_the_run], **computes)
        self.phase.change(page.pressed, session, page.of_the_phase, **LATEST, **AT_ONCE)
        begun = [self.ticket, *page.everything]
        gr.on([page.run.click, prompt.submit], self.press_run, asked, begun, **ASKS)
        page.one_step.click(self.press_step, asked, begun, **ASKS)
        page.fork.click(self.press_fork, asked, begun, **ASKS)
        page.resume.click(self.press_resume, session, begun, **ASKS)
        for button, press, said in (
            (page.pause, self.press_pause, "Pausing"),
            (page.stop, self.press_stop, "Stopping"),
        ):
            said = f"() => '{said} after the token it is at.'"
            button.click(None, None, page.status, js=said, api_visibility="private")
            button.click(press, session, page.everything, **AT_ONCE)
        page.leave.click(self.press_leave, session, page.everything, cancels=drive, **AT_ONCE)
        page.clock.tick(self.tick, session, page.status, **AT_ONCE)
        return drive

    def press_run(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """Start a new search beside the ones before."""
        return self._begin(request, session, False, controls)

    def press_step(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """One step of the paused search, or step 0 of a new one."""
        if session.phase == PAUSED and not session.busy:
            return self._queue(session, session.shown, single=True)
        return self._begin(request, session, True, controls)

    def press_resume(self, session: Session) -> Answer:
        if session.busy or session.phase not in (PAUSED, STOPPED):
            return gr.skip()
        return self._queue(session, session.shown, single=False)

    def press_fork(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """Go on from the step looked at, under the settings of the controls, as a run of its own."""
        if session.busy or session.looked_at < 0:
            return gr.skip()
        try:
            fork = self._forked(session, *controls[1:])
        except TOLD as error:
            return self.page.refuse(session, error)
        session.searches += 1
        self.shared.register(request, session)
        session.begin(fork)
        return self._queue(session, fork, single=False)

    def _forked(self, session: Session, *controls: Any) -> Run:
        """Raises as `SharedState.admit` and `asked` do, and InputError for a fork that leaves nothing to search."""
        source, at = session.shown, session.looked_at
        self.shared.admit(session)
        self.shared.engine_for(source)
        source.state(at)
        job = self.shared.asked(source.prompt, *controls)
        if job.critic != source.critic:
            raise InputError(
                f"{source.title.capitalize()} was scored by {source.critic}, and scores of two critics are not "
                f"compared. Choose {source.critic} as the critic to fork it, or start a new run."
            )
        fork = source.fork(at, job.settings, self.shared.folder(session))
        fork.observers, fork.options = job.observers, job.options
        if fork.complete:
            raise InputError(
                f"From step {at} these settings leave nothing to search: its score is above the threshold, or it is "
                "the last step. Raise τ or K, or choose an earlier step."
            )
        return fork

    def _begin(self, request: gr.Request, session: Session, single: bool, controls: tuple[Any, ...]) -> Answer:
        if session.search:
            return gr.skip()
        if session.busy:
            return self.page.refuse(session, "A comparison of yours is under way: wait for it, or cancel it first.")
        try:
            run = self.shared.begun(session, *controls)
        except TOLD as error:
            return self.page.refuse(session, error)
        self.shared.register(request, session)
        session.begin(run)
        return self._queue(session, run, single)

    def _queue(self, session: Session, run: Run, single: bool) -> Answer:
        ticket, line = session.ask(run, single), self.shared.line
        line.join(session)
        return {self.ticket: ticket, **self.page.whole(session, line.ahead(session), self.shared.wait(session))}

    def press_pause(self, session: Session) -> Answer:
        """The search ends after the token it is at; `drive` then shows the page."""
        if session.search and session.search.phase == RUNNING:
            session.hold("pause")
        return gr.skip()

    def press_stop(self, session: Session) -> Answer:
        if session.search and session.search.phase == RUNNING:
            session.hold("stop")
        elif not session.busy and session.phase == PAUSED:
            session.shown.phase = STOPPED
            return self.page.whole(session)
        return gr.skip()

    def press_leave(self, session: Session) -> Answer:
        """Give up the place in the line, or a turn that has just begun; what was computed before stays."""
        if session.search:
            session.revoke()
            self.shared.line.leave(session)
        return self.page.whole(session)

    def tick(self, session: Session) -> str:
        """While waiting: the place in the line, again."""
        if session.phase != WAITING:
            return gr.skip()
        return status(WAITING, [], None, self.shared.line.ahead(session), self.shared.wait(session))

    def drive(self, ticket: int, session: Session) -> Iterator[Answer]:
        """Make steps until the search ends, is held, or its ticket is revoked.

        The phase, whose change brings the buttons, and what is shown of the steps, at a pace.
        """
        run = session.active
        if session.ticket != ticket or not isinstance(run, Run) or run.phase != WAITING:
            yield gr.skip()
            return
        run.phase, message, pace = RUNNING, "", self.shared.pace()
        yield self._shown(run, session)
        try:
            engine = self.shared.engine_for(run)
            state = run.state(run.newest) if run.steps else None
            for step in engine.reason(run.job, run.control, state):
                if session.ticket != ticket:
                    return
                self.shared.keep(run, step)
                if session.single:
                    break
                if pace.due:
                    with pace.update():
                        yield self._shown(run, session)
        except Exception as error:  # shown; the steps so far stay, and none is made up
            message = broke_off(error, "The search")
        finally:
            self.shared.line.leave(session)
            session.touched = time.monotonic()
            if session.ticket == ticket:
                run.phase = STOPPED  # unless it gets to the next lines: the tab was closed at a yield
        if session.ticket != ticket:
            return
        session.notice, session.active, run.phase = message, None, phase_after(session, run, bool(message))
        yield self._shown(run, session)

    def _shown(self, run: Run, session: Session) -> Answer:
        return {self.phase: run.phase, **self.page.shown(session)}


def phase_after(session: Session, run: Run, failed: bool) -> str:
    """An error ends the turn but not the search: the steps so far stay, and resuming tries the next one again."""
    if failed:
        return PAUSED if run.steps else STOPPED
    if run.complete:
        return FINISHED
    return STOPPED if session.wanted == "stop" else PAUSED
