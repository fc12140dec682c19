"""Puts trained stages together into a Janus checkpoint folder."""

import json
import os
import re
import subprocess
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import torch
from transformers import JanusForConditionalGeneration

from milr_core.errors import InputError
from milr_core.janus.devices import processor_name
from world.model import QUESTION_TEMPLATE, REASONING_TEMPLATE, make_config, save_checkpoint
from world.prompts import what_can_be_drawn
from world.tokens import Vocabulary

MAX_TEXT_TOKENS = 96
RECOMMENDED: dict[str, float] = {"text_ratio": 0.8, "image_ratio": 0.1, "lr": 0.01}
"""The best settings of a grid on the validation split (`grid.json` beside the checkpoint)."""


def write_milr_json(folder: Path) -> None:
    """What the search reads beside the checkpoint: instructions, limits, recommended settings, how prompts are read."""
    extra = {
        "reasoning_template": REASONING_TEMPLATE,
        "question_template": QUESTION_TEMPLATE,
        "max_text_tokens": MAX_TEXT_TOKENS,
        "can_draw": what_can_be_drawn(),
        "reader": "world",
        "recommended": RECOMMENDED,
    }
    (folder / "milr.json").write_text(json.dumps(extra, indent=2) + "\n", encoding="utf-8")


def training_record(trained: Path) -> dict:
    """What training left in its logs: of each stage its steps, last figures and hours at work; and where it ran.

    planned: the numbers of steps that the stage was started with, in turn; the schedule of the rate follows them.

    Hours are the time between lines of a log, pauses of more than ten minutes apart.
    """
    stages = {}
    for stage in ("language", "decoder", "encoder"):
        log = trained / f"{stage}.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        times = [datetime.fromisoformat(line[:19]) for line in lines]
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        told = re.search(r"(\d+)/\d+ (.*) [\d.]+ steps/s", "".join(lines[-1:]))
        planned = list(dict.fromkeys(int(m[1]) for line in lines if (m := re.search(r"\d+/(\d+) ", line))))
        if told:
            hours = sum(gap for gap in gaps if gap < 600) / 3600
            stages[stage] = {"steps": int(told[1]), "planned": planned, "figures": told[2], "hours": round(hours, 2)}
    ask = ["git", "log", "-1", "--format=%h", "--", "."]
    said = subprocess.run(ask, capture_output=True, text=True, cwd=Path(__file__).parent)
    return {
        "commit": said.stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} x {processor_name()}",
        "stages": stages,
    }


def assemble(words: Vocabulary, trained: Path, folder: Path) -> None:
    """Join the states of the three stages in `trained` into the checkpoint `folder`, in 16 bits.

    Raises:
        InputError: a stage has left no state yet.
    """
    missing = [stage for stage in ("decoder", "encoder", "language") if not (trained / f"{stage}.pt").exists()]
    if missing:
        raise InputError(f"{trained} holds no state of {', '.join(missing)}: run those stages first.")
    states = {
        stage: torch.load(trained / f"{stage}.pt", map_location="cpu", weights_only=True)["model"]
        for stage in ("decoder", "encoder", "language")
    }
    model = JanusForConditionalGeneration(make_config(len(words)))
    model.load_state_dict(states["language"])
    drawn = {k: v for k, v in states["decoder"].items() if not k.startswith(("encoder.", "quant_conv."))}
    seen = {k: v for k, v in states["encoder"].items() if k.startswith(("encoder.", "quant_conv."))}
    model.model.vqmodel.load_state_dict({**drawn, **seen})
    save_checkpoint(folder, model.half().eval())
    write_milr_json(folder)
    record = json.dumps(training_record(trained), indent=1)
    (folder / "training.json").write_text(record + "\n", encoding="utf-8")
