"""What all visitors share: the engine, the line, and how long a step takes here."""

import logging
import secrets
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from milr_core import CriticError, InputError, SearchSettings, Step
from milr_core.settings import KNOBS, check
from ui.controls import NO_OBSERVER
from ui.engine import Engine, Job, Options
from ui.line import Line
from ui.session import Run, Session

logger = logging.getLogger(__name__)

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""


def broke_off(error: Exception, what: str) -> str:
    """What to say of an error that ended some computing. Ours say it themselves; any other is a fault, and logged."""
    if isinstance(error, (InputError, CriticError)):
        return str(error)
    logger.error("%s failed.", what, exc_info=error)
    return f"{what} broke off: {type(error).__name__}: {error}"


class Studio:
    """Shared by every session; all else belongs to one."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.line = Line()
        self.seconds_a_step: float | None = None
        self._sessions: dict[str, Session] = {}

    def asked(self, prompt: str, critic: str, observer: str, key: str, url: str, judge: str, *knobs: Any) -> Job:
        """The controls' values, in the order of `Controls.asked`, all checked before anyone waits for them.

        Raises:
            InputError: any of them cannot be used.
        """
        given = {name: check(name, value) for name, value in zip(KNOBS, knobs, strict=True)}
        options = {k: v.strip() for k, v in (("key", key), ("base_url", url), ("judge", judge)) if v and v.strip()}
        observers = () if observer in (None, "", NO_OBSERVER) else (observer,)
        return self.engine.check(Job(prompt, SearchSettings(**given), critic, observers, Options(options)))

    def begun(self, job: Job, session: Session) -> Run:
        """A run for a job, without steps."""
        return Run(
            job.prompt, job.settings, self.folder(session), self.engine.facts.made_by, job.critic, job.observers,
            job.options,
        )  # fmt: skip

    def check_model(self, run: Run) -> None:
        """Raise InputError unless the run was made with the weights that are here."""
        facts = self.engine.facts
        if run.model["weights_hash"] != facts.weights_hash:
            raise InputError(
                f"This run was made by {run.model['id']} with other weights than {facts.name} has here, so it can be "
                "looked at but not continued."
            )

    def register(self, request: gr.Request, session: Session) -> None:
        """Remember whose session it is, for when the tab is closed."""
        self._sessions[request.session_hash] = session

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
