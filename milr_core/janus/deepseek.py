"""DeepSeek's own checkpoint format: its configuration, read into transformers' terms.

A folder of that format says `model_type: multi_modality` and names its vision tower and its VQ model instead of
spelling out their sizes; the two tables below spell them out.
"""

from typing import Any

from transformers import JanusConfig, JanusVisionConfig, JanusVQVAEConfig, LlamaConfig

MODEL_TYPE = "multi_modality"
TOWERS: dict[str, dict[str, Any]] = {
    "siglip_large_patch16_384": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 16, "mlp_ratio": 4.0,
    },
}  # fmt: skip
DRAWERS: dict[str, dict[str, Any]] = {
    "VQ-16": {"base_channels": 128, "channel_multiplier": [1, 1, 2, 2, 4], "num_res_blocks": 2, "latent_channels": 256},
}
_NO_SIZES = {"model_type", "torch_dtype", "dtype", "_attn_implementation", "architectures", "transformers_version"}


def config_from(read: dict[str, Any]) -> JanusConfig:
    """The configuration that a config.json of DeepSeek's describes; token ids are the tokenizer's to add.

    Raises:
        KeyError: something is missing, or a tower or VQ model is named that the tables do not hold.
        ValueError: sizes do not go together.
    """
    parts = ("vision", "aligner", "gen_vision", "gen_aligner", "gen_head")
    vision, aligner, drawer, drawn, head = (read[f"{part}_config"]["params"] for part in parts)
    text = {key: value for key, value in read["language_config"].items() if key not in _NO_SIZES}
    if not head["n_embed"] == head["image_token_embed"] == drawn["n_embed"] == aligner["n_embed"]:
        raise ValueError("the width of image head and aligners differs")
    tower = dict(TOWERS[vision["model_name"]])
    last = vision.get("select_layer", -1)
    layers = tower["num_hidden_layers"]
    tower["num_hidden_layers"] = min(layers, layers + last + 1 if last <= 0 else last)
    return JanusConfig(
        text_config=LlamaConfig(**{"tie_word_embeddings": False, **text}),
        vision_config=JanusVisionConfig(
            **tower,
            image_size=vision["image_size"],
            projection_dim=aligner["n_embed"],
            depth=aligner["depth"],
            num_image_tokens=(vision["image_size"] // tower["patch_size"]) ** 2,
        ),
        vq_config=JanusVQVAEConfig(
            **DRAWERS[read["gen_vision_config"]["cls"]],
            embed_dim=drawer["n_embed"],
            num_embeddings=drawer["image_token_size"],
            projection_dim=drawn["n_embed"],
            image_token_embed_dim=head["image_token_embed"],
            num_hidden_layers=drawn["depth"],
        ),
        tie_word_embeddings=False,
    )
