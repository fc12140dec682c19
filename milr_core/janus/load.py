"""From a name to a loaded Janus: find or fetch it, see that it fits, convert it where it must be, load it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from milr_core.errors import InputError
from milr_core.janus import Janus, deepseek
from milr_core.janus.catalog import ALIASES, local_folder
from milr_core.janus.conversion import converted
from milr_core.janus.devices import default_device, default_dtype
from milr_core.janus.hub import fetch
from milr_core.janus.memory import config_of
from milr_core.janus.placement import placement_of
from milr_core.janus.progress import Loading, Progress, silent

_one_at_a_time = threading.Lock()


def load_model(
    name: str,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    quantization: str | None = None,
    progress: Progress | None = None,
) -> Janus:
    """Load a Janus checkpoint: an embedded one by name, a folder, or a Hugging Face id.

    A folder or id in DeepSeek's own format is converted first, once. On CUDA, what does not fit waits in main memory if
    accelerate is installed.

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
    kind, config = config_of(name)
    placement = placement_of(name, config, device, dtype, quantization)
    folder = local_folder(name) or fetch(name, kind, progress)
    shown = folder.name if Path(name).is_dir() else name
    if kind == deepseek.MODEL_TYPE:
        folder = converted(folder, shown, progress)

    def loading(done: float) -> None:
        progress(Loading("load", done, f"Loading {shown}: {done:.0%}"))

    loading(0.0)
    try:
        with _one_at_a_time, _told(loading):
            model = Janus(shown, folder, device, dtype, **placement.options)
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(f"'{name}' cannot be loaded: {error}") from error
    slow = f"; {placement.waiting} of its layers wait in main memory, which is slow" if placement.waiting else ""
    progress(Loading("ready", 1.0, f"{shown} is ready on {device}{slow}"))
    return model


@contextmanager
def _told(say: Callable[[float], None]) -> Iterator[None]:
    """While transformers loads weights, `say` is told the fraction done, instead of a bar on the terminal."""

    class Told(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": True})

        def __iter__(self):
            said = 0
            for i, item in enumerate(self.iterable, 1):
                yield item
                if self.total and i * 50 // self.total > said:
                    said = i * 50 // self.total
                    say(i / self.total)

    before = transformers_logging.set_tqdm_hook(lambda _factory, args, kwargs: Told(*args, **kwargs))
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)
