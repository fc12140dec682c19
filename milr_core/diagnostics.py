"""What a trajectory shows beyond its scores: how sure each token was, what changed, and how a search can fail.

Pure functions of steps, which need neither model nor torch: what they know of a token's probability is what
`milr_core.probabilities` has noted. The failures are those of the paper's section 4.4.1; each detector compares a step
with step 0 of its own run, so none knows which model drew.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from milr_core.state import Step

NGRAM = 4
"""Tokens in a phrase that must not keep coming back."""

REPEATED, REPEATED_MORE = 0.5, 0.25
"""Textual collapse: this share of the text repeats itself, and this much more of it than at step 0."""

STRANGER = 1.5
"""Collapse: the mean surprise of the tokens to the model itself is this much above step 0's, in nats; each of them
is then 4.5 times less likely. On the embedded model healthy searches stay below 1.3, degenerate ones go beyond 2."""

LEAST = 5e-4
"""Probabilities are kept with three decimals; what reads 0 is taken as this."""

DISAGREE = 0.1
"""Reward hacking: the critic rose by this since step 0 while a held-out critic fell by as much."""


def text_diff(tokens: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[str, int]]:
    """How `tokens`, or words, differ from `other`, in reading order: ("kept" or "inserted", index in tokens) and
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
    """Something worth knowing about a step. detail: the figures it rests on, in words.

    kind: "textual collapse", "visual collapse", "reward hacking", "no change" or "early stop".
    """

    kind: str
    detail: str


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


def surprise(own: Sequence[float]) -> float:
    """Mean of -log p of tokens under the model's own output, in nats; 0 of none."""
    return -sum(math.log(max(p, LEAST)) for p in own) / max(len(own), 1)


def _stranger(what: str, now: Sequence[float], before: Sequence[float]) -> str:
    """Say that tokens surprise the model far more than at step 0; empty where they do not."""
    ours, theirs = surprise(now), surprise(before)
    if ours < theirs + STRANGER:
        return ""
    return f"A token of the {what} surprises the model by {ours:.1f} nats on average; at step 0 it was {theirs:.1f}."


def textual_collapse(step: Step, first: Step) -> Flag | None:
    """The text degenerates into repetition, or into words that the model would never write."""
    now, before = repetition(step.text_tokens), repetition(first.text_tokens)
    said = ""
    if now >= REPEATED and now >= before + REPEATED_MORE:
        said = f"{now:.0%} of the text repeats earlier phrases; at step 0 it was {before:.0%}."
    elif step.probabilities and first.probabilities:
        said = _stranger("text", step.probabilities.text_own, first.probabilities.text_own)
    return Flag("textual collapse", said) if said else None


def visual_collapse(step: Step, first: Step) -> Flag | None:
    """The image leaves what the model would draw: its prefix does, or the rest that has to follow it."""
    if not (step.probabilities and first.probabilities):
        return None
    said = _stranger("image", step.probabilities.image_own, first.probabilities.image_own)
    return Flag("visual collapse", said) if said else None


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
    """What there is to say about a step, collapses first."""
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
