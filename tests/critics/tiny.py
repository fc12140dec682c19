"""Checkpoints of the real classes at tiny size with random weights, written to disk for `from_pretrained` to read."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    GitConfig,
    GitForCausalLM,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    SwinConfig,
)

from milr_core.critics.geneval_spec import COCO_NAMES

# BERT's own ids for these: GroundingDINO has them built in.
FIXED = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
WORDS = (
    "yes no a an the photo of colored object red orange yellow green blue purple pink brown black white cat dog car "
    "bus bench bowl cow plate is this are there two 2 3 left right on next to cats clock clocks person and"
).split()
VOCABULARY = 1040
VISION = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
QWEN_CHAT = (
    "{% for m in messages %}<|im_start|> {% for c in m.content %}{% if c.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>{% endif %}"
)


def tokenizer(folder: Path, special: list[str] | None = None, wrap: bool = True, **extra) -> PreTrainedTokenizerFast:
    vocabulary = dict(FIXED)
    free = (i for i in range(VOCABULARY) if i not in FIXED.values())
    for word in [*WORDS, *(special or ())]:
        vocabulary[word] = next(free)
    vocabulary |= {f"[{i}]": i for i in free}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if wrap:
        made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 101), ("[SEP]", 102)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", **extra,
        additional_special_tokens=special or [],
    )  # fmt: skip
    fast.save_pretrained(folder)
    return fast


def save(model, folder: Path, seed: int = 0, scale: float = 0.2) -> Path:
    """Random weights large enough that different inputs give clearly different outputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    model.save_pretrained(folder)
    return folder


def swin(**more) -> SwinConfig:
    return SwinConfig(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, **more,
    )  # fmt: skip


def mask2former(folder: Path, names=COCO_NAMES) -> Path:
    config = Mask2FormerConfig(
        backbone_config=swin(out_features=["stage1", "stage2", "stage3", "stage4"]),
        feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16, dim_feedforward=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, num_queries=10, id2label=dict(enumerate(names)),
    )  # fmt: skip
    Mask2FormerImageProcessorPil(size={"height": 384, "width": 384}).save_pretrained(folder)  # as on the hub
    return save(Mask2FormerForUniversalSegmentation(config), folder)


def grounding_dino(folder: Path) -> Path:
    text = BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config = GroundingDinoConfig(
        backbone_config=swin(out_features=["stage2", "stage3", "stage4"]), text_config=text, d_model=32,
        encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=10,
        encoder_attention_heads=2, decoder_attention_heads=2,
    )  # fmt: skip
    tokenizer(folder)
    GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96}).save_pretrained(folder)
    return save(GroundingDinoForObjectDetection(config), folder)


def clip(folder: Path, width: int = 16, seed: int = 0) -> Path:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**sizes, "vocab_size": VOCABULARY, "max_position_embeddings": 20, "eos_token_id": 102},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
        projection_dim=width,
    )
    tokenizer(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    return save(CLIPModel(config), folder, seed)


def git(folder: Path) -> Path:
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 16, "patch_size": 8,
    }  # fmt: skip
    config = GitConfig(
        vision_config=vision, vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, bos_token_id=101, eos_token_id=102, tie_word_embeddings=False,
    )  # fmt: skip
    tokenizer(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    return save(GitForCausalLM(config), folder)


def blip(folder: Path) -> Path:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BlipConfig(
        text_config={
            **sizes, "vocab_size": VOCABULARY + 2, "encoder_hidden_size": 16, "bos_token_id": VOCABULARY,
            "sep_token_id": 102, "eos_token_id": 102, "pad_token_id": 0, "max_position_embeddings": 40,
        },
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
    )  # fmt: skip
    tokenizer(folder)
    BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return save(BlipForQuestionAnswering(config), folder)


def qwen(folder: Path) -> Path:
    made = tokenizer(folder, VISION, wrap=False, chat_template=QWEN_CHAT)
    ids = {name: made.convert_tokens_to_ids(name) for name in VISION}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
            "bos_token_id": 101, "eos_token_id": 102, "pad_token_id": 0,
        },
        vision_config={
            "depth": 1, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32, "out_hidden_size": 32,
            "patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"], vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"], tie_word_embeddings=False,
    )  # fmt: skip
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112).save_pretrained(folder)
    return save(Qwen2_5_VLForConditionalGeneration(config), folder)


def aesthetic_head(folder: Path, width: int = 16) -> Path:
    """LAION's layout: five linear maps at 0, 2, 4, 6, 7."""
    generator = torch.Generator().manual_seed(1)
    sizes = (width, 12, 10, 8, 6, 1)
    tensors = {}
    for index, (before, after) in zip((0, 2, 4, 6, 7), zip(sizes, sizes[1:], strict=False), strict=True):
        tensors[f"layers.{index}.weight"] = torch.randn(after, before, generator=generator)
        tensors[f"layers.{index}.bias"] = torch.full((after,), 0.5)
    tensors["layers.7.bias"] = torch.tensor([5.0])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "aesthetic-model.pth")
    save_file(tensors, folder / "head.safetensors")
    return folder
