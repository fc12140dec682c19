"""python -m bench speed: how fast decoding is, against the reference loop, transformers' own and the memory's speed.

Everything that is compared is measured in turns within one run; a ratio is the median of the rounds' ratios, so that
a machine that is busy now and then slows both sides of it.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import torch

from bench.performance import write_section
from bench.reference import ReferenceWorkspace
from milr_core import SearchSettings, advance, load_critic, load_model, reason, start
from milr_core.janus.decode import FREE, keep_going
from milr_core.janus.devices import processor_name
from milr_core.janus.transformer import FusedLayer, LanguageStack
from milr_core.janus.workspace import Workspace

PROMPT = "two red dogs left of a blue car"
STEPS_TIMED = 4
ABOUT = """\
Written by `python -m bench speed --write`. Ratios are medians over rounds in which both sides were measured in turns.
The reference loop (`bench/reference.py`) decodes text without a cache and images by a forward of the transformers model
for every token. The floor is the time in which a token's weights and cache can be copied on the device.
"""


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU has when the call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(run: Callable[[], Any], device: torch.device) -> float:
    started = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - started


def in_turns(runs: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each run in each round; a first round warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            taken = seconds(run, device)
            if turn:
                times[name].append(taken)
    return times


def ratio(times: dict[str, list[float]], slow: str, fast: str) -> float:
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))


def peak_memory(device: torch.device) -> float:
    """GiB, of the process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def floor(stack: LanguageStack, heads: int, rows: int, length: int, device: torch.device) -> float:
    """Seconds in which the bytes that one token needs can be moved: weights, head and cache, at copying speed.

    The buffer copied is as large as what is read, so that a model that stays in the processor's cache is compared
    with the speed of that cache.

    Raises:
        ValueError: the layers are quantised, or wait in main memory: their weights are not read as they are.
    """
    fused = [layer for layer in stack.layers if isinstance(layer, FusedLayer)]
    if len(fused) < len(stack.layers):
        raise ValueError("the layers are called through their modules: their weights are not read as they are")
    weights = sum(w.numel() for layer in fused for w in (layer.qkv, layer.out, layer.gate_up, layer.down))
    cached = 2 * len(stack.layers) * rows * stack.kv_heads * stack.head_size * length
    count = (weights + heads + cached) * stack.final_norm.element_size()
    source = torch.zeros(min(count, 1 << 30) // 2, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = [seconds(lambda: target.copy_(source), device) for _ in range(20)]
    return count / (2 * source.numel() / statistics.median(times))


def measure_model(name: str, device: str, rounds: int) -> dict[str, Any]:
    """A whole checkpoint with its critic: decoding, steps by part, a search, a batch."""
    model, critic = load_model(name, device), load_critic("oracle")
    where = model.device
    settings = SearchSettings(seed=0, steps=16, threshold=1.0).resolve(model.recommended)  # tau 1: no early stop
    nothing = torch.empty(0, dtype=torch.long, device=where)
    fast, reference = Workspace(model), ReferenceWorkspace(model)
    tokens, _ = fast.text(PROMPT, nothing, keep_going)
    text = model.text_of(tokens)
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(8, model.num_image_tokens, generator=generator).to(where)
    forced = torch.full_like(uniform, FREE, dtype=torch.long)

    def draw(workspace: Workspace, count: int = 1):
        return workspace.images(PROMPT, text, uniform[:count], forced[:count], settings, keep_going)[0]

    if not torch.equal(draw(fast), draw(reference)):
        raise SystemExit("The fast loop and the reference draw different tokens: there is nothing to compare.")
    ids = model.image_ids(PROMPT, text)[:1]
    options = {"attention_mask": torch.ones_like(ids), "max_length": ids.shape[1] + model.num_image_tokens}

    def generate() -> None:
        model.hf.generate(ids, generation_mode="image", do_sample=True, guidance_scale=settings.guidance, **options)

    first = start(model, critic, PROMPT, settings, workspace=fast)
    parts: dict[str, list[dict[str, float]]] = {"ours": [], "reference": []}

    def steps(who: str) -> None:
        """The first steps of the search, the same for both: texts change in some of them."""
        state = first
        for _ in range(STEPS_TIMED):
            if who == "reference":
                state = reference.advance(critic, state, settings)
            else:
                state = advance(model, critic, state, settings, workspace=fast)
            parts[who].append({k: v for k, v in asdict(state.step.cost).items() if k.endswith("seconds")})

    texts = {
        "ours": lambda: fast.text(PROMPT, nothing, keep_going),
        "reference": lambda: reference.text(PROMPT, nothing, keep_going),
    }
    images = {"ours": lambda: draw(fast), "reference": lambda: draw(reference), "generate": generate}
    text_times = in_turns(texts, rounds, where)
    image_times = in_turns(images, rounds, where)
    step_times = in_turns({"ours": lambda: steps("ours"), "reference": lambda: steps("reference")}, rounds, where)
    batch_times = in_turns({"one": lambda: draw(fast), "eight": lambda: draw(fast, 8)}, rounds, where)
    search = in_turns({"search": lambda: list(reason(model, critic, PROMPT, settings))}, max(1, rounds // 2), where)
    heads = sum(p.numel() for p in model.hf.model.generation_head.parameters())
    least = floor(model.stack, heads, 2, ids.shape[1] + model.num_image_tokens, where)
    per_token = statistics.median(image_times["ours"]) / model.num_image_tokens
    return {
        "model": name,
        "runtime": type(model.stack.runtime).__name__,
        "text tokens/s": {k: len(tokens) / statistics.median(v) for k, v in text_times.items()},
        "image tokens/s": {k: model.num_image_tokens / statistics.median(v) for k, v in image_times.items()},
        "step seconds": {k: statistics.median(v) / STEPS_TIMED for k, v in step_times.items()},
        "step parts": {
            who: {part: statistics.fmean(row[part] for row in rows[STEPS_TIMED:]) for part in rows[0]}
            for who, rows in parts.items()
        },
        "search of 16 steps, seconds": statistics.median(search["search"]),
        "peak memory, GiB": peak_memory(where),
        "floor, seconds a token": least,
        "ratios": {
            "text: reference / ours": ratio(text_times, "reference", "ours"),
            "image: reference / ours": ratio(image_times, "reference", "ours"),
            "image: transformers' generate / ours": ratio(image_times, "generate", "ours"),
            "search step: reference / ours": ratio(step_times, "reference", "ours"),
            "eight images / one": ratio(batch_times, "eight", "one"),
            "image token / floor": per_token / least,
        },
    }


def _table(report: dict[str, Any]) -> str:
    """Markdown of a report."""
    lines = [f"{report['date']}, {report['machine']}, torch {report['torch']}, {report['threads']} threads.", ""]
    lines += [f"    {report['command']}", ""]
    for row in report["rows"]:
        lines += [f"### {row['model']} on {row['device']} ({row['runtime']})", ""]
        lines += ["| | ours | reference loop | transformers' generate |", "|---|---|---|---|"]
        named = {
            "text tokens/s": row["text tokens/s"],
            "image tokens/s": row["image tokens/s"],
            "search step, ms": {k: 1e3 * v for k, v in row.get("step seconds", {}).items()},
        }
        for part in row.get("step parts", {}).get("ours", {}):
            named[f"of it {part.removesuffix('_seconds')}, ms"] = {
                k: 1e3 * v[part] for k, v in row["step parts"].items()
            }
        for label, cells in named.items():
            if cells:
                shown = [f"{cells[k]:.1f}" if k in cells else "" for k in ("ours", "reference", "generate")]
                lines.append(f"| {label} | {' | '.join(shown)} |")
        lines += ["", "| ratio | |", "|---|---|"]
        lines += [f"| {label} | {value:.2f} |" for label, value in row["ratios"].items()]
        if "search of 16 steps, seconds" in row:
            lines.append(f"| a search of 16 steps, seconds | {row['search of 16 steps, seconds']:.2f} |")
        lines += [f"| floor, ms a token | {1e3 * row['floor, seconds a token']:.3f} |"]
        lines += [f"| peak memory, GiB | {row['peak memory, GiB']:.2f} |", ""]
    return "\n".join(lines)


def machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{processor_name()}, {torch.get_num_threads()} threads"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench speed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), action="append", help="default: all there are")
    parser.add_argument("--model", default="janus-icons", help="a checkpoint to measure whole")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("runs/speed.json"))
    parser.add_argument("--write", action="store_true", help="write the table to docs/performance.md")
    args = parser.parse_args(argv)
    devices = args.device or (["cpu"] + ["cuda"] * torch.cuda.is_available())
    rows = [{"device": device, **measure_model(args.model, device, args.rounds)} for device in devices]
    report = {
        "command": f"python -m bench speed {' '.join(argv)}".strip(),
        "date": date.today().isoformat(),
        "machine": "; ".join(machine(device) for device in devices),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "rows": rows,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    table = _table(report)
    sys.stdout.write(table + "\n")
    if args.write:
        write_section("", f"# Performance\n\n{ABOUT}\n{table}")
    return 0
