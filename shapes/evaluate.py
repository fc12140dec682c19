"""python -m shapes.evaluate: what the embedded model can do, and what the search adds, on held-out prompts.

`guidance` compares guidance weights at step 0 and `grid` search settings, on the validation split; `test` measures the
recommended ones on the test split and writes `evaluation.json` beside the checkpoint, from which the model card is
written. The oracle reads pixels; success is its verdict. Every run of a prompt has the same seed, so all methods share
their step 0.
"""

import argparse
import itertools
import json
import logging
import multiprocessing
import platform
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from milr_core import SearchSettings, Step, best_of_n, load_critic, load_model, reason, start
from milr_core.critics.self_reward import SelfReward
from shapes.card import write_card
from shapes.facts import COLOR_FACTS, COUNT_FACTS, SHAPE_FACTS
from shapes.oracle import is_right
from shapes.plans import plan_is_right
from shapes.prompts import Prompt
from shapes.sampling import prompt_set, random_items, random_scene
from shapes.scene import COLORS, SHAPES, SIZES, render
from shapes.train import CHECKPOINT

logger = logging.getLogger(__name__)
STEPS = 16
GUIDANCE = (1.0, 1.25, 1.5, 2.0, 3.0)
GRID = {"lr": (0.01, 0.03, 0.1, 0.3), "text_ratio": (0.2, 0.5), "image_ratio": (0.02, 0.1)}


@cache
def _model(name: str):
    torch.set_num_threads(1)  # one process a core; a model this small gains little from more threads
    return load_model(name, device="cpu"), load_critic("oracle")


def run_one(job: tuple[str, tuple[str, ...], Prompt, SearchSettings]) -> list[dict]:
    """One prompt under several methods, which share their step 0: a row for each method."""
    name, methods, prompt, settings = job
    model, critic = _model(name)
    first = start(model, critic, prompt.text(), settings)
    rows = []
    for method in methods:
        if method == "best-of-n" and not first.finished(settings):
            steps = list(best_of_n(model, critic, prompt.text(), STEPS + 1, settings))
        elif method == "best-of-n":
            steps = [first.step]
        else:
            more = reason(model, critic, "", replace(settings, strategy=method), state=first)
            steps = [first.step, *more]
        rows.append(_row(method, prompt, steps))
    return rows


def _row(method: str, prompt: Prompt, steps: list[Step]) -> dict:
    """Verdicts at step 0, of the best and of the last step, plan verdict, and costs."""
    right = [step.score.raw["correct"] for step in steps]
    return {
        "method": method,
        "prompt": prompt.text(),
        "category": prompt.category,
        "first": right[0],
        "best": right[steps[-1].best],
        "last": right[-1],
        "plan_right": plan_is_right(steps[0].text, prompt),
        "rollouts": sum(step.cost.image_rollouts for step in steps),
        "seconds": sum(step.cost.seconds for step in steps),
    }


def run_all(jobs: list, workers: int) -> list[dict]:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = pool.map(run_one, jobs, chunksize=1)
        return [row for rows in tqdm(done, total=len(jobs), disable=not sys.stderr.isatty()) for row in rows]


def interval(values: list[float], seed: int = 0) -> tuple[float, float, float]:
    """Mean and its 95% bootstrap interval over prompts."""
    data = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = data[rng.integers(0, len(data), (4000, len(data)))].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(data.mean()), float(low), float(high)


def summarise(rows: list[dict], keep: Callable[[dict], bool] = lambda row: True) -> dict[str, dict]:
    """Per method: success at step 0, best and last, difference to step 0, rollouts; each with its interval."""
    table = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and keep(row)]
        if not own:
            continue
        table[method] = {
            "prompts": len(own),
            "first": interval([row["first"] for row in own]),
            "best": interval([row["best"] for row in own]),
            "last": interval([row["last"] for row in own]),
            "gain": interval([row["best"] - row["first"] for row in own]),
            "rollouts": interval([row["rollouts"] for row in own]),
            "seconds": interval([row["seconds"] for row in own]),
        }
    return table


def paired(rows: list[dict], a: str, b: str, keep: Callable[[dict], bool] = lambda row: True) -> tuple:
    """Mean difference in success of method a over b on the same prompts, with its interval."""
    by = {m: {r["prompt"]: r["best"] for r in rows if r["method"] == m and keep(r)} for m in (a, b)}
    return interval([by[a][prompt] - by[b][prompt] for prompt in by[a]])


def reconstruction(name: str, prompts: tuple[Prompt, ...], seed: int = 0) -> dict[str, float]:
    """Share of encoded and decoded scenes that the oracle judges right, overall and by category."""
    model = load_model(name, device="cpu")
    rng = random.Random(seed)
    right: dict[str, list[bool]] = {}
    for prompt in prompts:
        scene = random_scene(prompt, rng)
        pixels = model.processor.image_processor([render(scene)], return_tensors="pt").pixel_values
        with torch.no_grad():
            tokens = model.hf.model.vqmodel.encode(pixels).image_tokens.view(1, -1)
        right.setdefault(prompt.category, []).append(is_right(model.images_of(tokens)[0], prompt))
    figures = {category: sum(rows) / len(rows) for category, rows in right.items()}
    return {"overall": sum(map(sum, right.values())) / sum(map(len, right.values())), **figures}


def self_reward_accuracy(name: str, prompts: tuple[Prompt, ...], seed: int = 0) -> dict[str, float]:
    """How often the model's own yes/no agrees with the truth: on right scenes, and on scenes of another prompt."""
    model = load_model(name, device="cpu")
    critic, rng = SelfReward(model), random.Random(seed)
    agree: dict[str, list[bool]] = {"right scenes": [], "random scenes": []}
    for prompt in prompts:
        scenes = [random_scene(prompt, rng), random_items(max(1, prompt.total), rng)]
        for name_, items in zip(agree, scenes, strict=True):
            image = render(items)
            (score,) = critic.score([image], prompt.text())
            agree[name_].append((score.value > 0.5) == is_right(image, prompt))
    return {key: sum(rows) / len(rows) for key, rows in agree.items()}


def guidance(args: argparse.Namespace) -> None:
    """Success of step 0 under several guidance weights on the validation split."""
    prompts = prompt_set("validation", args.per_category)
    jobs = [
        (args.model, ("joint",), prompt, SearchSettings(steps=0, seed=index, guidance=weight))
        for weight in GUIDANCE
        for index, prompt in enumerate(prompts)
    ]
    rows = run_all(jobs, args.workers)
    size = len(prompts)
    results = {w: interval([r["first"] for r in rows[i * size : (i + 1) * size]]) for i, w in enumerate(GUIDANCE)}
    (args.out / "guidance.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    logger.info("%s", json.dumps(results))


def grid(args: argparse.Namespace) -> None:
    """Joint search under every combination of GRID on the validation split; prints them, best first."""
    prompts = prompt_set("validation", args.per_category)
    points = [dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())]
    jobs = [
        (args.model, ("joint",), prompt, SearchSettings(steps=STEPS, seed=index, **point))
        for point in points
        for index, prompt in enumerate(prompts)
    ]
    rows = run_all(jobs, args.workers)
    results = []
    for i, point in enumerate(points):
        own = rows[i * len(prompts) : (i + 1) * len(prompts)]
        results.append(
            {
                **point,
                "success": interval([row["best"] for row in own]),
                "plan wrong": interval([row["best"] for row in own if not row["plan_right"]] or [0.0]),
                "rollouts": float(np.mean([row["rollouts"] for row in own])),
            }
        )
    results.sort(key=lambda r: (-r["success"][0], r["rollouts"]))
    (args.out / "grid.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for result in results:
        logger.info("%s", json.dumps(result))


def test(args: argparse.Namespace) -> None:
    """Everything the model card reports, on the test split."""
    started = time.monotonic()
    prompts = prompt_set("test", args.per_category)
    methods = ("joint", "text", "image", "best-of-n")
    jobs = [
        (args.model, methods, prompt, SearchSettings(steps=STEPS, seed=index)) for index, prompt in enumerate(prompts)
    ]
    rows = run_all(jobs, args.workers)
    first = [row for row in rows if row["method"] == "joint"]
    categories = dict.fromkeys(row["category"] for row in rows)
    model = load_model(args.model, device="cpu")

    def wrong(row: dict) -> bool:
        return not row["plan_right"]

    report = {
        "command": f"python -m shapes.evaluate test --per-category {args.per_category}",
        "machine": f"{platform.machine()}, {platform.processor() or platform.system()}, {args.workers} processes",
        "date": date.today().isoformat(),
        "weights_hash": model.weights_hash,
        "recommended": model.recommended,
        "contents": {
            "parameters": sum(p.numel() for p in model.hf.parameters()) / 1e6,
            "shapes": len(SHAPES),
            "colors": len(COLORS),
            "sizes": len(SIZES),
            "facts": len(COLOR_FACTS) + len(COUNT_FACTS) + len(SHAPE_FACTS),
        },
        "minutes": (time.monotonic() - started) / 60,
        "prompts": len(prompts),
        "reconstruction": reconstruction(args.model, prompts),
        "self_reward": self_reward_accuracy(args.model, prompts),
        "plan_wrong": interval([wrong(row) for row in first]),
        "plan_wrong_by_category": {
            c: float(np.mean([wrong(r) for r in first if r["category"] == c])) for c in categories
        },
        "overall": summarise(rows),
        "by_category": {c: summarise(rows, lambda row, c=c: row["category"] == c) for c in categories},
        "where_plan_wrong": summarise(rows, wrong),
        "where_plan_right": summarise(rows, lambda row: not wrong(row)),
        "joint_minus_best_of_n": paired(rows, "joint", "best-of-n"),
        "joint_minus_best_of_n_where_plan_wrong": paired(rows, "joint", "best-of-n", wrong),
    }
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_card(args.out)
    logger.info("%s", (args.out / "README.md").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shapes.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("guidance", "grid", "test"))
    parser.add_argument("--model", default="janus-shapes")
    parser.add_argument("--per-category", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=CHECKPOINT)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    {"guidance": guidance, "grid": grid, "test": test}[args.what](args)


if __name__ == "__main__":
    main()
