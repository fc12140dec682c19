"""What all visitors share: the engine, the waiting list, their visits, and how long a step takes here."""

import asyncio
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

import milr_core
from milr_core import InputError, SearchSettings, Step
from milr_core.critics import critic_class
from milr_core.engine import Job, Options, singles
from milr_core.export.recipe import setting
from milr_core.settings import KNOBS
from ui.engines.base import TOLD, Engine, paid
from ui.events import Answer
from ui.limits import LONGEST_NAME, LONGEST_PROMPT, Limits
from ui.redraw_pace import LOOK_SECONDS, Pace
from ui.run import Run
from ui.session import FAST, NO_OBSERVER, Session
from ui.storage import Storage
from ui.waiting_list import Place, Turn, WaitingList

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()

Compute = Callable[[int, Session], Iterator[None]]
"""Makes the steps of what a ticket was handed out for, one at each `next`."""

RECENT = 0.3
"""Weight of the newest step in the mean of seconds a step."""

SWEEP_SECONDS = 30.0
"""Between two looks at who has gone and what is too old."""

FIELDS = ("prompt", "critic", "observer", "key", "url", "judge", *KNOBS)
"""What handlers take of the controls, in their order."""

SECRET = ("key", "url")

KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
"""In the environment: where the operator has a service for everybody."""


def broke_off(error: Exception, what: str) -> str:
    """What to say of an error that ended some computing. Ours say it themselves; any other is a fault, and logged."""
    if isinstance(error, TOLD):
        return str(error)
    logger.error("%s failed.", what, exc_info=error)
    return f"{what} broke off: {type(error).__name__}: {error}"


def visitor(request: gr.Request | None) -> str:
    """Whose share of the line a request takes: an address. Behind a proxy on a private one, what that says of it."""
    if request is None or request.request is None or request.client is None:
        return ""
    host, forwarded = request.client.host or "", request.headers.get("x-forwarded-for", "")
    return forwarded.split(",")[-1].strip() or host


def check_texts(**texts: Any) -> None:
    """Raise InputError for what is no text, or longer than anything that is asked for."""
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise InputError(f"{name} is text; got {repr(text)[:40]}.")
        most = LONGEST_PROMPT if name == "prompt" else LONGEST_NAME
        if text and len(text) > most:
            raise InputError(f"{name} has {len(text)} characters, and {most} are taken.")
        if text and any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"{name} holds half of a character (a lone surrogate). Type it again.")


class SharedState:
    """Shared by every visit; all else belongs to one. pace: makes that of a page's updates.

    opening: the recorded run that a visit begins with. first_pace: at which its steps come at first.
    """

    def __init__(self, engine: Engine, limits: Limits = DEFAULT_LIMITS, pace: Callable[[], Pace] = Pace):
        self.engine, self.limits, self.pace = engine, limits, pace
        self.line = WaitingList(engine.at_once, limits.queue, limits.share)
        self.storage = Storage(limits.cache_hours, limits.disk)
        self.seconds_a_step = engine.facts.seconds_a_step
        self.opening: Run | None = None
        self.first_pace = FAST
        self.started: Counter[str] = Counter()
        self._fitting: set[str] = set()
        self._visits: dict[str, Session] = {}
        self._lock = threading.Lock()

    def use(self, engine: Engine) -> None:
        """Use it from now on. What computes already goes on where it began."""
        self.engine, self.seconds_a_step = engine, engine.facts.seconds_a_step
        self.line.open(engine.at_once)

    # What is asked for

    def asked(self, *controls: Any) -> Job:
        """The controls' values, in the order of `FIELDS`, all checked before anyone waits for them.

        Raises:
            InputError, CriticError, EngineError: any of them cannot be used, or no engine answers.
        """
        said = dict(zip(FIELDS, controls, strict=True))
        check_texts(**{name: said[name] for name in FIELDS[:6]})
        given = {name: setting(name, said[name]) for name in KNOBS}
        self.check_steps(given["steps"])
        named = (("key", "key"), ("base_url", "url"), ("judge", "judge"))
        options = {name: said[field].strip() for name, field in named if said[field] and said[field].strip()}
        observers = () if said["observer"] in (None, "", NO_OBSERVER) else (said["observer"],)
        self.check_critics(said["critic"], *observers)
        if paid((said["critic"], *observers)) and not (options or any(os.environ.get(name) for name in KEYS)):
            raise InputError("This critic asks a service: fill in its API key below the critic, then press again.")
        return self.engine.check(
            Job(said["prompt"], SearchSettings(**given), said["critic"], observers, Options(options))
        )

    def check_critics(self, *named: str) -> None:
        """Raise InputError for a critic that this page does not offer, or whose weights do not fit here."""
        for single in (single for name in named for single in singles(name)):
            if self.limits.critics and single not in self.limits.critics:
                raise InputError(f"This page offers the critics {', '.join(self.limits.critics)}; not '{single}'.")
            takes = sum(weights.gigabytes for weights in critic_class(single).about.weights)
            if not takes or single in self._fitting:  # nothing, or what is loaded by now
                continue
            free = milr_core.free_bytes(self.engine.facts.device or None) / 1e9
            if takes > free:
                raise InputError(f"The critic {single} takes {takes:.1f} GB, and {free:.1f} are free: choose another.")
            self._fitting.add(single)

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
        session.asked = {n: v for n, v in zip(FIELDS, controls, strict=True) if n not in SECRET}
        return Run(job.prompt, job.settings, self.folder(session), made_by, job.critic, job.observers, job.options)

    def admit(self, session: Session) -> None:
        """Raise InputError if a visit may not start another search, or its controls are set for another model."""
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
        self.storage.check()

    def admit_call(self, request: gr.Request | None) -> str:
        """Name who calls the endpoint, or refuse. Raises InputError if it may not start another search."""
        caller = visitor(request)
        if 0 < self.limits.searches <= self.started[caller]:
            raise InputError(f"{self.limits.searches} searches from one address are all that this page allows.")
        self.storage.check()
        self.started[caller] += 1
        return caller

    def engine_for(self, run: Run) -> Engine:
        """What goes on with a run. One that was asked for before the model was loaded is checked by it now.

        Raises:
            InputError: it was made with other weights than are here. What `Engine.check` raises.
        """
        engine = self.engine
        if not engine.facts.weights_hash:  # not known yet, or never: then it says itself why
            return engine
        if not run.model.weights_hash and not run.steps:
            job = engine.check(replace(run.job, settings=run.settings))
            run.model, run.prompt, run.settings = engine.facts.made_by, job.prompt, job.settings
        if run.model.weights_hash != engine.facts.weights_hash:
            raise InputError(
                f"This run was made by {run.model.id} with other weights than {engine.facts.name} has here, so it "
                "can be looked at but not continued."
            )
        return engine

    # Turns

    def queue(
        self, request: gr.Request | None, session: Session, what: Any, compute: Compute, single: bool = False
    ) -> int:
        """A ticket for a run or a comparison, which waits in the line from now on.

        Raises:
            InputError: there is no place.
        """
        self.register(session)
        before = what.phase
        ticket = session.ask(what, single)
        turn = Turn(lambda: compute(ticket, session), lambda: what.left, visitor(request))
        session.turn = turn
        try:
            self.line.join(turn)
        except InputError:
            session.active, session.turn, what.phase = None, None, before
            raise
        return ticket

    async def watch(self, ticket: int, session: Session, shown: Callable[[Session], Answer]) -> AsyncIterator[Answer]:
        """What is shown of a run or a comparison while it waits and computes, at a pace. It computes nothing, so a page
        that goes away takes nothing along."""
        what, pace, before = session.active, self.pace(), None
        while session.ticket == ticket and what is not None and session.active is what:
            seen = what.seen
            if seen != before and (pace.due or before is None or before[0] != seen[0]):
                with pace.update():
                    yield await asyncio.to_thread(shown, session)
                before = seen
            await asyncio.sleep(LOOK_SECONDS)
        yield await asyncio.to_thread(shown, session)

    def leave(self, session: Session) -> None:
        """Give up a place in the line, or a turn that has begun; what was computed before stays."""
        session.revoke()
        if session.turn:
            self.line.leave(session.turn)

    @property
    def loading(self) -> bool:
        """Whether the engine is still to come, and the line waits for it."""
        return not self.engine.at_once

    def place(self, session: Session) -> Place:
        """Where a visit stands; it waits so long if every search ahead takes all of its steps."""
        ahead, step = self.line.before(session.turn), self.seconds_a_step
        wait = None if step is None else sum(max(turn.left(), 1) for turn in ahead) * step
        return Place(len(ahead), wait, self.loading)

    def keep(self, run: Run, step: Step) -> None:
        """Add a step to a run; note how long it took."""
        run.add(step)
        self.took(step.cost.seconds)

    def took(self, seconds: float) -> None:
        before = self.seconds_a_step
        self.seconds_a_step = seconds if before is None else before + RECENT * (seconds - before)

    # Visits

    def arrive(self, key: Any, session: Session) -> Session:
        """The visit that a browser's key is of, or a new one. session: what a page begins with."""
        with self._lock:
            known = self._visits.get(key) if isinstance(key, str) else None
            visit = known or session
            visit.key = visit.key or secrets.token_urlsafe(32)
            self._visits[visit.key] = visit
            if known is None and not visit.runs:
                visit.opening, visit.pace = self.opening, self.first_pace
                visit.shown = visit.shown or self.opening
        visit.heard = time.monotonic()
        return visit

    def register(self, session: Session) -> None:
        """Something is computed for a visit; one whose page did not say that it has arrived is known from now on."""
        session.touched = time.monotonic()
        self.arrive(session.key, session)

    def folder(self, session: Session) -> Path:
        """A new folder in the visit's own."""
        return session.room(self.storage.room())

    def sweep(self) -> None:
        """End the searches of visitors who have gone, and forget who has been away, or done nothing, for long."""
        now = time.monotonic()
        for session in list(self._visits.values()):
            away, idle = now - session.heard, now - session.touched
            if away > self.limits.grace and session.busy:
                self.leave(session)
            if not session.busy and idle > 60 * self.limits.idle_minutes:
                if session.runs:
                    session.notice = (
                        f"Nothing was computed here for {self.limits.idle_minutes} minutes, so the runs were cleared."
                    )
                session.close()
                if away > self.limits.grace:
                    self._visits.pop(session.key, None)
        live = [s.folder for s in list(self._visits.values()) if s.folder]
        self.storage.sweep([*live, self.opening.folder] if self.opening else live)

    def keep_sweeping(self) -> None:
        """Sweep in a thread, for as long as the process lives; the first time at once."""

        def go_on() -> None:
            while True:
                try:
                    self.sweep()
                except OSError:  # of the folder; the next time may be better
                    logger.exception("The files of visitors could not be looked through.")
                time.sleep(SWEEP_SECONDS)

        threading.Thread(target=go_on, name="milr-sweep", daemon=True).start()
