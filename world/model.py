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

from world.nouns import NOUNS, plural
from world.sampling import vocabulary_texts
from world.scene import IMAGE_SIZE
from world.tokens import NUM_IMAGE_TOKENS, PATCH, TOKENS_A_SIDE

HIDDEN = 192  # of the language model
CODE_SIZE = 96  # of an image token's code
CONTEXT = 320  # positions: the longest prompt, its plan and an image

BOS, EOS, PAD, UNK = "<|begin|>", "<|end|>", "<|pad|>", "<|unknown|>"
USER, ASSISTANT = "<|User|>", "<|Assistant|>"
BOI, EOI, IMAGE = "<begin_of_image>", "<end_of_image>", "<image_placeholder>"
SPECIAL = (PAD, BOS, EOS, UNK, USER, ASSISTANT, BOI, EOI, IMAGE)
PUNCTUATION = ".,:?"

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
TEMPLATE_WORDS = f"plan is this what yes no {DESCRIBE}"


NAMES = sorted((name for noun in NOUNS for name in (noun, plural(noun)) if " " in name), key=len, reverse=True)
"""Names of several words, one and many of them, longest first: each is one token, "hot dogs" as "hot_dogs"."""
_SPLIT = re.compile(rf"\b(?:{'|'.join(NAMES)})\b|[{PUNCTUATION}]|[^\s{PUNCTUATION}]+")


def token_words(text: str) -> list[str]:
    """A text of the world as the tokenizer splits it: words, names of several words whole, and punctuation marks."""
    return [word.replace(" ", "_") for word in _SPLIT.findall(text)]


def vocabulary() -> list[str]:
    """Special tokens, punctuation, then every word of the world's texts in a fixed order."""
    words = dict.fromkeys(word for text in (*vocabulary_texts(), TEMPLATE_WORDS) for word in token_words(text))
    return [*SPECIAL, *PUNCTUATION, *(f"▁{word}" for word in words if word not in PUNCTUATION)]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word (with its leading space, so that text decodes as it was written) and one a punctuation mark."""
    vocab = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNK))
    joins = [normalizers.Replace(Regex(rf"\b{name}\b"), name.replace(" ", "_")) for name in dict.fromkeys(NAMES)]
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(rf"[^\w{PUNCTUATION}\s-]|_"), " "),
            normalizers.Replace(Regex(r"\s+"), " "),
            *joins,
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always", split=True),
            pre_tokenizers.Split(Regex(rf"[{PUNCTUATION}]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("_", " "), decoders.Metaspace(prepend_scheme="always", split=True)]
    )
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
        model_max_length=CONTEXT,
    )


def make_processor() -> JanusProcessor:
    image_processor = JanusImageProcessorPil(
        size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return JanusProcessor(
        image_processor, make_tokenizer(), chat_template=CHAT_TEMPLATE, num_image_tokens=NUM_IMAGE_TOKENS
    )


def make_vq_config(codebook_size: int) -> JanusVQVAEConfig:
    """The image tokenizer: 192 px to 6 x 6 tokens, thin where the picture is large."""
    return JanusVQVAEConfig(
        embed_dim=CODE_SIZE,
        num_embeddings=codebook_size,
        latent_channels=128,
        base_channels=32,
        channel_multiplier=[1, 1, 2, 2, 4, 4],
        num_res_blocks=1,
        num_patches=TOKENS_A_SIDE,
        projection_dim=HIDDEN,
        image_token_embed_dim=HIDDEN,
    )


def make_config(codebook_size: int, layers: int = 4, heads: int = 6, mlp: int = 512) -> JanusConfig:
    """The checkpoint's configuration; `codebook_size` is the number of distinct image tokens."""
    ids = {token: i for i, token in enumerate(vocabulary())}
    text = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=HIDDEN,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT,
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
        projection_dim=HIDDEN,
        num_image_tokens=NUM_IMAGE_TOKENS,
    )
    return JanusConfig(
        text_config=text,
        vision_config=vision,
        vq_config=make_vq_config(codebook_size),
        image_token_id=ids[IMAGE],
        tie_word_embeddings=False,
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
