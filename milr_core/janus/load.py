"""From a name to a loaded Janus: find or fetch it, see that it fits, convert it where it must be, load it."""

import json
import os
import shutil
import threading
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from milr_core.errors import InputError, Stopped, brief
from milr_core.janus import deepseek
from milr_core.janus.catalog import ALIASES, EMBEDDED, local_folder
from milr_core.janus.configuration import config_from, read_config, shapes_of
from milr_core.janus.conversion import converted
from milr_core.janus.devices import default_dtype, device_here
from milr_core.janus.hub import fetch
from milr_core.janus.janus import Janus
from milr_core.janus.memory import config_of
from milr_core.janus.placement import placement_of
from milr_core.janus.progress import Loading, Progress, silent
from milr_core.janus.weight_files import check_pointer
from milr_core.janus.weights import check_weights

READ = {
    "added_tokens.json", "chat_template.json", "generation_config.json", "preprocessor_config.json",
    "processor_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip
"""What transformers reads beside config.json and the weights, each if it is there; some it passes over if damaged."""

_one_at_a_time = threading.Lock()


def load_model(
    name: str = EMBEDDED,
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
        raise InputError(f"Name a model: {EMBEDDED}, deepseek-community/Janus-Pro-1B, or a folder.")
    progress = progress or silent
    name = ALIASES.get(name, name)
    device = str(device_here(device))
    dtype = dtype or default_dtype(device)
    config = config_of(name)[1]
    placement = placement_of(name, config, device, dtype, quantization)
    folder = checkpoint_folder(name, progress)
    shown = Path(name).resolve().name if Path(name).is_dir() else name
    check_files(folder)

    def loading(done: float) -> None:
        progress(Loading("load", done, f"Loading {shown}: {done:.0%}"))

    loading(0.0)
    try:
        with _one_at_a_time, _told(loading), _unmarked(folder) as read:
            model = Janus(shown, read, device, dtype, **placement.options)
            model.folder = folder
            _check_tokens(model)
    except (InputError, Stopped):
        raise
    except Exception as error:  # a damaged tokenizer, processor or configuration has each library's own
        raise InputError(
            f"'{name}' cannot be loaded: {brief(error)}. If a file is damaged, download it again."
        ) from error
    slow = f"; {placement.waiting} of its layers wait in main memory, which is slow" if placement.waiting else ""
    progress(Loading("ready", 1.0, f"{shown} is ready on {device}{slow}"))
    return model


def checkpoint_folder(name: str, progress: Progress = silent) -> Path:
    """The folder in transformers' format that a model is loaded from, fetched and converted where it has to be.

    Raises:
        InputError: there is no such model, or it cannot be had.
    """
    name = ALIASES.get(name, name)
    kind = config_of(name)[0]
    folder = local_folder(name) or fetch(name, progress)
    if kind != deepseek.MODEL_TYPE:
        return folder
    return converted(folder, folder.name if Path(name).is_dir() else name, progress)


def check_files(folder: Path) -> None:
    """See that a checkpoint's files are whole and hold what its configuration asks for.

    Raises:
        InputError: they do not; the file or the tensors are named, with what to do.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".jinja", ".model", ".txt"):
            check_pointer(path)
        if path.name in READ:
            _check_json(path)
    read = read_config(folder / "config.json", folder.name)
    tied = read.get("tie_word_embeddings") is True  # left out it means yes to transformers, and no to every Janus
    shapes = shapes_of(config_from(read, folder.name))
    check_weights(folder, shapes, packed="quantization_config" in read, tied=tied)


def _check_json(path: Path) -> None:
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({brief(error)}). Download it again.") from error
    if not isinstance(read, dict):
        raise InputError(f"{path} is damaged (it holds no JSON object). Download it again.")


def _check_tokens(model: Janus) -> None:
    """Raise InputError where the checkpoint's files number their tokens differently."""
    tokenizer, said = model.processor.tokenizer, model.hf.config.image_token_id
    there = tokenizer.convert_tokens_to_ids(model.processor.image_token)
    if said != there:
        raise InputError(
            f"'{model.name}' has an image_token_id of {said} in its config.json, and of {there} in its tokenizer. Get "
            "the checkpoint again."
        )
    for name, number in (("pad", model.pad_token), ("end", model.end_token)):
        if not isinstance(number, int) or not 0 <= number < model.embed.num_embeddings:
            raise InputError(f"'{model.name}' has no {name} token: its files say {number}. Get the checkpoint again.")


@contextmanager
def _unmarked(folder: Path) -> Iterator[Path]:
    """The folder; or, where JSON files in it begin with a byte order mark, as editors write it and transformers does
    not read it, one like it for a while whose files begin without.
    """
    files = [path for path in folder.iterdir() if path.is_file()]
    marked = [path for path in files if path.suffix == ".json" and path.open("rb").read(3) == BOM_UTF8]
    if not marked:
        yield folder
        return
    with TemporaryDirectory(prefix="milr-") as made:
        for path in files:
            copy = Path(made, path.name)
            if path in marked:
                copy.write_bytes(path.read_bytes().removeprefix(BOM_UTF8))
                continue
            try:
                os.link(path.resolve(), copy)
            except OSError:  # on another disk
                shutil.copy(path, copy)
        yield Path(made)


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
