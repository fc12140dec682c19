"""Reasoning text, image tokens and yes/no understanding, in one network, trained together.

Every step sees four batches, formatted exactly as the search formats them:
- text: the reasoning instruction, then a plan that satisfies the prompt;
- image: "{prompt}. {plan}", then the image tokens of a scene that follows the plan; the condition is dropped in
  10% for guidance, and in 40% the prompt has nothing to do with the plan, so that drawing follows the plan;
- description: a picture, to be described;
- quiz: a picture and several questions about it, each answered "yes" or "no". A loss of its own: averaged with
  descriptions, one bit drowns. A third of the questions are about one thing: without them the others are never learned.

What there is to know of the world's form is not left to chance. An image token's output row begins as the sum of a
vector of its noun, one of its color and one of its quarter, so that what is learned of a red dog holds for a blue one.
What the vision tower sees of a patch is also trained to point to the words for its noun and its color.
"""

import logging
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import JanusForConditionalGeneration

from milr_core.janus.configuration import parts_of
from world.model import (
    ASSISTANT,
    BOI,
    BOS,
    DESCRIBE,
    EOI,
    EOS,
    IMAGE,
    PAD,
    QUESTION_TEMPLATE,
    REASONING_TEMPLATE,
    USER,
    make_config,
    token_words,
    vocabulary,
)
from world.nouns import NOUNS
from world.phrases import Prompt
from world.plans import random_plan, write_plan
from world.sampling import random_category, random_items, random_prompt, random_question, random_scene, split_of
from world.scene import PLACES, Item, render
from world.tokens import NUM_IMAGE_TOKENS, PATCH, TINTS, Vocabulary, principal_codes, principal_components
from world.training import Muon, Progress, learning_rate, load_state, save_state

logger = logging.getLogger(__name__)
ADAM_LR, MUON_LR = 3e-3, 1e-2
DROP_CONDITION = 0.10
MISMATCH = 0.4
GROUND_SEEN = 1 / 3  # share of the plain ground's tokens that the loss looks at: there are many, and all alike
IMAGE_WEIGHT = 2.0
POINTING_WEIGHT = 0.3
SIMPLE = 0.35  # share of the questions that are about one thing
QUESTIONS = 6  # about a picture
SHARES = {"text": 0.5, "image": 1.0, "description": 0.2, "quiz": 0.3}  # of the batch
NOISE = 0.08  # largest standard deviation added to a picture that is looked at: drawn ones are not perfect either


@dataclass
class Sequence:
    """Token ids of a chat and which of them are to be predicted: text, or the image tokens at its end."""

    ids: list[int]
    predicted: list[bool]
    items: list[Item] | None = None
    is_image: bool = False


def answer(prompt: list[int], ids: list[int], is_image: bool = False) -> Sequence:
    """A prompt, then ids to be predicted."""
    return Sequence([*prompt, *ids], [False] * len(prompt) + [True] * len(ids), is_image=is_image)


class Curriculum:
    """Draws training sequences; everything random comes from the generator it is given.

    It splits texts itself (`token_words`), which is many times faster than the tokenizer and gives the same ids.
    """

    def __init__(self, words: Vocabulary):
        self.words = words
        self.id_of = {token.removeprefix("▁"): i for i, token in enumerate(vocabulary())}
        self.bos, self.eos, self.pad, self.boi, self.user, self.assistant = (
            self.id_of[token] for token in (BOS, EOS, PAD, BOI, USER, ASSISTANT)
        )
        self.picture = [self.boi, *[self.id_of[IMAGE]] * NUM_IMAGE_TOKENS, self.id_of[EOI]]

    def ids(self, text: str) -> list[int]:
        return [self.id_of[word] for word in token_words(text)]

    def chat(self, text: str, with_image: bool = False) -> list[int]:
        """Ids of a user's message, up to where the model answers; the beginning token not among them."""
        return [self.user, *(self.picture if with_image else ()), *self.ids(text), self.assistant]

    def _prompt(self, rng: random.Random) -> Prompt:
        """A prompt of the training split. In a world of fewer nouns they take the others' places, without riddles."""
        while True:
            prompt = random_prompt(random_category(rng), "train", rng)
            if self.words.nouns == NOUNS:
                return prompt
            if not prompt.facts():
                nouns = rng.sample(self.words.nouns, len(prompt.phrases))
                phrases = tuple(replace(p, noun=n) for p, n in zip(prompt.phrases, nouns, strict=True))
                prompt = replace(prompt, phrases=phrases)
                if split_of(prompt) == "train":
                    return prompt

    def _items(self, count: int, rng: random.Random) -> list[Item]:
        items = random_items(count, rng)
        return [
            i if i.noun in self.words.nouns else Item(rng.choice(self.words.nouns), i.color, i.place) for i in items
        ]

    def text(self, rng: random.Random) -> Sequence:
        prompt = self._prompt(rng)
        plan = self.ids(random_plan(random_scene(prompt, rng), prompt, rng))
        return answer([self.bos, *self.chat(REASONING_TEMPLATE.format(prompt=prompt.text()))], [*plan, self.eos])

    def image(self, rng: random.Random) -> Sequence:
        prompt = self._prompt(rng)
        if rng.random() < MISMATCH:
            items = self._items(rng.randint(1, 7), rng)
            plan = random_plan(items, None, rng)
        else:
            items = random_scene(prompt, rng)
            plan = random_plan(items, prompt, rng)
        ids = [self.bos, *self.chat(f"{prompt.text()}. {plan}"), self.boi]
        if rng.random() < DROP_CONDITION:
            ids = [ids[0], *[self.pad] * (len(ids) - 2), ids[-1]]
        return answer(ids, self.words.tokens(items).tolist(), is_image=True)

    def _looked_at(self, rng: random.Random) -> tuple[Prompt, list[Item]]:
        prompt = self._prompt(rng)
        return prompt, random_scene(prompt, rng)

    def description(self, rng: random.Random) -> Sequence:
        """A picture, and the plan that it could have been drawn from."""
        items = self._items(rng.randint(1, 5), rng) if rng.random() < 0.5 else self._looked_at(rng)[1]
        items = sorted(items, key=lambda item: PLACES.index(item.place))
        chat = [self.bos, *self.chat(DESCRIBE, with_image=True)]
        described = answer(chat, [*self.ids(write_plan(items, "map")), self.eos])
        described.items = items
        return described

    def quiz(self, rng: random.Random) -> Sequence:
        """A picture, and questions about it in turn: whether it is what a prompt asks for, half of them wrongly."""
        prompt, items = self._looked_at(rng)
        quiz = Sequence([self.bos], [False], items)
        for turn in range(QUESTIONS):
            wanted = rng.random() < 0.5
            if turn or not wanted:
                prompt, wanted = random_question(items, wanted, rng.random() < SIMPLE, rng)
            ids = self.chat(QUESTION_TEMPLATE.format(prompt=prompt.text()), with_image=turn == 0)
            quiz.ids += [*ids, self.id_of["yes" if wanted else "no"], self.eos]
            quiz.predicted += [False] * len(ids) + [True, False]
        return quiz


def looked_at(scenes: list[list[Item]], rng: random.Random) -> Tensor:
    """(B, 3, H, W) in [-1, 1]: pictures of scenes with some noise and blur, as drawn ones have."""
    pixels = torch.tensor(np.stack([np.asarray(render(items)) for items in scenes])).permute(0, 3, 1, 2).float()
    pixels = pixels / 127.5 - 1
    if rng.random() < 0.5:
        pixels = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.Generator().manual_seed(rng.getrandbits(32))
    return pixels + rng.uniform(0, NOISE) * torch.randn(pixels.shape, generator=noise)


class Trainee:
    """The model, and what its losses need to know of the world's tokens and words."""

    def __init__(self, model: JanusForConditionalGeneration, curriculum: Curriculum, device: str):
        self.model, self.curriculum, self.device = model, curriculum, device
        words = curriculum.words
        self.origin = torch.tensor(words.origin, device=device)  # [V, 3]: noun, tint, quarter
        self.noun_words = torch.tensor([curriculum.ids(noun)[0] for noun in words.nouns], device=device)
        self.color_words = torch.tensor([curriculum.ids(tint)[0] for tint in TINTS if tint], device=device)

    def _batch(self, sequences: list[Sequence]) -> tuple[Tensor, Tensor]:
        """(B, T) ids and what of them is predicted. Rows are padded on the right: under causal attention no real token
        ever sees the padding."""
        length = max(len(s.ids) for s in sequences)
        ids = torch.zeros(len(sequences), length, dtype=torch.long)
        predicted = torch.zeros(len(sequences), length, dtype=torch.bool)
        for row, s in enumerate(sequences):
            ids[row, : len(s.ids)] = torch.tensor(s.ids)
            predicted[row, : len(s.ids)] = torch.tensor(s.predicted)
        return ids.to(self.device), predicted.to(self.device)

    def _outputs(self, embeds: Tensor, predicted: Tensor) -> Tensor:
        """(n, D) last outputs at the positions before those that are predicted."""
        hidden = self.model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        return hidden[:, :-1][predicted[:, 1:]]

    def image_loss(self, sequences: list[Sequence], rng: random.Random) -> tuple[Tensor, float]:
        """Mean cross-entropy of the things' tokens and some of the ground's; the share of the things' that is right."""
        ids, predicted = self._batch(sequences)
        answers = ids[predicted]
        embeds = self.model.get_input_embeddings()(ids.masked_fill(predicted, 0))
        drawn = self.model.prepare_embeddings_for_image_generation(answers.view(len(sequences), -1))
        embeds = embeds.masked_scatter(predicted.unsqueeze(-1), drawn.flatten(0, 1))
        hidden = self._outputs(embeds, predicted)
        noise = torch.Generator().manual_seed(rng.getrandbits(32))
        chosen = (answers > 0) | (torch.rand(answers.shape, generator=noise).to(self.device) < GROUND_SEEN)
        logits, answers = self.model.model.generation_head(hidden[chosen]), answers[chosen]
        right = (logits.argmax(-1) == answers)[answers > 0].float().mean().item()
        return F.cross_entropy(logits, answers), right

    def text_loss(self, sequences: list[Sequence], rng: random.Random) -> tuple[Tensor, float]:
        """Mean cross-entropy of the answers, and the share of them that is right; with pictures, pointing as well."""
        ids, predicted = self._batch(sequences)
        embeds = self.model.get_input_embeddings()(ids)
        pointing: Tensor | float = 0.0
        scenes = [s.items for s in sequences if s.items is not None]
        if scenes:
            pixels = looked_at(scenes, rng).to(self.device)
            seen = cast(Tensor, cast(Any, self.model.model.get_image_features(pixels)).pooler_output)
            embeds = embeds.masked_scatter((ids == self.model.config.image_token_id).unsqueeze(-1), seen)
            pointing = self._pointing_loss(seen.reshape(-1, seen.shape[-1]), scenes)
        answers = ids[predicted]
        logits = self.model.lm_head(self._outputs(embeds, predicted))
        right = (logits.argmax(-1) == answers).float().mean().item()
        return F.cross_entropy(logits, answers) + POINTING_WEIGHT * pointing, right

    def _pointing_loss(self, seen: Tensor, scenes: list[list[Item]]) -> Tensor:
        """Cross-entropies of the noun and the color of each patch of a thing, by likeness to the words' embeddings."""
        tokens = np.concatenate([self.curriculum.words.tokens(items) for items in scenes])
        noun, tint, _ = self.origin[torch.tensor(tokens, device=self.device)].unbind(-1)
        words = cast(nn.Embedding, self.model.get_input_embeddings()).weight
        seen = F.normalize(seen, dim=-1)
        nouns = 16 * seen @ F.normalize(words[self.noun_words], dim=-1).T
        colors = 16 * seen @ F.normalize(words[self.color_words], dim=-1).T
        of_nouns = F.cross_entropy(nouns, noun, ignore_index=-1, reduction="sum") / (noun >= 0).sum()
        tinted = (tint > 0).sum().clamp(min=1)  # a picture may hold nothing that is tinted
        return of_nouns + F.cross_entropy(colors, (tint - 1).clamp(min=-1), ignore_index=-1, reduction="sum") / tinted


def begin(model: JanusForConditionalGeneration, words: Vocabulary) -> None:
    """What is known of the world's form before anything is learned: see the module's docstring."""
    code_size = parts_of(model.config)[2].embed_dim
    codes = principal_codes(words, code_size)
    model.model.vqmodel.quantize.embedding.weight.data = torch.from_numpy(codes).clone()
    head = cast(nn.Linear, model.model.generation_head.vision_head).weight
    parts = [torch.randn(n + 1, head.shape[1]) for n in words.origin.max(0) + 1]
    rows = sum((part[torch.from_numpy(words.origin[:, i]) + 1] for i, part in enumerate(parts)), torch.zeros(()))
    head.data = 0.05 * rows
    patches = cast(nn.Conv2d, model.model.vision_model.embeddings.patch_embedding).weight
    flat, basis = principal_components(words, min(len(patches), code_size))
    scaled = basis / (flat @ basis).std(0)
    kernels = scaled.T.reshape(-1, PATCH, PATCH, 3).transpose(0, 3, 1, 2)  # patches are rows of pixels, kernels planes
    patches.data[: len(kernels)] = torch.from_numpy(np.ascontiguousarray(kernels)).float()


def trained_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices between layers, for Muon; and embeddings, heads, norms and biases, for Adam. Not the image tokenizer."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        if name.startswith("model.vqmodel."):
            continue
        ends = ("embed" in name) or name.startswith("lm_head") or "vision_head" in name
        (rest if parameter.ndim != 2 or ends else matrices).append(parameter)
    return matrices, rest


def train_language(
    words: Vocabulary,
    folder: Path,
    steps: int,
    batch: int,
    device: str,
    seed: int = 0,
    stop_after: int | None = None,
) -> JanusForConditionalGeneration:
    """Train all of the model but its image tokenizer, or go on from the state in `folder`.

    stop_after: end this call at that step, with the state saved.
    """
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(make_config(len(words)))
    begin(model, words)
    nn.Module.to(model, device).train()
    matrices, rest = trained_parameters(model)
    muon = Muon(matrices, lr=MUON_LR)
    adam = torch.optim.AdamW(rest, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.02)
    path = folder / "language.pt"
    start = load_state(path, model, muon, adam)
    curriculum = Curriculum(words)
    trainee = Trainee(model, curriculum, device)
    progress = Progress("language", steps, start)
    end = min(steps, stop_after or steps)
    for step in range(start, end):
        rng = random.Random(f"language/{seed}/{step}")
        share = learning_rate(step, steps, 1.0, warmup=100, decay=0.4)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = share * MUON_LR, share * ADAM_LR
        for parameter in (*matrices, *rest):
            parameter.grad = None
        figures = {}
        for kind, part in SHARES.items():
            size = max(2, round(part * batch))
            draw = getattr(curriculum, kind)
            sequences = sorted((draw(rng) for _ in range(size)), key=lambda s: len(s.ids))
            loss_of = trainee.image_loss if kind == "image" else trainee.text_loss
            weight = IMAGE_WEIGHT if kind == "image" else 1.0
            figures[kind] = figures[f"{kind}_right"] = 0.0
            for half in (sequences[: size // 2], sequences[size // 2 :]):  # alike in length
                loss, right = loss_of(half, rng)
                (weight * len(half) / size * loss).backward()
                figures[kind] += loss.item() * len(half) / size
                figures[f"{kind}_right"] += right * len(half) / size
        nn.utils.clip_grad_norm_([*matrices, *rest], 1.0)
        muon.step()
        adam.step()
        progress.report(step + 1, figures)
        if (step + 1) % 100 == 0 or step + 1 == end:
            save_state(path, model, step + 1, muon, adam)
    return model.eval()
