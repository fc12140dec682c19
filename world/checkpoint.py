"""Puts trained stages together into a Janus checkpoint folder."""

import json
from pathlib import Path

import torch
from transformers import JanusForConditionalGeneration

from milr_core.errors import InputError
from world.model import QUESTION_TEMPLATE, REASONING_TEMPLATE, make_config, save_checkpoint
from world.prompts import what_can_be_drawn
from world.tokens import Vocabulary

MAX_TEXT_TOKENS = 96
RECOMMENDED: dict[str, float] = {"text_ratio": 0.5, "image_ratio": 0.02, "lr": 0.03}
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
    save_checkpoint(folder, model.to(torch.float16).eval())
    write_milr_json(folder)
