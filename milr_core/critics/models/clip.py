"""CLIP: images and texts as unit vectors of one space."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from milr_core.critics.base import Weights
from milr_core.critics.pretrained import Pretrained


class Clip(Pretrained):
    images_kind = "CLIPImageProcessorPil"

    @torch.no_grad()
    def of_images(self, images: Sequence[Image.Image]) -> Tensor:
        """(n, D) unit vectors."""
        self.load()
        pixels = self.image_processor([image.convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
        return normalize(self.model.get_image_features(pixel_values=pixels.to(self.device)).pooler_output, dim=-1)

    @torch.no_grad()
    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """(n, D) unit vectors; a text beyond the model's length is cut."""
        self.load()
        longest = self.model.config.text_config.max_position_embeddings
        inputs = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(self.device)  # fmt: skip
        return normalize(self.model.get_text_features(**inputs).pooler_output, dim=-1)


class ClipLarge(Clip):
    weights = Weights("openai/clip-vit-large-patch14", "CLIPModel", "image and text encoder", 1.7, "MIT")


class ClipBase(Clip):
    weights = Weights("openai/clip-vit-base-patch32", "CLIPModel", "image and text encoder", 0.6, "MIT")


class ClipPreference(Clip):
    """CLIP H/14 trained on what people prefer (HPSv2, PickScore): the cosine of image and prompt is its mark."""

    weights = Weights("adams-story/HPSv2-hf", "CLIPModel", "preference of people", 3.9, "none stated")
