"""Presses that want computing, and `drive`, which computes, one visitor at a time.

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
from milr_core.settings import KNOBS, check
from ui.controls import LIVE, half_typed, preset_values
from ui.engine import TOLD
from ui.page import OUTPUTS, SHOWN, beside, page, shown
from ui.session import FINISHED, PAUSED, RUNNING, STOPPED, WAITING, Run, Session
from ui.studio import Studio, broke_off
from ui.views.status import notice, status

UNCHANGED = [gr.skip()] * len(OUTPUTS)


class Search:
    """The handlers of the buttons and of the live sliders."""

    def __init__(self, studio: Studio):
        self.studio = studio

    def press_run(self, request: gr.Request, session: Session, *controls: Any) -> list[Any]:
        """Start a new search beside the ones before."""
        return self._begin(request, session, False, controls)

    def press_step(self, request: gr.Request, session: Session, *controls: Any) -> list[Any]:
        """One step of the paused search, or step 0 of a new one."""
        if session.phase == PAUSED and not session.busy:
            return self._queue(session, session.shown, single=True)
        return self._begin(request, session, True, controls)

    def press_resume(self, session: Session) -> list[Any]:
        if session.busy or session.phase not in (PAUSED, STOPPED):
            return [gr.skip(), *UNCHANGED]
        return self._queue(session, session.shown, single=False)

    def press_fork(self, request: gr.Request, session: Session, *controls: Any) -> list[Any]:
        """Go on from the step looked at, under the settings of the controls, as a run of its own."""
        if session.busy or session.looked_at < 0:
            return [gr.skip(), *UNCHANGED]
        source, at = session.shown, session.looked_at
        try:
            self.studio.admit(session)
            self.studio.engine_for(source)
            source.state(at)
            job = self.studio.asked(source.prompt, *controls[1:])
            if job.critic != source.critic:
                raise InputError(
                    f"{source.title.capitalize()} was scored by {source.critic}, and scores of two critics are not "
                    f"compared. Choose {source.critic} as the critic to fork it, or start a new run."
                )
            fork = source.fork(at, job.settings, self.studio.folder(session))
        except TOLD as error:
            return self._refuse(session, error)
        fork.observers, fork.options = job.observers, job.options
        if fork.complete:
            return self._refuse(
                session,
                f"From step {at} these settings leave nothing to search: its score is above the threshold, or it is "
                "the last step. Raise τ or K, or choose an earlier step.",
            )
        session.searches += 1
        self.studio.register(request, session)
        session.begin(fork)
        return self._queue(session, fork, single=False)

    def _begin(self, request: gr.Request, session: Session, single: bool, controls: tuple[Any, ...]) -> list[Any]:
        if session.search:
            return [gr.skip(), *UNCHANGED]
        if session.busy:
            return self._refuse(session, "A comparison of yours is under way: wait for it, or cancel it first.")
        try:
            run = self.studio.begun(session, *controls)
        except TOLD as error:
            return self._refuse(session, error)
        self.studio.register(request, session)
        session.begin(run)
        return self._queue(session, run, single)

    def _refuse(self, session: Session, error: Exception | str) -> list[Any]:
        session.notice = str(error)
        return [gr.skip(), *page(session)]

    def _queue(self, session: Session, run: Run, single: bool) -> list[Any]:
        ticket = session.ask(run, single)
        self.studio.line.join(session)
        return [ticket, *page(session, self.studio.line.ahead(session), self.studio.wait(session))]

    # Presses that hold a search, and moves of the controls.

    def press_pause(self, session: Session) -> None:
        """The search ends after the token it is at; `drive` then shows the page."""
        if session.search and session.search.phase == RUNNING:
            session.hold("pause")

    def press_stop(self, session: Session) -> list[Any]:
        if session.search and session.search.phase == RUNNING:
            session.hold("stop")
        elif not session.busy and session.phase == PAUSED:
            session.shown.phase = STOPPED
            return page(session)
        return UNCHANGED

    def press_leave(self, session: Session) -> list[Any]:
        """Give up the place in the line, or a turn that has just begun; what was computed before stays."""
        if session.search:
            session.revoke()
            self.studio.line.leave(session)
        return page(session)

    def move_slider(self, session: Session, *values: Any) -> list[str]:
        """Live settings, in the order of LIVE; in force from the next step of the search that is under way.

        A value below what is allowed is one that is being typed (0, for 0.25): the field mends it when it is left.
        """
        run = session.search or session.shown
        if run is not None and run.phase in (WAITING, RUNNING, PAUSED):
            try:
                asked = zip(LIVE, values, strict=True)
                wanted = {name: check(name, value) for name, value in asked if not half_typed(name, value)}
                self.studio.check_steps(wanted.get("steps", 0))
                run.change(**{n: v for n, v in wanted.items() if v != getattr(run.planned, n)})
                session.notice = ""
            except InputError as error:
                session.notice = str(error)
        return beside(session)

    def choose_preset(self, session: Session, name: str) -> list[Any]:
        """The choice, which is undone where it is refused, the notice, and a value for every knob: for the next run,
        since a search under way keeps its settings."""
        if session.busy or session.phase == PAUSED:
            session.notice = "A preset is for the next run: wait for this one, or stop it first."
            return [gr.update(value=None), notice(session.notice), *[gr.skip()] * len(KNOBS)]
        return [gr.skip(), gr.skip(), *preset_values(name, self.studio.engine.facts.recommended)]

    def tick(self, session: Session) -> str:
        """While waiting: the place in the line, again."""
        if session.phase != WAITING:
            return gr.skip()
        return status(WAITING, [], None, self.studio.line.ahead(session), self.studio.wait(session))

    # What computes

    def drive(self, ticket: int, session: Session) -> Iterator[list[Any]]:
        """Make steps until the search ends, is held, or its ticket is revoked.

        The phase, whose change brings the buttons, and what is shown of the steps, at a pace.
        """
        run = session.active
        if session.ticket != ticket or not isinstance(run, Run) or run.phase != WAITING:
            yield [gr.skip()] * (1 + len(SHOWN))
            return
        run.phase, message, pace = RUNNING, "", self.studio.pace()
        yield [run.phase, *shown(session)]
        try:
            engine = self.studio.engine_for(run)
            state = run.state(run.newest) if run.steps else None
            for step in engine.reason(run.job, run.control, state):
                if session.ticket != ticket:
                    return
                self.studio.keep(run, step)
                if session.single:
                    break
                if pace.due:
                    with pace.update():
                        yield [run.phase, *shown(session)]
        except Exception as error:  # shown; the steps so far stay, and none is made up
            message = broke_off(error, "The search")
        finally:
            self.studio.line.leave(session)
            session.touched = time.monotonic()
            if session.ticket == ticket:
                run.phase = STOPPED  # unless it gets to the next lines: the tab was closed at a yield
        if session.ticket != ticket:
            return
        session.notice, session.active, run.phase = message, None, _phase_after(session, run, bool(message))
        yield [run.phase, *shown(session)]


def _phase_after(session: Session, run: Run, failed: bool) -> str:
    """An error ends the turn but not the search: the steps so far stay, and resuming tries the next one again."""
    if failed:
        return PAUSED if run.steps else STOPPED
    if run.complete:
        return FINISHED
    return STOPPED if session.wanted == "stop" else PAUSED
