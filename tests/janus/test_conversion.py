"""DeepSeek's format: the same numbers after conversion, the same text in front of them, and clear refusals."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from milr_core import InputError, SearchSettings, load_model, memory_needed, reason
from milr_core.cli import main
from milr_core.janus import conversion, deepseek, weights
from tests.janus.deepseek_format import BOS, DRAWER, PAD, SPECIAL, TOWER, old_tensors, write_deepseek


@pytest.fixture(autouse=True)
def tiny_parts(monkeypatch, tmp_path):
    monkeypatch.setitem(deepseek.TOWERS, "siglip_tiny", TOWER)
    monkeypatch.setitem(deepseek.DRAWERS, "VQ-tiny", DRAWER)
    monkeypatch.setattr(conversion, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(weights, "FILE_BYTES", 200_000)


@pytest.fixture
def source(tmp_path):
    model = write_deepseek(tmp_path / "Janus-Tiny")
    return tmp_path / "Janus-Tiny", model


def test_a_folder_of_deepseeks_is_converted_once_and_computes_the_same(source, redness):
    folder, model = source
    told = []
    loaded = load_model(str(folder), "cpu", torch.bfloat16, progress=told.append)
    stages = [one.stage for one in told]
    assert stages == sorted(stages, key=["convert", "load", "ready"].index) and set(stages) >= {"convert", "ready"}
    assert [one.done for one in told if one.stage == "convert"][-1] == 1.0

    model.model.vqmodel.float()  # as it computes on a CPU
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.hf.state_dict()[name]), name
    ids = torch.tensor([[1, 9, 30, 40]])
    images = torch.randint(0, 24, (1, 16))
    pixels = torch.rand(1, 3, 16, 16).bfloat16()
    with torch.no_grad():
        for one in (
            lambda hf: hf(input_ids=ids).logits,
            lambda hf: hf.decode_image_tokens(images),
            lambda hf: hf.prepare_embeddings_for_image_generation(images),
            lambda hf: hf.model.generation_head(hf.model.language_model(ids).last_hidden_state),
            lambda hf: hf.model.get_image_features(pixels).pooler_output,
        ):
            assert torch.equal(one(model), one(loaded.hf))
    assert len(list(loaded.folder.glob("*.safetensors"))) > 2, "in several files, as large ones are written"

    again = []
    load_model(str(folder), "cpu", torch.bfloat16, progress=again.append)
    assert "convert" not in [one.stage for one in again]
    *_, last = reason(loaded, redness, "two red dogs", SearchSettings(steps=1, seed=0))
    assert last.index == 1 and last.image.size == (16, 16)


def test_what_stands_before_text_and_image_is_what_deepseeks_code_writes(source):
    model = load_model(str(source[0]), "cpu", torch.bfloat16)
    tokenizer = model.processor.tokenizer
    text, bare = model.image_ids("two red dogs", "left of a car.")
    said = "<|User|>: two red dogs. left of a car.\n\n<|Assistant|>:<begin_of_image>"
    assert tokenizer.decode(text) == BOS + said
    assert tokenizer.decode(bare) == BOS + PAD * (len(bare) - 2) + "<begin_of_image>"
    assert tokenizer.decode(model.reasoning_ids("a cat")).endswith("\n\n<|Assistant|>:")
    assert "Ġleft" in tokenizer.convert_ids_to_tokens(text), "byte-level, as its file says, not as its class would"
    chat = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " a cat? "}]},
        {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
        {"role": "user", "content": [{"type": "text", "text": "sure?"}]},
    ]
    assert model.processor.apply_chat_template(chat, add_generation_prompt=True) == (
        "<|User|>: <image_placeholder>\na cat?\n\n<|Assistant|>: yes<｜end▁of▁sentence｜>"
        "<|User|>: sure?\n\n<|Assistant|>:"
    )
    for token in SPECIAL:
        with pytest.raises(InputError, match="steers"):
            model.check_prompt(f"a cat {token}")
    assert model.check_prompt("is 1 < 2 > 0?") == "is 1 < 2 > 0?"
    image = Image.fromarray(np.full((20, 30, 3), 200, dtype=np.uint8))
    assert 0 < float(model.yes_probability([image], "a cat?")) < 1
    assert model.recommended["guidance"] == 5.0 and model.num_image_tokens == 16
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in (PAD, "<image_placeholder>")}
    assert (model.pad_token, model.hf.config.image_token_id) == tuple(ids.values())


def test_the_command_converts_safetensors_too(source, tmp_path, capsys):
    folder, model = source
    for path in folder.glob("*.bin"):
        path.unlink()
    save_file({name: tensor.clone() for name, tensor in old_tensors(model).items()}, folder / "model.safetensors")
    assert main(["convert", str(folder), str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "new")
    index = json.loads((tmp_path / "new" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(model.state_dict())
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in model.state_dict().values())
    one = load_file(tmp_path / "new" / index["weight_map"]["lm_head.weight"])["lm_head.weight"]
    assert torch.equal(one, model.lm_head.weight)
    assert main(["convert", str(folder), str(tmp_path / "new")]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "new"), str(tmp_path / "newer")]) == 2
    assert "already" in capsys.readouterr().err


def test_memory_is_known_before_conversion(source):
    folder, model = source
    assert memory_needed(str(folder), "cpu", torch.bfloat16).weights == sum(
        p.numel() * (4 if name.startswith("model.vqmodel.") else 2) for name, p in model.named_parameters()
    )


def _drop(folder, tensors, config):
    del tensors["gen_embed.weight"]


def _add(folder, tensors, config):
    tensors["language_model.model.layers.7.mlp.up_proj.weight"] = torch.zeros(48, 64)


def _stranger(folder, tensors, config):
    tensors["flow.weight"] = torch.zeros(2)


def _shape(folder, tensors, config):
    tensors["gen_embed.weight"] = torch.zeros(24, 5)


def _tower(folder, tensors, config):
    config["vision_config"]["params"]["model_name"] = "siglip_huge"


def _tokens(folder, tensors, config):
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text().replace("<begin_of_image>", "<b>"))


class Unsafe:
    def __reduce__(self):
        return (print, ("unpickled",))


def _code(folder, tensors, config):
    tensors["gen_embed.weight"] = Unsafe()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_drop, "lacks 1 tensors, the first of them model.generation_embeddings.weight"),
        (_add, "does not ask for"),
        (_stranger, "'flow.weight', which no Janus has"),
        (_shape, r"\(24, 4\) is needed"),
        (_tower, "siglip_huge"),
        (_tokens, "does not know <begin_of_image>"),
        (_code, "pytorch_model.bin is damaged"),
    ],
)
def test_what_is_damaged_is_refused_and_leaves_nothing(source, tmp_path, change, says, capsys):
    folder, model = source
    tensors, config = old_tensors(model), json.loads((folder / "config.json").read_text())
    change(folder, tensors, config)
    for path in folder.glob("*.bin"):
        path.unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=says):
        load_model(str(folder), "cpu")
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True
    assert "unpickled" not in capsys.readouterr().out
