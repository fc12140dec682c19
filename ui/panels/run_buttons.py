"""Run, Pause, Resume, Step, Stop, Leave and Fork; `compute`, which makes the steps; `watch`, which shows them.

`press_…` answer at once: one that wants computing takes a place in the line. Whoever's turn it is computes in a thread
of the line's and never while a search is paused: pausing ends the turn, resuming takes another, which goes on exactly
from the last state.

An answer outside the queue can reach the browser after a later one of `watch`, so while that runs such an answer holds
only what belongs to its own control.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import gradio as gr
from gradio.events import Dependency

from milr_core import InputError
from milr_core.engine import run as steps_of
from ui.engines.base import TOLD
from ui.events import ASKS, AT_ONCE, LATEST, WATCHES, Answer
from ui.page import Page
from ui.panels.chips import Chips
from ui.panels.controls import Controls, random_seed
from ui.panels.status import waiting
from ui.redraw_pace import LOOK_SECONDS
from ui.run import FAILED, FINISHED, IDLE, PAUSED, RUNNING, STOPPED, WAITING, Run
from ui.session import SECOND, STEPWISE, Session
from ui.shared_state import SharedState, broke_off

STEP_SECONDS = 1.0
"""At one step a second."""


class RunButtons:
    """A press that wants computing hands out a ticket, whose change makes the page watch."""

    def __init__(self, shared: SharedState, page: Page):
        self.shared, self.page = shared, page
        self.ticket, self.phase = gr.State(0), gr.State(IDLE)

    def wire(self, session: gr.State, controls: Controls, chips: Chips) -> Dependency:
        """What happens when a search has ended or is held."""
        page, prompt, asked = self.page, controls.prompt, [session, *controls.asked]
        shown = [self.phase, *page.of_the_run]
        watch = self.ticket.change(self.watch, [self.ticket, session], shown, **WATCHES)
        self.phase.change(page.pressed, session, page.of_the_phase, **LATEST, **AT_ONCE)
        # A step may be over between two looks, and then the phase has not changed.
        watch.then(page.pressed, session, page.of_the_phase, **AT_ONCE)
        begun = [self.ticket, *page.everything]
        gr.on([page.run.click, prompt.submit], self.press_run, asked, begun, **ASKS)
        rolled = page.dice.click(random_seed, None, controls.seed, **AT_ONCE)
        rolled.then(self.press_run, asked, begun, **ASKS)
        for chip, button in zip(chips.all, chips.buttons, strict=True):
            filled = f"() => [{json.dumps(chip.prompt)}, {chip.seed}]"
            chosen = button.click(None, None, [prompt, controls.seed], js=filled, api_visibility="private")
            chosen.then(self.press_run, asked, begun, **ASKS)
        other = page.instead.choose(self.press_instead, None, prompt, **AT_ONCE)
        other.then(self.press_run, asked, begun, **ASKS)
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
        page.leave.click(self.press_leave, session, page.everything, **AT_ONCE)
        page.clock.tick(self.tick, session, page.status, **AT_ONCE)
        return watch

    def press_run(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """Start a new search beside the ones before."""
        return self._begin(request, session, False, controls)

    @staticmethod
    def press_instead(event: gr.EventData) -> str:
        """A prompt that can be drawn, in place of one that cannot."""
        return str(event.prompt)

    def press_step(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """One step of the paused search, or step 0 of a new one."""
        run = session.held
        if run and run.phase != STOPPED and run.steps:
            return self._queue(request, session, run, single=True)
        return self._begin(request, session, True, controls)

    def press_resume(self, request: gr.Request, session: Session) -> Answer:
        return self._queue(request, session, session.held) if session.held else gr.skip()

    def press_fork(self, request: gr.Request, session: Session, *controls: Any) -> Answer:
        """Go on from the step looked at, under the settings of the controls, as a run of its own."""
        source = session.shown
        if session.busy or source is None or session.looked_at < 0:
            return gr.skip()
        try:
            fork = self._forked(session, source, *controls[1:])
        except TOLD as error:
            return self.page.refuse(session, error)
        session.searches += 1
        session.begin(fork)
        return self._queue(request, session, fork)

    def _forked(self, session: Session, source: Run, *controls: Any) -> Run:
        """Raises as `SharedState.admit` and `asked` do, and InputError for a fork that leaves nothing to search."""
        at = session.looked_at
        self.shared.admit(session)
        self.shared.engine_for(source)
        job = self.shared.asked(source.prompt, *controls)
        if job.critic != source.critic:
            raise InputError(
                f"{source.title.capitalize()} was scored by {source.critic}, and scores of two critics are not "
                f"compared. Choose {source.critic} as the critic to fork it, or start a new run."
            )
        last = source.steps[at]
        if last.index >= job.settings.steps or last.reward > job.settings.threshold:
            raise InputError(
                f"From step {at} these settings leave nothing to search: its score is above the threshold, or it is "
                "the last step. Raise τ or K, or choose an earlier step."
            )
        origin = f"from step {at} of {source.title}"
        asked = {"settings": job.settings, "observers": job.observers, "options": job.options}
        return source.fork(at, self.shared.folder(session), origin=origin, phase=IDLE, **asked)

    def _begin(self, request: gr.Request, session: Session, single: bool, controls: tuple[Any, ...]) -> Answer:
        if session.search:
            return gr.skip()
        if session.busy:
            return self.page.refuse(session, "A comparison of yours is under way: wait for it, or cancel it first.")
        try:
            run = self.shared.begun(session, *controls)
        except TOLD as error:
            return self.page.refuse(session, error)
        session.begin(run)
        return self._queue(request, session, run, single)

    def _queue(self, request: gr.Request, session: Session, run: Run, single: bool = False) -> Answer:
        try:
            ticket = self.shared.queue(request, session, run, self.compute, single)
        except InputError as error:
            return self.page.refuse(session, error)
        return {self.ticket: ticket, **self.page.whole(session, self.shared.place(session))}

    def press_pause(self, session: Session) -> Answer:
        """The search ends after the token it is at; `watch` then shows the page."""
        if session.search and session.search.phase == RUNNING:
            session.hold("pause")
        return gr.skip()

    def press_stop(self, session: Session) -> Answer:
        if session.search and session.search.phase == RUNNING:
            session.hold("stop")
        elif session.held and session.held.phase == PAUSED:
            session.held.phase = STOPPED
            return self.page.whole(session)
        return gr.skip()

    def press_leave(self, session: Session) -> Answer:
        """Give up the place in the line, or a turn that has just begun; what was computed before stays."""
        if session.search:
            self.shared.leave(session)
        return self.page.whole(session)

    def tick(self, session: Session) -> Answer:
        """While waiting: the place in the line, again."""
        if session.phase != WAITING:
            return gr.skip()
        return {self.page.status: waiting(self.shared.place(session))}

    def compute(self, ticket: int, session: Session) -> Iterator[None]:
        """Make steps until the search ends, is held, or its ticket is revoked; in a turn of the line."""
        run = session.active
        if session.ticket != ticket or not isinstance(run, Run):
            return
        run.phase, message = RUNNING, ""
        yield
        try:
            engine, run.control.look = self.shared.engine_for(run), run.form
            state = run.state(run.newest) if run.steps else None
            for step in steps_of(engine, run.job, run.control, state):
                if session.ticket != ticket:
                    return
                self.shared.keep(run, step)
                if session.single or session.pace == STEPWISE:
                    break
                yield
                self._rest(session, run)
        except Exception as error:  # shown; the steps so far stay, and none is made up
            message = broke_off(error, "The search")
        session.touched = time.monotonic()
        if session.ticket != ticket:
            return
        run.form(None)
        session.notice, run.phase, session.active = message, phase_after(session, run, bool(message)), None
        if session.shown is run:
            session.rest()

    def _rest(self, session: Session, run: Run) -> None:
        """Rest for what is left of a second after a step, so that sliders can be moved.

        Nobody else is kept waiting by it.
        """
        due = time.monotonic() + STEP_SECONDS - run.steps[-1].cost.seconds
        while (
            session.pace == SECOND
            and time.monotonic() < due
            and not run.control.stopped
            and not run.complete
            and not self.shared.line.waited_for
        ):
            time.sleep(LOOK_SECONDS)

    async def watch(self, ticket: int, session: Session) -> AsyncIterator[Answer]:
        """What is shown of a search, as `SharedState.watch` says."""
        async for answer in self.shared.watch(ticket, session, self._shown):
            yield answer

    def _shown(self, session: Session) -> Answer:
        phase = session.active.phase if session.active else session.phase
        return {self.phase: phase, **self.page.shown(session, self.shared.place(session))}


def phase_after(session: Session, run: Run, failed: bool) -> str:
    """An error ends the turn but not the search: the steps so far stay, and resuming tries the next one again."""
    if failed:
        return FAILED
    if run.complete:
        return FINISHED
    return STOPPED if session.wanted == "stop" else PAUSED
