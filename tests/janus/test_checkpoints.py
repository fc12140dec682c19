"""A checkpoint is what its files say, or it is refused in one sentence; its weights have one hash."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import run as bench_run
from milr_core import InputError, load_model
from milr_core.cli import main
from milr_core.janus.load import checkpoint_folder
from milr_core.janus.weight_files import weight_files, weights_hash
from tests.janus.spoiled import change, fill

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4178821780\n"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "copy")


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(str(folder), "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tensors_that_are_not_as_the_configuration_says_are_named(folder):
    change(folder, "lm_head.weight", None)
    assert "lacks lm_head.weight" in refused(folder)
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]  # transformers then takes the embeddings for the head
    (folder / "config.json").write_text(json.dumps(config))
    assert "lacks lm_head.weight" in refused(folder)


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        ("model.vqmodel.decoder.conv_in.bias", None, "lacks model.vqmodel.decoder.conv_in.bias"),
        ("lm_head.weight", torch.zeros(3, 64), r"in other shapes lm_head.weight (3, 64), not ("),
        ("model.language_model.layers.9.mlp.up_proj.weight", torch.zeros(48, 64), "has too model.language_model"),
        ("model.language_model.norm.weight", torch.ones(64, dtype=torch.int8), "norm.weight (int8)"),
        ("model.language_model.layers.0.self_attn.q_proj.bias", torch.zeros(64), "has too model.language_model"),
    ],
)
def test_a_tensor_too_few_too_many_or_of_another_shape(folder, name, tensor, says):
    change(folder, name, tensor)
    assert says in refused(folder)


def test_tables_that_no_model_reads_do_no_harm(folder, tiny):
    change(folder, "model.language_model.rotary_emb.inv_freq", torch.zeros(8))
    assert torch.equal(load_model(str(folder), "cpu").hf.lm_head.weight, tiny.hf.lm_head.weight)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _cut_a_little(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("model.safetensors", lambda path: path.write_text(POINTER), "git-lfs pointer"),
        ("model.safetensors", lambda path: path.write_bytes(b""), "is damaged (it is empty). Download"),
        ("model.safetensors", _cut, "model.safetensors is damaged"),
        ("model.safetensors", lambda path: path.write_bytes(b"\x00" * 64), "model.safetensors is damaged"),
        ("model.safetensors", Path.unlink, "holds no weights"),
        ("tokenizer.json", lambda path: path.write_text(POINTER), "git-lfs pointer"),
        ("tokenizer.json", lambda path: path.write_text("{"), "tokenizer.json is damaged"),
        ("tokenizer_config.json", lambda path: path.write_bytes(b""), "tokenizer_config.json is damaged"),
        ("processor_config.json", lambda path: path.write_text("[]"), "processor_config.json is damaged"),
        ("generation_config.json", _cut_a_little, "generation_config.json is damaged"),
        ("config.json", lambda path: path.write_text(POINTER), "git-lfs pointer"),
        ("config.json", lambda path: path.write_text("[]"), "no readable config.json"),
        ("milr.json", lambda path: path.write_text("{"), "milr.json cannot be read as JSON"),
        ("milr.json", lambda path: path.write_text("[1]"), "milr.json holds no JSON object"),
        ("milr.json", lambda path: path.write_text('{"reasoning_template": "draw"}'), "reasoning_template is a text"),
        ("milr.json", lambda path: path.write_text('{"max_text_tokens": "9"}'), "max_text_tokens is a whole number"),
        ("milr.json", lambda path: path.write_text('{"max_text_tokens": 900}'), "Lower max_text_tokens"),
        ("milr.json", lambda path: path.write_text('{"recommended": {"lr": "x"}}'), "recommended cannot be used: lr"),
        ("milr.json", lambda path: path.write_text('{"recommended": {"preset": []}}'), "recommended cannot be used"),
        (
            "milr.json",
            lambda path: path.write_text('{"reader": "os:system"}'),
            "no reader 'os:system'; there are",
        ),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(folder, name, spoil, says):
    spoil(folder / name)
    assert says in refused(folder)


def test_the_command_says_it_in_one_line(folder, tmp_path, capsys):
    (folder / "model.safetensors").write_text(POINTER)
    out = ["--out", str(tmp_path / "run")]
    assert main(["reason", "two red dogs", "--model", str(folder), "--device", "cpu", *out]) == 2
    said = capsys.readouterr().err
    assert "git-lfs pointer" in said and said.count("\n") == 1


@pytest.mark.parametrize("word", ["gpu", "cuda:99", "meta", "", "cuda:x", "npu"])
def test_a_device_that_is_not_here_is_refused(word, tmp_path, capsys):
    if not word:
        with pytest.raises(InputError, match="There is no device ''. This machine has cpu"):
            load_model("janus-icons", word)
        return
    assert main(["reason", "two red dogs", "--device", word, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert f"no device '{word}'" in said and "cpu" in said and said.count("\n") == 1


def as_bin(folder: Path, shards: int = 1) -> Path:
    """The folder with its weights pickled, in one file or in several with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return folder
    places = {name: f"pytorch_model-{i % shards + 1:05}-of-{shards:05}.bin" for i, name in enumerate(tensors)}
    for file in set(places.values()):
        torch.save({name: tensors[name] for name, place in places.items() if place == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


@pytest.mark.parametrize("shards", [1, 3])
def test_pickled_weights_have_a_hash_of_their_own(folder, tmp_path, shards):
    other = shutil.copytree(folder, tmp_path / "other")
    fill(other, "lm_head.weight", 0.5)
    hashes = [load_model(str(as_bin(one, shards)), "cpu").weights_hash for one in (folder, other)]
    assert hashes[0] != hashes[1]
    assert [weights_hash(checkpoint_folder(str(one))) for one in (folder, other)] == hashes, "as bench computes it"
    assert bench_run.weights_hash is weights_hash
    save_file({"x": torch.zeros(1)}, folder / "adapter.safetensors")
    torch.save({"x": torch.zeros(1)}, folder / "optimizer.bin")
    assert weights_hash(folder) == hashes[0], "files that nobody loads do not enter"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_size", 63),
        ("num_attention_heads", 0),
        ("hidden_act", "nope"),
        ("rms_norm_eps", "x"),
        ("vocab_size", -1),
    ],
)
def test_sizes_that_no_model_has_are_refused(folder, name, value):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"][name] = value
    (folder / "config.json").write_text(json.dumps(config))
    assert "describes no Janus" in refused(folder)


@pytest.mark.parametrize(
    ("file", "name", "says"),
    [
        ("config.json", "image_token_id", "image_token_id of 99999 in its config.json, and of 8 in its tokenizer"),
        ("generation_config.json", "pad_token_id", "no pad token: its files say 99999"),
    ],
)
def test_tokens_that_files_number_differently_are_refused(folder, file, name, says):
    said = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(said | {name: 99999}))
    assert says in refused(folder)


class Command:
    """What runs a command where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("held", [{"x": Command()}, {0: torch.zeros(1)}, {"state": {"x": torch.zeros(1)}}, []])
def test_pickled_weights_are_tensors_by_name_and_nothing_else(folder, tmp_path, monkeypatch, held):
    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(held, folder / "pytorch_model.bin")
    said = refused(folder)
    assert "pytorch_model.bin is damaged" in said and "weights_only" not in said
    assert not (tmp_path / "ran").exists()


def test_json_files_with_a_byte_order_mark_are_read(folder, tiny):
    for path in folder.glob("*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    model = load_model(str(folder), "cpu")
    assert torch.equal(model.hf.lm_head.weight, tiny.hf.lm_head.weight) and model.recommended == tiny.recommended
    assert model.folder == folder and model.weights_hash == tiny.weights_hash


def test_a_shard_that_is_not_there_is_named(folder):
    as_bin(folder, 3)
    names = [path.name for path in weight_files(folder)]
    assert names == sorted(names) and len(names) == 3
    (folder / names[1]).unlink()
    assert f"lacks {names[1]}, which its index names" in refused(folder)
