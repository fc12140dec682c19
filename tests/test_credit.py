"""What a verdict's words say about the tokens of a text, and a search that goes by it."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

from milr_core import Critic, InputError, Score, SearchSettings, reason
from milr_core.coordinate import Coordinate, Verdict, likeliest_change, towards
from milr_core.credit import CLEARED, DOUBTED, UNKNOWN, alike, clauses, doubts, named
from milr_core.critics.base import FOUND, IGNORED, MISSED, Box
from milr_core.janus.workspace import RELUCTANCE, reluctant
from milr_core.search import STRATEGIES
from milr_core.state import Cost, Drawn

SETTINGS = SearchSettings(strategy="text", text_ratio=1.0, steps=4, seed=3, guidance=2.0)


def drawn(text, score):
    """A text whose tokens are its words and marks, and an end token that stands nowhere in it."""
    strings = text.replace(",", " ,").replace(".", " .").split() + ["<end>"]
    nothing = torch.empty(0)
    tokens = list(range(100, 100 + len(strings)))
    return Drawn(text, tokens, strings, nothing, [], nothing, Image.new("RGB", (1, 1)), score, {}, Cost())


def box(label, state):
    return Box(label, 0.0, 0.0, 0.5, 0.5, state)


def by_clause(text, score):
    one = drawn(text, score)
    weights = doubts(one)
    return [{weights[token] for token in clause.tokens} for clause in clauses(one)]


def test_every_token_is_in_one_clause_and_words_know_their_token():
    one = drawn("a king wears a crown. draw a bell at top-left, a crown at top.", Score(0.5))
    parts = clauses(one)
    assert [token for part in parts for token in part.tokens] == list(range(len(one.token_strings)))
    assert [one.token_strings[token] for token in parts[1].words.values()] == list(parts[1].words)
    assert "top-left" in parts[1].words


def test_what_nobody_asked_for_is_in_doubt_and_what_was_found_is_cleared():
    text = "a king wears a crown. draw a bell at top-left, a crown at top."
    seen = (box("yellow bell", FOUND), box("yellow crown", IGNORED))
    score = Score(0.4, {"two castles": 0.0, "a bell": 1.0}, boxes=seen)
    assert by_clause(text, score) == [{DOUBTED}, {CLEARED}, {DOUBTED, UNKNOWN}] or by_clause(text, score)[:2] == [
        {DOUBTED}, {CLEARED},
    ]  # fmt: skip
    one = drawn(text, score)
    assert [one.token_strings[token - 100] for token in sorted(named(one, asked=False))] == ["crown", "crown"]
    assert [one.token_strings[token - 100] for token in sorted(named(one, asked=True))] == ["bell"]


def test_a_part_that_fails_puts_in_doubt_what_it_is_about():
    text = "draw a cat at left, a red dog at top, a red dog at right, a blue car at bottom."
    seen = (box("gray cat", FOUND), box("red dog", FOUND), box("red dog", FOUND), box("blue car", FOUND))
    score = Score(0.7, {"a red dog left of a blue car": 0.5, "a cat": 1.0}, boxes=seen)
    cat, *rest = by_clause(text, score)
    assert cat == {CLEARED} and rest[:3] == [{DOUBTED}] * 3
    lost = by_clause("one thing, orange sheep left, orange rocket left.", Score(0.5, {"a rocket": 0.0}, boxes=(
        box("orange sheep", FOUND),)))  # fmt: skip
    assert lost[:3] == [{UNKNOWN}, {CLEARED}, {DOUBTED}]


def test_another_color_than_asked_for_is_in_doubt_beside_the_right_one():
    seen = (box("red dog", FOUND), box("blue dog", MISSED))
    parts = by_clause("draw a red dog at left, a blue dog at right.", Score(0.5, {"two red dogs": 0.5}, boxes=seen))
    assert parts[1] == {DOUBTED}


def test_a_critic_without_words_leaves_all_in_the_same_doubt():
    assert set(doubts(drawn("draw a dog.", Score(0.2)))) == {UNKNOWN}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [("dog", "dogs", True), ("berry", "berries", True), ("glass", "glasses", True), ("bear", "bean", False),
     ("car", "cat", False), ("car", "carrots", False), ("a", "as", False)],
)  # fmt: skip
def test_one_and_many_are_alike(a, b, same):
    assert alike(a, b) is alike(b, a) is same


def test_the_likeliest_change_is_made_where_there_is_doubt_and_never_twice():
    logits = torch.tensor([[2.0, 1.5, 0.0], [2.0, 1.0, 0.5], [9.0, 0.0, 0.0]])
    tokens = [0, 0, 0]
    assert likeliest_change(logits, tokens, [], [], Verdict([1, 1, 1], [], [])) == (0, 1)
    assert likeliest_change(logits, tokens, [], [], Verdict([0.1, 1, 1], [], [])) == (1, 1)
    assert likeliest_change(logits, tokens, [], [], Verdict([0.1, 1, 1], [1, 99], [])) == (1, 2), "1 names the unwanted"
    assert likeliest_change(logits, tokens, [0, 2], [1], Verdict([1, 1, 1], [], [1])) == (1, 2), "1 was tried"


def test_a_latent_is_moved_to_where_the_other_token_is_likeliest(tiny):
    z = torch.randn(tiny.image_embeddings.shape[-1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own, _, other = tiny.text_head(z).topk(3).indices.tolist()
    new, norm = towards(tiny, z, own, other)
    assert int(tiny.text_head(new).argmax()) == other and norm > 0


def test_unlikely_tokens_lose_their_lead():
    lowered = reluctant(lambda z: z.clone(), (1, 99))
    assert torch.equal(lowered(torch.tensor([[1.0, 2.0]])), torch.tensor([[1.0, 2.0 - RELUCTANCE]]))
    assert reluctant(torch.relu, ()) is torch.relu


class Silent(Critic):
    """A value of the pixels, and not a word."""

    name = "silent"

    def score(self, images, prompt):
        return [Score(0.5 + sum(image.resize((1, 1)).getpixel((0, 0))) / 1600) for image in images]


def test_moves_and_texts_anew_take_turns_and_credit_repeats_no_change(tiny):
    settings = replace(SETTINGS, steps=6, threshold=1.0)
    made = {
        update: list(reason(tiny, Silent(), "a red dog", replace(settings, text_update=update)))
        for update in ("mixture", "credit", "coordinate")
    }
    texts = {update: [step.text_tokens for step in steps] for update, steps in made.items()}
    assert texts["mixture"][1] == texts["coordinate"][1], "the first question is the same"
    for update in ("mixture", "credit"):
        assert [bool(step.text_positions) for step in made[update]] == [False, True, False, True, False, True, False]
    memory = made["credit"][-1].state.memory
    tried = list(zip(memory["tried"], memory["took"], strict=True))
    assert len(set(tried)) == len(tried)


def test_memory_that_is_none_is_refused(tiny):
    (first, *_) = reason(tiny, Silent(), "a red dog", replace(SETTINGS, steps=0))
    for memory in ({"tried": ["x"]}, {"turn": [-1]}, {"unwanted": 3}, {"took": [True]}):
        with pytest.raises(InputError, match="damaged"):
            STRATEGIES["credit"].propose(tiny, replace(first.state, memory=memory), SETTINGS)
    assert isinstance(STRATEGIES["credit"], Coordinate)
