"""Where a search is computed: an engine makes single steps, of a job and of the state before, wherever it is.

What goes in and comes out can be pickled: a `Job`, a `State`. The loop over an engine's steps is `run`, here and
nowhere else; whoever reaches a model in another process, or on another machine, gives it a `step` of its own.
Whoever asks needs no torch: the engine in this process is `milr_core.local_engine`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from milr_core.control import SearchControl, drive
from milr_core.critics import critic_names, is_remote
from milr_core.critics import options_for as options_by_critic
from milr_core.errors import InputError
from milr_core.settings import SearchSettings
from milr_core.state import SEARCH, State, Step


class Options(dict[str, str]):
    """A visitor's own options of critics that ask a service: `key`, `base_url`, `judge`. Never shown."""

    def __hash__(self) -> int:  # of this object: two visitors' options are two, whatever is in them
        return id(self)

    def __repr__(self) -> str:
        return "Options(…)"


@dataclass(frozen=True)
class Job:
    """What to search for. critic, observers: names or mixtures. method: "search" or "best-of-n", which draws as many
    images as a search with the same settings does at most. by_hand: a position of the plan, and the word that it is to
    become in the next step ("": the next likeliest).
    """

    prompt: str
    settings: SearchSettings
    critic: str
    observers: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)
    method: str = SEARCH
    by_hand: tuple[int, str] | None = None

    def under(self, control: SearchControl) -> "Job":
        """The job under the settings that are in force now."""
        return replace(self, settings=control.in_force(self.settings))


class Engine(Protocol):
    """Computes searches for one model, one step at a time."""

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """The state after `state`, or step 0; None where the job has no step left.

        `control` acts from another thread: a stop after the token it is at, live settings from the next step. States
        come with their tensors in main memory and their tokens' probabilities.

        Raises:
            Stopped: the control said so. InputError, CriticError: as `milr_core.reason`.
        """

    def leave(self, control: SearchControl) -> None:
        """No step is asked for with this control any more: what was kept for the next one is let go."""


def run(engine: Engine, job: Job, control: SearchControl, state: State | None = None) -> Iterator[Step]:
    """The steps of a job after `state`, until its end or a stop. Raises as `Engine.step` does."""
    try:
        yield from drive(lambda before: engine.step(job, before, control), state)
    finally:
        engine.leave(control)


def singles(name: str | None) -> list[str]:
    """The critics in a name or a mixture; none while it cannot be read."""
    try:
        return critic_names(name or "")
    except InputError:
        return []


def options_for(name: str, options: Mapping[str, str]) -> dict[str, Any]:
    """A visitor's options as `load_critic` takes them: by critic for a mixture, none where nobody asks a service."""
    asking = [single for single in singles(name) if is_remote(single)]
    return options_by_critic(name, dict.fromkeys(asking, options)) if options and asking else {}
