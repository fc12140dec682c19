"""Stands in for `spaces.GPU`: as on ZeroGPU the function runs in a forked process, and all that passes is pickled."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

FORK = multiprocessing.get_context("fork")


class Lending:
    """A decorator like `spaces.GPU`, for generator functions. asked: seconds asked for, a call after the other.

    reuse: whether an idle worker takes the next call, as on ZeroGPU; it keeps what was loaded when it was forked.
    refuse: an error to raise instead of lending, as for a visitor without quota. size: of the card's share.
    """

    def __init__(self, reuse: bool = False) -> None:
        self.asked: list[int] = []
        self.workers: list[int] = []
        self.reuse, self.idle = reuse, None
        self.refuse: gr.Error | None = None
        self.size: str | None = None

    def __call__(
        self, *, duration: Callable[..., int], size: str | None = None
    ) -> Callable[[Callable[..., Iterator]], Callable[..., Iterator]]:
        self.size = size

        def decorator(task: Callable[..., Iterator]) -> Callable[..., Iterator]:
            def lent(*args: Any) -> Iterator:
                self.asked.append(duration(*args))
                if self.refuse:
                    raise self.refuse
                worker, self.idle = self.idle or Worker(task), None
                self.workers.append(worker.process.pid)
                worker.stop.clear()
                worker.given.put(args)
                try:
                    yield from worker.answers()
                finally:
                    worker.stop.set()
                    if self.reuse and worker.rest():
                        self.idle = worker
                    else:
                        worker.end()

            return lent

        return decorator


class Worker:
    """A forked process that takes one call after the other."""

    def __init__(self, task: Callable[..., Iterator]):
        self.given, self.taken, self.stop = FORK.SimpleQueue(), FORK.SimpleQueue(), FORK.Event()
        self.process = FORK.Process(target=_work, args=(task, self.given, self.taken, self.stop), daemon=True)
        self.process.start()
        self.done = False

    def answers(self) -> Iterator:
        self.done = False
        while True:
            while self.taken.empty() and self.process.is_alive():
                self.process.join(0.002)
            if self.taken.empty():
                raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False)
            kind, value = self.taken.get()
            self.done = kind != "value"
            if kind == "end":
                return
            if kind == "error":
                raise gr.Error(value, title="ZeroGPU worker error", print_exception=False)
            yield value

    def rest(self) -> bool:
        """Wait until the call under way has ended; whether another one can be taken."""
        while self.process.is_alive() and not self.done:
            if self.taken.empty():
                self.process.join(0.002)
            else:
                self.done = self.taken.get()[0] != "value"
        return self.process.is_alive()

    def end(self) -> None:
        self.given.put(None)
        self.process.join()


def _work(task: Callable[..., Iterator], given: Any, taken: Any, stop: Any) -> None:
    while (args := given.get()) is not None:
        steps = task(*args)
        try:
            for value in steps:
                if stop.is_set():
                    break
                taken.put(("value", value))
            taken.put(("end", os.getpid()))
        except Exception as error:  # of an exception only the name of its class gets through
            taken.put(("error", type(error).__name__))
        finally:
            steps.close()
