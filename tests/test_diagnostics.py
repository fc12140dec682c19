"""Detectors, differences and probabilities: on made-up steps that a failure would make, and on real ones."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from milr_core import Critic, Score, SearchSettings, reason
from milr_core.diagnostics import (
    changed_cells,
    flags,
    repetition,
    surprise,
    text_diff,
)
from milr_core.probabilities import inspected, token_probabilities
from milr_core.state import Cost, Probabilities, Step

SETTINGS = SearchSettings(
    strategy="joint", text_ratio=0.5, image_ratio=0.25, lr=0.5, guidance=3.0, steps=3, threshold=0.95, seed=3
)


def made_up(index=0, reward=0.5, text=(1, 2, 3, 4), image=(5, 6, 7, 8), own=0.9, image_own=0.9, **more):
    text, image = list(text), list(image)
    known = Probabilities(
        [0.9] * len(text), [own] * len(text), [0.1] * len(text),
        [0.9] * len(image), [image_own] * len(image), [0.1] * len(image),
    )  # fmt: skip
    values = dict(
        index=index, text="", image=Image.new("RGB", (4, 4)), score=Score(reward), best=0, settings=SETTINGS,
        cost=Cost(), text_tokens=text, token_strings=[str(t) for t in text], text_prefix=0,
        text_positions=[], image_tokens=image,
        image_positions=[], gradient_norm={}, update_norm={}, observed={}, method="search", state=None,
        probabilities=known,
    )  # fmt: skip
    return Step(**values | more)


def kinds(*steps):
    return [flag.kind for flag in flags(steps, len(steps) - 1)]


def test_a_step_like_the_first_has_no_flag():
    assert kinds(made_up(), made_up(1, image=(5, 6, 7, 9))) == []


def test_repetition_counts_phrases_that_come_back():
    assert repetition([1, 2, 3, 4, 5, 6, 7, 8]) == 0
    assert repetition([1, 2, 3, 4] * 4) == 0.75
    assert repetition([]) == 0


def test_textual_collapse_by_repetition_and_by_nonsense():
    assert kinds(made_up(text=range(16)), made_up(1, text=[1, 2, 3, 4] * 4)) == ["textual collapse"]
    # A plan that repeats itself from the start has not collapsed.
    assert kinds(made_up(text=[1, 2, 3, 4] * 4), made_up(1, text=[1, 2, 3, 5] * 4)) == []
    assert kinds(made_up(), made_up(1, text=(9, 9), own=0.01)) == ["textual collapse"]
    # What is not known is not guessed.
    assert kinds(made_up(), replace(made_up(1, text=(9, 9), own=0.01), probabilities=None)) == []


def test_visual_collapse():
    assert kinds(made_up(), made_up(1, image=(9, 9, 9, 9), image_own=0.05)) == ["visual collapse"]
    assert kinds(made_up(), made_up(1, image=(9, 9, 9, 9), image_own=0.4)) == []


def test_reward_hacking_needs_a_held_out_critic_that_falls():
    first = made_up(observed={"self": Score(0.6)})
    for value, expected in ((0.3, ["reward hacking"]), (0.55, []), (0.9, [])):
        assert kinds(first, made_up(1, 0.8, text=(9, 9), observed={"self": Score(value)})) == expected
    assert kinds(first, made_up(1, 0.5, text=(9, 9), observed={"self": Score(0.1)})) == []


def test_no_change_and_early_stop():
    assert kinds(made_up(), made_up(1)) == ["no change"]
    assert kinds(made_up(), made_up(1, 0.99)) == ["no change", "early stop"]
    assert kinds(made_up(reward=0.99)) == ["early stop"]
    assert kinds(*[made_up(i, 0.99, text=(i, i)) for i in range(4)]) == []  # the last step is no early stop


def test_surprise_is_in_nats_and_finite():
    assert surprise([1.0, 1.0]) == 0
    assert surprise([math.exp(-1)] * 3) == pytest.approx(1)
    assert math.isfinite(surprise([0.0])) and surprise([]) == 0


def test_text_diff_reads_in_order_and_rebuilds_both_texts():
    new, old = [1, 5, 3, 4, 9], [1, 2, 3, 4]
    edits = text_diff(new, old)
    assert edits == [("kept", 0), ("removed", 1), ("inserted", 1), ("kept", 2), ("kept", 3), ("inserted", 4)]
    assert [new[i] for kind, i in edits if kind != "removed"] == new
    assert text_diff([], [7]) == [("removed", 0)]


def test_changed_cells():
    assert changed_cells(made_up(image=(1, 2, 3, 4)), made_up(image=(1, 0, 3, 0))) == [1, 3]


@pytest.fixture(scope="module")
def states(tiny):
    class Grey(Critic):
        name = "grey"

        def score(self, images, prompt):
            return [Score(0.25, {"<b>": 0.5}, "grey") for _ in images]

    return [inspected(tiny, step.state) for step in reason(tiny, Grey(), "two red dogs", SETTINGS)]


def test_probabilities_are_those_the_tokens_were_decoded_with(states, tiny):
    first, last = states[0], states[-1]
    logits = tiny.text_head(first.drawn.text_hidden).float()
    p = torch.softmax(logits, -1)[range(len(first.drawn.text_tokens)), first.drawn.text_tokens]
    assert first.probabilities.text == pytest.approx(p.tolist(), abs=6e-4)
    assert first.probabilities.text == first.probabilities.text_own  # nothing is optimised yet
    # Where latents were optimised, the token comes from them: greedy text is their most likely token.
    at = last.step.text_prefix - 1
    decoded = torch.softmax(tiny.text_head(last.latents["text"].values[at]).float(), -1)
    assert last.probabilities.text[at] == pytest.approx(decoded.max().item(), abs=6e-4)
    assert last.probabilities.text_own != last.probabilities.text
    free = [i for i in range(tiny.num_image_tokens) if i not in last.step.image_positions]
    guided = torch.softmax(tiny.image_head(last.drawn.image_hidden, SETTINGS.guidance), -1)
    for i in free:
        assert last.probabilities.image[i] == pytest.approx(guided[i, last.drawn.image_tokens[i]].item(), abs=6e-4)
    for values in vars(last.probabilities).values():
        assert all(0 <= v <= 1 and v == round(v, 3) for v in values)


def test_a_model_that_cannot_tell_has_entropy_one(tiny, states, monkeypatch):
    monkeypatch.setattr(tiny, "text_head", lambda z: torch.zeros(*z.shape[:-1], tiny.hf.lm_head.out_features))
    assert set(token_probabilities(tiny, states[0]).text_entropy) == {1.0}
