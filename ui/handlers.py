"""What the page's events do. Each takes a visitor's `Session` and answers with the whole page, in the order of `OUTPUTS`.

`press` and its kin answer at once, outside the queue. `drive` computes, one visitor at a time: it holds the queue while
steps are made, never while a search is paused; pausing ends it and resuming starts another from the last state.
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
from ui.controls import LIVE, SLIDERS
from ui.figure import reward_figure
from ui.session import FINISHED, IDLE, PAUSED, RUNNING, STOPPED, WAITING, Line, Run, Session

logger = logging.getLogger(__name__)

PANEL = ("image", "reasoning", "score", "settings", "plot")
"""What belongs to the step looked at."""

OUTPUTS = (
    *PANEL,
    *("status", "notice", "gallery", "step"),
    *(f"{name}_in_force" for name in SLIDERS),
    *("run", "pause", "resume", "one_step", "stop", "leave", "clock"),
)


class Studio:
    """The app's one model and its critics, shared; everything else belongs to a session."""

    def __init__(self, model: Janus, critic: str = "oracle"):
        self.model, self.default_critic = model, critic
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

    # What a visitor presses

    def press_run(self, request: gr.Request, session: Session, prompt: str, critic: str, *knobs: Any) -> list[Any]:
        """Start a new search, dropping the one before."""
        return self._begin(request, session, False, prompt, critic, knobs)

    def press_step(self, request: gr.Request, session: Session, prompt: str, critic: str, *knobs: Any) -> list[Any]:
        """One step of the paused search, or step 0 of a new one."""
        if session.phase == PAUSED:
            return self._queue(session, single=True)
        return self._begin(request, session, True, prompt, critic, knobs)

    def press_resume(self, session: Session) -> list[Any]:
        if session.phase != PAUSED:
            return [gr.skip(), *self.page(session)]
        return self._queue(session, single=False)

    def press_pause(self, session: Session) -> list[Any]:
        if session.phase == RUNNING:
            session.hold("pause")
        return self.page(session)

    def press_stop(self, session: Session) -> list[Any]:
        if session.phase == RUNNING:
            session.hold("stop")
        elif session.phase == PAUSED:
            session.phase = STOPPED
        return self.page(session)

    def press_leave(self, session: Session) -> list[Any]:
        """Give up the place in the line; what was computed before stays."""
        if session.phase == WAITING:
            session.ticket += 1
            self.line.leave(session)
            session.phase = PAUSED if session.run.steps else STOPPED
        return self.page(session)

    def move_slider(self, session: Session, *values: Any) -> list[Any]:
        """Live settings, in the order of LIVE; in force from the next step of the search that is under way."""
        if session.phase in (WAITING, RUNNING, PAUSED):
            planned = session.run.planned
            try:
                wanted = {n: check(n, v) for n, v in zip(LIVE, values, strict=True) if v is not None}
                session.run.change(**{n: v for n, v in wanted.items() if v != getattr(planned, n)})
                session.notice = ""
            except InputError as error:
                session.notice = str(error)
        return self.page(session)

    def look(self, session: Session, index: float) -> list[Any]:
        """Show a step in every panel."""
        session.look_at(int(index))
        return self.page(session)

    def look_at_tile(self, session: Session, event: gr.SelectData) -> list[Any]:
        return self.look(session, event.index)

    def tick(self, session: Session) -> list[Any]:
        """While waiting: the place in the line, again."""
        return [views.status(session.phase, [], None, self.line.ahead(session))] if session.phase == WAITING else [gr.skip()]

    def unload(self, request: gr.Request) -> None:
        """The tab was closed."""
        session = self._sessions.pop(request.session_hash, None)
        if session:
            session.close()
            self.line.leave(session)

    def _begin(
        self, request: gr.Request, session: Session, single: bool, prompt: str, critic: str, knobs: tuple[Any, ...]
    ) -> list[Any]:
        """Check everything before anyone waits for it, then ask for a turn."""
        if session.phase in (WAITING, RUNNING):
            return [gr.skip(), *self.page(session)]
        try:
            given = {name: check(name, value) for name, value in zip(KNOBS, knobs, strict=True)}
            settings = SearchSettings(**given).resolve(self.model.recommended)
            judge = self.critic(critic)
            prompt = self.model.check_prompt(prompt)
            judge.check_prompt(prompt)
        except (InputError, CriticError) as error:
            session.notice = str(error)
            return [gr.skip(), *self.page(session)]
        folder = Path(get_upload_folder()) / "milr" / secrets.token_hex(16)
        session.begin(Run(prompt, settings, judge, folder))
        self._sessions[request.session_hash] = session
        return self._queue(session, single)

    def _queue(self, session: Session, single: bool) -> list[Any]:
        ticket = session.ask(single)
        self.line.join(session)
        return [ticket, *self.page(session)]

    # What computes

    def drive(self, ticket: int, session: Session) -> Iterator[list[Any]]:
        """Make steps until the search ends, is held, or the visitor leaves. The page after each of them."""
        run = session.run
        if session.ticket != ticket or session.phase != WAITING:
            yield [gr.skip()] * len(OUTPUTS)
            return
        session.phase = RUNNING
        yield self.page(session)
        try:
            for step in reason(self.model, run.critic, run.prompt, run.planned, run.control, run.state):
                if session.closed:
                    return
                run.add(step)
                if session.single:
                    break
                yield self.page(session)
            session.phase = self._phase_after(session, run)
        except (InputError, CriticError) as error:
            self._break_off(session, str(error))
        except Exception as error:
            logger.exception("A search failed.")
            self._break_off(session, f"The search broke off: {type(error).__name__}: {error}")
        finally:
            if session.phase == RUNNING:
                session.phase = STOPPED
            self.line.leave(session)
        yield self.page(session)

    def _phase_after(self, session: Session, run: Run) -> str:
        if run.complete:
            return FINISHED
        return STOPPED if session.wanted == "stop" else PAUSED

    def _break_off(self, session: Session, message: str) -> None:
        """An error ends the run but not the search: the steps so far stay, and resuming tries the next one again."""
        session.notice, session.phase = message, PAUSED if session.run and session.run.steps else STOPPED

    # What is shown

    def page(self, session: Session) -> list[Any]:
        """Every output, in the order of OUTPUTS."""
        run, phase = session.run, session.phase
        steps = run.steps[:] if run else []
        planned = run.planned if run else None
        shown = {
            **self.panel(session),
            "status": views.status(phase, steps, planned, self.line.ahead(session), session.wanted),
            "notice": views.notice(session.notice),
            "gallery": views.tiles(steps, run.paths[: len(steps)] if run else []),
            "step": gr.update(
                maximum=max(len(steps) - 1, 1), value=max(session.looked_at, 0), interactive=len(steps) > 1
            ),
            **{f"{name}_in_force": views.in_force(name, steps, planned) for name in SLIDERS},
            **_buttons(phase, session.wanted),
            "clock": gr.update(active=phase == WAITING),
        }
        return [shown[name] for name in OUTPUTS]

    def panel(self, session: Session) -> dict[str, Any]:
        """The step looked at."""
        run, at = session.run, session.looked_at
        if run is None or at < 0:
            return dict(
                zip(PANEL, (None, views.reasoning(None), views.score(None), views.settings([], 0), None), strict=True)
            ) | {"plot": reward_figure([], 0, run.planned.steps if run else 1)}
        step = run.steps[at]
        return {
            "image": gr.update(value=run.paths[at], alt_text=views.image_alt(step, run.prompt)),
            "reasoning": views.reasoning(step),
            "score": views.score(step),
            "settings": views.settings(run.steps, at, run.prompt, run.critic.name),
            "plot": reward_figure(run.steps, at, run.planned.steps),
        }


def _buttons(phase: str, wanted: str) -> dict[str, Any]:
    """Which buttons there are, and which may be pressed."""
    busy = phase in (WAITING, RUNNING)
    return {
        "run": gr.update(interactive=not busy),
        "pause": gr.update(visible=phase != PAUSED, interactive=phase == RUNNING and not wanted),
        "resume": gr.update(visible=phase == PAUSED),
        "one_step": gr.update(interactive=not busy),
        "stop": gr.update(visible=phase != WAITING, interactive=phase in (RUNNING, PAUSED) and wanted != "stop"),
        "leave": gr.update(visible=phase == WAITING),
    }


__all__ = ["IDLE", "OUTPUTS", "Studio"]
