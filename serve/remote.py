"""The engine of a page whose model is elsewhere: every step is one call to whichever replica is free."""

from dataclasses import replace
from typing import Any, cast

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError, RequestCancelledError
from ray.serve.handle import DeploymentHandle, DeploymentResponse

from milr_core import SearchControl, State
from milr_core.engine import Job
from milr_core.errors import Stopped
from ui.engines.base import EngineError, ModelFacts

POLL = 0.05
"""Seconds between two looks at whether a stop was asked for, while a step is made."""

TRIES = 3
"""Replicas that are asked what can be asked again: a question, not a step."""

ANSWER = 60.0
"""Seconds that a visitor's question waits for a replica, each time; one that died is replaced in less, as a rule."""

LOST = (RayActorError, DeploymentUnavailableError)


class RemoteEngine:
    """`Engine` over a handle of `ModelReplica`s. Made and used from threads, never from an event loop.

    Live settings are in force from the next step, as everywhere. A stop cancels the call: the replica ends after the
    token it is at. A pause holds the search once the step under way is there.
    """

    facts: ModelFacts

    def __init__(self, replicas: DeploymentHandle, at_once: int = 1):
        """Waits for the first replica to be ready. at_once: as of `Engine`: this page's share of the replicas."""
        self._replicas, self.at_once = replicas, at_once
        self.facts = self._ask("facts", None)

    def cost(self, steps: int) -> str:
        return ""

    def check(self, job: Job) -> Job:
        """Do it as `Engine` does, on a replica. Raises EngineError where no replica answers."""
        return replace(self._ask("check", ANSWER, job), options=job.options)

    def step(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        """Do it as `Engine` does, on a replica.

        Raises:
            EngineError: a replica went away while it made a step; going on from the last state takes another.
        """
        control.poll()
        try:
            asked = cast(DeploymentResponse, self._replicas.step.remote(job.under(control), state))
            return self._made(asked, control)
        except LOST as error:
            raise EngineError(
                "The replica of the model that made this step went away. The steps so far are kept; go on, and "
                "another replica makes the rest as if nothing had happened."
            ) from error

    def leave(self, control: SearchControl) -> None:
        """Nothing is kept from one step to the next."""

    def _made(self, response: DeploymentResponse, control: SearchControl) -> State | None:
        """Wait for a step. Raises Stopped, and what the replica raised."""
        try:
            while True:
                try:
                    return response.result(timeout_s=POLL)
                except TimeoutError:
                    if control.stopped:
                        raise Stopped from None
        except RequestCancelledError:
            raise Stopped from None
        except RayTaskError as error:
            raise error.cause from None
        except LOST:
            raise
        except BaseException:  # stopped, or nobody waits any longer
            response.cancel()
            raise

    def _ask(self, question: str, seconds: float | None, *given: Any) -> Any:
        for _ in range(TRIES):
            response = getattr(self._replicas, question).remote(*given)
            try:
                return response.result(timeout_s=seconds)
            except RayTaskError as error:
                raise error.cause from None
            except LOST:
                continue
            except TimeoutError:
                response.cancel()
                break
        raise EngineError("No replica of the model answers; try again in a moment.")
