"""The choices beside the paper's: what each changes, and that a run under it goes on exactly from the disk."""

from dataclasses import replace

import pytest
import torch

from milr_core import InputError, SearchSettings, Trajectory, best_of_n, plain, preset, reason, start
from milr_core.coordinate import PATIENCE, across, next_position
from milr_core.janus.decode import keep_going
from milr_core.janus.workspace import Workspace
from milr_core.settings import KNOBS, PAPER, PRESETS, recommended_settings

PROMPT = "two red dogs left of a blue car"
SETTINGS = SearchSettings(text_ratio=0.3, image_ratio=0.25, lr=0.5, steps=5, seed=3, guidance=2.0)
OPTIONS = [
    {"baseline": "running"}, {"text_positions": "random", "positions": "random"}, {"log_probability": "argmax"},
    {"text_update": "coordinate"}, {"text_update": "coordinate", "strategy": "alt"},
    {"text_update": "mixture", "strategy": "joint"}, {"text_update": "mixture", "strategy": "text", "text_ratio": 1.0},
]  # fmt: skip


def run(model, critic, **options):
    return list(reason(model, critic, PROMPT, replace(SETTINGS, **options)))


def test_the_paper_preset_names_every_choice_and_is_what_nothing_given_means(tiny, redness):
    assert set(KNOBS) - set(PRESETS["paper"]) == {"steps", "threshold", "guidance", "temperature", "seed"}
    assert preset("paper", steps=4).resolve({"lr": 9.0}).lr == PAPER["lr"]
    recommended = {"lr": 0.4, "baseline": "running"}
    assert SearchSettings().resolve(recommended).baseline == "one", "the paper's where nothing is asked for"
    assert recommended_settings(recommended).baseline == "running"
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


def test_text_sampled_anew_for_every_image(tiny, redness):
    fixed = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS)]
    anew = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0)]
    assert len(set(fixed)) == 1 and len(set(anew)) == 3 and anew[0] == fixed[0]
    state = start(tiny, redness, PROMPT, SETTINGS)
    again = [s.text for s in best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0, state=state)]
    assert again == anew[1:]
    distinct = [s.text for s in best_of_n(tiny, redness, PROMPT, 6, SETTINGS, text_temperature=0.2, distinct=True)]
    assert len(set(distinct)) == 6
    with pytest.raises(InputError, match="one at a time"):
        best_of_n(tiny, redness, PROMPT, 3, SETTINGS, text_temperature=1.0, batch=2)


def test_texts_are_sampled_once_moves_were_in_vain_until_one_is_better(tiny, redness):
    options = {"text_update": "mixture", "strategy": "text", "text_ratio": 1.0, "steps": 16, "threshold": 1.0}
    steps, sampled, vain = run(tiny, redness, **options), [], 0
    for before, step in zip(steps, steps[1:], strict=False):
        vain = 0 if before.index == before.best else vain
        sampled.append(vain >= PATIENCE)
        assert len(step.text_positions) == 0 if sampled[-1] else len(step.text_positions) > 0
        vain += not sampled[-1]
    assert True in sampled and sampled.index(False) == 0
    moved = run(tiny, redness, **options | {"text_update": "coordinate"})
    first = sampled.index(True)
    assert [s.text for s in moved[: first + 1]] == [s.text for s in steps[: first + 1]]


def test_the_plain_prompt_is_drawn_without_a_text(tiny, redness):
    step = plain(tiny, redness, PROMPT, SETTINGS)
    assert step.text == "" and step.cost.text_tokens == 0 and step.cost.image_rollouts == 1
    assert step.image_tokens != start(tiny, redness, PROMPT, SETTINGS).step.image_tokens


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
