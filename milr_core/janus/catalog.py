"""The models that are offered by name, and the configuration of any other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from transformers import JanusConfig, JanusForConditionalGeneration, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

from milr_core.errors import InputError, brief
from milr_core.janus import deepseek
from milr_core.janus.weights import check_pointer

ASSETS = Path(__file__).resolve().parents[2] / "assets"
EMBEDDED = "janus-icons"
"""The model that is shipped, and the default everywhere."""

ALIASES = {
    "deepseek-ai/Janus-Pro-1B": "deepseek-community/Janus-Pro-1B",
    "deepseek-ai/Janus-Pro-7B": "deepseek-community/Janus-Pro-7B",
}
QUANTIZATIONS = ("8bit", "4bit")
DTYPES = ("float32", "bfloat16", "float16")


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
        count = torch.Size(shape).numel()
        if kind in DTYPES:
            total += count * getattr(torch, kind).itemsize
        elif not (name.startswith("model.language_model.layers.") and len(shape) == 2):
            total += 2 * count
        else:
            total += count + 4 * shape[0] if kind == "8bit" else count // 2 + 4 * (count // 64)
    return total


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
    def config(self) -> JanusConfig:
        return pro_config(*self.sizes) if self.sizes else _read(ASSETS / self.name)

    @property
    def parameters(self) -> int:
        return sum(torch.Size(shape).numel() for shape in shapes_of(self.config).values())

    @property
    def gigabytes(self) -> dict[str, float]:
        """10^9 bytes of weights by `float32`, `bfloat16`, `float16`, `8bit`, `4bit`."""
        return {kind: bytes_of(self.config, kind) / 1e9 for kind in (*DTYPES, *QUANTIZATIONS)}


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


def _read(folder: Path) -> JanusConfig:
    return config_from(read_config(folder / "config.json", folder.name), folder.name)
