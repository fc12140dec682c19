"""The search on a tiny random Janus: what a step must and must not change."""

import pickle
import random
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from milr_core import (
    Critic,
    CriticError,
    InputError,
    Score,
    SearchControl,
    SearchSettings,
    advance,
    best_of_n,
    reason,
    start,
)
from milr_core.janus.decode import pick
from milr_core.search import moving

PROMPT = "two red dogs left of a blue car"
SETTINGS = SearchSettings(text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=4, seed=3, guidance=2.0)


def key(step):
    """All that a step decoded, in a form that compares bit for bit."""
    return step.text, tuple(step.text_tokens), tuple(step.image_tokens), step.image.tobytes(), step.reward, step.best


def run(model, critic, settings=SETTINGS, **kwargs):
    return list(reason(model, critic, PROMPT, settings, **kwargs))


def test_a_step_unpacks_and_says_what_was_done(tiny, redness):
    steps = run(tiny, redness)
    assert [s.index for s in steps] == [0, 1, 2, 3, 4]
    text, image, reward = steps[2]
    assert (text, image, reward) == (steps[2].text, steps[2].image, steps[2].score.value)
    for step in steps:
        rewards = [s.reward for s in steps[: step.index + 1]]
        assert step.best == rewards.index(max(rewards)), "the first one on a tie"
        assert len(step.token_strings) == len(step.text_tokens) and len(step.image_tokens) == 16
        assert step.cost.image_rollouts == step.cost.critic_calls == 1 and step.cost.image_tokens == 16
    expected = max(1, int(0.3 * len(steps[0].text_tokens)))
    assert steps[0].text_prefix == 0 and steps[1].text_prefix == expected
    assert steps[1].image_positions == [0, 1, 2, 3]
    assert steps[1].gradient_norm["text"] > 0 and steps[1].update_norm["image"] > 0


def test_weights_stay_and_latents_move(tiny, redness):
    before = {name: p.clone() for name, p in tiny.hf.named_parameters()}
    steps = run(tiny, redness)
    assert all(torch.equal(p, before[name]) for name, p in tiny.hf.named_parameters())
    assert not any(p.requires_grad or p.grad is not None for p in tiny.hf.parameters())
    first, second = steps[1].state, steps[2].state
    assert not torch.equal(first.latents["text"].values, second.latents["text"].values)
    assert not torch.equal(first.latents["image"].values, second.latents["image"].values)


def test_step_zero_latents_are_those_the_tokens_were_decoded_from(tiny, redness):
    state = start(tiny, redness, PROMPT, SETTINGS)
    tokens = tiny.text_head(state.drawn.text_hidden).argmax(-1)
    assert tokens.tolist() == state.drawn.text_tokens
    uniform = torch.rand(16, generator=torch.Generator().manual_seed(SETTINGS.seed))
    assert pick(tiny.image_head(state.drawn.image_hidden, 2.0), uniform, 1.0).tolist() == state.drawn.image_tokens


def test_new_tokens_come_from_the_new_latents(tiny, redness):
    state = start(tiny, redness, PROMPT, SETTINGS)
    after = advance(tiny, redness, state, SETTINGS)
    n = len(after.latents["text"])
    prefix = tiny.text_head(after.latents["text"].values).argmax(-1).tolist()
    assert after.drawn.text_tokens[:n] == prefix[: len(after.drawn.text_tokens)]
    generator = torch.Generator()
    generator.set_state(state.random)
    uniform = torch.rand(16, generator=generator)[:4]
    drawn = pick(tiny.image_head(after.latents["image"].values, 2.0), uniform, 1.0)
    assert after.drawn.image_tokens[:4] == drawn.tolist()


def test_a_low_score_pushes_away_from_the_decoded_tokens(tiny, redness):
    """One step of the search itself: log p of the tokens that made a bad image falls, for text and for image."""
    settings = replace(SETTINGS, lr=0.01)
    state = start(tiny, redness, PROMPT, settings)
    after = advance(tiny, redness, state, settings)
    n = len(after.latents["text"])

    def text_log_p(z):
        return torch.log_softmax(tiny.text_head(z), -1)[range(n), state.drawn.text_tokens[:n]].sum()

    def image_log_p(z):
        return torch.log_softmax(tiny.image_head(z, 2.0), -1)[range(4), state.drawn.image_tokens[:4]].sum()

    assert state.reward < 1
    assert text_log_p(after.latents["text"].values) < text_log_p(state.drawn.text_hidden[:n])
    assert image_log_p(after.latents["image"].values) < image_log_p(state.drawn.image_hidden[:4])


@pytest.mark.parametrize("strategy", ["joint", "alt", "t2v", "text", "image"])
def test_strategies_move_what_algorithm_2_says(tiny, redness, strategy):
    steps = run(tiny, redness, replace(SETTINGS, strategy=strategy))
    for before, after in zip(steps, steps[1:], strict=False):
        moves = moving(strategy, after.index, SETTINGS.steps)
        assert after.update_norm.keys() == after.gradient_norm.keys() == moves
        if "text" not in moves:
            assert after.text_tokens == before.text_tokens and after.cost.text_tokens == 0
        old, new = before.state.latents, after.state.latents
        for kind in old.keys() & new.keys():
            assert torch.equal(old[kind].values, new[kind].values) != (kind in moves)
    assert steps[-1].state.latents.keys() == {"text": {"text"}, "image": {"image"}}.get(strategy, {"text", "image"})


def test_schedule_of_algorithm_2():
    assert [moving("alt", k, 4) for k in (1, 2, 3, 4)] == [{"text"}, {"image"}] * 2
    assert [moving("t2v", k, 5) for k in (1, 2, 3, 4, 5)] == [{"text"}] * 2 + [{"image"}] * 3
    assert moving("joint", 1, 4) == {"text", "image"} and moving("image", 3, 4) == {"image"}


def test_same_seed_same_run_and_no_global_random_state(tiny, redness):
    torch.manual_seed(11)
    random.seed(11)
    np.random.seed(11)
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first = [key(s) for s in run(tiny, redness)]
    assert torch.equal(states[0], torch.random.get_rng_state()) and states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])
    torch.manual_seed(99)
    assert first == [key(s) for s in run(tiny, redness)]
    assert first != [key(s) for s in run(tiny, redness, replace(SETTINGS, seed=4))]


@pytest.mark.parametrize("strategy", ["joint", "alt"])
def test_a_pickled_state_continues_as_if_nothing_had_happened(tiny, redness, strategy):
    settings = replace(SETTINGS, strategy=strategy, positions="random")
    whole = run(tiny, redness, settings)
    state = pickle.loads(pickle.dumps(whole[2].state.to("cpu")))
    assert [key(s) for s in reason(tiny, redness, "", state=state)] == [key(s) for s in whole[3:]]


def test_advancing_does_not_change_the_state_it_starts_from(tiny, redness):
    state = run(tiny, redness)[1].state
    before = pickle.dumps((state.latents["text"].values, state.random, state.drawn.text_tokens, state.values))
    advance(tiny, redness, state, SETTINGS)
    assert pickle.dumps((state.latents["text"].values, state.random, state.drawn.text_tokens, state.values)) == before


def test_a_fork_shares_the_past_and_differs_after(tiny, redness):
    whole = run(tiny, redness)
    fork = list(reason(tiny, redness, "", replace(SETTINGS, lr=5.0), state=whole[2].state))
    assert [s.index for s in fork] == [3, 4] and fork[0].settings.lr == 5.0
    assert [s.state.values[:3] for s in fork] == [whole[2].state.values] * 2
    assert fork[0].update_norm["text"] > 2 * whole[3].update_norm["text"]
    other_seed = next(reason(tiny, redness, "", replace(SETTINGS, seed=77), state=whole[2].state))
    assert other_seed.image_tokens != whole[3].image_tokens


def test_live_settings_are_in_force_from_the_next_step_and_recorded(tiny, redness):
    control = SearchControl()
    steps = []
    for step in reason(tiny, redness, PROMPT, SETTINGS, control):
        steps.append(step)
        if step.index == 1:
            control.change(lr=0.001, text_ratio=0.6, image_ratio=0.125)
    assert [s.settings.lr for s in steps] == [0.5, 0.5, 0.001, 0.001, 0.001]
    assert [len(s.image_positions) for s in steps[1:]] == [4, 2, 2, 2]
    counts = steps[2].state.latents["text"].count.tolist()
    assert [counts[0], counts[-1]] == [2, 1]
    assert steps[2].update_norm["image"] < 0.1 * steps[1].update_norm["image"]
    replayed = steps[1].state
    for step in steps[2:]:
        replayed = advance(tiny, redness, replayed, step.settings)
        assert key(replayed.step) == key(step), "a hand-tuned run replays exactly"


def test_bad_live_settings_are_refused_and_change_nothing(tiny):
    control = SearchControl()
    for bad in ({"lr": 0}, {"text_ratio": float("nan")}, {"seed": 3}, {"nonsense": 1}):
        with pytest.raises(InputError):
            control.change(**bad)
    assert control.in_force(SETTINGS) == SETTINGS


def test_stop_takes_effect_within_a_token_and_the_rest_can_be_continued(tiny, redness):
    whole = [key(s) for s in run(tiny, redness)]
    control, polls = SearchControl(), []
    poll = control.poll

    def counting_poll():
        polls.append(1)
        if len(polls) == 60:
            control.stop()
        poll()

    control.poll = counting_poll
    steps = list(reason(tiny, redness, PROMPT, SETTINGS, control))
    assert len(polls) == 60, "nothing is decoded after the stop"
    assert 0 < len(steps) < 5 and [key(s) for s in steps] == whole[: len(steps)]
    rest = reason(tiny, redness, "", state=steps[-1].state)
    assert [key(s) for s in steps] + [key(s) for s in rest] == whole


def test_pause_holds_between_two_tokens_and_going_on_changes_nothing(tiny, redness):
    whole = [key(s) for s in run(tiny, redness)]
    control, seen = SearchControl(), []
    control.pause()
    worker = threading.Thread(target=lambda: seen.extend(reason(tiny, redness, PROMPT, SETTINGS, control)))
    worker.start()
    worker.join(0.3)
    assert worker.is_alive() and not seen
    control.go_on()
    worker.join(60)
    assert [key(s) for s in seen] == whole


def test_closing_the_generator_ends_it(tiny, redness):
    steps = reason(tiny, redness, PROMPT, SETTINGS)
    next(steps)
    steps.close()
    assert list(steps) == []


def test_early_stop_above_tau_only(tiny, redness):
    value = run(tiny, redness)[0].reward
    assert len(run(tiny, redness, replace(SETTINGS, threshold=value))) > 1
    assert len(run(tiny, redness, replace(SETTINGS, threshold=value - 1e-6))) == 1
    assert len(run(tiny, redness, replace(SETTINGS, steps=0, threshold=1.0))) == 1


class Broken(Critic):
    """Fails at its third image."""

    name = "broken"

    def __init__(self, failure):
        self.failure, self.calls = failure, 0

    def score(self, images, prompt):
        self.calls += 1
        if self.calls == 3:
            return self.failure()
        return [Score(0.5) for _ in images]


@pytest.mark.parametrize(
    "failure", [lambda: 1 / 0, lambda: [], lambda: [Score(1.5)], lambda: [Score(float("nan"))], lambda: None]
)
def test_a_failing_critic_raises_and_is_never_a_score(tiny, failure):
    steps = []
    with pytest.raises(CriticError):
        for step in reason(tiny, Broken(failure), PROMPT, SETTINGS):
            steps.append(step)
    assert [s.index for s in steps] == [0, 1]


@pytest.mark.parametrize("prompt", ["", "   ", None, "two red dragons", "red dog " * 100])
def test_bad_prompts_are_refused_at_the_call(tiny, redness, prompt):
    with pytest.raises(InputError) as caught:
        reason(tiny, redness, prompt, SETTINGS)
    assert "dragons" in str(caught.value) if prompt and "dragons" in prompt else str(caught.value)


def test_random_positions_are_where_the_seed_says(tiny, redness):
    steps = run(tiny, redness, replace(SETTINGS, positions="random"))
    assert steps[1].image_positions == steps[4].image_positions and steps[1].image_positions != [0, 1, 2, 3]


def test_best_of_n_starts_at_step_zero_and_batches_agree(tiny, redness):
    zero = start(tiny, redness, PROMPT, SETTINGS).step
    singles = list(best_of_n(tiny, redness, PROMPT, 6, SETTINGS, early_stop=False))
    batched = list(best_of_n(tiny, redness, PROMPT, 6, SETTINGS, early_stop=False, batch=5))
    assert key(singles[0]) == key(zero) and len(singles) == len(batched) == 6
    assert {s.text for s in singles} == {zero.text} and len({tuple(s.image_tokens) for s in singles}) == 6
    assert [s.image_tokens for s in batched] == [s.image_tokens for s in singles]
    stopped = list(best_of_n(tiny, redness, PROMPT, 6, replace(SETTINGS, threshold=zero.reward - 1e-6)))
    assert len(stopped) == 1
    with pytest.raises(InputError):
        best_of_n(tiny, redness, PROMPT, 0, SETTINGS)
