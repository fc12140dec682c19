"""Who does the jobs: this process, processes on this machine, or Ray. One model a worker, handed one job at a time.

All give the same results: a job's outcome depends on nothing but the job. A worker that dies is replaced and its job
handed out again, without the methods whose results had arrived.
"""

import itertools
import logging
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import torch

from bench.worker import Job, Key, Result, Setup, Worker
from milr_core.errors import InputError

logger = logging.getLogger(__name__)

TRIES = 3  # workers that may die over a job before it is given up

Executor = Callable[[Setup, Sequence[Job]], Iterator[Result]]


def here(setup: Setup, jobs: Sequence[Job]) -> Iterator[Result]:
    """Run the jobs in this process."""
    worker, queue = Worker(setup), Queue(jobs, setup.batch)
    while (following := queue.next()) is not None:
        yield from worker.run_together(following[0])


class Queue:
    """Jobs to hand out, `batch` at a time, and those that come back because their worker died."""

    def __init__(self, jobs: Sequence[Job], batch: int = 1):
        self._waiting = deque((tuple(jobs[i : i + batch]), 1) for i in range(0, len(jobs), batch))

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> tuple[tuple[Job, ...], int] | None:
        return self._waiting.popleft() if self._waiting else None

    def back(self, jobs: Sequence[Job], tries: int, arrived: set[Key], why: str) -> Iterator[Result]:
        """Queue the rest of some jobs again, or, after TRIES, give its failures."""
        rest = []
        for job in jobs:
            missing = tuple(m for m in job.methods if (job.item.id, job.seed, m.name) not in arrived)
            rest += [replace(job, methods=missing)] if missing else []
        if tries < TRIES:
            logger.warning("A worker died (%s); its prompts are handed out again.", why)
            if rest:
                self._waiting.append((tuple(rest), tries + 1))
            return
        for job in rest:
            for method in job.methods:
                yield Result(job.item, job.seed, method.name, {}, error=f"{TRIES} workers died over it ({why}).")


def _serve(pipe: Connection, setup: Setup) -> None:
    """A worker process: jobs in, results out, None after each job. Ends when the driver is gone."""
    try:
        worker = Worker(setup)
        pipe.send(None)
        while True:
            for result in worker.run_together(pipe.recv()):
                pipe.send(result)
            pipe.send(None)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        return
    except InputError as error:
        pipe.send(error)


class Processes:
    """`count` processes on this machine, each with a GPU of its own where there are any."""

    def __init__(self, count: int):
        self.count = count
        self._context = multiprocessing.get_context("spawn")
        self._numbers = itertools.count()

    def _start(self, setup: Setup) -> tuple[Connection, Any]:
        if setup.device is None and torch.cuda.is_available():
            setup = replace(setup, device=f"cuda:{next(self._numbers) % torch.cuda.device_count()}")
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, setup), daemon=True)
        process.start()
        theirs.close()
        return ours, process

    def __call__(self, setup: Setup, jobs: Sequence[Job]) -> Iterator[Result]:
        queue = Queue(jobs, setup.batch)
        workers: dict[Connection, Any] = dict(self._start(setup) for _ in range(min(self.count, len(queue))))
        at: dict[Connection, tuple[Sequence[Job], int, set[Key]]] = {}  # of each worker: jobs, tries, arrived
        unready = 0
        try:
            while workers:
                for pipe in cast(list[Connection], wait(list(workers))):
                    try:
                        message = pipe.recv()
                    except (EOFError, ConnectionResetError):
                        process = workers.pop(pipe)
                        process.join()
                        if pipe in at:
                            yield from queue.back(*at.pop(pipe), f"exit {process.exitcode}")
                        elif (unready := unready + 1) == TRIES:
                            raise InputError(
                                f"{TRIES} workers died before they were ready (exit {process.exitcode})."
                            ) from None
                        if len(queue):
                            workers.update([self._start(setup)])
                        continue
                    if isinstance(message, InputError):
                        raise message
                    if message is not None:
                        at[pipe][2].add(message.key)
                        yield message
                        continue
                    at.pop(pipe, None)
                    if (following := queue.next()) is not None:
                        at[pipe] = (*following, set())
                        with suppress(BrokenPipeError, ConnectionResetError):  # dead: its pipe says so next
                            pipe.send(following[0])
                    else:
                        pipe.close()
                        workers.pop(pipe).join()
        finally:
            for pipe, process in workers.items():
                process.kill()
                pipe.close()
