"""What all visitors share: the engine, the waiting list, and how long a step takes here."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from milr_core import InputError, SearchSettings, Step
from milr_core.settings import KNOBS, check
from ui.engines.base import TOLD, Engine, Job, Options
from ui.limits import Limits
from ui.redraw_pace import Pace
from ui.session import NO_OBSERVER, Run, Session

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""


def broke_off(error: Exception, what: str) -> str:
    """What to say of an error that ended some computing. Ours say it themselves; any other is a fault, and logged."""
    if isinstance(error, TOLD):
        return str(error)
    logger.error("%s failed.", what, exc_info=error)
    return f"{what} broke off: {type(error).__name__}: {error}"


class WaitingList:
    """The sessions that compute or wait to, in order. All that anyone learns of the others is how many are ahead, and
    for about how long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Session] = []

    def join(self, session: Session) -> None:
        with self._lock:
            if not any(other is session for other in self._waiting):
                self._waiting.append(session)

    def serve(self, session: Session) -> None:
        """Someone who computes already, whatever the order in which others came: a call of the endpoint."""
        with self._lock:
            self._waiting.insert(0, session)

    def leave(self, session: Session) -> None:
        with self._lock:
            self._waiting = [other for other in self._waiting if other is not session]

    def before(self, session: Session) -> list[Session]:
        """The sessions ahead of this one."""
        with self._lock:
            at = next((i for i, other in enumerate(self._waiting) if other is session), 0)
            return self._waiting[:at]

    def ahead(self, session: Session) -> int:
        """How many there are."""
        return len(self.before(session))

    @property
    def empty(self) -> bool:
        return not self._waiting


class SharedState:
    """Shared by every session; all else belongs to one. pace: makes that of a turn."""

    def __init__(self, engine: Engine, limits: Limits = DEFAULT_LIMITS, pace: Callable[[], Pace] = Pace):
        self.engine, self.limits, self.pace = engine, limits, pace
        self.line = WaitingList()
        self.seconds_a_step: float | None = None
        self._sessions: dict[str, Session] = {}

    def use(self, engine: Engine) -> None:
        """From now on. What computes already goes on where it began."""
        self.engine, self.seconds_a_step = engine, None

    def asked(self, prompt: str, critic: str, observer: str, key: str, url: str, judge: str, *knobs: Any) -> Job:
        """The controls' values, in the order of `Controls.asked`, all checked before anyone waits for them.

        Raises:
            InputError, CriticError, EngineError: any of them cannot be used, or no engine answers.
        """
        given = {name: check(name, value) for name, value in zip(KNOBS, knobs, strict=True)}
        self.check_steps(given["steps"])
        options = {k: v.strip() for k, v in (("key", key), ("base_url", url), ("judge", judge)) if v and v.strip()}
        observers = () if observer in (None, "", NO_OBSERVER) else (observer,)
        return self.engine.check(Job(prompt, SearchSettings(**given), critic, observers, Options(options)))

    def check_steps(self, steps: int) -> None:
        """Raise InputError for more of them than this page allows."""
        if steps > self.limits.steps_at_most:
            raise InputError(f"Steps K lies in [0, {self.limits.steps_at_most}] on this page; got {steps}.")

    def begun(self, session: Session, *controls: Any) -> Run:
        """A run as the controls say, without steps. Raises as `admit` and `asked` do."""
        self.admit(session)
        made_by = self.engine.facts.made_by  # another model that comes now is noticed when the run's turn comes
        job = self.asked(*controls)
        session.searches += 1
        return Run(job.prompt, job.settings, self.folder(session), made_by, job.critic, job.observers, job.options)

    def admit(self, session: Session) -> None:
        """Raise InputError if a session may not start another search, or its controls are set for another model."""
        facts = self.engine.facts
        if session.model not in ("", facts.weights_hash):
            raise InputError(
                f"{facts.name} has been loaded for everybody meanwhile. The controls change to what it recommends: "
                "look at them, then press again."
            )
        if 0 < self.limits.searches <= session.searches:
            raise InputError(
                f"This session has started its {self.limits.searches} searches, which is all that this page allows."
            )

    def engine_for(self, run: Run) -> Engine:
        """What goes on with a run.

        Raises:
            InputError: it was made with other weights than are here.
        """
        engine = self.engine
        if run.model["weights_hash"] != engine.facts.weights_hash:
            raise InputError(
                f"This run was made by {run.model['id']} with other weights than {engine.facts.name} has here, so it "
                "can be looked at but not continued."
            )
        return engine

    def register(self, request: gr.Request, session: Session) -> None:
        """Remember whose session it is, for when the tab is closed; clear those that have done nothing for long."""
        session.touched = now = time.monotonic()
        self._sessions[request.session_hash] = session
        minutes = self.limits.idle_minutes
        for other in list(self._sessions.values()):
            if other is not session and not other.busy and other.runs and now - other.touched > 60 * minutes:
                other.close()
                other.notice = f"Nothing was computed here for {minutes} minutes, so the runs were cleared."

    def folder(self, session: Session) -> Path:
        """A new folder in the session's own; its name cannot be guessed."""
        return session.room(Path(get_upload_folder()) / "milr" / secrets.token_hex(16))

    def keep(self, run: Run, step: Step) -> None:
        """Add a step to a run; note how long it took."""
        run.add(step)
        self.took(step.cost.seconds)

    def took(self, seconds: float) -> None:
        before = self.seconds_a_step
        self.seconds_a_step = seconds if before is None else before + RECENT * (seconds - before)

    def wait(self, session: Session) -> float | None:
        """Seconds until a session's turn, if every search ahead takes all of its steps; None where it is not known."""
        if self.seconds_a_step is None:
            return None
        left = sum(max(other.active.left, 1) for other in self.line.before(session) if other.active is not None)
        return left * self.seconds_a_step

    def unload(self, request: gr.Request) -> None:
        """The tab was closed."""
        session = self._sessions.pop(request.session_hash, None)
        if session:
            session.close()
            self.line.leave(session)
