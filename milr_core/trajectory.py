"""The run bundle: a folder (or a zip of it) that holds a whole search and from which it goes on.

    RUN/trajectory.json            schema, prompt, model and weights hash, critic, and a record for each step
    RUN/step-000.png               the image of each step
    RUN/state-000.safetensors      latents, Adam moments and generator state of each step

Steps are added whole: image and state first, then a new `trajectory.json` in one rename. A kill at any moment
loses at most the step under way. Nothing in a bundle is ever executed or unpickled.
"""

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from milr_core.critics.base import Usage
from milr_core.errors import CriticError, InputError
from milr_core.janus import Janus
from milr_core.record import record_of, state_of, tensors_of
from milr_core.settings import settings_from
from milr_core.state import State
from milr_core.steps import Cost

SCHEMA = 1
MAX_BUNDLE_BYTES = 2 << 30
MAX_JSON_BYTES = 64 << 20
MAX_PIXELS = 4096 * 4096
_RECORD = {
    "index": int, "text": str, "reward": (int, float), "parts": dict, "reason": str, "raw": dict, "best": int,
    "settings": dict, "cost": dict, "text_tokens": list, "token_strings": list, "image_tokens": list,
    "gradient_norm": dict, "update_norm": dict, "latents": dict, "image": str, "state": str,
}  # fmt: skip
_OBSERVED = {"value": (int, float), "parts": dict, "reason": str}
_HEADER = {"schema": int, "prompt": str, "model": dict, "critic": str, "steps": list}
_FILE = re.compile(r"(trajectory\.json|step-\d{3,4}\.png|state-\d{3,4}\.safetensors)")


def _write(path: Path, data: bytes) -> None:
    """All of `data` or nothing, also when the power goes."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def stamp(prompt: str, model: dict[str, str], settings: dict[str, Any]) -> PngImagePlugin.PngInfo:
    """What an image was made with, for its PNG."""
    about = PngImagePlugin.PngInfo()
    about.add_itxt("milr", json.dumps({"prompt": prompt, "model": model, **settings}))
    return about


def _check_fields(data: Any, wanted: dict[str, Any], where: str) -> None:
    if not isinstance(data, dict):
        raise InputError(f"{where} is not what a run bundle holds: expected an object.")
    for name, kind in wanted.items():
        if not isinstance(data.get(name), kind) or isinstance(data[name], bool):
            raise InputError(f"{where} has no valid '{name}': the run bundle is damaged or not one.")


class MadeBy(NamedTuple):
    """What a run says of the model that made it."""

    name: str
    weights_hash: str


class Trajectory:
    """A run bundle on disk. Make one with `create`, `open` or `from_zip`; add steps with `append`."""

    def __init__(self, folder: Path, header: dict[str, Any]):
        self.folder, self._header = folder, header
        self._lines: list[str] = []  # of `trajectory.json`, a step each: written again with every step, made only once

    @classmethod
    def create(cls, folder: str | Path, model: Janus | MadeBy, critic: str, prompt: str) -> "Trajectory":
        """A new bundle without steps.

        Raises:
            InputError: the folder holds a run already, or cannot be written.
        """
        folder = Path(folder)
        if (folder / "trajectory.json").exists():
            raise InputError(f"{folder} holds a run already: resume it, or choose another folder.")
        header = {
            "schema": SCHEMA,
            "prompt": prompt,
            "model": {"id": model.name, "weights_hash": model.weights_hash},
            "critic": critic,
            "steps": [],
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            run = cls(folder, header)
            run._save()
        except OSError as error:
            raise InputError(f"Cannot write a run to {folder}: {error}.") from error
        return run

    @classmethod
    def open(cls, folder: str | Path) -> "Trajectory":
        """Read a bundle and check all of `trajectory.json`.

        Raises:
            InputError: no bundle, another schema, fields missing or of a wrong type, or a path out of the folder.
        """
        folder = Path(folder)
        try:
            header = json.loads((folder / "trajectory.json").read_text(encoding="utf-8"))
            json.dumps(header, ensure_ascii=False).encode()  # half a character in it could not be written again
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{folder} is no run bundle: trajectory.json cannot be read ({error}).") from error
        _check_fields(header, {"schema": int}, "trajectory.json")
        if header["schema"] != SCHEMA:
            raise InputError(
                f"The run has schema {header['schema']}; this version reads schema {SCHEMA}. "
                "Use the version that wrote it."
            )
        _check_fields(header, _HEADER, "trajectory.json")
        for index, record in enumerate(header["steps"]):
            where = f"Step {index} of trajectory.json"
            _check_fields(record, _RECORD, where)
            _check_fields({"observed": {}} | record, {"observed": dict}, where)
            for name, observed in record.get("observed", {}).items():
                _check_fields(observed, _OBSERVED, f"{where}, what '{name}' observed,")
            if record["index"] != index:
                raise InputError(f"{where} says it is step {record['index']}: the run bundle is damaged.")
            for name in (record["image"], record["state"]):
                if not _FILE.fullmatch(name):
                    raise InputError(f"{where} names the file {name!r}, which a run bundle does not hold.")
                if (folder / name).is_symlink():
                    raise InputError(f"{name} is a link out of the run bundle; bundles hold plain files only.")
        return cls(folder, header)

    @classmethod
    def from_zip(cls, file: str | Path, folder: str | Path, limit: int = MAX_BUNDLE_BYTES) -> "Trajectory":
        """Unpack a zipped bundle into a new folder, taking only what a bundle holds, up to `limit` bytes.

        Raises:
            InputError: no zip, too large, or with anything but a bundle's files in it.
        """
        folder = Path(folder)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                for entry in entries:
                    if not _FILE.fullmatch(entry.filename):
                        raise InputError(f"The zip holds {entry.filename!r}, which a run bundle does not.")
                if sum(entry.file_size for entry in entries) > limit:
                    raise InputError(
                        f"The zip unpacks to more than {limit / (1 << 20):.0f} MiB; that is too much here."
                    )
                if any(e.filename.endswith(".json") and e.file_size > MAX_JSON_BYTES for e in entries):
                    raise InputError("The trajectory.json of the zip is far larger than that of any run.")
                if folder.exists() and any(folder.iterdir()):
                    raise InputError(f"{folder} is not empty: choose another folder.")
                folder.mkdir(parents=True, exist_ok=True)
                for entry in entries:
                    _write(folder / entry.filename, archive.read(entry))
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise InputError(f"{file} is not a zip that can be read: {error}.") from error
        return cls.open(folder)

    def to_zip(self, file: str | Path, states: bool = True) -> Path:
        """Write the bundle as one zip, atomically; the PNGs and states go in as they are.

        states: without them the zip is small, and can be looked at but not continued from.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(self.folder / "trajectory.json", "trajectory.json")
            for record in self.records:
                archive.write(self.folder / record["image"], record["image"])
                if states:
                    archive.write(self.folder / record["state"], record["state"])
        _write(Path(file), buffer.getvalue())
        return Path(file)

    @property
    def prompt(self) -> str:
        return self._header["prompt"]

    @property
    def model(self) -> dict[str, str]:
        """`id` and `weights_hash`."""
        return self._header["model"]

    @property
    def critic(self) -> str:
        return self._header["critic"]

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each step, as in `trajectory.json`."""
        return self._header["steps"]

    def __len__(self) -> int:
        return len(self.records)

    def _save(self) -> None:
        """A line for each step: a whole file every time, in which a reader or a diff finds its way."""
        self._lines += [json.dumps(record, ensure_ascii=False) for record in self.records[len(self._lines) :]]
        head = json.dumps({k: v for k, v in self._header.items() if k != "steps"}, ensure_ascii=False)
        steps = ",\n".join(self._lines)
        _write(self.folder / "trajectory.json", f'{head[:-1]}, "steps": [\n{steps}\n]}}\n'.encode())

    def append(self, state: State) -> Path:
        """Add the next step; returns its image's path.

        Raises:
            InputError: the state is not the step that comes next.
        """
        if state.index != len(self) or state.prompt != self.prompt:
            raise InputError(
                f"The run has {len(self)} steps of '{self.prompt}'; this is step {state.index} of '{state.prompt}'."
            )
        record = record_of(state)
        png = io.BytesIO()
        state.image.save(png, "PNG", pnginfo=stamp(state.prompt, self.model, record["settings"]))
        _write(self.folder / record["image"], png.getvalue())
        _write(self.folder / record["state"], save_tensors(tensors_of(state)))
        self.records.append(record)
        self._save()
        return self.folder / record["image"]

    def image(self, index: int) -> Image.Image:
        """The image of a step."""
        path = self.folder / self.records[index]["image"]
        try:
            with Image.open(path, formats=["PNG"]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"{path.name} is larger than any model draws.")
                return image.convert("RGB")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise InputError(f"{path} is not the image of a step: {error}.") from error

    def state(self, index: int) -> State:
        """The state after a step, to go on from; equal to the one that was appended.

        Raises:
            InputError: the step is not there, or its files are damaged.
        """
        if not 0 <= index < len(self):
            raise InputError(f"The run has steps 0 to {len(self) - 1}; there is no step {index}.")
        record = self.records[index]
        values = tuple(float(r["reward"]) for r in self.records[: index + 1])
        settings = settings_from(record["settings"])
        best = values.index(max(values))
        try:
            tensors = load_tensors((self.folder / record["state"]).read_bytes())
            return state_of(
                record,
                tensors,
                prompt=self.prompt,
                values=values,
                image=self.image(index),
                spent=sum((Cost(**r["cost"]).usage for r in self.records[: index + 1]), Usage()),
                anchor=self.state(best) if settings.patience and best < index else None,
            )
        except (OSError, SafetensorError, KeyError, TypeError, CriticError) as error:
            raise InputError(f"Step {index} of this run cannot be continued from: {error!r}.") from error

    def states(self) -> Iterator[State]:
        """Every state in turn."""
        return (self.state(index) for index in range(len(self)))

    def check_model(self, model: Janus) -> None:
        """Raise InputError unless `model` has the weights that made the run."""
        if model.weights_hash != self.model.get("weights_hash"):
            raise InputError(
                f"The run was made by {self.model.get('id')} with other weights than this {model.name}; "
                "continuing it would give neither run. Load the model that made it."
            )
