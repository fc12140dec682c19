"""Stands in for `spaces.GPU`: as on ZeroGPU the function runs in a forked process, and all that passes is pickled."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

FORK = multiprocessing.get_context("fork")


class Lending:
    """A decorator like `spaces.GPU`, for generator functions. asked: seconds asked for, a call after the other.

    refuse: an error to raise instead of lending, as for a visitor without quota.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.workers: list[int] = []
        self.refuse: gr.Error | None = None

    def __call__(self, *, duration: Callable[..., int]) -> Callable[[Callable[..., Iterator]], Callable[..., Iterator]]:
        def decorator(task: Callable[..., Iterator]) -> Callable[..., Iterator]:
            def lent(*args: Any) -> Iterator:
                self.asked.append(duration(*args))
                if self.refuse:
                    raise self.refuse
                given, taken, stop = FORK.SimpleQueue(), FORK.SimpleQueue(), FORK.Event()
                worker = FORK.Process(target=_work, args=(task, given, taken, stop), daemon=True)
                worker.start()
                self.workers.append(worker.pid)
                given.put(args)
                try:
                    yield from self._answers(worker, taken)
                finally:
                    stop.set()
                    worker.join()

            return lent

        return decorator

    def _answers(self, worker: Any, taken: Any) -> Iterator:
        while True:
            while taken.empty() and worker.is_alive():
                worker.join(0.002)
            if taken.empty():
                raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False)
            kind, value = taken.get()
            if kind == "end":
                return
            if kind == "error":
                raise gr.Error(value, title="ZeroGPU worker error", print_exception=False)
            yield value


def _work(task: Callable[..., Iterator], given: Any, taken: Any, stop: Any) -> None:
    steps = task(*given.get())
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
