"""How much memory a model takes, from the shapes of its configuration: known before any weight is read."""

from dataclasses import dataclass
from typing import cast

import torch
from transformers import JanusConfig

from milr_core.janus.catalog import ALIASES, MODELS, local_folder
from milr_core.janus.configuration import bytes_of, config_from, parts_of, read_config, shapes_of
from milr_core.janus.devices import default_dtype, device_named
from milr_core.janus.hub import fetch_config

PROMPT = 256  # positions for instruction, chat markup and prompt
TEXT = 256  # positions for a reasoning text
MAPS = 8  # feature maps at full image size that decoding an image holds at once
OVERHEAD = 300 << 20  # libraries' own workspaces
FIRST_LAYER = "model.language_model.layers.0."


@dataclass(frozen=True)
class Memory:
    """Bytes. weights: of the model, as loaded. cache: keys and values of a search. peak: all that a search takes."""

    weights: int
    cache: int
    peak: int


def config_of(name: str) -> tuple[str, JanusConfig]:
    """Format ("janus", or DeepSeek's) and configuration of a model by name, folder or hub id.

    A hub id that is not known has its config.json fetched.

    Raises:
        InputError: there is no such model.
    """
    name = ALIASES.get(name, name)
    folder = local_folder(name)
    if folder is None and name in MODELS:
        return "janus", MODELS[name].config
    read = read_config(folder / "config.json" if folder else fetch_config(name), name)
    return read["model_type"], config_from(read, name)


def memory_needed(
    name: str,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    quantization: str | None = None,
) -> Memory:
    """What a search with one image at a time takes. Arguments as of `load_model`, with its defaults.

    Raises:
        InputError: there is no such model.
    """
    device = str(device_named(device))
    return memory_of(config_of(name)[1], device, dtype or default_dtype(device), quantization)


def memory_of(config: JanusConfig, device: str, dtype: torch.dtype, quantization: str | None = None) -> Memory:
    """Compute what `memory_needed` says from a configuration."""
    text, vision, vq = parts_of(config)
    weights = bytes_of(config, quantization or str(dtype).removeprefix("torch."))
    if torch.device(device).type == "cpu":  # there the VQ model computes in float32
        weights += (4 - dtype.itemsize) * parameters_of(config, "model.vqmodel.")
    positions = min(text.max_position_embeddings, PROMPT + TEXT) + 2 * min(
        text.max_position_embeddings, PROMPT + TEXT + vision.num_image_tokens
    )
    head = text.hidden_size // text.num_attention_heads
    key_heads = text.num_key_value_heads or text.num_attention_heads
    cache = 2 * text.num_hidden_layers * key_heads * head * positions * dtype.itemsize
    tables = vq.num_embeddings * text.hidden_size + 2 * text.max_position_embeddings * head
    maps = MAPS * vq.base_channels * max(vq.channel_multiplier[:2]) * cast(int, vision.image_size) ** 2
    layer = parameters_of(config, FIRST_LAYER)  # twice there while it is fused
    return Memory(weights, cache, weights + cache + (tables + max(maps, layer)) * dtype.itemsize + OVERHEAD)


def parameters_of(config: JanusConfig, prefix: str) -> int:
    """Parameters of the part whose names begin so."""
    return sum(torch.Size(shape).numel() for name, shape in shapes_of(config).items() if name.startswith(prefix))
