"""Checkpoints from the Hugging Face hub: fetched once, with progress, and with errors that say what to do."""

import threading
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from tqdm import tqdm

from milr_core.errors import InputError
from milr_core.models.progress import Loading, Progress, silent

FILES = ["*.json", "*.jinja", "*.txt", "*.model"]
FORMATS = {"janus": ["*.safetensors"], "multi_modality": ["*.safetensors", "pytorch_model*.bin"]}


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


def fetch(name: str, model_type: str, progress: Progress = silent) -> Path:
    """The folder with a hub repository's files; weights of the format that its config.json names.

    Raises:
        InputError: it cannot be fetched.
    """
    return _snapshot(name, [*FILES, *FORMATS[model_type]], progress)


def _snapshot(name: str, patterns: list[str], progress: Progress = silent) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, tqdm_class=_bar_for(name, progress)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise _failed(name, error) from error


def _bar_for(name: str, progress: Progress) -> type[tqdm]:
    """A tqdm that shows nothing and tells `progress` of the bytes written."""

    class Told(tqdm):
        _lock_told = threading.Lock()
        _said = -1.0

        def __init__(self, *args, **kwargs):
            self._bytes = kwargs.get("unit") == "B" and "Reconstructing" in (kwargs.get("desc") or "")
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            with self._lock_told:
                self.n += n or 0
                done = min(1.0, self.n / self.total) if self.total else None
                if not self._bytes or (done is not None and abs(done - Told._said) < 0.005):
                    return
                Told._said = done if done is not None else -1.0
                whole = f"of {self.total / 1e9:.2f} GB" if self.total else "GB"
                progress(Loading("download", done, f"Downloading {name}: {self.n / 1e9:.2f} {whole}"))

    return Told
