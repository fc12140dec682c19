"""The models that are offered by name, and where others are."""

import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from milr_core.errors import InputError

if TYPE_CHECKING:
    from transformers import JanusConfig

ASSETS = Path(__file__).resolve().parents[2] / "assets"
EMBEDDED = "janus-icons"
"""The model that is shipped, and the default everywhere."""

ALIASES = {
    "deepseek-ai/Janus-Pro-1B": "deepseek-community/Janus-Pro-1B",
    "deepseek-ai/Janus-Pro-7B": "deepseek-community/Janus-Pro-7B",
}
QUANTIZATIONS = ("8bit", "4bit")
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelInfo:
    """A model that is offered by name.

    label: for people. licence: of the weights, and what it asks of who uses them or passes them on. sizes: hidden,
    layers, heads, MLP; None: it is embedded.
    """

    name: str
    label: str
    licence: str
    sizes: tuple[int, int, int, int] | None = None

    @property
    def embedded(self) -> bool:
        """Whether it is shipped: nothing is downloaded."""
        return self.sizes is None

    @property
    def config(self) -> "JanusConfig":
        known = _configurations()
        return known.pro_config(*self.sizes) if self.sizes else known.config_in(ASSETS / self.name)

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for shape in _configurations().shapes_of(self.config).values())

    @property
    def gigabytes(self) -> dict[str, float]:
        """10^9 bytes of weights by `float32`, `bfloat16`, `float16`, `8bit`, `4bit`."""
        return {kind: _configurations().bytes_of(self.config, kind) / 1e9 for kind in (*DTYPES, *QUANTIZATIONS)}


def _configurations() -> ModuleType:
    """The module of configurations. It brings torch and transformers, which a list of names does without."""
    return import_module("milr_core.janus.configuration")


DEEPSEEK_LICENCE = (
    "DeepSeek Model License: its use restrictions pass on to whoever gets the weights or models made from them"
)

READERS = {"world": "world.prompts:read"}
"""Who reads prompts for a checkpoint, by the name that its milr.json gives: a file names none that is not here."""

GONE = {
    "janus-shapes": "janus-shapes is gone: janus-icons took its place, with real things for shapes. Runs recorded with "
    "janus-shapes still open and replay, but nothing goes on from them: start a new run.",
}
"""Names that earlier versions knew, and what to say to whoever asks for them."""

MODELS: dict[str, ModelInfo] = {
    info.name: info
    for info in (
        ModelInfo(EMBEDDED, "Janus-Icons (embedded, no download)", "Apache-2.0"),
        ModelInfo("deepseek-community/Janus-Pro-1B", "Janus-Pro 1B", DEEPSEEK_LICENCE, (2048, 24, 16, 5632)),
        ModelInfo("deepseek-community/Janus-Pro-7B", "Janus-Pro 7B", DEEPSEEK_LICENCE, (4096, 30, 32, 11008)),
    )
}


def local_folder(name: str) -> Path | None:
    """The folder of an embedded model, or `name` where it is one; None for a hub id.

    Raises:
        InputError: `name` is neither, and no hub id.
    """
    if Path(name).is_dir():
        return Path(name)
    if (ASSETS / name / "config.json").is_file():
        return ASSETS / name
    if name in GONE:
        raise InputError(GONE[name])
    if name.count("/") != 1 or name.startswith(("/", ".")):
        known = ", ".join(sorted(p.parent.name for p in ASSETS.glob("*/config.json")))
        raise InputError(
            f"There is no model '{name}': give an embedded one ({known}), a folder, or a Hugging Face id such as "
            "deepseek-community/Janus-Pro-1B."
        )
    return None
