"""What a trajectory shows beyond its scores: how sure each token was, what changed, and how a search can fail.

Pure functions of steps (`token_probabilities` needs the model as well). The failures are those of the paper's
section 4.4.1; each detector compares a step with step 0 of its own run, so none knows which model drew.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.state import State
from milr_core.steps import Probabilities, Step

NGRAM = 4
"""Tokens in a phrase that must not keep coming back."""

REPEATED, REPEATED_MORE = 0.5, 0.25
"""Textual collapse: this share of the text repeats itself, and this much more of it than at step 0."""

UNSURE, UNSURE_MORE = 2.0, 0.1
"""Visual collapse: the entropy of the free image tokens, as a multiple of step 0's, and in share of the largest."""

BLURRED = 0.5
"""Visual collapse: sharpness as a share of step 0's, together with a doubt that grew half as much as UNSURE asks."""

DISAGREE = 0.1
"""Reward hacking: the critic rose by this since step 0 while a held-out critic fell by as much."""


def _figures(logits: Tensor, tokens: Tensor) -> tuple[list[float], list[float]]:
    """Probability of each token, and the entropy of its distribution as a share of the largest, (n,) each."""
    log_p = torch.log_softmax(logits.float(), dim=-1)
    p = log_p.gather(-1, tokens.unsqueeze(-1)).squeeze(-1).exp()
    entropy = -(log_p.exp() * log_p).nan_to_num().sum(-1) / np.log(logits.shape[-1])
    return [[round(v, 3) for v in x.clamp(0, 1).tolist()] for x in (p, entropy)]


def _decoded_from(rollout: Tensor, latents: Latents | None) -> Tensor:
    """The rollout's outputs, with the optimised latents in the places that were decoded from them."""
    if latents is None:
        return rollout
    at = latents.positions < len(rollout)
    rollout = rollout.clone()
    rollout[latents.positions[at].to(rollout.device)] = latents.values[at.to(latents.values.device)].to(rollout)
    return rollout


@torch.no_grad()
def token_probabilities(model: Janus, state: State) -> Probabilities:
    """How likely each token was under what it was decoded from, with the step's guidance and temperature.

    At temperature 0 image tokens are looked at as with temperature 1.
    """
    state = state.to(model.device)
    text = model.text_head(_decoded_from(state.rollout_text, state.text_latents))
    image = model.image_head(_decoded_from(state.rollout_image, state.image_latents), state.settings.guidance)
    image = image / (state.settings.temperature or 1.0)
    return Probabilities(
        *_figures(text, torch.tensor(state.text_tokens, device=model.device)),
        *_figures(image, torch.tensor(state.image_tokens, device=model.device)),
    )


def inspected(model: Janus, state: State) -> State:
    """The state with its tokens' probabilities, for whoever looks at it later without a model."""
    return replace(state, probabilities=token_probabilities(model, state))


def text_diff(tokens: Sequence[int], other: Sequence[int]) -> list[tuple[str, int]]:
    """How `tokens` differ from `other`, in reading order: ("kept" or "inserted", index in tokens) and
    ("removed", index in other)."""
    edits: list[tuple[str, int]] = []
    for kind, i0, i1, j0, j1 in SequenceMatcher(None, list(other), list(tokens), autojunk=False).get_opcodes():
        if kind != "equal":
            edits += [("removed", i) for i in range(i0, i1)]
        edits += [("kept" if kind == "equal" else "inserted", j) for j in range(j0, j1)]
    return edits


def changed_cells(step: Step, other: Step) -> list[int]:
    """Positions of the image tokens that differ."""
    pairs = zip(step.image_tokens, other.image_tokens, strict=True)
    return [i for i, (ours, theirs) in enumerate(pairs) if ours != theirs]


@dataclass(frozen=True)
class Flag:
    """Something worth knowing about a step. kind: one of KINDS. detail: the figures it rests on, in words."""

    kind: str
    detail: str


KINDS = ("textual collapse", "visual collapse", "reward hacking", "no change", "early stop")


def repetition(tokens: Sequence[int], n: int = NGRAM) -> float:
    """Share of the tokens that stand in a phrase of n tokens which stood in the text before, in [0, 1]."""
    seen: Counter[tuple[int, ...]] = Counter()
    covered: set[int] = set()
    for i in range(len(tokens) - n + 1):
        phrase = tuple(tokens[i : i + n])
        if seen[phrase]:
            covered.update(range(i, i + n))
        seen[phrase] += 1
    return len(covered) / len(tokens) if tokens else 0.0


def sharpness(image: Image.Image) -> float:
    """Mean absolute Laplacian of the grey image; 0 is one even colour."""
    grey = np.asarray(image.convert("L"), dtype=np.float32)
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.abs(4 * inner - around).mean()) if inner.size else 0.0


def doubt(step: Step) -> float | None:
    """Mean entropy of the image tokens that the model decided by itself, in [0, 1]; None where it is not known."""
    if step.probabilities is None:
        return None
    given = set(step.image_positions)
    free = [e for i, e in enumerate(step.probabilities.image_entropy) if i not in given]
    return float(np.mean(free)) if free else None


def textual_collapse(step: Step, first: Step) -> Flag | None:
    """The text degenerates into repetition."""
    now, before = repetition(step.text_tokens), repetition(first.text_tokens)
    if now < REPEATED or now < before + REPEATED_MORE:
        return None
    return Flag("textual collapse", f"{now:.0%} of the text repeats earlier phrases; at step 0 it was {before:.0%}.")


def visual_collapse(step: Step, first: Step) -> Flag | None:
    """The optimised prefix leads where the model does not know how to go on, or to a blurred image."""
    now, before = doubt(step), doubt(first)
    if now is None or before is None:
        return None
    crisp, blur = sharpness(first.image), sharpness(step.image)
    lost = now >= UNSURE * before and now >= before + UNSURE_MORE
    blurred = blur <= BLURRED * crisp and now >= UNSURE / 2 * before + UNSURE_MORE / 2
    if not (lost or blurred):
        return None
    return Flag(
        "visual collapse",
        f"The model's doubt about the rest of the image is {now:.2f} (step 0: {before:.2f}; 1 is a blind guess), "
        f"its sharpness {blur:.1f} (step 0: {crisp:.1f}).",
    )


def reward_hacking(step: Step, first: Step) -> Flag | None:
    """The critic that steers the search is pleased, one that does not is not."""
    if step.reward < first.reward + DISAGREE:
        return None
    for name, score in step.observed.items():
        before = first.observed.get(name)
        if before is not None and score.value <= before.value - DISAGREE:
            return Flag(
                "reward hacking",
                f"Since step 0 the critic rose from {first.reward:.2f} to {step.reward:.2f} while the held-out critic "
                f"{name} fell from {before.value:.2f} to {score.value:.2f}.",
            )
    return None


def no_change(step: Step, previous: Step) -> Flag | None:
    """The update moved the latents, and no token."""
    if step.text_tokens != previous.text_tokens or step.image_tokens != previous.image_tokens:
        return None
    return Flag("no change", f"Every token of text and image is the same as at step {previous.index}.")


def early_stop(step: Step) -> Flag | None:
    """The score passed the threshold before the last step."""
    if step.reward <= step.settings.threshold or step.index >= step.settings.steps:
        return None
    return Flag(
        "early stop",
        f"The score {step.reward:.2f} is above the threshold {step.settings.threshold:g}, at step {step.index} of "
        f"{step.settings.steps} at most.",
    )


def flags(steps: Sequence[Step], index: int) -> list[Flag]:
    """What there is to say about a step, in the order of KINDS."""
    step, first = steps[index], steps[0]
    found = [early_stop(step)]
    if index:
        found = [
            textual_collapse(step, first),
            visual_collapse(step, first),
            reward_hacking(step, first),
            no_change(step, steps[index - 1]),
            *found,
        ]
    return [flag for flag in found if flag]
