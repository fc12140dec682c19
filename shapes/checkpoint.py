"""Puts trained stages together into a Janus checkpoint folder."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import JanusForConditionalGeneration

from shapes.model import QUESTION_TEMPLATE, REASONING_TEMPLATE, make_config, save_checkpoint
from shapes.prompts import what_can_be_drawn
from shapes.tokens import patch_tokens

MAX_TEXT_TOKENS = 72
RECOMMENDED = {"text_ratio": 0.5, "image_ratio": 0.02, "lr": 0.03}
"""The best of `python -m shapes.evaluate grid` on the validation split (`grid.json` beside the checkpoint)."""


def write_milr_json(folder: Path) -> None:
    """What the search reads beside the checkpoint: instructions, limits, recommended settings."""
    extra = {
        "reasoning_template": REASONING_TEMPLATE,
        "question_template": QUESTION_TEMPLATE,
        "max_text_tokens": MAX_TEXT_TOKENS,
        "can_draw": what_can_be_drawn(),
        "recommended": RECOMMENDED,
    }
    (folder / "milr.json").write_text(json.dumps(extra, indent=2) + "\n", encoding="utf-8")


def assemble(trained: Path, folder: Path) -> None:
    """Join `vq.pt` and `language.pt` of a training folder into the checkpoint `folder`."""
    model = JanusForConditionalGeneration(make_config(len(patch_tokens())))
    model.load_state_dict(torch.load(trained / "language.pt", map_location="cpu", weights_only=True)["model"])
    model.model.vqmodel.load_state_dict(torch.load(trained / "vq.pt", map_location="cpu", weights_only=True)["model"])
    codes = model.model.vqmodel.quantize.embedding.weight
    codes.data = F.normalize(codes.data, dim=-1)
    save_checkpoint(folder, model.eval())
    write_milr_json(folder)
