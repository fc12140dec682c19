"""The training of the embedded model, at its smallest size: it learns, it resumes exactly, it assembles."""

import json
import logging
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import JanusForConditionalGeneration
from transformers.models.janus.modeling_janus import JanusVQVAE

import world.tokens
import world.train_language
from milr_core.errors import InputError
from world.checkpoint import assemble
from world.model import make_config, make_processor, make_tokenizer, make_vq_config, vocabulary
from world.plans import random_plan
from world.sampling import random_category, random_prompt, random_question, random_scene
from world.scene import PLACES, Item, render
from world.tokens import TINTS, Vocabulary, principal_codes, principal_components
from world.tokens import vocabulary as image_vocabulary
from world.train import SMALL_NOUNS
from world.train_language import Curriculum, begin, train_language
from world.train_tokenizer import decode, encode, train_tokenizer

FEW = SMALL_NOUNS[:3]


@pytest.fixture(scope="module", autouse=True)
def components() -> Iterator[None]:
    """Those of a vocabulary are computed once: they take most of a training of two steps, and each begins with them."""
    found = cache(principal_components)
    with pytest.MonkeyPatch.context() as patch:
        for module in (world.tokens, world.train_language):
            patch.setattr(module, "principal_components", found)
        yield


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return Vocabulary(FEW)


def small_vq(words: Vocabulary) -> JanusVQVAE:
    torch.manual_seed(0)
    return JanusVQVAE(make_vq_config(len(words)))


def logged(caplog: pytest.LogCaptureFixture, name: str) -> list[float]:
    return [float(x) for record in caplog.records for x in re.findall(rf"\b{name} ([\d.]+)", record.getMessage())]


def test_every_scene_is_exactly_its_tokens() -> None:
    words, rng = image_vocabulary(), random.Random(0)
    for _ in range(30):
        items = [Item(rng.choice(words.nouns), rng.choice(TINTS), p) for p in rng.sample(PLACES, rng.randint(1, 9))]
        tokens = words.tokens(items)
        assert words.tokenize(render(items)) == tokens.tolist()
        side = words.patches[tokens].reshape(6, 6, 32, 32, 3).swapaxes(1, 2).reshape(192, 192, 3)
        assert np.array_equal(side, np.asarray(render(items)))


def test_a_patch_that_the_world_has_not_is_no_token(words: Vocabulary) -> None:
    with pytest.raises(KeyError):
        words.tokenize(render([Item("volcano", None, "top")]))


def test_codes_are_of_unit_norm_and_apart(words: Vocabulary) -> None:
    codes = principal_codes(words, 96)
    assert np.allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)
    likeness = codes @ codes.T
    np.fill_diagonal(likeness, 0)
    assert likeness.max() < 0.9999


def test_training_splits_texts_as_the_tokenizer_does() -> None:
    curriculum, tokenizer, rng = Curriculum(Vocabulary(FEW)), make_tokenizer(), random.Random(1)
    known = set(range(len(vocabulary())))
    for _ in range(300):
        prompt = random_prompt(random_category(rng), rng.choice(("train", "test")), rng)
        items = random_scene(prompt, rng)
        plan = random_plan(items, prompt, rng)
        question, _ = random_question(items, False, False, rng)
        for text in (prompt.text(), plan, f"{prompt.text()}. {plan}", f"is this {question.text()}?"):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            assert curriculum.ids(text) == ids
            assert tokenizer.unk_token_id not in ids and set(ids) <= known
        assert tokenizer.decode(curriculum.ids(plan)) == plan


def test_training_chats_as_the_processor_does() -> None:
    curriculum, processor = Curriculum(Vocabulary(FEW)), make_processor()
    for with_image in (False, True):
        content = [{"type": "image"}] * with_image + [{"type": "text", "text": "plan two hot dogs"}]
        chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        if with_image:
            chat = chat.replace(processor.image_token, processor.replace_image_token({}, 0))
        expected = processor.tokenizer(chat).input_ids
        assert [curriculum.bos, *curriculum.chat("plan two hot dogs", with_image)] == expected


def test_in_a_world_of_fewer_nouns_nothing_else_is_asked_for_or_shown() -> None:
    curriculum, rng = Curriculum(Vocabulary(SMALL_NOUNS)), random.Random(0)
    others = {curriculum.ids(n)[0] for n in image_vocabulary().nouns if n not in SMALL_NOUNS and n != "orange"}
    for _ in range(40):
        for sequence in (curriculum.text(rng), curriculum.image(rng), curriculum.description(rng)):
            shown = sequence.ids if not sequence.is_image else sequence.ids[:-36]
            assert not others & set(shown)


def test_begin_gives_a_tint_the_same_direction_for_every_noun(words: Vocabulary) -> None:
    torch.manual_seed(0)
    model = JanusForConditionalGeneration(make_config(len(words)))
    begin(model, words)
    rows = model.model.generation_head.vision_head.weight
    of = {tuple(origin): row for origin, row in zip(words.origin.tolist(), rows, strict=True)}
    whole = [n for n in range(len(FEW)) if all((n, t, 3) in of for t in (1, 5))]
    differences = [of[n, 5, 3] - of[n, 1, 3] for n in whole]
    assert len(differences) >= 2 and torch.allclose(differences[0], differences[1], atol=1e-5)


@pytest.mark.parametrize("half", ["decoder", "encoder"])
def test_the_tokenizer_learns_and_resumes_exactly(
    half: str, words: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    whole = train_tokenizer(half, words, small_vq(words), tmp_path / "a", 2, 1, "cpu")
    train_tokenizer(half, words, small_vq(words), tmp_path / "b", 2, 1, "cpu", stop_after=1)
    resumed = train_tokenizer(half, words, small_vq(words), tmp_path / "b", 2, 1, "cpu")
    for (name, a), (_, b) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    begun = small_vq(words).state_dict()
    moved = {name for name, value in whole.state_dict().items() if not torch.equal(value, begun[name])}
    other = {"decoder": "encoder.", "encoder": "decoder."}[half]
    untouched = {n for n in moved if n.startswith(other)}
    assert all(n.endswith(("conv2.weight", "conv2.bias", "proj_out.weight", "proj_out.bias")) or "upsample" in n
               for n in untouched)  # set by `begin`, learned by nobody  # fmt: skip


def test_idle_blocks_add_nothing_to_the_checkpoints_own_decoder_and_encoder(words: Vocabulary, tmp_path: Path) -> None:
    vq = train_tokenizer("decoder", words, small_vq(words), tmp_path, 2, 1, "cpu")
    vq = train_tokenizer("encoder", words, vq, tmp_path, 1, 1, "cpu")
    pixels = torch.rand(1, 3, 192, 192) * 2 - 1
    codes = F.normalize(torch.randn(1, 96, 6, 6), dim=1)
    with torch.no_grad():
        assert torch.allclose(vq.decoder(vq.post_quant_conv(codes)), decode(vq, codes), atol=1e-5)
        own = F.normalize(vq.quant_conv(vq.encoder(pixels)), dim=1).flatten(2).transpose(1, 2)
        assert torch.allclose(own, encode(vq, pixels), atol=1e-5)


def test_language_learns_resumes_exactly_and_assembles(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    words = Vocabulary(SMALL_NOUNS[:7])
    whole = train_language(words, tmp_path / "a", 2, 2, "cpu")
    train_language(words, tmp_path / "b", 2, 2, "cpu", stop_after=1)
    resumed = train_language(words, tmp_path / "b", 2, 2, "cpu")
    for (name, a), (_, b) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    with pytest.raises(InputError, match="decoder, encoder"):
        assemble(words, tmp_path / "a", tmp_path / "out")
    for half in ("decoder", "encoder"):
        train_tokenizer(half, words, small_vq(words), tmp_path / "a", 1, 1, "cpu")
    assemble(words, tmp_path / "a", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "milr.json").read_text())["reader"] == "world"
    assert json.loads((tmp_path / "out" / "training.json").read_text())["stages"] == {}  # nothing was logged to a file
    loaded = JanusForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float32)
    assert torch.allclose(loaded.lm_head.weight, whole.lm_head.weight, atol=1e-3)
