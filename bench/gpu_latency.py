"""How soon a search stops, pauses or dies when it is told to, and what a killed one keeps."""

import multiprocessing
import shutil
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bench.gpu_figures import Rows, figure
from bench.speed import synchronize
from milr_core import Janus, SearchControl, SearchSettings, load_critic, load_model, reason
from milr_core.trajectory import Trajectory

FORK = multiprocessing.get_context("fork")
KILLED_PROMPT = "two red dogs left of a blue car"
KILLED = SearchSettings(steps=6, threshold=1.0, seed=0)
KILLED_AFTER = 2
"""Index of the step after which a search is killed, in the middle of the next one."""

STARTING = 120.0
"""Seconds that a process may take until its first step."""

MOST_TOKENS = "at most 2 tokens"


def _search(device: str, folder: Path, sender: Connection) -> None:
    model = load_model("janus-icons", device, torch.float32)
    critic = load_critic("oracle", model=model)
    run = Trajectory.create(folder, model, "oracle", KILLED_PROMPT)
    for step in reason(model, critic, KILLED_PROMPT, KILLED):
        run.append(step.state)
        sender.send(step.index)


def measure_kill(device: str, folder: Path) -> Rows:
    """Kill a search of the embedded model in mid-step, resume it, and compare it with one that was left alone.

    Forks: nothing in this process may have used CUDA before.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_search, args=(device, folder, sender), daemon=True)
    process.start()
    while receiver.poll(STARTING) and receiver.recv() < KILLED_AFTER:
        continue
    started = time.perf_counter()
    process.kill()
    process.join()
    yield figure("kill: until the process was gone", 1e3 * (time.perf_counter() - started), "ms")
    model = load_model("janus-icons", device, torch.float32)
    critic = load_critic("oracle", model=model)
    run = Trajectory.open(folder)
    kept = len(run)
    yield figure("kill: steps kept", kept, f"of {KILLED_AFTER + 1}", "all")
    resumed = list(reason(model, critic, KILLED_PROMPT, KILLED, state=run.state(kept - 1)))
    alone = list(reason(model, critic, KILLED_PROMPT, KILLED))[kept:]
    same = sum(a.image_tokens == b.image_tokens for a, b in zip(resumed, alone, strict=True))
    yield figure("kill: resumed steps equal to those of a search left alone", same, f"of {len(alone)}", "all")
    shutil.rmtree(folder)


class Watched(SearchControl):
    """Notes when the search looks whether to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.polls = 0
        self.looked = 0.0

    def poll(self) -> None:
        self.polls, self.looked = self.polls + 1, time.perf_counter()
        super().poll()


def measure_stop_and_pause(model: Janus, prompt: str) -> Rows:
    """Stop, and pause and go on, in the middle of an image.

    The host may be ahead of the device; so both are told: until the search heeds it, and until the device is idle.
    """
    critic = load_critic("self", model=model)
    settings = SearchSettings(steps=1000, threshold=1.0, seed=0)
    control, ended = Watched(), threading.Event()
    steps = reason(model, critic, prompt, settings, control)
    next(steps)
    next(steps)  # what is captured once is captured
    polls, started = control.polls, time.perf_counter()
    next(steps)
    token = (time.perf_counter() - started) / max(1, control.polls - polls)
    yield figure("one token", 1e3 * token, "ms")

    def run() -> None:
        for _ in steps:
            continue
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    _wait(lambda: control.polls > polls + 3 * model.num_image_tokens // 2)
    asked = time.perf_counter()
    control.pause()
    before = control.looked
    _wait(lambda: control.looked > max(asked, before))
    yield figure("pause: until the search held", (control.looked - asked) / token, "tokens", MOST_TOKENS)
    synchronize(model.device)
    yield figure("pause: until the device was idle", (time.perf_counter() - asked) / token, "tokens")
    held, asked = control.polls, time.perf_counter()
    control.go_on()
    _wait(lambda: control.polls > held)
    yield figure("go on: until the next token", (control.looked - asked) / token, "tokens", MOST_TOKENS)
    asked = time.perf_counter()
    control.stop()
    ended.wait(STARTING)
    yield figure("stop: until the search ended", (time.perf_counter() - asked) / token, "tokens", MOST_TOKENS)
    synchronize(model.device)
    yield figure("stop: until the device was idle", (time.perf_counter() - asked) / token, "tokens")
    thread.join()


def _wait(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + STARTING
    while not happened():
        if time.monotonic() > until:
            raise RuntimeError("the search did not go on")
        time.sleep(1e-4)
