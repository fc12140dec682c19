"""From DeepSeek's own checkpoint format to transformers': weights a tensor at a time, tokenizer, processor, settings.

What is held in memory is one file of the result; nothing is unpickled but tensors.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.constants import HF_HOME
from torch import Tensor
from transformers import GenerationConfig, JanusConfig, JanusProcessor, PreTrainedTokenizerFast
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from milr_core.errors import InputError
from milr_core.janus import deepseek
from milr_core.janus.configuration import config_from, parts_of, read_config, shapes_of
from milr_core.janus.progress import Loading, Progress, silent
from milr_core.janus.weight_files import NAMED, weight_files
from milr_core.janus.weights import read_tensors, write_weights

CACHE = Path(HF_HOME) / "milr-converted"  # beside the hub's own cache: on a Space, what is kept
TAGS = {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}
PAD = "<｜▁pad▁｜>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|User|>: ' if message['role'] == 'user' else '<|Assistant|>: ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image_placeholder>{{ '' if loop.last else '\n' }}"
    "{% else %}{{ part['text'] | trim }}{{ '' if loop.last else '\n' }}{% endif %}"
    "{% endfor %}"
    "{{ '\n\n' if message['role'] == 'user' else eos_token }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|>:{% endif %}"
)

# DeepSeek's name (a prefix) -> transformers'. None: transformers has no such part.
_PREFIXES: dict[str, str | None] = {
    "language_model.model.": "model.language_model.",
    "language_model.lm_head.": "lm_head.",
    "vision_model.vision_tower.attn_pool.": None,
    "vision_model.vision_tower.patch_embed.proj.": "model.vision_model.embeddings.patch_embedding.",
    "vision_model.vision_tower.pos_embed": "model.vision_model.embeddings.position_embedding.weight",
    "vision_model.vision_tower.norm.": "model.vision_model.post_layernorm.",
    "vision_model.vision_tower.blocks.": "model.vision_model.encoder.layers.",
    "gen_vision_model.quantize.codebook_used": None,
    "gen_vision_model.": "model.vqmodel.",
    "gen_embed.": "model.generation_embeddings.",
    "gen_head.output_mlp_projector.": "model.generation_head.proj_out.",
    "gen_head.vision_head.": "model.generation_head.vision_head.",
    "gen_aligner.layers.": "model.generation_aligner.",
    "aligner.layers.": "model.aligner.",
}
_PARTS = {  # within what a prefix of the new name stands for
    "model.vision_model.encoder.layers.": {
        r"^(\d+)\.norm([12])\.": r"\1.layer_norm\2.",
        r"^(\d+)\.attn\.proj\.": r"\1.self_attn.projection_layer.",
        r"^(\d+)\.attn\.": r"\1.self_attn.",
    },
    "model.vqmodel.": {
        r"^encoder\.conv_blocks\.": "encoder.down.",
        r"^decoder\.conv_blocks\.": "decoder.up.",
        r"\.res\.": ".block.",
        r"\.mid\.0\.": ".mid.block_1.",
        r"\.mid\.1\.": ".mid.attn_1.",
        r"\.mid\.2\.": ".mid.block_2.",
    },
}


def new_names(old: str) -> list[str]:
    """The names that a tensor of DeepSeek's has in transformers: none, one, or three where it holds q, k and v.

    Raises:
        InputError: it is no tensor of a Janus.
    """
    prefix = next((prefix for prefix in _PREFIXES if old.startswith(prefix)), None)
    if prefix is None:
        raise InputError(f"The checkpoint holds '{old}', which no Janus has.")
    start = _PREFIXES[prefix]
    if start is None or old.endswith("rotary_emb.inv_freq"):
        return []
    rest = old.removeprefix(prefix)
    for pattern, by in _PARTS.get(start, {}).items():
        rest = re.sub(pattern, by, rest)
    if start in ("model.aligner.", "model.generation_aligner."):  # linear layers are 0, 2, 4, …: activations between
        number, kind = rest.split(".", 1)
        rest = f"fc1.{kind}" if number == "0" else f"hidden_layers.{int(number) // 2 - 1}.{kind}"
    name = start + rest
    return [name.replace(".qkv.", f".{one}_proj.") for one in "qkv"] if ".qkv." in name else [name]


def _renamed(source: Path, wanted: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, Tensor]]:
    """Every wanted tensor under its new name, once.

    Raises:
        InputError: one is missing, has another shape or is not wanted.
    """
    left = dict(wanted)
    for old, tensor in (one for path in weight_files(source) for one in read_tensors(path)):
        names = new_names(old)
        for name, part in zip(names, tensor.chunk(len(names)) if names else (), strict=True):
            shape = left.pop(name, None)
            if shape is None:
                raise InputError(f"The checkpoint holds '{old}', which its config.json does not ask for.")
            if part.numel() != torch.Size(shape).numel():
                raise InputError(f"'{old}' in the checkpoint has the shape {tuple(tensor.shape)}; {shape} is needed.")
            yield name, part.reshape(shape)
    if left:
        named = ", ".join(sorted(left)[:NAMED])
        raise InputError(f"The checkpoint lacks {len(left)} tensors, the first of them {named}. Download it again.")


def convert(source: str | Path, target: str | Path, progress: Progress = silent) -> Path:
    """Write a checkpoint in DeepSeek's format (a folder) as one in transformers' (a new folder); return that.

    The tensors are the same, bit for bit. It is there whole or not at all.

    Raises:
        InputError: the source is no such checkpoint or is damaged, or the target exists or cannot be written.
    """
    source, target = Path(source), Path(target)
    read = read_config(source / "config.json", str(source))
    if read["model_type"] != deepseek.MODEL_TYPE:
        raise InputError(f"'{source}' is in transformers' format already: load it as it is.")
    if target.exists():
        raise InputError(f"'{target}' exists: give a folder that does not.")
    config = config_from(read, str(source))
    partial = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"

    def converting(done: float) -> None:
        progress(Loading("convert", done, f"Converting {source.name}: {done:.0%}"))

    try:
        partial.mkdir(parents=True)
        _write_files(source, partial, config)
        shapes = dict(shapes_of(config))
        parameters = sum(torch.Size(shape).numel() for shape in shapes.values())
        write_weights(partial, _renamed(source, shapes), parameters, converting)
        partial.rename(target)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise InputError(f"'{source}' cannot be converted: {type(error).__name__}: {reason}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def converted(source: Path, name: str, progress: Progress = silent) -> Path:
    """The cached conversion of a folder, made now if it is not there or the folder has changed since."""
    files = [source / "config.json", *weight_files(source)]
    state = json.dumps([[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files])
    target = CACHE / f"{source.name}-{uuid.uuid5(uuid.NAMESPACE_URL, state).hex[:12]}"
    if not target.is_dir():
        progress(Loading("convert", 0.0, f"Converting {name} from DeepSeek's format, once, into {target}"))
        convert(source, target, progress)
    return target


def _write_files(source: Path, target: Path, config: JanusConfig) -> None:
    """Tokenizer, processor, chat template, configuration with the tokenizer's ids, and how images are drawn."""
    written = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    ids = {**written["model"]["vocab"], **{token["content"]: token["id"] for token in written["added_tokens"]}}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source, extra_special_tokens=TAGS)
    if missing := [token for token in (*TAGS.values(), "<|User|>", "<|Assistant|>") if token not in ids]:
        raise ValueError(f"the tokenizer does not know {', '.join(missing)}")
    tokenizer.add_bos_token = True  # what every Janus was trained with, and what its own code adds
    if tokenizer.pad_token is None:
        tokenizer.pad_token = PAD if PAD in ids else tokenizer.eos_token
    processor_config = _json(source / "processor_config.json")
    images = _json(source / "preprocessor_config.json")
    text, vision, _ = parts_of(config)
    side = images.get("image_size", vision.image_size)
    kept = ("do_normalize", "image_mean", "image_std", "min_size", "rescale_factor")
    processor = JanusProcessor(
        JanusImageProcessorPil(size={"height": side, "width": side}, **{k: images[k] for k in kept if k in images}),
        tokenizer,
        chat_template=CHAT_TEMPLATE,
        use_default_system_prompt=True,
        num_image_tokens=processor_config.get("num_image_tokens", vision.num_image_tokens),
    )
    processor.save_pretrained(target)
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, ids.get(PAD, tokenizer.pad_token_id)
    text.bos_token_id, text.eos_token_id, text.pad_token_id = bos, eos, pad
    config.image_token_id = ids[TAGS["image_token"]]
    config.architectures = ["JanusForConditionalGeneration"]
    config.save_pretrained(target)
    GenerationConfig(
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
        do_sample=True,
        guidance_scale=5.0,
        generation_kwargs={"boi_token_id": ids[TAGS["boi_token"]]},
    ).save_pretrained(target)


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
