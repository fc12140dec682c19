"""Configurations of checkpoints: of the models offered by name, of any other, and the shapes that they describe."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from transformers import JanusConfig, JanusForConditionalGeneration, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

from milr_core.errors import InputError, brief
from milr_core.janus import deepseek
from milr_core.janus.catalog import DTYPES
from milr_core.janus.weight_files import check_pointer


def pro_config(hidden: int, layers: int, heads: int, mlp: int) -> JanusConfig:
    """The configuration of a Janus-Pro: its sizes differ in the language model alone."""
    return JanusConfig(
        text_config=LlamaConfig(
            vocab_size=102400,
            hidden_size=hidden,
            intermediate_size=mlp,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=16384,
            tie_word_embeddings=False,
        ),
        vision_config=JanusVisionConfig(projection_dim=hidden),
        vq_config=JanusVQVAEConfig(projection_dim=hidden, image_token_embed_dim=hidden),
        tie_word_embeddings=False,
    )


def parts_of(config: JanusConfig) -> tuple[LlamaConfig, JanusVisionConfig, JanusVQVAEConfig]:
    """A configuration's language model, vision tower and VQ model: what `JanusConfig` has made of what it was given."""
    return cast(
        tuple[LlamaConfig, JanusVisionConfig, JanusVQVAEConfig],
        (config.text_config, config.vision_config, config.vq_config),
    )


def shapes_of(config: JanusConfig) -> Mapping[str, tuple[int, ...]]:
    """Every parameter's name and shape. Nothing is allocated.

    Raises:
        InputError: no model can have this configuration.
    """
    try:
        return _shapes(config.to_json_string(use_diff=False))
    except Exception as error:  # sizes that do not fit each other, or are none: each layer has its own
        raise InputError(
            f"The config.json describes no Janus that can be: {type(error).__name__}: {brief(error)}."
        ) from error


@lru_cache(maxsize=8)
def _shapes(written: str) -> Mapping[str, tuple[int, ...]]:
    config = JanusConfig(**json.loads(written))
    config.tie_word_embeddings = False  # real checkpoints hold both; what their files say of it is not to be trusted
    with torch.device("meta"):
        model = JanusForConditionalGeneration(config)
    return MappingProxyType({name: tuple(parameter.shape) for name, parameter in model.named_parameters()})


def bytes_of(config: JanusConfig, kind: str) -> int:
    """Bytes of all weights. kind: `float32`, `bfloat16`, `float16`; `8bit`, `4bit` for the language model's layers.

    8 bits come with a float32 scale a row, 4 bits with one for every 64 weights; everything else then has 16 bits.
    """
    total = 0
    for name, shape in shapes_of(config).items():
        count = math.prod(shape)
        if kind in DTYPES:
            total += count * getattr(torch, kind).itemsize
        elif not (name.startswith("model.language_model.layers.") and len(shape) == 2):
            total += 2 * count
        else:
            total += count + 4 * shape[0] if kind == "8bit" else count // 2 + 4 * (count // 64)
    return total


def read_config(path: Path, name: str) -> dict[str, Any]:
    """A checkpoint's config.json, if it is one of a Janus in either format.

    Raises:
        InputError: it cannot be read, or is of another kind of model.
    """
    check_pointer(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"'{name}' has no readable config.json, so it is no checkpoint: {brief(error)}.") from error
    if kind not in ("janus", deepseek.MODEL_TYPE):
        raise InputError(
            f"'{name}' is a checkpoint of type '{kind}', not 'janus'. MILR needs a Janus in transformers' format or "
            "DeepSeek's, such as deepseek-community/Janus-Pro-1B."
        )
    return config


def config_from(read: dict[str, Any], name: str) -> JanusConfig:
    """The configuration that a config.json of either format describes.

    Raises:
        InputError: it is incomplete.
    """
    try:
        return deepseek.config_from(read) if read["model_type"] == deepseek.MODEL_TYPE else JanusConfig.from_dict(read)
    except Exception as error:  # transformers checks values with errors of its own
        raise InputError(
            f"'{name}' has a config.json that describes no Janus: {type(error).__name__}: {brief(error)}."
        ) from error


def config_in(folder: Path) -> JanusConfig:
    """The configuration of a checkpoint's folder. Raises InputError as `read_config` and `config_from`."""
    return config_from(read_config(folder / "config.json", folder.name), folder.name)
