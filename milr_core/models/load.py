"""From a name to a loaded Janus: find or fetch it, see that it fits, convert it where it must be, load it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from milr_core.devices import default_device, default_dtype, free_bytes
from milr_core.errors import InputError
from milr_core.janus import Janus
from milr_core.models.hub import fetch
from milr_core.models.known import ALIASES, MODELS, QUANTIZATIONS, local_folder
from milr_core.models.memory import memory_needed
from milr_core.models.progress import Loading, Progress, silent

_one_at_a_time = threading.Lock()
SIXTEEN_BITS = ("vision_model", "aligner", "vqmodel", "generation_embeddings", "generation_aligner", "generation_head",
                "lm_head")  # fmt: skip


def load_model(
    name: str,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    quantization: str | None = None,
    progress: Progress | None = None,
) -> Janus:
    """Load a Janus checkpoint: an embedded one by name, a folder, or a Hugging Face id.

    device: default the best there is (cuda, mps, cpu). dtype: default by what the device can do (`default_dtype`).
    quantization: "8bit" or "4bit" for the language model's layers, on CUDA, through bitsandbytes; everything else
    stays in 16 bits. progress: told what is happening, from whatever thread it happens in.

    Raises:
        InputError: no such model, a checkpoint that is no Janus, not enough memory, or a package is missing.
    """
    if not isinstance(name, str) or not name:
        raise InputError("Name a model: janus-shapes, deepseek-community/Janus-Pro-1B, or a folder.")
    progress = progress or silent
    name = ALIASES.get(name, name)
    device = device or default_device()
    dtype = dtype or default_dtype(device)
    check_quantization(quantization, device)
    check_room(name, device, dtype, quantization)
    folder = local_folder(name) or fetch(name, "janus", progress)
    shown = folder.name if Path(name).is_dir() else name
    progress(Loading("load", 0.0, f"Loading {shown}"))
    options: dict[str, Any] = {}
    if quantization:
        options = {"quantization_config": _bits(quantization, dtype), "device_map": {"": device}}
    try:
        with _one_at_a_time, _told(partial(_loading, progress, shown)):
            model = Janus(shown, folder, device, dtype, **options)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(f"'{name}' cannot be loaded: {error}") from error
    progress(Loading("ready", 1.0, f"{shown} is ready on {device}"))
    return model


def check_quantization(quantization: str | None, device: str) -> None:
    """Raise InputError unless the language model can be held in so few bits here."""
    if quantization is None:
        return
    if quantization not in QUANTIZATIONS:
        raise InputError(f"quantization is {' or '.join(QUANTIZATIONS)}, or not given; got '{quantization}'.")
    missing = [package for package in ("bitsandbytes", "accelerate") if find_spec(package) is None]
    if missing:
        raise InputError(f"{quantization} needs more packages: pip install {' '.join(missing)}.")
    if torch.device(device).type != "cuda":
        raise InputError(f"{quantization} needs a CUDA device; this is '{device}'. Leave the quantization out.")


def check_room(name: str, device: str, dtype: torch.dtype, quantization: str | None) -> None:
    """Raise InputError, with the choices that do fit, where a model does not."""
    need, free = memory_needed(name, device, dtype, quantization).peak, free_bytes(device)
    if need <= free:
        return
    choices = [("dtype bfloat16", name, torch.bfloat16, None)] if dtype == torch.float32 else []
    if torch.device(device).type == "cuda":
        choices += [(f"quantization {bits}", name, dtype, bits) for bits in QUANTIZATIONS if bits != quantization]
    choices += [(other, other, dtype, None) for other in reversed(MODELS) if other != name]
    fits = [said for said, *choice in choices if memory_needed(choice[0], device, *choice[1:]).peak <= free]
    raise InputError(
        f"{name} needs {need / 1e9:.1f} GB on {device}, and {free / 1e9:.1f} GB are free. "
        + (f"What fits: {', '.join(fits)}." if fits else "Nothing smaller fits either: free some memory.")
    )


def _bits(quantization: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(SIXTEEN_BITS))
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(SIXTEEN_BITS),
    )


def _loading(progress: Progress, name: str, done: float) -> None:
    progress(Loading("load", done, f"Loading {name}: {done:.0%}"))


@contextmanager
def _told(say: Any) -> Iterator[None]:
    """While transformers loads weights, `say` is told the fraction done, instead of a bar on the terminal."""

    class Told(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": True})
            self._length = len(args[0]) if args and hasattr(args[0], "__len__") else 0

        def __iter__(self):
            said = 0
            for i, item in enumerate(self.iterable):
                yield item
                if self._length and (i + 1) * 50 // self._length > said:
                    said = (i + 1) * 50 // self._length
                    say((i + 1) / self._length)

    before = transformers_logging.set_tqdm_hook(lambda _factory, args, kwargs: Told(*args, **kwargs))
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)
