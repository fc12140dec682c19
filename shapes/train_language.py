"""Stages 2 and 3: reasoning text, image tokens and yes/no understanding, in one network, trained together.

Every step sees four batches, formatted exactly as the search formats them:
- text: the reasoning instruction, then a plan that satisfies the prompt;
- image: "{prompt}. {plan}", then the image tokens of a scene that follows the plan; the condition is dropped in
  10% for guidance, and in 30% the prompt has nothing to do with the plan, so that drawing follows the plan;
- description: a picture, to be described; it teaches the vision tower to see far faster than one bit an image does;
- quiz: a picture and several questions about it, each answered "yes" or "no". A loss of its own: averaged with
  descriptions, one bit drowns. A third of the questions are about one thing: without them the others are never learned.
"""

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import JanusForConditionalGeneration, JanusProcessor

from shapes.model import DESCRIBE, QUESTION_TEMPLATE, REASONING_TEMPLATE, make_config, make_processor
from shapes.plans import random_plan, write_plan
from shapes.prompts import CATEGORIES, Prompt
from shapes.sampling import random_items, random_prompt, random_question, random_scene
from shapes.scene import PLACES, Item, render
from shapes.tokens import patch_tokens, tokenize
from shapes.training import Progress, learning_rate, load_state, save_state

logger = logging.getLogger(__name__)
CATEGORY_WEIGHTS = (0.08, 0.15, 0.15, 0.10, 0.20, 0.15, 0.17)  # in the order of CATEGORIES
DROP_CONDITION = 0.10
MISMATCH = 0.3
IMAGE_WEIGHT = 3.0  # most image tokens are plain ground and cost nothing: the mean hides what drawing is about
SIMPLE = 0.35  # share of the questions that are about one thing
QUESTIONS = 6  # about a picture


@dataclass
class Sequence:
    """Token ids of a chat and which of them are to be predicted: text, or the image tokens at its end."""

    ids: list[int]
    predicted: list[bool]
    is_image: bool = False
    pixels: np.ndarray | None = None


def answer(prompt: list[int], ids: list[int], is_image: bool = False) -> Sequence:
    """A prompt, then ids to be predicted."""
    return Sequence([*prompt, *ids], [False] * len(prompt) + [True] * len(ids), is_image)


class Curriculum:
    """Draws training sequences; everything random comes from the generator it is given."""

    def __init__(self, processor: JanusProcessor):
        self.processor = processor
        self.tokenizer = processor.tokenizer

    def _chat(self, text: str, with_image: bool = False) -> str:
        content = [{"type": "image"}] * with_image + [{"type": "text", "text": text}]
        chat = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        image = self.processor.replace_image_token({}, 0)
        return chat.replace(self.processor.image_token, image)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _prompt_and_scene(self, rng: random.Random) -> tuple[Prompt, list[Item]]:
        prompt = random_prompt(rng.choices(CATEGORIES, CATEGORY_WEIGHTS)[0], "train", rng)
        return prompt, random_scene(prompt, rng)

    def text(self, rng: random.Random) -> Sequence:
        prompt, items = self._prompt_and_scene(rng)
        chat = self._chat(REASONING_TEMPLATE.format(prompt=prompt.text()))
        plan = self._ids(random_plan(items, prompt, rng))
        return answer(self.tokenizer(chat).input_ids, [*plan, self.tokenizer.eos_token_id])

    def image(self, rng: random.Random) -> Sequence:
        prompt, items = self._prompt_and_scene(rng)
        if rng.random() < MISMATCH:
            items = random_items(rng.randint(1, 5), rng)
            plan = random_plan(items, None, rng)
        else:
            plan = random_plan(items, prompt, rng)
        chat = self._chat(f"{prompt.text()}. {plan}") + self.processor.image_start_token
        ids = self.tokenizer(chat).input_ids
        if rng.random() < DROP_CONDITION:
            ids = [ids[0], *[self.tokenizer.pad_token_id] * (len(ids) - 2), ids[-1]]
        return answer(ids, tokenize(render(items)), is_image=True)

    def description(self, rng: random.Random) -> Sequence:
        """A picture, and the plan that it could have been drawn from."""
        _, items = self._prompt_and_scene(rng)
        if rng.random() < 0.5:
            items = random_items(rng.randint(1, 5), rng)
        items = sorted(items, key=lambda item: PLACES.index(item.place))
        chat = self.tokenizer(self._chat(DESCRIBE, with_image=True)).input_ids
        described = answer(chat, [*self._ids(write_plan(items, "map")), self.tokenizer.eos_token_id])
        described.pixels = np.asarray(render(items), dtype=np.uint8)
        return described

    def quiz(self, rng: random.Random) -> Sequence:
        """A picture, and questions about it in turn: whether it is what a prompt asks for, half of them wrongly."""
        prompt, items = self._prompt_and_scene(rng)
        quiz = Sequence([], [], pixels=np.asarray(render(items), dtype=np.uint8))
        for turn in range(QUESTIONS):
            wanted = rng.random() < 0.5
            if turn or not wanted:
                prompt, wanted = random_question(items, wanted, rng.random() < SIMPLE, rng)
            ids = self.tokenizer(self._chat(QUESTION_TEMPLATE.format(prompt=prompt.text()), turn == 0)).input_ids
            ids = ids[1:] if turn else ids  # one beginning is enough
            said = [*self._ids("yes" if wanted else "no"), self.tokenizer.eos_token_id]
            quiz.ids += [*ids, *said]
            quiz.predicted += [False] * len(ids) + [True, False]
        return quiz


def sequence_loss(model: JanusForConditionalGeneration, sequences: list[Sequence], device: str):
    """Sum of the answers' cross-entropies, and how many answer tokens are predicted right.

    Rows are padded on the right: under causal attention no real token ever sees the padding.
    """
    length = max(len(s.ids) for s in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    predicted = torch.zeros(len(sequences), length, dtype=torch.bool)
    for row, s in enumerate(sequences):
        ids[row, : len(s.ids)] = torch.tensor(s.ids)
        predicted[row, : len(s.ids)] = torch.tensor(s.predicted)
    ids, predicted = ids.to(device), predicted.to(device)
    answers, is_image = ids[predicted], sequences[0].is_image
    if is_image:
        embeds = model.get_input_embeddings()(ids.masked_fill(predicted, 0))
        drawn = model.prepare_embeddings_for_image_generation(answers.view(len(sequences), -1))
        embeds = embeds.masked_scatter(predicted.unsqueeze(-1), drawn.flatten(0, 1))
    else:
        embeds = model.get_input_embeddings()(ids)
    if sequences[0].pixels is not None:
        pixels = torch.tensor(np.stack([s.pixels for s in sequences]), device=device)
        seen = model.model.get_image_features(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).pooler_output
        embeds = embeds.masked_scatter((ids == model.config.image_token_id).unsqueeze(-1), seen)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    hidden = hidden[:, :-1][predicted[:, 1:]]  # a token is read at the position before its own
    logits = model.model.generation_head(hidden) if is_image else model.lm_head(hidden)
    return F.cross_entropy(logits, answers, reduction="sum"), (logits.argmax(-1) == answers).sum().item()


def train_language(
    folder: Path,
    steps: int,
    batch: int,
    device: str,
    seed: int = 0,
    peak_lr: float = 2e-3,
    decay: float = 0.2,
) -> JanusForConditionalGeneration:
    """Train all of the model but its VQ autoencoder, or go on from the state in `folder`."""
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(make_config(len(patch_tokens()))).to(device).train()
    trained = [p for name, p in model.named_parameters() if not name.startswith("model.vqmodel.")]
    optimizer = torch.optim.AdamW(trained, lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.03)
    start = load_state(folder / "language.pt", model, optimizer)
    curriculum = Curriculum(make_processor())
    sizes = {"text": batch * 5 // 8, "image": batch * 3 // 2, "description": batch // 4, "quiz": batch // 2}
    progress = Progress("language", steps, start)
    for step in range(start, steps):
        rng = random.Random(f"language/{seed}/{step}")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak_lr, warmup=200, decay=decay)
        optimizer.zero_grad(set_to_none=True)
        figures = {}
        for kind, size in sizes.items():
            draw = getattr(curriculum, kind)
            sequences = sorted((draw(rng) for _ in range(size)), key=lambda s: len(s.ids))
            count = sum(sum(s.predicted) for s in sequences)
            weight = (IMAGE_WEIGHT if kind == "image" else 1.0) / count
            figures[kind] = figures[f"{kind}_right"] = 0.0
            for half in filter(None, (sequences[: size // 2], sequences[size // 2 :])):  # alike in length
                loss, right = sequence_loss(model, half, device)
                (weight * loss).backward()
                figures[kind] += loss.item() / count
                figures[f"{kind}_right"] += right / count
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        progress.report(step + 1, figures)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            save_state(folder / "language.pt", model, optimizer, step + 1)
    return model.eval()
