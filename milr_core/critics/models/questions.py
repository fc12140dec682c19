"""Two networks that answer questions about an image, GIT and BLIP: P(yes) / (P(yes) + P(no)) at the first token."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from milr_core.critics.base import Weights
from milr_core.critics.pretrained import Pretrained
from milr_core.errors import CriticError


class YesNo(Pretrained, ABC):
    """Asks several questions about each of several images."""

    def prepare(self) -> None:
        tokenizer = self.tokenizer
        self.yes, self.no = tokenizer.convert_tokens_to_ids(["yes", "no"])
        if tokenizer.unk_token_id in (self.yes, self.no):
            raise CriticError("its vocabulary has no 'yes' or no 'no'")

    @torch.no_grad()
    def yes_probability(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Tensor:
        """(images, questions) soft answers."""
        self.load()
        pixels = self.image_processor([image.convert("RGB") for image in images], return_tensors="pt")["pixel_values"]
        logits = self.answer_logits(pixels.to(self.device, self.dtype), questions)  # [images, questions, V]
        return logits[..., [self.yes, self.no]].float().softmax(-1)[..., 0].cpu()

    @abstractmethod
    def answer_logits(self, pixels: Tensor, questions: Sequence[str]) -> Tensor:
        """(images, questions, V) logits of the first answer token."""


class GitVqa(YesNo):
    weights = Weights("microsoft/git-large-vqav2", "GitForCausalLM", "question answering", 1.6, "MIT")
    images_kind = "CLIPImageProcessorPil"

    def answer_logits(self, pixels: Tensor, questions: Sequence[str]) -> Tensor:
        columns = []
        for question in questions:  # unequal lengths: the answer follows the last token of each
            ids = self.tokenizer(question, add_special_tokens=False).input_ids
            row = torch.tensor([[self.tokenizer.cls_token_id, *ids]], device=self.device).expand(len(pixels), -1)
            columns.append(self.model(input_ids=row, pixel_values=pixels, use_cache=False).logits[:, -1])
        return torch.stack(columns, 1)


class BlipVqa(YesNo):
    """480 pixels a side, as T2I-CompBench sets it: position embeddings are interpolated from the checkpoint's 384."""

    weights = Weights(
        "Salesforce/blip-vqa-capfilt-large", "BlipForQuestionAnswering", "question answering", 1.5, "BSD-3-Clause"
    )
    images_kind = "BlipImageProcessorPil"
    image_size: int | None = 480

    def prepare(self) -> None:
        super().prepare()
        if self.image_size:
            self.image_processor.size = {"height": self.image_size, "width": self.image_size}

    def answer_logits(self, pixels: Tensor, questions: Sequence[str]) -> Tensor:
        seen = self.model.vision_model(pixels, interpolate_pos_encoding=True).last_hidden_state  # [images, P, D]
        text = self.model.config.text_config
        begin = torch.full((len(pixels), 1), text.bos_token_id, device=self.device)
        columns = []
        # One question at a time for all images: padded to one length, transformers' BLIP gives other answers.
        for question in questions:
            ids = self.tokenizer(question, truncation=True, max_length=35, return_tensors="pt").input_ids
            # BLIP's own first token of a question, which follows the decoder's first in its vocabulary.
            if text.bos_token_id + 1 < text.vocab_size:
                ids[:, 0] = text.bos_token_id + 1
            states = self.model.text_encoder(
                input_ids=ids.to(self.device).expand(len(pixels), -1),
                encoder_hidden_states=seen,
                encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=self.device),
            ).last_hidden_state
            answer = self.model.text_decoder(input_ids=begin, encoder_hidden_states=states, use_cache=False)
            columns.append(answer.logits[:, 0])
        return torch.stack(columns, 1)
