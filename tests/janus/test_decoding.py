"""The fast decode loop against slow, obvious twins: transformers' own forward over the whole sequence, no cache."""

import copy

import pytest
import torch

from milr_core import load_model
from milr_core.janus.backends import language_stack
from milr_core.janus.cuda_graph import CudaRuntime
from milr_core.janus.decode import FREE, decode_images, decode_texts, keep_going, pick
from milr_core.janus.onnx_backend import OnnxRuntime
from milr_core.janus.transformer import Cache, EagerRuntime
from milr_core.janus.workspace import Workspace
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
    return workspace.text("two red dogs", torch.tensor(given, dtype=torch.long), keep_going)


@pytest.mark.parametrize("given", [[], [20], [30, 31, 32]], ids=["free", "one given", "three given"])
def test_text_equals_the_slow_twin(model, given):
    tokens, latents = text(model, Workspace(model), given)
    slow_tokens, slow_latents = slow_text(model, model.reasoning_ids("two red dogs"), given, model.max_text_tokens)
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


@pytest.mark.parametrize("every", [1, 8])
def test_texts_of_a_batch_equal_the_slow_twin(model, every, monkeypatch):
    """Prompts of different lengths, texts that begin with nothing, with some tokens, and with the end token."""
    monkeypatch.setattr(model.stack, "look_every", every)
    prompts = ["a dog", "two red dogs", "two red dogs left of a blue car", "a cat", "three cars"]
    given = [[], [30, 31, 32], [20], [25, model.end_token], list(range(20, 20 + model.max_text_tokens - 1))]
    ids = [model.reasoning_ids(prompt) for prompt in prompts]
    cache = Cache(model.stack, 5, max(map(len, ids)) + model.max_text_tokens)
    first = fill(model.stack, model.embed, ids, cache)
    decoded = decode_texts(
        model.stack, model.embed, model.text_head, cache, first, model.end_token, model.max_text_tokens,
        [torch.tensor(tokens, dtype=torch.long) for tokens in given], keep_going,
    )  # fmt: skip
    for row, (tokens, latents) in enumerate(decoded):
        slow_tokens, slow_latents = slow_text(model, ids[row], given[row], model.max_text_tokens)
        assert tokens.tolist() == slow_tokens
        torch.testing.assert_close(latents, slow_latents, rtol=1e-4, atol=1e-4)


def test_sampled_texts_are_the_same_alone_and_in_a_batch(model):
    generator = torch.Generator().manual_seed(4)
    uniform = torch.rand(2, model.max_text_tokens, generator=generator)
    prompts, given = ["two red dogs", "a cat"], [torch.tensor([30, 31]), torch.empty(0, dtype=torch.long)]
    alone = [Workspace(model).text(p, g, keep_going, u) for p, g, u in zip(prompts, given, uniform, strict=True)]
    ids = [model.reasoning_ids(prompt) for prompt in prompts]
    cache = Cache(model.stack, 2, 80)
    first = fill(model.stack, model.embed, ids, cache)
    both = decode_texts(
        model.stack, model.embed, model.text_head, cache, first, model.end_token, model.max_text_tokens,
        given, keep_going, uniform,
    )  # fmt: skip
    assert [tokens.tolist() for tokens, _ in both] == [tokens.tolist() for tokens, _ in alone]
    assert both[0][0].tolist() != Workspace(model).text(prompts[0], given[0], keep_going)[0].tolist(), "greedy differs"


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("at", [[], [0, 1, 2], [1, 7, 15], list(range(16))], ids=["free", "prefix", "scattered", "all"])
def test_images_equal_the_slow_twin(model, count, at):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(count, 16, generator=generator)
    forced = torch.full((count, 16), FREE)
    forced[:, at] = torch.randint(0, 24, (count, len(at)), generator=generator)
    settings = SearchSettings(guidance=3.0, temperature=0.9)
    tokens, latents = Workspace(model).images("two red dogs", "draw", uniform, forced, settings, keep_going)
    ids = model.image_ids("two red dogs", "draw")
    for row in range(count):
        slow_tokens, slow_latents = slow_image(model, ids, uniform[row], forced[row], 3.0, 0.9)
        assert tokens[row].tolist() == slow_tokens
        torch.testing.assert_close(latents[row], slow_latents, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.5, 4.0])
def test_greedy_images_equal_transformers_own_generate(model, guidance):
    ids = model.image_ids("two red dogs", "draw a red dog at top.")[:1]
    theirs = model.hf.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_mode="image",
        do_sample=False,
        guidance_scale=guidance,
        max_length=ids.shape[1] + 16,
    )
    ours, _ = Workspace(model).images(
        "two red dogs",
        "draw a red dog at top.",
        torch.rand(1, 16),
        torch.full((1, 16), FREE),
        SearchSettings(guidance=guidance, temperature=0),
        keep_going,
    )
    assert ours.tolist() == theirs.tolist()


def test_unconditional_row_is_padded_between_its_ends(model):
    conditional, bare = model.image_ids("two red dogs", "draw").tolist()
    assert (bare[0], bare[-1]) == (conditional[0], conditional[-1])
    assert set(bare[1:-1]) == {model.pad_token} and model.pad_token not in conditional
    assert conditional[-1] == model.processor.tokenizer.boi_token_id


def fill(stack, embed, rows, cache):
    """Fill rows of different lengths together, then rewind each to its own; the last outputs."""
    width = max(len(row) for row in rows)
    ids = torch.stack([torch.cat([row, torch.zeros(width - len(row), dtype=torch.long)]) for row in rows])
    hidden = stack.forward(embed(ids), cache)
    cache.lengths = [len(row) for row in rows]
    return torch.stack([hidden[i, len(row) - 1] for i, row in enumerate(rows)])


def test_rows_of_different_lengths_decode_as_they_do_alone(model):
    torch.manual_seed(0)
    rows = [torch.randint(9, 100, (n,)) for n in (4, 9, 6)]
    cache = Cache(model.stack, 3, 14)
    filled = fill(model.stack, model.embed, rows, cache)
    tokens = torch.tensor([[20, 30], [21, 31], [22, 32]])
    both = model.stack.forward(model.embed(tokens), cache)
    cache.lengths = [n - 1 for n in cache.lengths]  # rewound by one: the second token once more
    again = model.stack.forward(model.embed(tokens[:, 1:]), cache)
    for i, ids in enumerate(rows):
        whole = torch.cat([ids, tokens[i]])[None]
        expected = model.hf.model.language_model(input_ids=whole, use_cache=False).last_hidden_state[0]
        torch.testing.assert_close(filled[i], expected[len(ids) - 1], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(both[i], expected[-2:], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(again[i, 0], expected[-1], rtol=1e-4, atol=1e-4)


def test_a_cpu_runs_a_float32_model_through_onnx_runtime_and_any_other_one_eagerly(model):
    assert isinstance(model.stack.runtime, OnnxRuntime)
    half = language_stack(copy.deepcopy(model.hf.model.language_model).bfloat16())
    assert type(half.runtime) is EagerRuntime


class TokenStepsOnCpu(CudaRuntime):
    """What CUDA replays, without capture: the same static inputs, windows and positions."""


@pytest.mark.parametrize("kind", [EagerRuntime, TokenStepsOnCpu])
def test_runtimes_compute_the_same(model, kind, monkeypatch):
    """Prompts of different lengths, a piece of three, then tokens across the edge of a window, after a rewind too."""
    torch.manual_seed(1)
    rows = [torch.randint(9, 100, (n,)) for n in (120, 117)]
    pieces = [torch.randint(9, 100, (2, 3)), *torch.randint(9, 100, (8, 2, 1))]
    results = []
    for runtime in (model.stack.runtime, kind(model.stack)):
        monkeypatch.setattr(model.stack, "runtime", runtime)
        cache = Cache(model.stack, 2, 150)
        outputs = [fill(model.stack, model.embed, rows, cache)]
        for _ in range(2):
            outputs += [model.stack.forward(model.embed(piece), cache)[:, -1] for piece in pieces]
            cache.lengths = [120, 117]
        results.append(torch.stack(outputs))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


def test_a_cache_says_when_it_is_full(model):
    cache = Cache(model.stack, 1, 4)
    with pytest.raises(ValueError, match="5 positions; the cache has 4"):
        model.stack.forward(model.embed(torch.ones(1, 5, dtype=torch.long)), cache)


@pytest.mark.parametrize("every", [3, 50])
def test_looking_for_the_end_in_blocks_changes_nothing(model, every, monkeypatch):
    """On a GPU the loop looks at its tokens now and then only; what it decoded beyond the end is dropped."""
    reference = text(model, Workspace(model))
    end = int(reference[0][7])  # a token that the text really comes to
    monkeypatch.setattr(model, "end_token", end)
    one, one_latents = text(model, Workspace(model))
    monkeypatch.setattr(model.stack, "look_every", every)
    block, block_latents = text(model, Workspace(model))
    assert one.tolist() == block.tolist() and one.tolist().index(end) == len(one) - 1 <= 7
    assert torch.equal(one_latents, block_latents)


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
    ((tokens, _),) = decode_texts(
        model.stack, model.embed, model.text_head, *_prefilled(model), model.end_token, 6,
        [torch.empty(0, dtype=torch.long)], lambda: polled.append(1),
    )  # fmt: skip
    assert len(polled) == len(tokens)
    polled.clear()
    cache, first = Workspace(model).prefilled("image", model.image_ids("two red dogs", ""), 16)
    decode_images(
        model.stack, model.image_embeddings, lambda z: model.image_head(z, 3.0), cache, first[None],
        torch.rand(1, 16), torch.full((1, 16), FREE), 1.0, lambda: polled.append(1),
    )  # fmt: skip
    assert len(polled) == 16


def _prefilled(model):
    cache, first = Workspace(model).prefilled("text", model.reasoning_ids("two red dogs")[None], 20)
    return cache, first
