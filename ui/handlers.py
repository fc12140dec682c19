"""What the page's events do, each with one visitor's `Session`.

`press_…` answer at once; `drive` computes, one visitor at a time. It holds the queue while steps are made and never
while a search is paused: pausing ends it, resuming starts another from the last state, which continues exactly.

An answer outside the queue can reach the browser after a later one of `drive`, so while `drive` runs such an answer
holds only what belongs to its own control.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from milr_core import Critic, CriticError, InputError, Janus, SearchSettings, load_critic, reason
from milr_core.settings import KNOBS, check
from ui import views
from ui.controls import LIVE
from ui.page import OUTPUTS, in_force, page, panel
from ui.session import FINISHED, PAUSED, RUNNING, STOPPED, WAITING, Line, Run, Session

logger = logging.getLogger(__name__)

UNCHANGED = [gr.skip()] * len(OUTPUTS)


class Studio:
    """The app's one model and its critics, shared; everything else belongs to a session."""

    def __init__(self, model: Janus):
        self.model = model
        self.line = Line()
        self._critics: dict[str, Critic] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def critic(self, name: str) -> Critic:
        """A critic by name, loaded once.

        Raises:
            InputError: there is no such critic.
        """
        with self._lock:
            if name not in self._critics:
                self._critics[name] = load_critic(name, model=self.model)
            return self._critics[name]

    # Presses that may want computing: a ticket first, then the page.

    def press_run(self, request: gr.Request, session: Session, prompt: str, critic: str, *knobs: Any) -> list[Any]:
        """Start a new search, dropping the one before."""
        return self._begin(request, session, False, prompt, critic, knobs)

    def press_step(self, request: gr.Request, session: Session, prompt: str, critic: str, *knobs: Any) -> list[Any]:
        """One step of the paused search, or step 0 of a new one."""
        if session.phase == PAUSED:
            return self._queue(session, single=True)
        return self._begin(request, session, True, prompt, critic, knobs)

    def press_resume(self, session: Session) -> list[Any]:
        return self._queue(session, single=False) if session.phase == PAUSED else [gr.skip(), *UNCHANGED]

    def _begin(
        self, request: gr.Request, session: Session, single: bool, prompt: str, critic: str, knobs: tuple[Any, ...]
    ) -> list[Any]:
        """Check everything before anyone waits for it, then ask for a turn."""
        if session.phase in (WAITING, RUNNING):
            return [gr.skip(), *UNCHANGED]
        try:
            given = {name: check(name, value) for name, value in zip(KNOBS, knobs, strict=True)}
            settings = SearchSettings(**given).resolve(self.model.recommended)
            judge = self.critic(critic)
            prompt = self.model.check_prompt(prompt)
            judge.check_prompt(prompt)
        except (InputError, CriticError) as error:
            session.notice = str(error)
            return [gr.skip(), *page(session)]
        folder = Path(get_upload_folder()) / "milr" / secrets.token_hex(16)
        session.begin(Run(prompt, settings, judge, folder))
        self._sessions[request.session_hash] = session
        return self._queue(session, single)

    def _queue(self, session: Session, single: bool) -> list[Any]:
        ticket = session.ask(single)
        self.line.join(session)
        return [ticket, *page(session, self.line.ahead(session))]

    # Presses that hold a search, and moves of the controls.

    def press_pause(self, session: Session) -> None:
        """The search ends after the token it is at; `drive` then shows the page."""
        if session.phase == RUNNING:
            session.hold("pause")

    def press_stop(self, session: Session) -> list[Any]:
        if session.phase == PAUSED:
            session.phase = STOPPED
            return page(session)
        if session.phase == RUNNING:
            session.hold("stop")
        return UNCHANGED

    def press_leave(self, session: Session) -> list[Any]:
        """Give up the place in the line, or a turn that has just begun; what was computed before stays."""
        if session.phase in (WAITING, RUNNING):
            session.revoke()
            self.line.leave(session)
        return page(session)

    def move_slider(self, session: Session, *values: Any) -> list[str]:
        """Live settings, in the order of LIVE; in force from the next step of the search that is under way."""
        if session.phase in (WAITING, RUNNING, PAUSED):
            planned = session.run.planned
            try:
                wanted = {name: check(name, value) for name, value in zip(LIVE, values, strict=True)}
                session.run.change(**{n: v for n, v in wanted.items() if v != getattr(planned, n)})
                session.notice = ""
            except InputError as error:
                session.notice = str(error)
        return in_force(session)

    def look(self, session: Session, index: float) -> list[Any]:
        """Show a step in every panel."""
        session.look_at(int(index))
        return panel(session)

    def look_at_tile(self, session: Session, event: gr.SelectData) -> list[Any]:
        """The same from the gallery; the step slider goes along."""
        return [*self.look(session, event.index), max(session.looked_at, 0)]

    def tick(self, session: Session) -> str:
        """While waiting: the place in the line, again."""
        if session.phase != WAITING:
            return gr.skip()
        return views.status(WAITING, [], None, self.line.ahead(session))

    def unload(self, request: gr.Request) -> None:
        """The tab was closed."""
        session = self._sessions.pop(request.session_hash, None)
        if session:
            session.close()
            self.line.leave(session)

    # What computes

    def drive(self, ticket: int, session: Session) -> Iterator[list[Any]]:
        """Make steps until the search ends, is held, or its ticket is revoked. The page after each of them."""
        if session.ticket != ticket or session.phase != WAITING:
            yield UNCHANGED
            return
        run, session.phase = session.run, RUNNING
        yield page(session)
        try:
            for step in reason(self.model, run.critic, run.prompt, run.planned, run.control, run.state):
                if session.ticket != ticket:
                    return
                run.add(step)
                if session.single:
                    break
                yield page(session)
            message = ""
        except (InputError, CriticError) as error:
            message = str(error)
        except Exception as error:
            logger.exception("A search failed.")
            message = f"The search broke off: {type(error).__name__}: {error}"
        finally:
            self.line.leave(session)
            if session.ticket == ticket:
                session.phase = STOPPED  # unless it gets to the next lines: the tab was closed at a yield
        if session.ticket != ticket:
            return
        session.notice, session.phase = message, _phase_after(session, run, bool(message))
        yield page(session)


def _phase_after(session: Session, run: Run, failed: bool) -> str:
    """An error ends the turn but not the search: the steps so far stay, and resuming tries the next one again."""
    if failed:
        return PAUSED if run.steps else STOPPED
    if run.complete:
        return FINISHED
    return STOPPED if session.wanted == "stop" else PAUSED
