"""The fast decode loop against slow, obvious twins: transformers' own forward over the whole sequence, no cache."""

import pytest
import torch

from milr_core import load_model
from milr_core.decoding import FREE, Cache, decode_images, decode_text, pick
from milr_core.rollout import Workspace, keep_going
from milr_core.settings import SearchSettings
from tests.conftest import write_tiny_janus


@torch.no_grad()
def slow_text(model, ids, given, limit):
    tokens, latents = [], []
    while len(tokens) < limit and (not tokens or tokens[-1] != model.end_token):
        row = torch.tensor([[*ids.tolist(), *tokens]])
        hidden = model.hf.model.language_model(input_ids=row, use_cache=False).last_hidden_state[0, -1]
        latents.append(hidden)
        position = len(tokens)
        tokens.append(given[position] if position < len(given) else int(model.hf.lm_head(hidden).argmax()))
    return tokens, torch.stack(latents)


@torch.no_grad()
def slow_image(model, ids, uniform, forced, guidance, temperature):
    tokens, latents = [], []
    embeds = model.hf.get_input_embeddings()(ids)
    for i in range(model.num_image_tokens):
        hidden = model.hf.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state[:, -1]
        latents.append(hidden)
        conditional, unconditional = model.hf.model.generation_head(hidden)
        logits = (unconditional + guidance * (conditional - unconditional)) / temperature
        token = int(forced[i]) if forced[i] != FREE else int(pick(logits[None], uniform[i : i + 1], 1.0))
        tokens.append(token)
        drawn = model.hf.prepare_embeddings_for_image_generation(torch.tensor([[token], [token]]))
        embeds = torch.cat([embeds, drawn], 1)
    return tokens, torch.stack(latents)


@pytest.fixture(scope="module", params=[4, 2], ids=["all heads", "grouped heads"])
def model(request, tmp_path_factory):
    return load_model(str(write_tiny_janus(tmp_path_factory.mktemp("janus"), request.param, seed=3)), device="cpu")


def text(model, workspace, given=()):
    return workspace.text("two red circles", torch.tensor(given, dtype=torch.long), keep_going)


@pytest.mark.parametrize("given", [[], [20], [30, 31, 32]], ids=["free", "one given", "three given"])
def test_text_equals_the_slow_twin(model, given):
    tokens, latents = text(model, Workspace(model), given)
    slow_tokens, slow_latents = slow_text(model, model.reasoning_ids("two red circles"), given, model.max_text_tokens)
    assert tokens.tolist() == slow_tokens
    torch.testing.assert_close(latents, slow_latents, rtol=1e-4, atol=1e-4)


def test_text_ends_at_the_end_token_and_keeps_it(model):
    tokens, latents = text(model, Workspace(model), [20, model.end_token])
    assert tokens.tolist() == [20, model.end_token] and len(latents) == 2


def test_rewound_workspace_gives_what_a_fresh_one_gives(model):
    workspace = Workspace(model)
    first, _ = text(model, workspace)
    text(model, workspace, [40, 41])
    again, latents = text(model, workspace)
    fresh, fresh_latents = text(model, Workspace(model))
    assert first.tolist() == again.tolist() == fresh.tolist() and torch.equal(latents, fresh_latents)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("at", [[], [0, 1, 2], [1, 7, 15], list(range(16))], ids=["free", "prefix", "scattered", "all"])
def test_images_equal_the_slow_twin(model, count, at):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(count, 16, generator=generator)
    forced = torch.full((count, 16), FREE)
    forced[:, at] = torch.randint(0, 24, (count, len(at)), generator=generator)
    settings = SearchSettings(guidance=3.0, temperature=0.9)
    tokens, latents = Workspace(model).images("two red circles", "draw", uniform, forced, settings, keep_going)
    ids = model.image_ids("two red circles", "draw")
    for row in range(count):
        slow_tokens, slow_latents = slow_image(model, ids, uniform[row], forced[row], 3.0, 0.9)
        assert tokens[row].tolist() == slow_tokens
        torch.testing.assert_close(latents[row], slow_latents, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.5, 4.0])
def test_greedy_images_equal_transformers_own_generate(model, guidance):
    ids = model.image_ids("two red circles", "draw a red circle at top.")[:1]
    theirs = model.hf.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_mode="image",
        do_sample=False,
        guidance_scale=guidance,
        max_length=ids.shape[1] + 16,
    )
    ours, _ = Workspace(model).images(
        "two red circles",
        "draw a red circle at top.",
        torch.rand(1, 16),
        torch.full((1, 16), FREE),
        SearchSettings(guidance=guidance, temperature=0),
        keep_going,
    )
    assert ours.tolist() == theirs.tolist()


def test_unconditional_row_is_padded_between_its_ends(model):
    conditional, bare = model.image_ids("two red circles", "draw").tolist()
    assert (bare[0], bare[-1]) == (conditional[0], conditional[-1])
    assert set(bare[1:-1]) == {model.pad_token} and model.pad_token not in conditional
    assert conditional[-1] == model.processor.tokenizer.boi_token_id


def test_rows_of_different_lengths_decode_as_they_do_alone(model):
    """Padding on the left changes nothing for the row that is padded."""
    torch.manual_seed(0)
    short, long = torch.randint(9, 100, (4,)), torch.randint(9, 100, (9,))
    pad = torch.tensor([5, 0])
    both = torch.stack([torch.cat([torch.zeros(5, dtype=torch.long), short]), long])
    cache = Cache(model.stack, 2, 12, pad)
    padded = model.stack.forward(model.embed(both), cache)[:, -1]
    step = model.stack.forward(model.embed(torch.tensor([[20], [21]])), cache)[:, 0]
    for row, (ids, token) in enumerate(((short, 20), (long, 21))):
        alone = Cache(model.stack, 1, 12)
        torch.testing.assert_close(
            padded[row], model.stack.forward(model.embed(ids[None]), alone)[0, -1], rtol=1e-4, atol=1e-4
        )
        expected = model.stack.forward(model.embed(torch.tensor([[token]])), alone)[0, 0]
        torch.testing.assert_close(step[row], expected, rtol=1e-4, atol=1e-4)


def test_fusing_leaves_the_transformers_model_as_it_was(model):
    layer = model.hf.model.language_model.layers[0]
    fused = model.stack.layers[0].qkv
    assert layer.self_attn.q_proj.weight.data_ptr() == fused.data_ptr(), "the modules are views: no second copy"
    assert torch.equal(
        torch.cat([layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight]),
        fused[: -len(layer.self_attn.v_proj.weight)],
    )


def test_pick_draws_from_the_distribution():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    uniform = (torch.arange(10000) + 0.5) / 10000
    drawn = pick(torch.log(probabilities).expand(10000, -1), uniform, 1.0)
    shares = torch.bincount(drawn, minlength=4) / 10000
    torch.testing.assert_close(shares, probabilities, atol=1e-3, rtol=0)


def test_the_poll_is_asked_before_every_token(model):
    polled = []
    model_text = decode_text(
        model.stack, model.embed, model.text_head, *_prefilled(model), model.end_token, 6,
        torch.empty(0, dtype=torch.long), lambda: polled.append(1),
    )  # fmt: skip
    assert len(polled) == len(model_text[0])
    polled.clear()
    cache, first = model.prefill(model.image_ids("two red circles", ""), 16)
    decode_images(
        model.stack, model.image_embeddings, lambda z: model.image_head(z, 3.0), cache, first[None],
        torch.rand(1, 16), torch.full((1, 16), FREE), 1.0, lambda: polled.append(1),
    )  # fmt: skip
    assert len(polled) == 16


def _prefilled(model):
    cache, first = model.prefill(model.reasoning_ids("two red circles")[None], 20)
    return cache, first[0]
