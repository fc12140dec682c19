"""The choices beside the paper's: what each changes, and that a run under it goes on exactly from the disk."""

from dataclasses import replace

import pytest
import torch

from milr_core import InputError, SearchSettings, Trajectory, advance, best_of_n, plain, preset, reason, start
from milr_core import latents as lat
from milr_core.coordinate import across, next_position
from milr_core.janus.decode import keep_going
from milr_core.janus.workspace import Workspace
from milr_core.reinforce import advantages, entropy
from milr_core.settings import KNOBS, PAPER, PRESETS, recommended_settings

PROMPT = "two red circles left of a blue square"
SETTINGS = SearchSettings(text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=5, seed=3, guidance=2.0)
OPTIONS = [
    {"batch": 2, "baseline": "leave-one-out"}, {"text_positions": "entropy", "positions": "entropy"},
    {"text_sampling": "sample", "text_rest": "sample"}, {"trust": 0.05}, {"restart": 1}, {"noise": "shared"},
    {"text_update": "coordinate"}, {"text_update": "coordinate", "strategy": "alt"},
]  # fmt: skip


def run(model, critic, **options):
    return list(reason(model, critic, PROMPT, replace(SETTINGS, **options)))


def test_the_paper_preset_names_every_choice_and_is_what_nothing_given_means(tiny, redness):
    assert set(KNOBS) - set(PRESETS["paper"]) == {"steps", "threshold", "guidance", "temperature", "seed"}
    assert preset("paper", steps=4).resolve({"lr": 9.0, "batch": 4}).lr == PAPER["lr"]
    recommended = {"lr": 0.4, "text_sampling": "sample"}
    assert SearchSettings().resolve(recommended).text_sampling == "argmax", "the paper's where nothing is asked for"
    assert recommended_settings(recommended).text_sampling == "sample"
    named = recommended_settings({"lr": 0.4, "text_ratio": 0.3, "preset": "coordinate"})
    assert (named.text_update, named.text_ratio, named.lr) == ("coordinate", 1.0, 0.4)
    assert SearchSettings().resolve({"text_ratio": 0.3, "preset": "coordinate"}).text_ratio == 0.3
    with pytest.raises(InputError, match="paper"):
        preset("best")
    named = reason(tiny, redness, PROMPT, preset("paper", text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=2, seed=3))
    default = reason(tiny, redness, PROMPT, SearchSettings(text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=2, seed=3))
    for a, b in zip(named, default, strict=True):
        assert (a.text_tokens, a.image_tokens, a.reward) == (b.text_tokens, b.image_tokens, b.reward)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options))
def test_a_run_goes_on_from_the_disk_as_if_it_had_not_stopped(tiny, redness, tmp_path, options):
    steps = run(tiny, redness, **options)
    saved = Trajectory.create(tmp_path / "run", tiny, "redness", PROMPT)
    for step in steps[:4]:
        saved.append(step.state)
    state = Trajectory.open(tmp_path / "run").state(3)
    again = list(reason(tiny, redness, "", state=state))
    assert [(s.text_tokens, s.image_tokens, s.reward) for s in again] == [
        (s.text_tokens, s.image_tokens, s.reward) for s in steps[4:]
    ]


def test_leave_one_out_compares_with_the_others():
    assert advantages([0.2, 0.5, 0.8], "leave-one-out", []) == pytest.approx([-0.45, 0.0, 0.45])
    assert advantages([0.8], "leave-one-out", [0.2, 0.4, 0.8]) == pytest.approx([0.5])
    assert advantages([0.8], "leave-one-out", [0.8]) == [0.0]
    assert advantages([0.8, 0.6], "one", []) == pytest.approx([-0.2, -0.4])


def test_a_batch_samples_so_many_rollouts_before_it_moves(tiny, redness):
    steps = run(tiny, redness, batch=2, baseline="leave-one-out", text_sampling="sample")
    moved = [bool(step.update_norm) for step in steps]
    assert moved == [False, False, True, False, True, False]
    first, second = steps[1].state, steps[2].state
    assert torch.equal(first.text_latents.values, steps[0].state.rollout_text[: len(first.text_latents)])
    assert len(first.pending) == 1 and second.pending == ()
    assert steps[0].image_tokens != steps[1].image_tokens, "the batch's rollouts are drawn anew"


def test_a_batchs_update_is_that_of_its_mean_loss(tiny, redness):
    """Of two rollouts, the gradient is the mean of advantage times the gradient of each one's log p."""
    settings = replace(SETTINGS, batch=2, baseline="one", strategy="text", text_sampling="sample")
    states = [step.state for step in reason(tiny, redness, PROMPT, settings)][:3]
    z = states[1].text_latents.values.clone().requires_grad_()
    n, loss = len(z), 0.0
    for state in states[:2]:
        tokens = torch.tensor(state.text_tokens[:n])
        log_p = torch.log_softmax(tiny.text_head(z[: len(tokens)]), -1).gather(-1, tokens[:, None]).sum()
        loss = loss - (state.score.value - 1) * log_p / 2
    (gradient,) = torch.autograd.grad(loss, z)
    assert states[2].gradient_norm["text"] == pytest.approx(gradient.norm().item(), rel=1e-5)


def test_entropy_positions_are_the_least_sure_ones_and_leave_the_words_between(tiny, redness):
    settings = replace(SETTINGS, text_positions="entropy", strategy="text")
    state = start(tiny, redness, PROMPT, settings)
    after = advance(tiny, redness, state, settings)
    unsure = entropy(tiny.text_head(state.rollout_text))
    chosen = after.text_latents.positions.tolist()
    assert chosen == sorted(unsure.topk(len(chosen)).indices.tolist())
    decoded = tiny.text_head(after.text_latents.values).argmax(-1).tolist()
    expected = list(state.text_tokens[: chosen[-1] + 1])
    for position, token in zip(chosen, decoded, strict=True):
        expected[position] = token
    if tiny.end_token in expected:
        expected = expected[: expected.index(tiny.end_token) + 1]
    assert after.text_tokens[: len(expected)] == expected
    assert after.step.text_prefix == 0 and after.step.text_positions == [
        p for p in chosen if p < len(after.text_tokens)
    ]


def test_the_entropy_bonus_makes_the_optimised_tokens_less_sure(tiny, redness):
    quiet, noisy = (
        entropy(tiny.text_head(run(tiny, redness, lr=0.01, baseline="zero", **more)[1].state.text_latents.values)).sum()
        for more in ({}, {"entropy_bonus": 10.0})
    )
    assert noisy > quiet


def test_the_trust_region_holds_every_latent_by_itself(tiny, redness):
    free, held = (run(tiny, redness, lr=2.0, **more)[-1].state.image_latents for more in ({}, {"trust": 0.05}))
    for group, within in ((free, False), (held, True)):
        distance = (group.values - group.origin).norm(dim=-1) / group.origin.norm(dim=-1)
        assert bool((distance <= 0.05 + 1e-5).all()) is within


def test_the_learning_rate_in_norms_scales_each_latent():
    group = lat.resize(None, torch.tensor([[3.0, 4.0], [30.0, 40.0]]), 1.0, "prefix", 0)
    moved = lat.adam_step(group, torch.ones(2, 2), 0.1, "norm").values - group.values
    assert (moved[1] / moved[0]).tolist() == pytest.approx([10.0, 10.0], rel=1e-4)
    assert moved[0].tolist() == pytest.approx([-0.1 * 12.5**0.5] * 2, rel=1e-4)


def test_shared_noise_redraws_the_same_image_until_a_latent_moves_it(tiny, redness):
    steps = run(tiny, redness, noise="shared", lr=1e-6)
    assert all(step.image_tokens == steps[0].image_tokens for step in steps)
    assert run(tiny, redness, lr=1e-6)[1].image_tokens != steps[0].image_tokens


def test_a_restart_goes_on_from_the_best_latents(tiny, redness):
    steps = run(tiny, redness, restart=1)
    states = [step.state for step in steps]
    fell = next(s for s in states[1:] if s.best < s.index)
    assert fell.anchor is states[fell.best] and fell.anchor.anchor is None
    after = advance(tiny, redness, fell, fell.settings)
    free = advance(tiny, redness, replace(fell, anchor=None), fell.settings)
    assert not torch.equal(after.text_latents.values, free.text_latents.values)
    assert after.index == fell.index + 1 and after.values[:-1] == fell.values


def test_text_sampled_anew_for_every_image(tiny, redness):
    fixed = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS)]
    anew = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0)]
    assert len(set(fixed)) == 1 and len(set(anew)) == 3 and anew[0] == fixed[0]
    state = start(tiny, redness, PROMPT, SETTINGS)
    again = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0, state=state)]
    assert again == anew[1:]
    with pytest.raises(InputError, match="one at a time"):
        best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0, batch=2)


def test_the_plain_prompt_is_drawn_without_a_text(tiny, redness):
    step = plain(tiny, redness, PROMPT, SETTINGS)
    assert step.text == "" and step.cost.text_tokens == 0 and step.cost.image_rollouts == 1
    assert step.image_tokens != start(tiny, redness, PROMPT, SETTINGS).image_tokens


def test_a_coordinate_step_changes_one_token_of_the_best_text_and_decodes_what_follows(tiny, redness):
    steps = run(tiny, redness, text_update="coordinate", text_ratio=1.0, steps=8, threshold=1.0)
    assert len(steps) == 9
    asked = {}
    for before, step in zip(steps, steps[1:], strict=False):
        best = steps[before.best]
        position = step.text_positions[-1]
        assert step.text_tokens[:position] == best.text_tokens[:position], "the text before it stays"
        assert step.text_tokens[position] != best.text_tokens[position]
        assert position not in asked.setdefault(before.best, []), "a token that was asked about in vain waits"
        asked[before.best].append(position)
        given = torch.tensor(step.text_tokens[: position + 1])
        tokens, _ = Workspace(tiny).text(PROMPT, given, keep_going)
        assert tokens.tolist() == step.text_tokens, "the rest is the likeliest"
    assert sum(map(len, asked.values())) == 8


def test_a_latent_moves_along_its_gradient_just_past_the_boundary(tiny):
    z = torch.randn(16, tiny.embed.weight.shape[-1], generator=torch.Generator().manual_seed(0)) * 3
    for latent in z:
        before = tiny.text_head(latent)
        token = int(before.argmax())
        moved, norm = across(tiny, latent, token)
        assert int(tiny.text_head(moved).argmax()) != token
        assert int(tiny.text_head(latent + 0.98 * (moved - latent)).argmax()) == token, "no farther than it has to"
        leaf = latent.clone().requires_grad_()
        torch.log_softmax(tiny.text_head(leaf), -1)[token].backward()
        assert norm == pytest.approx(leaf.grad.norm().item(), rel=1e-4)
        assert torch.cosine_similarity(moved - latent, -leaf.grad, dim=0) == pytest.approx(1, abs=1e-4)


def test_a_token_that_is_certain_to_the_last_bit_is_left_as_well(tiny):
    latent = torch.randn(tiny.embed.weight.shape[-1], generator=torch.Generator().manual_seed(1)) * 1e5
    token = int(tiny.text_head(latent).argmax())
    moved, norm = across(tiny, latent, token)
    assert norm == 0, "or this tests nothing"
    assert int(tiny.text_head(moved).argmax()) != token


def test_positions_like_the_one_tried_in_vain_are_asked_about_later():
    places, end = [0.0, 2.0, 1.9, 0.0, -9.0], [3.0, -9.0, -9.0, -9.0, 1.0]
    logits = torch.tensor([places, end, places])
    assert next_position(logits, [], ()) == 0
    assert next_position(logits, [], (0,)) == 1, "a second place would ask the same again"
    assert next_position(logits, [1], (0,)) == 2, "what has been moved stays"
