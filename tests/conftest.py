"""A tiny random Janus on disk, loaded through the real path; and the embedded checkpoint."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    JanusConfig,
    JanusForConditionalGeneration,
    JanusProcessor,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
)
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from milr_core import Critic, Janus, Score, load_model, local_engine
from tests.ui_helpers import Studio
from ui.engines.local import LocalEngine
from ui.redraw_pace import Pace
from world.model import CHAT_TEMPLATE, make_generation_config, make_tokenizer, vocabulary
from world.train import CHECKPOINT

torch.set_num_threads(1)  # the models are tiny: more threads wait for each other more than they help


def write_tiny_janus(folder: Path, kv_heads: int = 2, seed: int = 0, inner: int = 48) -> Path:
    """16 image tokens, 2 layers, random weights large enough that logits differ clearly."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    text = LlamaConfig(
        vocab_size=len(ids), hidden_size=64, intermediate_size=inner, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=kv_heads, max_position_embeddings=200, tie_word_embeddings=False,
        initializer_range=0.3, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    vision = JanusVisionConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=4, mlp_ratio=2.0,
        projection_dim=64, num_image_tokens=16,
    )  # fmt: skip
    vq = JanusVQVAEConfig(
        embed_dim=4, num_embeddings=24, latent_channels=32, base_channels=32, channel_multiplier=[1, 1, 1],
        num_res_blocks=1, projection_dim=64, image_token_embed_dim=64, initializer_range=0.3,
    )  # fmt: skip
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(
        JanusConfig(
            text_config=text, vision_config=vision, vq_config=vq, image_token_id=ids["<image_placeholder>"],
            tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in (*model.model.generation_head.parameters(), *model.model.generation_embeddings.parameters()):
            parameter.normal_(0, 0.25)
    torch.random.set_rng_state(torch_state)
    model.generation_config = make_generation_config()
    model.save_pretrained(folder)
    images = JanusImageProcessorPil(size={"height": 16, "width": 16}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    JanusProcessor(images, make_tokenizer(), chat_template=CHAT_TEMPLATE, num_image_tokens=16).save_pretrained(folder)
    (folder / "milr.json").write_text('{"reasoning_template": "plan {prompt}", "max_text_tokens": 20}')
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_janus(tmp_path_factory.mktemp("tiny-janus"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Janus:
    return load_model(str(tiny_folder), device="cpu")


@pytest.fixture(scope="session")
def embedded() -> Janus:
    assert CHECKPOINT.is_dir(), "the embedded checkpoint is part of the repository"
    return load_model("janus-icons", device="cpu")


class Redness(Critic):
    """A real critic of pixels that any image has a value under: how red it is. Never above 0.9, so no early stop."""

    name = "redness"

    def score(self, images: list[Image.Image], prompt: str) -> list[Score]:
        means = [np.asarray(image, dtype=np.float64).mean((0, 1)) for image in images]
        return [Score(float(0.9 * m[0] / (m.sum() + 1)), {"red": float(m[0] / 255)}, "redness") for m in means]


@pytest.fixture
def redness() -> Redness:
    return Redness()


@pytest.fixture
def engine(tiny: Janus, redness: Redness) -> local_engine.LocalEngine:
    made = local_engine.LocalEngine(tiny)
    made.judges.shared["redness"] = redness
    return made


EVERY_STEP = partial(Pace, every=0, share=math.inf)
"""Of a page that is drawn after every step, however fast they come."""


@pytest.fixture
def studio(tiny: Janus, redness: Critic, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Studio:
    """The page's handlers on the tiny model."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    engine = LocalEngine(tiny)
    engine.judges.shared["redness"] = redness
    return Studio(engine, pace=EVERY_STEP)
