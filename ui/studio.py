"""What all visitors share: the model, its critics, the line, and how long a step takes here."""

import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from milr_core import Critic, CriticError, InputError, Janus, SearchSettings, Step, load_critic
from milr_core.critics import CRITICS, critic_class
from milr_core.diagnostics import inspected
from milr_core.settings import KNOBS, check
from ui.controls import NO_OBSERVER
from ui.line import Line
from ui.session import Run, Session

logger = logging.getLogger(__name__)

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""


@dataclass
class Asked:
    """What the controls say, checked."""

    prompt: str
    settings: SearchSettings
    critic: Critic
    critic_name: str
    observers: list[Critic]


def singles(name: str | None) -> list[str]:
    """The critics in a name or a mixture that there are."""
    terms = [term.rpartition("*")[2].strip() for term in (name or "").split("+")]
    return [term for term in terms if term in CRITICS]


def is_remote(name: str) -> bool:
    """Whether a critic asks a judge over the network, who may charge for it."""
    return critic_class(name).about.remote


def paid(names: Sequence[str]) -> int:
    """How many of these critics, or of those mixed in them, ask a judge over the network at every step."""
    return sum(is_remote(single) for name in names for single in singles(name))


def broke_off(error: Exception, what: str) -> str:
    """What to say of an error that ended some computing. Ours say it themselves; any other is a fault, and logged."""
    if isinstance(error, (InputError, CriticError)):
        return str(error)
    logger.error("%s failed.", what, exc_info=error)
    return f"{what} broke off: {type(error).__name__}: {error}"


class Studio:
    """Shared by every session; all else belongs to one."""

    def __init__(self, model: Janus):
        self.model = model
        self.made_by = {"id": model.name, "weights_hash": model.weights_hash}
        self.line = Line()
        self.seconds_a_step: float | None = None
        self._critics: dict[str, Critic] = {}
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def critic(self, name: str, **options: str) -> Critic:
        """A critic by name, loaded once; with options of a visitor's own (a key above all) never kept here.

        Raises:
            InputError: there is no such critic, or it lacks something.
        """
        if options:
            return load_critic(name, model=self.model, **options)
        with self._lock:
            if name not in self._critics:
                self._critics[name] = load_critic(name, model=self.model)
            return self._critics[name]

    def asked(self, prompt: str, critic: str, observer: str, key: str, url: str, judge: str, *knobs: Any) -> Asked:
        """The controls' values, in the order of `Controls.asked`, all checked before anyone waits for them.

        Raises:
            InputError: any of them cannot be used.
        """
        given = {name: check(name, value) for name, value in zip(KNOBS, knobs, strict=True)}
        settings = SearchSettings(**given).resolve(self.model.recommended)
        options = {k: v.strip() for k, v in (("key", key), ("base_url", url), ("judge", judge)) if v and v.strip()}
        scoring = self.judge(critic, options)
        prompt = self.model.check_prompt(prompt)
        observers = [] if observer in (None, "", NO_OBSERVER) else [self.judge(observer, options)]
        for judging in (scoring, *observers):
            judging.check_prompt(prompt)
        return Asked(prompt, settings, scoring, critic, observers)

    def judge(self, name: str, options: dict[str, str]) -> Critic:
        """A critic by name or a mixture; the options go to those that ask a service over the network."""
        asking = [single for single in singles(name) if is_remote(single)]
        if not options or not asking:
            return self.critic(name)
        return self.critic(name, **(options if name.strip() in asking else dict.fromkeys(asking, options)))

    def register(self, request: gr.Request, session: Session) -> None:
        """Remember whose session it is, for when the tab is closed."""
        self._sessions[request.session_hash] = session

    def folder(self, session: Session) -> Path:
        """A new folder in the session's own; its name cannot be guessed."""
        return session.room(Path(get_upload_folder()) / "milr" / secrets.token_hex(16))

    def keep(self, run: Run, step: Step) -> None:
        """Add a step to a run, with its tokens' probabilities, its tensors in main memory; note how long it took."""
        run.add(inspected(self.model, step.state).to("cpu").step)
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
