"""Checkpoints from the Hugging Face hub: fetched once, with progress, and with errors that say what to do."""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from tqdm import tqdm

from milr_core.errors import InputError, Stopped
from milr_core.janus.progress import Loading, Progress, silent

FILES = ["*.json", "*.jinja", "*.txt", "*.model"]
SAFETENSORS, PICKLED = "*.safetensors", "pytorch_model*.bin"


def _failed(name: str, error: Exception) -> InputError:
    if isinstance(error, GatedRepoError):
        fix = f"'{name}' is gated: ask for access at https://huggingface.co/{name}, then log in (HF_TOKEN)"
    elif isinstance(error, (RepositoryNotFoundError, HFValidationError)):
        fix = (
            f"There is no model '{name}' on the Hugging Face hub, or it is private: check the id, or log in (HF_TOKEN)"
        )
    else:
        first = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        fix = f"Cannot get '{name}' from the Hugging Face hub ({first}): check the network, or give a folder"
    return InputError(f"{fix}.")


def fetch_config(name: str) -> Path:
    """The path of a hub repository's config.json.

    Raises:
        InputError: there is no such repository or file, or no network.
    """
    path = _snapshot(name, ["config.json"]) / "config.json"
    if not path.is_file():
        raise InputError(f"'{name}' on the Hugging Face hub has no config.json, so it is no checkpoint.")
    return path


def fetch(name: str, progress: Progress = silent) -> Path:
    """The folder with a hub repository's files; pickled weights only where there are no safetensors.

    Raises:
        InputError: it cannot be fetched.
    """
    folder = _snapshot(name, [*FILES, SAFETENSORS], progress)
    return folder if any(folder.glob(SAFETENSORS)) else _snapshot(name, [*FILES, PICKLED], progress)


def _snapshot(name: str, patterns: list[str], progress: Progress = silent) -> Path:
    bar: Any = _bar_for(name, progress)  # the hub's hints ask for a bar of asyncio's, and its code for any tqdm
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, tqdm_class=bar))
    except (InputError, Stopped):
        raise  # from `progress`: someone does not want to wait
    except Exception as error:  # each network library has its own
        raise _failed(name, error) from error


def _bar_for(name: str, progress: Progress) -> type[tqdm]:
    """A tqdm that shows nothing and tells `progress` of the bytes that have come."""

    class Told(tqdm):
        said = -1.0

        def __init__(self, *args, **kwargs):
            # Of the hub's bars this is the one that knows its total, of all files together.
            self.counts = kwargs.get("unit") == "B" and kwargs.get("desc") != "Downloading bytes"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if not self.counts or not self.total:
                return
            done = min(1.0, self.n / self.total)
            if done >= 1.0 or not 0 <= done - self.said < 0.005:  # the total grows as files begin: it may fall back
                self.said = done
                words = f"Downloading {name}: {self.n / 1e9:.2f} of {self.total / 1e9:.2f} GB"
                progress(Loading("download", done, words))

    return Told
