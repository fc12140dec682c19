"""Stages 2 and 3: reasoning text, image tokens and yes/no understanding, in one network, trained together.

Every step sees four batches, formatted exactly as the search formats them:
- text: the reasoning instruction, then a plan that satisfies the prompt;
- image: "{prompt}. {plan}", then the image tokens of a scene that follows the plan; the condition is dropped in
  10% for guidance, and in 15% the prompt has nothing to do with the plan, so that drawing follows the plan;
- description: a picture, to be described; it teaches the vision tower to see far faster than one bit an image does;
- question: a picture and a prompt, "yes" or "no". A loss of its own: averaged with descriptions, one bit drowns.
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
from shapes.plans import random_plan, satisfies, write_plan
from shapes.prompts import CATEGORIES, Prompt
from shapes.sampling import random_items, random_prompt, random_scene
from shapes.scene import COLORS, PLACES, SHAPES, Item, render
from shapes.tokens import patch_tokens, tokenize
from shapes.training import Progress, learning_rate, load_state, save_state

logger = logging.getLogger(__name__)
CATEGORY_WEIGHTS = (0.08, 0.15, 0.15, 0.10, 0.20, 0.15, 0.17)  # in the order of CATEGORIES
DROP_CONDITION = 0.10
MISMATCH = 0.15
IMAGE_WEIGHT = 3.0  # most image tokens are plain ground and cost nothing: the mean hides what drawing is about
IGNORED = -100


@dataclass
class Sequence:
    """Prompt ids, then what is to be predicted: text ids or image tokens. Understanding has pixels as well."""

    prompt: list[int]
    answer: list[int]
    is_image: bool = False
    pixels: np.ndarray | None = None


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
        while True:
            category = rng.choices(CATEGORIES, CATEGORY_WEIGHTS)[0]
            prompt = random_prompt(category, "train", rng)
            if items := random_scene(prompt, rng):
                return prompt, items

    def text(self, rng: random.Random) -> Sequence:
        prompt, items = self._prompt_and_scene(rng)
        chat = self._chat(REASONING_TEMPLATE.format(prompt=prompt.text()))
        plan = self._ids(random_plan(items, prompt, rng))
        return Sequence(self.tokenizer(chat).input_ids, [*plan, self.tokenizer.eos_token_id])

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
        return Sequence(ids, tokenize(render(items)), is_image=True)

    def description(self, rng: random.Random) -> Sequence:
        """A picture, and the plan that it could have been drawn from."""
        _, items = self._prompt_and_scene(rng)
        if rng.random() < 0.5:
            items = random_items(rng.randint(1, 5), rng)
        items = sorted(items, key=lambda item: PLACES.index(item.place))
        return self._seen(items, DESCRIBE, write_plan(items, "map"))

    def question(self, rng: random.Random) -> Sequence:
        """A picture, and whether it is what a prompt asks for; "no" half of the time, and half of that a near miss."""
        prompt, items = self._prompt_and_scene(rng)
        wanted = rng.random() < 0.5
        if not wanted and rng.random() < 0.5:
            _, items = self._prompt_and_scene(rng)  # easy to tell: without these, near misses are never learned
        while satisfies(items, prompt) != wanted:
            items = self._disturb(items, rng)
        return self._seen(items, QUESTION_TEMPLATE.format(prompt=prompt.text()), "yes" if wanted else "no")

    def _seen(self, items: list[Item], question: str, answer: str) -> Sequence:
        chat = self.tokenizer(self._chat(question, with_image=True)).input_ids
        pixels = np.asarray(render(items), dtype=np.uint8)
        return Sequence(chat, [*self._ids(answer), self.tokenizer.eos_token_id], pixels=pixels)

    def _disturb(self, items: list[Item], rng: random.Random) -> list[Item]:
        """The scene with one thing changed: a near miss is what a critic has to tell from a hit."""
        items = list(items)
        i = rng.randrange(len(items))
        item, free = items[i], [p for p in PLACES if p not in {x.place for x in items}]
        kind = rng.choice(("color", "shape", "place", "swap", "add", "remove", "size"))
        if kind == "color":
            items[i] = Item(item.shape, rng.choice(list(COLORS)), item.place, item.size)
        elif kind == "shape":
            items[i] = Item(rng.choice(SHAPES), item.color, item.place, item.size)
        elif kind == "size":
            items[i] = Item(item.shape, item.color, item.place, rng.choice(("small", "medium", "large")))
        elif kind == "place" and free:
            items[i] = Item(item.shape, item.color, rng.choice(free), item.size)
        elif kind == "swap" and len(items) > 1:
            j = rng.randrange(len(items))
            a, b = items[i], items[j]
            items[i], items[j] = Item(a.shape, a.color, b.place, a.size), Item(b.shape, b.color, a.place, b.size)
        elif kind == "add" and free:
            items.append(Item(item.shape, item.color, rng.choice(free), item.size))
        elif kind == "remove" and len(items) > 1:
            items.pop(i)
        return items


def sequence_loss(model: JanusForConditionalGeneration, sequences: list[Sequence], device: str):
    """Mean cross-entropy of the answers, and the share of answer tokens predicted right.

    Rows are padded on the right: under causal attention no real token ever sees the padding.
    """
    is_image = sequences[0].is_image
    length = max(len(s.prompt) + len(s.answer) for s in sequences)
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    targets = torch.full((len(sequences), length), IGNORED)
    for row, s in enumerate(sequences):
        start, end = len(s.prompt), len(s.prompt) + len(s.answer)
        ids[row, :start] = torch.tensor(s.prompt)
        if not is_image:
            ids[row, start:end] = torch.tensor(s.answer)
        targets[row, start - 1 : end - 1] = torch.tensor(s.answer)
    ids, targets = ids.to(device), targets.to(device)
    embeds = model.get_input_embeddings()(ids)
    predicted = targets != IGNORED
    if is_image:
        tokens = torch.tensor([s.answer for s in sequences], device=device)
        drawn = model.prepare_embeddings_for_image_generation(tokens).flatten(0, 1)
        after = torch.zeros_like(predicted)
        after[:, 1:] = predicted[:, :-1]  # the answer's own positions
        embeds = embeds.masked_scatter(after.unsqueeze(-1), drawn)
    if sequences[0].pixels is not None:
        pixels = torch.tensor(np.stack([s.pixels for s in sequences]), device=device)
        seen = model.model.get_image_features(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).pooler_output
        embeds = embeds.masked_scatter((ids == model.config.image_token_id).unsqueeze(-1), seen)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state[predicted]
    logits = model.model.generation_head(hidden) if is_image else model.lm_head(hidden)
    answers = targets[predicted]
    return F.cross_entropy(logits, answers), (logits.argmax(-1) == answers).float().mean().item()


def train_language(
    folder: Path,
    steps: int,
    batch: int,
    device: str,
    seed: int = 0,
    peak_lr: float = 2e-3,
    decay: float = 0.3,
) -> JanusForConditionalGeneration:
    """Train all of the model but its VQ autoencoder, or go on from the state in `folder`."""
    torch.manual_seed(seed)
    model = JanusForConditionalGeneration(make_config(len(patch_tokens()))).to(device).train()
    trained = [p for name, p in model.named_parameters() if not name.startswith("model.vqmodel.")]
    optimizer = torch.optim.AdamW(trained, lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.03)
    start = load_state(folder / "language.pt", model, optimizer)
    curriculum = Curriculum(make_processor())
    sizes = {"text": batch * 5 // 8, "image": batch * 5 // 4, "description": batch // 4, "question": batch}
    progress = Progress("language", steps, start)
    for step in range(start, steps):
        rng = random.Random(f"language/{seed}/{step}")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak_lr, warmup=200, decay=decay)
        optimizer.zero_grad(set_to_none=True)
        figures = {}
        for kind, size in sizes.items():
            draw = getattr(curriculum, kind)
            loss, right = sequence_loss(model, [draw(rng) for _ in range(size)], device)
            (IMAGE_WEIGHT * loss if kind == "image" else loss).backward()
            figures |= {kind: loss.item(), f"{kind}_right": right}
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        progress.report(step + 1, figures)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            save_state(folder / "language.pt", model, optimizer, step + 1)
    return model.eval()
