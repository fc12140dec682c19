"""Janus through transformers: prompts, heads, image tokens to pixels, yes/no questions about an image.

Sizes, token ids, chat template and guidance come from the checkpoint's own files. What MILR adds to a checkpoint
(recommended settings, the instructions it was trained with) stands in an optional `milr.json` beside them.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import JanusForConditionalGeneration, JanusProcessor

from milr_core.errors import InputError
from milr_core.janus.backends import image_head, language_stack, pixel_decoder
from milr_core.janus.configuration import parts_of
from milr_core.janus.decode import guided
from milr_core.janus.description import PROMPT, description_of
from milr_core.janus.finite import check_finite
from milr_core.janus.reading import Reading, reader_named, typed
from milr_core.janus.transformer import Cache
from milr_core.janus.weight_files import weights_hash

PAPER_GUIDANCE = 5.0


class Janus:
    """A loaded checkpoint. Weights are frozen; latents are the only thing that a search differentiates.

    `text_head`, `image_head`: last-layer outputs to logits. `recommended`: search settings the checkpoint asks for.
    """

    def __init__(self, name: str, folder: Path, device: str | torch.device, dtype: torch.dtype, **options: Any):
        """options: of transformers' `from_pretrained`; where they place or quantise the weights, this does not."""
        self.name, self.folder = name, folder
        # Their classes' hints leave out what they take from the checkpoint's files.
        self.processor: Any = JanusProcessor.from_pretrained(folder)
        hf: Any = JanusForConditionalGeneration.from_pretrained(folder, dtype=dtype, **options)
        self.hf = (hf if "device_map" in options else hf.to(device)).eval()
        self.hf.requires_grad_(False)
        if torch.device(device).type == "cpu":
            self.hf.model.vqmodel.float()  # convolutions in 16 bits take minutes on a CPU without instructions for them
        self.device, self.dtype = torch.device(device), dtype
        self.stack = language_stack(self.hf.model.language_model)
        self._decode_pixels = pixel_decoder(self.hf.model.vqmodel)
        self._image_logits = image_head(self.hf.model.generation_head)
        self.embed = self.hf.get_input_embeddings()
        self.num_image_tokens: int = self.hf.model.vision_model.config.num_image_tokens
        with torch.no_grad():
            codes = torch.arange(parts_of(self.hf.config)[2].num_embeddings, device=device)
            self.image_embeddings = self.hf.prepare_embeddings_for_image_generation(codes)  # [V, D]
        tokenizer = self.processor.tokenizer
        self.end_token: int = tokenizer.eos_token_id
        generation = self.hf.generation_config
        if tokenizer.bos_token is not None and tokenizer("").input_ids[:1] != [tokenizer.bos_token_id]:
            tokenizer.add_bos_token = True  # every Janus begins with it, whatever its tokenizer's files say
        # What transformers pads the row without a condition with; the tokenizer may pad with something else.
        self.pad_token: int = generation.pad_token_id if generation.pad_token_id is not None else tokenizer.pad_token_id
        described = description_of(folder)
        self.reasoning_template, self.question_template = described.reasoning_template, described.question_template
        self.max_text_tokens, self.can_draw = described.max_text_tokens, described.can_draw
        self.recommended: dict[str, Any] = {
            "guidance": generation.guidance_scale or PAPER_GUIDANCE,
            **described.recommended,
        }
        self._reader = reader_named(described.reader)
        # What stands for a turn, an image or an end where the tokenizer meets it in a text.
        self._control = {
            number: token.content
            for number, token in tokenizer.added_tokens_decoder.items()
            if number != tokenizer.unk_token_id and (token.special or re.fullmatch("<.+>", token.content))
        }
        self._control_words = re.compile(
            "|".join(map(re.escape, {*self._control.values(), self.processor.image_token}))
        )
        # The longest thing decoded, but for the prompt: instruction or chat markup, reasoning, then the image.
        around = max(len(self._encoded(self._instruction(""))), len(self._encoded(self._drawing("", ""))))
        self.most_prompt_tokens: int = self.stack.max_positions - around - self.max_text_tokens - self.num_image_tokens
        if self.most_prompt_tokens < 1:
            raise InputError(
                f"{name} has {self.stack.max_positions} positions: too few for a prompt, {self.max_text_tokens} text "
                f"tokens and {self.num_image_tokens} image tokens. Lower max_text_tokens in its milr.json."
            )

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weight file, or of the hashes of several; says whether these weights made a saved run."""
        return weights_hash(self.folder)

    def chat(self, text: str, with_image: bool = False) -> str:
        """A user's turn, and the beginning of the answer, as the checkpoint writes them.

        Control tokens written in the text are broken up: they stay words to read.
        """
        text = self._control_words.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        content: list[dict[str, str]] = [{"type": "image"}] if with_image else []
        content.append({"type": "text", "text": text})
        return self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    def _instruction(self, text: str) -> str:
        return self.chat(self.reasoning_template.replace(PROMPT, text))

    def _drawing(self, text: str, reasoning: str) -> str:
        return self.chat(f"{text}. {reasoning}") + self.processor.image_start_token

    def _encoded(self, text: str) -> Tensor:
        return self.processor.tokenizer(text, return_tensors="pt").input_ids[0].to(self.device)

    def read_prompt(self, prompt: str) -> Reading:
        """What the model takes a prompt for; the prompt itself unless the checkpoint has a reader of its own.

        Raises:
            InputError: it has one, and this is no prompt that it can draw.
        """
        read = self._reader(prompt)
        return Reading(read.text, tuple(read.notes))  # without what a world's own reading holds beside them

    def check_prompt(self, prompt: str) -> str:
        """The prompt, stripped.

        Raises:
            InputError: empty, too long for the model's context, with control tokens of the model's, or with words that
                the tokenizer or the model's reader does not have.
        """
        prompt, tokenizer = typed(prompt), self.processor.tokenizer
        given = tokenizer(prompt, add_special_tokens=False).input_ids
        met = (self._control[i] for i in given if i in self._control)  # some tokenizers give one for an unknown word
        if control := [*self._control_words.findall(prompt), *(c for c in met if c.lower() in prompt.lower())]:
            raise InputError(f"'{control[0]}' steers {self.name} and is nothing to draw. Take it out of the prompt.")
        text = self.read_prompt(prompt).text
        ids = tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) > self.most_prompt_tokens:
            raise InputError(
                f"The prompt has {len(ids)} tokens; {self.name} takes at most {self.most_prompt_tokens}. Shorten it."
            )
        if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
            words = [
                w for w in text.split() if tokenizer.unk_token_id in tokenizer(w, add_special_tokens=False).input_ids
            ]
            said = ", ".join(dict.fromkeys(w.strip(".,:;!?\"'") or w for w in words)) or prompt
            said = said if len(said) <= 200 else f"{said[:200]}…"
            raise InputError(f"{self.name} does not know: {said}. {self.can_draw}".strip())
        return prompt

    def reasoning_ids(self, prompt: str) -> Tensor:
        """(T,) token ids of the instruction to reason about a prompt."""
        return self._encoded(self._instruction(self.read_prompt(prompt).text))

    def image_ids(self, prompt: str, reasoning: str) -> Tensor:
        """(2, T) token ids from which an image is drawn: with the condition, and without (all but the ends padded)."""
        row = self._encoded(self._drawing(self.read_prompt(prompt).text, reasoning))
        bare = torch.full_like(row, self.pad_token)
        bare[0], bare[-1] = row[0], row[-1]
        return torch.stack([row, bare])

    def question(self, prompt: str) -> str:
        """What the model is asked about an image of the prompt, to be answered with yes or no."""
        return self.question_template.replace(PROMPT, self.read_prompt(prompt).text)

    @torch.no_grad()
    def prefill(self, ids: Tensor, cache: Cache) -> Tensor:
        """Append (B, T) token ids to a cache; the (B, D) last outputs."""
        return self.stack.forward(self.embed(ids), cache)[:, -1]

    def text_head(self, z: Tensor) -> Tensor:
        """(..., D) latents -> (..., V) logits over the vocabulary."""
        return self.hf.lm_head(z.to(self.dtype))

    def image_head(self, z: Tensor, guidance: float | Tensor) -> Tensor:
        """(..., 2, D) latents -> (..., V) guided logits over the codebook."""
        return guided(self._image_logits(z.to(self.dtype)).float(), guidance)

    def text_of(self, tokens: Tensor) -> str:
        return self.processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()

    def token_strings(self, tokens: Tensor) -> list[str]:
        """Each token as it reads in the text, special tokens included."""
        return [self.processor.tokenizer.decode([token]) for token in tokens.tolist()]

    @torch.no_grad()
    def images_of(self, tokens: Tensor) -> list[Image.Image]:
        """(n, N) image tokens -> n RGB images of the model's own size."""
        pixels = self._decode_pixels(tokens).float().cpu()
        check_finite(pixels, "image decoder", self.hf.model.vqmodel.dtype)
        return self.processor.postprocess(list(pixels), return_tensors="PIL.Image.Image")["pixel_values"]

    def question_inputs(self, images: Sequence[Image.Image], question: str) -> Any:
        """The network's inputs for one question about each of some images."""
        chat = self.chat(question, with_image=True)
        inputs = self.processor(text=[chat] * len(images), images=list(images), return_tensors="pt").to(self.device)
        inputs["pixel_values"] = inputs["pixel_values"].to(self.dtype)
        return inputs

    @cached_property
    def _answers(self) -> tuple[list[int], list[int]]:
        def first_tokens(words: Sequence[str]) -> list[int]:
            tokenizer = self.processor.tokenizer
            ids = {tokenizer(word, add_special_tokens=False).input_ids[0] for word in words}
            return sorted(ids - {tokenizer.unk_token_id})

        return first_tokens(("yes", "Yes", " yes", " Yes")), first_tokens(("no", "No", " no", " No"))

    @torch.no_grad()
    def yes_probability(self, images: Sequence[Image.Image], question: str) -> Tensor:
        """(n,) P(yes) / (P(yes) + P(no)) at the first answer token, for one question about each of n images."""
        inputs = self.question_inputs(images, question)
        logits = self.hf(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float().cpu()
        check_finite(logits, "answer to a question about an image", self.dtype)
        yes, no = (logits[:, ids].logsumexp(-1) for ids in self._answers)
        return torch.sigmoid(yes - no)  # the same, and a number where both are too unlikely to be told from 0
