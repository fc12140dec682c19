"""A replica of the model: it computes one step at a time for whoever asks, and remembers nothing between two steps.

A step is a function of the job and of the state before it, so any replica can make any step of any search.
"""

import asyncio
import threading
from collections import OrderedDict
from dataclasses import replace

from milr_core import SearchControl, State, load_model
from milr_core.engine import Job, Options
from ui.engines.base import ModelFacts
from ui.engines.local import LocalEngine

KEPT = 8
"""Visitors whose own options of critics are kept, so that those critics are not made anew for every step."""


class ModelReplica:
    """Called through a handle of Ray Serve, as `RemoteEngine` does. What it raises reaches the caller."""

    def __init__(self, model: str, device: str | None = None):
        """model: embedded name, folder or hub id. device: default the best there is."""
        self._engine = LocalEngine(load_model(model, device))
        self._turn = asyncio.Lock()
        self._options: OrderedDict[frozenset[tuple[str, str]], Options] = OrderedDict()
        self._keeping = threading.Lock()

    async def facts(self) -> ModelFacts:
        return self._engine.facts

    async def check(self, job: Job) -> Job:
        """Check a job as `Engine` does; beside the step that is being made."""
        return await asyncio.to_thread(self._engine.check, self._known(job))

    async def step(self, job: Job, state: State | None) -> State | None:
        """Make a step as `Engine` does: the state after `state`, or step 0; None where there is none left.

        Steps are made in the order in which they were asked for. A cancelled call ends after the token it is at.
        """
        control = SearchControl()
        async with self._turn:
            work = asyncio.get_running_loop().run_in_executor(None, self._make, self._known(job), state, control)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                control.stop()
                await asyncio.wait([work])  # the model is free for the next one when this has ended
                raise

    def _make(self, job: Job, state: State | None, control: SearchControl) -> State | None:
        try:
            return self._engine.step(job, state, control)
        finally:
            self._engine.leave(control)

    def _known(self, job: Job) -> Job:
        """The job with the options that the same visitor sent before, whose critics are there already."""
        with self._keeping:
            key = frozenset(job.options.items())
            own = self._options.setdefault(key, job.options)
            self._options.move_to_end(key)
            if len(self._options) > KEPT:
                self._options.popitem(last=False)
        return replace(job, options=own)
