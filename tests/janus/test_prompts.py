"""Control tokens are no prompt, a checkpoint may have a reader of prompts, and numbers that are none end the step."""

import json
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from milr_core import InputError, SearchSettings, load_model, reason
from milr_core.janus import Reading, catalog
from milr_core.janus.reading import reader_named
from tests.janus.spoiled import fill

PROMPT = "two red dogs"
IMAGE = Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8))


@pytest.mark.parametrize("token", ["<image_placeholder>", "<|User|>", "<begin_of_image>", "<end_of_image>", "<|end|>"])
def test_control_tokens_are_refused_in_prompts_and_plain_in_any_other_text(tiny, token):
    tokenizer = tiny.processor.tokenizer
    with pytest.raises(InputError, match="steers tiny.* Take it out"):
        tiny.check_prompt(f"a cat {token}")
    number = tokenizer.convert_tokens_to_ids(token)

    def count(ids: torch.Tensor) -> int:
        return int((ids == number).sum())

    assert count(tiny.image_ids(PROMPT, f"red {token} dog")[0]) == count(tiny.image_ids(PROMPT, "red dog")[0])
    assert count(tiny.reasoning_ids(f"{PROMPT} {token}")) == count(tiny.reasoning_ids(PROMPT))
    assert 0 <= float(tiny.yes_probability([IMAGE], tiny.question(f"{PROMPT} {token}"))) <= 1


def read(prompt: str) -> Reading:
    if "dragon" in prompt:
        raise InputError("There are no dragons.", suggestions=("two red dogs",))
    text = prompt.replace("a pair of", "two")
    return Reading(text, ("'a pair of' is read as 'two'.",) if text != prompt else ())


def test_a_checkpoint_may_name_a_reader_of_prompts(tiny, tiny_folder, tmp_path, monkeypatch, redness):
    assert tiny.read_prompt("a pair of red dogs") == Reading("a pair of red dogs")
    monkeypatch.setitem(catalog.READERS, "pairs", "reader_of_a_test:read")
    monkeypatch.setitem(sys.modules, "reader_of_a_test", ModuleType("reader_of_a_test"))
    sys.modules["reader_of_a_test"].read = read
    folder = shutil.copytree(tiny_folder, tmp_path / "read")
    described = json.loads((folder / "milr.json").read_text())
    (folder / "milr.json").write_text(json.dumps({**described, "reader": "pairs"}))
    model = load_model(str(folder), "cpu")
    typed = "a pair of red dogs"
    assert model.read_prompt(typed) == Reading(PROMPT, ("'a pair of' is read as 'two'.",))
    assert torch.equal(model.reasoning_ids(typed), tiny.reasoning_ids(PROMPT))
    assert torch.equal(model.image_ids(typed, "red"), tiny.image_ids(PROMPT, "red"))
    assert model.question(typed) == tiny.question(PROMPT)
    first = next(iter(reason(model, redness, typed, SearchSettings(steps=1, seed=0))))
    assert first.state.prompt == typed
    assert first.text == next(iter(reason(tiny, redness, PROMPT, SearchSettings(steps=1, seed=0)))).text
    with pytest.raises(InputError, match="dragons") as caught:
        model.check_prompt("a dragon")
    assert caught.value.suggestions == ("two red dogs",)
    assert InputError("no").suggestions == ()


def test_the_readers_that_are_named_are_there():
    for name in catalog.READERS:
        read = reader_named(name)("2 red apples")
        assert read.text == "two red apples" and isinstance(read.notes, tuple)
    with pytest.raises(InputError) as caught:
        reader_named("world")("a flux capacitor")
    assert len(caught.value.suggestions) == 3


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        ("lm_head.weight", "text head gave NaN or infinite numbers in float32. Its weights are damaged"),
        ("model.generation_head.vision_head.weight", "image head gave NaN"),
        ("model.language_model.layers.1.mlp.down_proj.weight", "language model gave NaN"),
        ("model.vqmodel.decoder.conv_out.bias", "image decoder gave NaN"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_end_the_step_before_anything_is_made_of_them(
    tiny_folder, tmp_path, redness, tensor, says, value
):
    folder = shutil.copytree(tiny_folder, tmp_path / "damaged")
    fill(folder, tensor, value)
    steps = []
    with pytest.raises(InputError, match=says):
        steps.extend(reason(load_model(str(folder), "cpu"), redness, PROMPT, SearchSettings(steps=1, seed=0)))
    assert not steps


def test_an_answer_that_is_no_number_is_an_error(tiny_folder):
    model = load_model(str(tiny_folder), "cpu")
    model.hf.model.aligner.fc1.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="answer to a question about an image gave NaN"):
        model.yes_probability([IMAGE], "is this it?")


def test_float16_that_overflows_says_what_to_do(tiny_folder, redness):
    model = load_model(str(tiny_folder), "cpu", torch.float16)
    model.hf.lm_head.weight.data.fill_(60000.0)
    with pytest.raises(InputError, match="in float16. float16 ends at 65504: load the model in bfloat16 or float32"):
        list(reason(model, redness, PROMPT, SearchSettings(steps=1, seed=0)))
