"""The parts of `python -m bench gpu`. Each yields figures, `figure(what, value, unit)`, as soon as it has them.

A part runs in a process of its own; what several of them need, checkpoints of true size, lies in the work folder.
"""

import platform
import shutil
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import JanusConfig

from bench.gpu_decoding import Drawing, compare_loops, compare_with_cpu, measure_token
from bench.gpu_figures import Row, Rows, figure
from bench.gpu_latency import measure_kill, measure_stop_and_pause
from bench.speed import machine, synchronize
from bench.true_size import true_config, write_checkpoint
from milr_core import Janus, SearchSettings, advance, load_critic, load_model, memory_needed, reason_together, start
from world.model import make_config

PROMPTS = ("two red dogs left of a blue car", "three green apples", "a large yellow star", "a black cat")
PROMPT = PROMPTS[0]
TEXT = "two red dogs and a blue car"
TEXT_TOKENS = 64
"""Of reasoning: with random weights a text ends at the limit."""

TOGETHER = (1, 4, 16)
"""Searches in one batch."""


@dataclass(frozen=True)
class Bench:
    """device: as torch names it. work: where checkpoints are. tiny: whether they are of a few kilobytes."""

    device: str
    work: Path
    tiny: bool


@dataclass(frozen=True)
class Part:
    """share: of the time, in proportion to the other parts'."""

    key: str
    title: str
    share: float
    measure: Callable[[Bench], Rows]


def about_machine(bench: Bench) -> Rows:
    """One row: what is measured on. Fails where there is no such device."""
    where = torch.zeros(1, device=bench.device).device
    said = machine(where.type)
    if where.type == "cuda":
        card = torch.cuda.get_device_properties(where)
        said += f" ({card.total_memory / 1e9:.0f} GB, {card.multi_processor_count} multiprocessors"
        said += f", CUDA {torch.version.cuda})"
    versions = {"torch": str(torch.__version__), "python": platform.python_version()}
    yield {"machine": said, "device": where.type, "tiny": bench.tiny, **versions}


def checkpoint(bench: Bench, size: str) -> Path:
    """The folder of a checkpoint of random weights, written if it is not there."""
    folder = bench.work / size
    if not folder.exists():
        partial = bench.work / f"{size}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # of a part that was ended while it wrote
        write_checkpoint(partial, _config(bench, size), 8 if bench.tiny else TEXT_TOKENS, bench.device)
        partial.rename(folder)
    return folder


def _config(bench: Bench, size: str) -> JanusConfig:
    if not bench.tiny:
        return true_config(size, 384)
    config = make_config(32, layers=2 if size == "1b" else 3, mlp=64)
    config.architectures = ["JanusForConditionalGeneration"]
    return config


def embedded(bench: Bench) -> Rows:
    """The embedded model: equal to the CPU in float32, close to it in bfloat16, and how fast."""
    yield from compare_with_cpu(
        bench.device, rounds=1 if bench.tiny else 5, prompts=PROMPTS[:1] if bench.tiny else PROMPTS
    )


def pro(size: str) -> Callable[[Bench], Rows]:
    """Janus-Pro's shape in bfloat16: load, step, memory, and decoding against its floor and its peers."""

    def measure(bench: Bench) -> Rows:
        model = yield from _stepped(bench, size, None)
        yield from compare_loops(Drawing(model, PROMPT, TEXT), short=bench.tiny)

    return measure


def quantized(bits: str) -> Callable[[Bench], Rows]:
    """The 7B shape with the language model's layers in few bits: load, step, memory."""

    def measure(bench: Bench) -> Rows:
        model = yield from _stepped(bench, "7b", bits)
        yield from measure_token(Drawing(model, PROMPT, TEXT), short=bench.tiny)

    return measure


def _stepped(bench: Bench, size: str, bits: str | None) -> Generator[Row, None, Janus]:
    """Load, two states of a search with the model as its own critic, and the memory that took; returns the model."""
    started = time.perf_counter()
    folder = checkpoint(bench, size)
    yield figure("checkpoint written", time.perf_counter() - started, "s")
    started = time.perf_counter()
    model = load_model(str(folder), bench.device, torch.bfloat16, bits)
    synchronize(model.device)
    yield figure("load", time.perf_counter() - started, "s")
    yield figure("what runs the layers", type(model.stack.runtime).__name__)
    yield figure("image tokens", model.num_image_tokens)
    critic = load_critic("self", model=model)
    settings = SearchSettings(steps=3, threshold=1.0, seed=0)
    state = start(model, critic, PROMPT, settings)
    yield figure("step 0", state.cost.seconds, "s")
    for index in (1, 2):  # at step 1 graphs are still captured
        state = advance(model, critic, state, settings)
        yield figure(f"step {index}", state.cost.seconds, "s")
    for part in ("text", "image", "pixels", "critic", "update"):
        yield figure(f"of it {part}", getattr(state.cost, f"{part}_seconds"), "s")
    computed = memory_needed(str(folder), bench.device, torch.bfloat16, bits).peak
    yield figure("memory, computed before loading", computed / 1e9, "GB")
    if model.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
        yield figure("memory, most that was allocated", peak / 1e9, "GB", "no more than computed")
        yield figure("computed / allocated", computed / peak, "", "1 to 1.25")
    return model


def latency(bench: Bench) -> Rows:
    """Kill, stop and pause: how long each takes, in tokens' time."""
    yield from measure_kill(bench.device, bench.work / "killed")  # first: once CUDA is in use it is too late to fork
    model = load_model(str(checkpoint(bench, "1b")), bench.device, torch.bfloat16)
    yield from measure_stop_and_pause(model, PROMPT)


def together(bench: Bench) -> Rows:
    """Searches a minute, several in one batch: the 1B shape, one step each after step 0."""
    model = load_model(str(checkpoint(bench, "1b")), bench.device, torch.bfloat16)
    critic = load_critic("self", model=model)
    for count in TOGETHER[:2] if bench.tiny else TOGETHER:
        settings = [SearchSettings(steps=1, threshold=1.0, seed=seed) for seed in range(count)]
        started = time.perf_counter()
        made = sum(1 for _ in reason_together(model, critic, [PROMPT] * count, settings))
        synchronize(model.device)
        spent = time.perf_counter() - started
        if made != 2 * count:
            raise RuntimeError(f"{count} searches of two steps made {made} steps")
        yield figure(f"{count} at once", 60 * count / spent, "searches a minute")


PARTS = (
    Part("a", "The embedded model", 40, embedded),
    Part("b", "Janus-Pro 1B, bfloat16", 90, pro("1b")),
    Part("c", "Janus-Pro 7B, bfloat16", 150, pro("7b")),
    Part("d8", "Janus-Pro 7B, 8 bits", 60, quantized("8bit")),
    Part("d4", "Janus-Pro 7B, 4 bits", 60, quantized("4bit")),
    Part("f", "Kill, stop and pause", 30, latency),
    Part("g", "Several searches at once, Janus-Pro 1B", 50, together),
)
"""In order of worth. Memory, computed and allocated, is measured in each of b to d."""
