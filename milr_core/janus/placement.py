"""Where a model's weights go: all on the device, quantised, or the last layers of the language model in main memory.

Only one device computes. Layers that do not fit there wait in main memory and are copied over each time they are used:
slow, but it runs. With bitsandbytes the layers have to stay on the device.
"""

import logging
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig, JanusConfig

from milr_core.errors import InputError
from milr_core.janus.catalog import MODELS, QUANTIZATIONS
from milr_core.janus.configuration import parts_of
from milr_core.janus.devices import free_bytes
from milr_core.janus.memory import FIRST_LAYER, memory_of, parameters_of

REST = ("model.vision_model", "model.aligner", "model.vqmodel", "model.generation_embeddings",
        "model.generation_aligner", "model.generation_head", "model.language_model.embed_tokens",
        "model.language_model.norm", "model.language_model.rotary_emb", "lm_head")  # fmt: skip
SIXTEEN_BITS = [name for name in REST if "language_model" not in name]


@dataclass(frozen=True)
class Placement:
    """options: for transformers' `from_pretrained`. waiting: layers that wait in main memory."""

    options: dict[str, Any] = field(default_factory=dict)
    waiting: int = 0


def placement_of(
    name: str, config: JanusConfig, device: str, dtype: torch.dtype, quantization: str | None
) -> Placement:
    """How a model is loaded with the memory that is free now.

    Raises:
        InputError: it does not fit in any way (what does is said), or a package is missing.
    """
    check_quantization(quantization, device)
    need, free = memory_of(config, device, dtype, quantization).peak, free_bytes(device)
    if need <= free:
        return Placement(quantized(quantization, dtype, device) if quantization else {})
    layers, fix = parts_of(config)[0].num_hidden_layers, ""
    if torch.device(device).type == "cuda" and not quantization:
        size = parameters_of(config, FIRST_LAYER) * dtype.itemsize
        waiting = -(-(need + size - free) // size)  # one more: the layer that is being used
        if waiting <= layers and waiting * size <= free_bytes("cpu"):
            if find_spec("accelerate") is not None:
                return Placement({"device_map": spread(layers, layers - waiting, device, "cpu")}, waiting)
            fix = f" With `pip install accelerate`, {waiting} of {layers} layers would wait in main memory (slow)."
    raise InputError(_too_large(name, config, device, dtype, quantization, need, free) + fix)


def check_quantization(quantization: str | None, device: str) -> None:
    """Raise InputError unless the language model can be held in so few bits here."""
    if quantization is None:
        return
    if quantization not in QUANTIZATIONS:
        raise InputError(f"quantization is {' or '.join(QUANTIZATIONS)}, or not given; got '{quantization}'.")
    if torch.device(device).type != "cuda":
        raise InputError(f"quantization {quantization} needs a CUDA device; this is '{device}'. Leave it out.")
    missing = [package for package in ("bitsandbytes", "accelerate") if find_spec(package) is None]
    if missing:
        raise InputError(f"quantization {quantization} needs more packages: pip install {' '.join(missing)}")


def spread(layers: int, here: int, device: str, elsewhere: str) -> dict[str, str]:
    """A device map: the first `here` layers of the language model on the device, the others elsewhere."""
    places = {f"model.language_model.layers.{i}": device if i < here else elsewhere for i in range(layers)}
    return dict.fromkeys(REST, device) | places


def quantized(quantization: str, dtype: torch.dtype, device: str) -> dict[str, Any]:
    """Options under which transformers loads the language model's layers in 8 or 4 bits."""
    if quantization == "8bit":
        # It says at every call that it computes in float16.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        bits = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=SIXTEEN_BITS)
    else:
        bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=SIXTEEN_BITS,
        )
    return {"quantization_config": bits, "device_map": {"": device}}


def _too_large(
    name: str, config: JanusConfig, device: str, dtype: torch.dtype, quantization: str | None, need: int, free: int
) -> str:
    choices: list[tuple[str, JanusConfig, torch.dtype, str | None]]
    choices = [("dtype bfloat16", config, torch.bfloat16, quantization)] if dtype == torch.float32 else []
    if torch.device(device).type == "cuda":
        choices += [(f"quantization {bits}", config, dtype, bits) for bits in QUANTIZATIONS if bits != quantization]
    smaller = [info for info in reversed(MODELS.values()) if info.name != name]
    choices += [(info.name, info.config, dtype, None) for info in smaller]
    fits = [said for said, other, kind, bits in choices if memory_of(other, device, kind, bits).peak <= min(free, need)]
    return f"{name} needs {need / 1e9:.1f} GB on {device}, and {free / 1e9:.1f} GB are free. " + (
        f"What fits: {', '.join(fits)}." if fits else "Nothing smaller fits either: free some memory."
    )
