"""python -m bench card: measures the embedded checkpoint on held-out prompts and writes its model card.

`grid.json` holds a grid of search settings on the validation split (--grid), `evaluation.json` all figures, `README.md`
what they say; no figure is typed by hand. Searches run through `bench run`, so that a stop loses nothing.
"""

import argparse
import json
import logging
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import torch

from bench import world_suites
from bench.cli import BAD_INPUT
from bench.executor import Processes
from bench.fidelity import fidelity
from bench.methods import parse_methods
from bench.model_card import write_card
from bench.report import machine
from bench.results import Results, everything
from bench.run import Run, execute
from bench.statistics import COSTS, Interval, by_item, difference, interval, success
from bench.worker import Setup
from milr_core import InputError, Janus, SearchSettings, load_model
from world.facts import FACTS
from world.nouns import NOUNS
from world.train import CHECKPOINT

logger = logging.getLogger(__name__)
STEPS = 16
METHODS = "step0,joint,text,image,best-of-n-early"
GENEVAL_METHODS = "step0,joint,best-of-n-early"
GRID = {"lr": (0.01, 0.03, 0.1, 0.3), "text_ratio": (0.2, 0.5, 0.8), "image_ratio": (0.02, 0.1)}
HARD = ("knowledge", "many")
"""Categories of the test split that stay hard for a well-trained model: riddles; five to seven things."""
ROLLOUTS = dict(COSTS)["image rollouts"]


def _run(name: str, suite: str, methods: str, args: argparse.Namespace, limit: int | None = None) -> Results:
    """The records of methods on a suite, one seed, made where they are missing."""
    setup = Setup(args.model, "oracle", settings=SearchSettings(steps=STEPS), device="cpu")
    run = Run(args.work / name, suite, tuple(parse_methods(methods)), setup, 1, limit, command=args.command)
    if failed := execute(run, Processes(args.workers)):
        raise InputError(f"{failed} records of {suite} could not be made; {run.folder}/failures.jsonl says why.")
    return Results.read(run.folder)


def _first(record: dict[str, Any]) -> float:
    return float(record["right"][0])


def _figures(results: Results, keep: Callable = everything) -> dict[str, dict]:
    """Summarise each method: success of step 0 and of the answer, the gain, image rollouts; each with its interval."""
    table = {}
    for method in results.methods:
        records = results.of(method, keep)
        if records:
            first, best = by_item(records, _first), by_item(records, success)
            made = {
                "first": interval(first, {}, None),
                "best": interval(best, {}, None),
                "gain": interval(difference(best, first), {}, None),
                "rollouts": interval(by_item(records, ROLLOUTS), {}, None),
            }
            table[method] = {"label": results.label(method)} | {name: asdict(figure) for name, figure in made.items()}
    return table


def _tables(results: Results) -> dict[str, Any]:
    """All prompts, each category, and where plans at step 0 are wrong and right."""
    wrong = {item: float(not right) for item, right in results.plan_right.items()}
    return {
        "prompts": len(results.category),
        "overall": _figures(results),
        "hard": _figures(results, lambda record: record["category"] in HARD),
        "by_category": {c: _figures(results, results.in_category(c)) for c in results.categories},
        "plan_wrong": asdict(interval(wrong, {}, None)),
        "plan_wrong_by_category": {
            c: sum(own) / len(own)
            for c in results.categories
            if (own := [value for item, value in wrong.items() if results.category[item] == c])
        },
        "where_plan_wrong": _figures(results, results.where_plan(False)),
        "where_plan_right": _figures(results, results.where_plan(True)),
    }


def _figure(figure: Interval | None) -> dict | None:
    """Make a figure JSON-able; None where there are no records to have it of."""
    return asdict(figure) if figure else None


def grid(args: argparse.Namespace) -> None:
    """Joint search under every combination of GRID on the validation split; the best of them first."""
    points = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    methods = {f"joint[{','.join(f'{k}={v}' for k, v in sorted(point.items()))}]": point for point in points}
    results = _run("grid", "world:validation", ",".join(methods), args, args.grid)
    rows = []
    for name, point in methods.items():
        wrong = results.where_plan(False)
        rows.append(
            point
            | {
                "success": _figure(results.interval(name, success)),
                "where plan wrong": _figure(results.interval(name, success, wrong)),
                "rollouts": _figure(results.interval(name, ROLLOUTS)),
            }
        )
    rows.sort(key=lambda row: (-row["success"]["mean"], row["rollouts"]["mean"]))
    report = {"command": args.command, "machine": machine(), "date": date.today().isoformat(), "points": rows}
    (args.out / "grid.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        logger.info("%s", json.dumps(row))


def _fidelity(model: Janus, lines: Sequence[str], args: argparse.Namespace) -> dict:
    """What the model can do before any search; kept in the work folder as long as weights and question are the same."""
    kept, key = args.work / "fidelity.json", [model.weights_hash, args.per_category, len(lines)]
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["of"] == key:
            return before["figures"]
    figures = fidelity(model, args.per_category, lines)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"of": key, "figures": figures}), encoding="utf-8")
    return figures


def evaluate(args: argparse.Namespace) -> None:
    """Everything the model card reports."""
    started = time.monotonic()
    model = load_model(args.model, "cpu")
    geneval = world_suites.geneval_file()
    lines = [item.prompt for item in world_suites.geneval_like()]
    if geneval:
        lines = [json.loads(line)["prompt"] for line in geneval.read_text(encoding="utf-8").splitlines()]
    report = {
        "command": args.command,
        "machine": f"{machine()}, {args.workers} processes, Python {platform.python_version()}",
        "date": date.today().isoformat(),
        "weights_hash": model.weights_hash,
        "recommended": model.recommended,
        "trained": json.loads((args.out / "training.json").read_text(encoding="utf-8")),
        "contents": {
            "parameters": sum(p.numel() for p in model.hf.parameters()) / 1e6,
            "nouns": len(NOUNS),
            "facts": len(FACTS),
            "codes": model.hf.config.vq_config.num_embeddings,
        },
        "oracle_prompts_of": "GenEval" if geneval else "the test split",
        "fidelity": _fidelity(model, lines, args),
        "world": _tables(_run("world", "world", METHODS, args, args.limit)),
    }
    if geneval:
        report["geneval"] = _tables(_run("geneval", f"geneval:{geneval}", GENEVAL_METHODS, args))
    report["minutes"] = (time.monotonic() - started) / 60
    (args.out / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    write_card(args.out)
    logger.info("%s", (args.out / "README.md").read_text(encoding="utf-8"))


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m bench card", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="janus-icons", help="embedded name or folder (default janus-icons)")
    parser.add_argument("--grid", type=int, metavar="N", help="only the grid, on the first N prompts of validation")
    parser.add_argument("--per-category", type=int, default=50, help="prompts a category for fidelity (default 50)")
    parser.add_argument("--limit", type=int, help="the first so many prompts of the world's test split")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--work", type=Path, default=Path("runs/card"), help="records; a rerun goes on there")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="checkpoint folder")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.command = " ".join(["python -m bench card", *argv])
    torch.set_num_threads(1)  # as the workers; figures are then the same beside any other load
    try:
        (grid if args.grid else evaluate)(args)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    return 0
