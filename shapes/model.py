"""What the embedded model is made of: tokenizer, processor, configuration. A Janus in every respect but its size."""

import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    GenerationConfig,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusProcessor,
    JanusVisionConfig,
    JanusVQVAEConfig,
    LlamaConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from shapes.facts import COLOR_FACTS, COUNT_FACTS, SHAPE_FACTS, color_sentence, count_sentence, shape_sentence
from shapes.prompts import LEADS, NUMBERS, PHRASE_SYNONYMS, RELATIONS, plural
from shapes.scene import COLORS, IMAGE_SIZE, PLACES, SHAPES, SIZES

PATCH = 16  # pixels a side of the square that one image token stands for
TOKENS_A_SIDE = IMAGE_SIZE // PATCH
NUM_IMAGE_TOKENS = TOKENS_A_SIDE**2

BOS, EOS, PAD, UNK = "<|begin|>", "<|end|>", "<|pad|>", "<|unknown|>"
USER, ASSISTANT = "<|User|>", "<|Assistant|>"
BOI, EOI, IMAGE = "<begin_of_image>", "<end_of_image>", "<image_placeholder>"
SPECIAL = (PAD, BOS, EOS, UNK, USER, ASSISTANT, BOI, EOI, IMAGE)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|User|>' if message['role'] == 'user' else '<|Assistant|>' }}"
    "{% for part in message['content'] %}"
    "{{ '<image_placeholder>' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|>{% endif %}"
)
REASONING_TEMPLATE = "plan {prompt}"
QUESTION_TEMPLATE = "is this {prompt}?"
DESCRIBE = "what is this?"

# Spellings that the tokenizer folds before it looks a word up (the parser folds more: it also drops plurals).
_FOLDED = {
    **PHRASE_SYNONYMS,
    "colour": "color", "centre": "center", "1": "one", "2": "two", "3": "three", "4": "four", "under": "below",
    "beneath": "below", "over": "above", "big": "large", "little": "small", "tiny": "small", "violet": "purple",
    "object": "thing", "objects": "things",
}  # fmt: skip


def vocabulary() -> list[str]:
    """Special tokens, punctuation, then every word of the world's grammar in a fixed order."""
    phrases = [
        *LEADS, *NUMBERS, *RELATIONS, *PLACES, *SHAPES, *(plural(s) for s in SHAPES), *COLORS, *SIZES,
        *COLOR_FACTS, *COUNT_FACTS, *SHAPE_FACTS, *map(color_sentence, COLOR_FACTS), *map(count_sentence, COUNT_FACTS),
        *map(shape_sentence, SHAPE_FACTS), "a an and as many the color of thing things shaped like at draw shape",
        "shapes plan is this what are there yes no",
    ]  # fmt: skip
    words = dict.fromkeys(word for phrase in phrases for word in phrase.split())
    return [*SPECIAL, ".", ",", ":", "?", *(f"▁{word}" for word in words)]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word (with its leading space, so that text decodes as it was written) and one a punctuation mark."""
    vocab = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNK))
    folds = [normalizers.Replace(Regex(rf"\b{re.escape(a)}\b"), b) for a, b in _FOLDED.items()]
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[^\w.,:?\s-]"), ""),
            *folds,
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always", split=True),
            pre_tokenizers.Split(Regex(r"[.,:?]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocab[BOS])])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        extra_special_tokens={"image_token": IMAGE, "boi_token": BOI, "eoi_token": EOI},
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )


def make_processor() -> JanusProcessor:
    image_processor = JanusImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return JanusProcessor(
        image_processor, make_tokenizer(), chat_template=CHAT_TEMPLATE, num_image_tokens=NUM_IMAGE_TOKENS
    )


def make_config(codebook_size: int, hidden: int = 192, layers: int = 4, heads: int = 6, mlp: int = 512) -> JanusConfig:
    """The checkpoint's configuration; `codebook_size` is the number of distinct image tokens."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    text = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=ids[BOS],
        eos_token_id=ids[EOS],
        pad_token_id=ids[PAD],
    )
    vision = JanusVisionConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=PATCH,
        mlp_ratio=2.0,
        projection_dim=hidden,
        num_image_tokens=NUM_IMAGE_TOKENS,
    )
    vq = JanusVQVAEConfig(
        embed_dim=8,
        num_embeddings=codebook_size,
        latent_channels=64,
        base_channels=32,
        channel_multiplier=[1, 1, 1, 2, 4],
        num_res_blocks=1,
        projection_dim=hidden,
        image_token_embed_dim=hidden,
    )
    return JanusConfig(
        text_config=text, vision_config=vision, vq_config=vq, image_token_id=ids[IMAGE], tie_word_embeddings=False
    )


def make_generation_config() -> GenerationConfig:
    ids = {token: i for i, token in enumerate(vocabulary())}
    return GenerationConfig(
        bos_token_id=ids[BOS],
        eos_token_id=ids[EOS],
        pad_token_id=ids[PAD],
        do_sample=True,
        guidance_scale=1.5,
        generation_kwargs={"boi_token_id": ids[BOI]},
    )


def save_checkpoint(folder: Path, model: JanusForConditionalGeneration) -> None:
    """Write weights (safetensors), configuration, tokenizer and processor as any Janus checkpoint has them."""
    model.generation_config = make_generation_config()
    model.save_pretrained(folder)
    make_processor().save_pretrained(folder)
