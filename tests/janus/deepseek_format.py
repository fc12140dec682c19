"""A tiny Janus written as DeepSeek writes one: its names, its files, a byte-level tokenizer of its kind."""

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import JanusForConditionalGeneration

from milr_core.janus import deepseek

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
SPECIAL = [BOS, EOS, PAD, "<begin_of_image>", "<|User|>", "<|Assistant|>", "<end_of_image>", "<image_placeholder>"]
SENTENCES = ["two red dogs left of a blue car", "Is this a picture of a cat? Answer yes or no.", "Yes No yes no"]
TOWER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4, "mlp_ratio": 2.0}
DRAWER = {"base_channels": 32, "channel_multiplier": [1, 2, 1], "num_res_blocks": 1, "latent_channels": 32}
VOCABULARY = 400  # more than the tokenizer has: embeddings are padded, as DeepSeek's are

CONFIG = {
    "model_type": "multi_modality",
    "architectures": ["MultiModalityCausalLM"],
    "vision_config": {
        "cls": "CLIPVisionTower",
        "model_type": "vision",
        "params": {"image_size": 16, "model_name": "siglip_tiny", "select_feature": "same", "select_layer": -1},
    },
    "aligner_config": {
        "cls": "MlpProjector",
        "params": {"depth": 2, "input_dim": 16, "n_embed": 64, "projector_type": "mlp_gelu"},
    },
    "gen_vision_config": {"cls": "VQ-tiny", "params": {"image_token_size": 24, "n_embed": 4}},
    "gen_aligner_config": {
        "cls": "MlpProjector",
        "params": {"depth": 2, "input_dim": 4, "n_embed": 64, "projector_type": "mlp_gelu"},
    },
    "gen_head_config": {
        "cls": "vision_head",
        "params": {"image_token_embed": 64, "image_token_size": 24, "n_embed": 64},
    },
    "language_config": {
        "hidden_size": 64,
        "intermediate_size": 48,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY,
    },
}


def old_name(name: str) -> str:
    """transformers' name of a tensor -> DeepSeek's; written for this test, with nothing of the converter's."""
    plain = {
        "lm_head.weight": "language_model.lm_head.weight",
        "model.vision_model.embeddings.position_embedding.weight": "vision_model.vision_tower.pos_embed",
    }
    if name in plain:
        return plain[name]
    for new, old in (
        ("model.language_model.", "language_model.model."),
        ("model.vision_model.embeddings.patch_embedding.", "vision_model.vision_tower.patch_embed.proj."),
        ("model.vision_model.post_layernorm.", "vision_model.vision_tower.norm."),
        ("model.vision_model.encoder.layers.", "vision_model.vision_tower.blocks."),
        ("model.generation_embeddings.", "gen_embed."),
        ("model.generation_head.proj_out.", "gen_head.output_mlp_projector."),
        ("model.generation_head.", "gen_head."),
        ("model.generation_aligner.fc1.", "gen_aligner.layers.0."),
        ("model.generation_aligner.hidden_layers.0.", "gen_aligner.layers.2."),
        ("model.aligner.fc1.", "aligner.layers.0."),
        ("model.aligner.hidden_layers.0.", "aligner.layers.2."),
        ("model.vqmodel.", "gen_vision_model."),
    ):
        if name.startswith(new):
            name = old + name[len(new) :]
            break
    if name.startswith("vision_model"):
        return name.replace("self_attn.projection_layer", "attn.proj").replace("layer_norm", "norm")
    if name.startswith("gen_vision_model"):
        for new, old in (
            ("encoder.down", "encoder.conv_blocks"),
            ("decoder.up", "decoder.conv_blocks"),
            ("mid.block_1", "mid.0"),
            ("mid.attn_1", "mid.1"),
            ("mid.block_2", "mid.2"),
            (".block.", ".res."),
        ):
            name = name.replace(new, old)
    return name


def old_tensors(model: JanusForConditionalGeneration) -> dict[str, torch.Tensor]:
    """A model's tensors as DeepSeek stores them: q, k and v of the vision tower in one, and parts nobody reads."""
    tensors, qkv = {}, {}
    for name, tensor in model.state_dict().items():
        if ".vision_model." in name and any(f".{one}_proj." in name for one in "qkv"):
            which = next(one for one in "qkv" if f".{one}_proj." in name)
            layer, kind = name.split(".")[4], name.rsplit(".", 1)[1]
            qkv.setdefault(f"vision_model.vision_tower.blocks.{layer}.attn.qkv.{kind}", {})[which] = tensor
            continue
        tensors[old_name(name)] = tensor.unsqueeze(0) if "position_embedding" in name else tensor
    tensors |= {name: torch.cat([parts[one] for one in "qkv"]) for name, parts in qkv.items()}
    tensors["vision_model.vision_tower.attn_pool.q.weight"] = torch.zeros(16, 16)
    tensors["gen_vision_model.quantize.codebook_used"] = torch.zeros(10)
    tensors["language_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(8)
    return tensors


def write_tokenizer(folder: Path) -> dict[str, int]:
    """Byte-level, as DeepSeek's is, under the class that its files name; returns the special tokens' ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=True, special=True) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))

    def token(text: str) -> dict:
        return {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": True, "rstrip": False,
                "single_word": False}  # fmt: skip

    said = {"bos_token": token(BOS), "eos_token": token(EOS), "pad_token": token(PAD), "unk_token": None}
    more = {"add_bos_token": True, "add_eos_token": False, "model_max_length": 16384, "legacy": True}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**said, **more, "tokenizer_class": "LlamaTokenizerFast", "use_default_system_prompt": False})
    )
    names = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD, "additional_special_tokens": SPECIAL[3:]}
    (folder / "special_tokens_map.json").write_text(json.dumps(names))
    return {text: tokenizer.token_to_id(text) for text in SPECIAL}


def write_deepseek(folder: Path, parts: int = 2) -> JanusForConditionalGeneration:
    """Write the folder, with weights in pytorch_model-*.bin; return the model that it stands for."""
    folder.mkdir(parents=True)
    ids = write_tokenizer(folder)
    config = deepseek.config_from(CONFIG)
    config.image_token_id = ids["<image_placeholder>"]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = JanusForConditionalGeneration(config).eval()
        for parameter in model.parameters():  # rotary tables stay as they are: in float32
            parameter.data = (parameter.data + torch.randn_like(parameter) * 0.1).bfloat16()
    tensors = sorted(old_tensors(model).items())
    for i in range(parts):
        torch.save(dict(tensors[i::parts]), folder / f"pytorch_model-{i + 1:05}-of-{parts:05}.bin")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    images = {"image_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "min_size": 4, "do_normalize": True,
              "rescale_factor": 1 / 255, "image_processor_type": "VLMImageProcessor"}  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    (folder / "processor_config.json").write_text(json.dumps({"num_image_tokens": 16, "sft_format": "deepseek"}))
    return model
