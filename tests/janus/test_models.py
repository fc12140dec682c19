"""What a model needs is known before it is loaded; what it does not get is said; how it is placed changes little."""

import json
import shutil

import pytest
import torch

from milr_core import (
    MODELS,
    InputError,
    Janus,
    Loading,
    SearchSettings,
    free_bytes,
    load_model,
    memory_needed,
    reason,
    start,
)
from milr_core.cli import main
from milr_core.janus import devices, placement
from milr_core.janus.configuration import bytes_of
from milr_core.janus.memory import FIRST_LAYER, memory_of, parameters_of
from milr_core.janus.placement import placement_of, quantized, spread
from milr_core.janus.transformer import Cache, CalledLayer, EagerRuntime, FusedLayer
from milr_core.janus.workspace import Workspace
from tests.conftest import write_tiny_janus

GIB = 1 << 30
ATTENTION_POOL = 12_595_200  # of the vision tower: in DeepSeek's model, not in transformers'


def test_sizes_come_from_the_shapes():
    one, seven = (MODELS[f"deepseek-community/Janus-Pro-{size}"] for size in ("1B", "7B"))
    assert one.parameters + ATTENTION_POOL == 2_089_232_011, "what DeepSeek's own code counts"
    assert round(seven.parameters / 1e9, 2) == 7.41
    assert one.gigabytes["bfloat16"] == pytest.approx(2 * one.parameters / 1e9)
    for info in MODELS.values():
        sizes = [info.gigabytes[kind] for kind in ("float32", "bfloat16", "8bit", "4bit")]
        assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 0
    assert [info.embedded for info in MODELS.values()] == [True, False, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_is_what_is_really_taken(tiny_folder, redness, dtype):
    model = load_model(str(tiny_folder), "cpu", dtype)
    memory = memory_needed(str(tiny_folder), "cpu", dtype)
    assert memory.weights == sum(p.nbytes for p in model.hf.parameters())
    workspace = Workspace(model)
    start(model, redness, "two red dogs", SearchSettings(), workspace=workspace)
    taken = sum(t.nbytes for cache in workspace._caches.values() for t in (*cache.keys, *cache.values))
    assert taken <= memory.cache == Cache.size(model.stack, 3, 200) and memory.peak > memory.weights + memory.cache


def test_a_container_with_a_limit_has_no_more_than_that(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    whole = free_bytes("cpu")
    for name, text in (("max", "1000000"), ("current", "400000"), ("stat", "inactive_file 1000")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    assert free_bytes("cpu") == 601000 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes("cpu") > GIB / 4


def test_what_does_not_fit_is_refused_before_loading_with_what_does(tiny_folder, monkeypatch):
    def free(gigabytes):
        monkeypatch.setattr(placement, "free_bytes", lambda device: int(gigabytes * 1e9))

    free(20)
    with pytest.raises(InputError) as refused:
        load_model("deepseek-ai/Janus-Pro-7B", "cpu")
    assert "Janus-Pro-7B needs 3" in str(refused.value) and "20.0 GB are free" in str(refused.value)
    assert str(refused.value).endswith("What fits: dtype bfloat16, deepseek-community/Janus-Pro-1B, janus-icons.")
    free(1)
    with pytest.raises(InputError, match=r"What fits: janus-icons\.$"):
        load_model("deepseek-community/Janus-Pro-1B", "cpu", torch.bfloat16)
    free(0.001)
    with pytest.raises(InputError, match="Nothing smaller fits either"):
        load_model(str(tiny_folder), "cpu")


def test_on_cuda_layers_wait_in_main_memory_where_the_device_is_too_small(monkeypatch):
    name = "deepseek-community/Janus-Pro-7B"
    config = MODELS[name].config
    room = {"cuda": 12e9, "cpu": 40e9}
    monkeypatch.setattr(placement, "free_bytes", lambda device: room[device])
    found = placement_of(name, config, "cuda", torch.bfloat16, None)
    places = found.options["device_map"]
    elsewhere = [key for key, place in places.items() if place == "cpu"]
    assert len(elsewhere) == found.waiting and elsewhere[-1].endswith("layers.29") and places["lm_head"] == "cuda"
    layer = 2 * parameters_of(config, FIRST_LAYER)
    here = memory_of(config, "cuda", torch.bfloat16).peak - found.waiting * layer
    assert here + layer <= 12e9, "with room for the layer that is being used"
    assert here + 2 * layer > 12e9, "and no more than needed wait"

    monkeypatch.setattr(placement, "find_spec", lambda package: None)
    with pytest.raises(InputError, match="What fits: quantization 8bit, quantization 4bit, .*pip install accelerate"):
        placement_of(name, config, "cuda", torch.bfloat16, None)
    room["cpu"] = 1e9
    with pytest.raises(InputError, match=r"janus-icons\.$"):
        placement_of(name, config, "cuda", torch.bfloat16, None)
    monkeypatch.undo()
    room["cuda"] = 80e9
    monkeypatch.setattr(placement, "free_bytes", lambda device: room[device])
    assert placement_of(name, config, "cuda", torch.bfloat16, None) == placement.Placement()


def test_a_quantization_that_cannot_be_is_refused(monkeypatch, capsys):
    with pytest.raises(InputError, match="8bit or 4bit, or not given; got '3bit'"):
        load_model("janus-icons", "cpu", quantization="3bit")
    with pytest.raises(InputError, match="needs a CUDA device; this is 'cpu'. Leave it out"):
        load_model("janus-icons", "cpu", quantization="4bit")
    monkeypatch.setattr(placement, "find_spec", lambda package: None)
    with pytest.raises(InputError, match="pip install bitsandbytes accelerate"):
        placement.check_quantization("8bit", "cuda")
    assert main(["reason", "two red dogs", "--device", "cpu", "--quantization", "4bit"]) == 2
    assert "needs a CUDA device" in capsys.readouterr().err


def test_loading_tells_what_it_does(tiny_folder):
    told = []
    load_model(str(tiny_folder), "cpu", progress=told.append)
    assert told[0] == Loading("load", 0.0, f"Loading {tiny_folder.name}: 0%")
    assert told[-1] == Loading("ready", 1.0, f"{tiny_folder.name} is ready on cpu")
    done = [one.done for one in told]
    assert done == sorted(done) and done[-2] == 1.0 and len(done) > 10


def decoded(model, redness):
    steps = list(reason(model, redness, "two red dogs", SearchSettings(steps=2, seed=0)))
    return [(step.text, step.image_tokens) for step in steps]


def outputs(model, through_transformers):
    """(T, D) outputs of the language model for a few tokens: by our loop, or by transformers' code."""
    ids = torch.randint(9, 100, (1, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        if through_transformers:
            return model.hf.model.language_model(input_ids=ids, use_cache=False).last_hidden_state[0].float()
        return model.stack.forward(model.embed(ids), Cache(model.stack, 1, 40))[0].float()


def test_bfloat16_on_a_cpu(tiny_folder, redness):
    model = load_model(str(tiny_folder), "cpu", torch.bfloat16)
    wide = {name for name, p in model.hf.named_parameters() if p.dtype == torch.float32}
    assert wide == {name for name, _ in model.hf.named_parameters() if name.startswith("model.vqmodel.")}
    codes = torch.arange(16)[None]
    plain = load_model(str(tiny_folder), "cpu").hf.decode_image_tokens(codes)
    assert (model.hf.decode_image_tokens(codes) - plain).abs().mean() < 0.03
    torch.testing.assert_close(outputs(model, False), outputs(model, True), rtol=0.05, atol=0.05)
    assert len(decoded(model, redness)) == 3


def test_layers_that_wait_elsewhere_compute_the_same(tiny_folder, tmp_path, redness):
    """What accelerate does for a GPU with main memory, here for the CPU with the disk."""
    plain = load_model(str(tiny_folder), "cpu")
    options = {"device_map": spread(2, 1, "cpu", "disk"), "offload_folder": str(tmp_path)}
    spread_out = Janus("tiny", tiny_folder, "cpu", torch.float32, **options)
    assert spread_out.hf.model.language_model.layers[1].mlp.up_proj.weight.is_meta
    assert [type(layer) for layer in spread_out.stack.layers] == [FusedLayer, CalledLayer]
    assert type(spread_out.stack.runtime) is EagerRuntime
    torch.testing.assert_close(outputs(spread_out, False), outputs(plain, False), rtol=1e-4, atol=1e-4)
    assert decoded(spread_out, redness) == decoded(plain, redness)


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantised_layers_run_through_the_decode_loop(tmp_path, redness, bits):
    """bitsandbytes computes on a CPU too: slowly, but with the same modules as on CUDA."""
    pytest.importorskip("bitsandbytes")
    folder = write_tiny_janus(tmp_path / "tiny", inner=64)  # where a CPU has AVX-512 it packs whole blocks of 64
    model = Janus("tiny", folder, "cpu", torch.bfloat16, **quantized(bits, torch.bfloat16, "cpu"))
    packed = [p for p in model.hf.parameters() if p.dtype not in (torch.bfloat16, torch.float32)]
    layer = model.hf.model.language_model.layers[0]
    assert len(packed) == 2 * 7 and layer.mlp.up_proj.weight.dtype in (torch.int8, torch.uint8)
    for part in (model.hf.lm_head, model.hf.model.generation_head.vision_head, model.hf.model.aligner.fc1):
        assert type(part) is torch.nn.Linear and part.weight.dtype == torch.bfloat16
    assert all(isinstance(one, CalledLayer) for one in model.stack.layers)
    scales = sum(
        (one.weight.quant_state.absmax if bits == "4bit" else one.weight.SCB).nbytes
        for name, one in model.hf.named_modules()
        if name.startswith("model.language_model.layers") and name.endswith("_proj")
    )
    taken = sum(p.nbytes for p in model.hf.parameters()) + scales
    wide = sum(p.nbytes for p in model.hf.model.vqmodel.parameters()) / 2  # in float32 on a CPU
    assert bytes_of(model.hf.config, bits) + wide == pytest.approx(taken, rel=0.02)

    torch.testing.assert_close(outputs(model, False), outputs(model, True), rtol=0.05, atol=0.05)
    exact = outputs(load_model(str(folder), "cpu", torch.bfloat16), False)
    alike = torch.nn.functional.cosine_similarity(outputs(model, False), exact, dim=-1).mean()
    assert {"8bit": 0.98, "4bit": 0.75}[bits] < alike < 0.99999
    assert len(decoded(model, redness)) == 3


def test_weights_that_are_there_are_not_tied_whatever_the_config_says(tiny_folder, tmp_path):
    """The config.json of converted checkpoints may lack the word, and transformers then takes it for a yes."""
    folder = shutil.copytree(tiny_folder, tmp_path / "tied")
    config = json.loads((folder / "config.json").read_text())
    del config["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    model, plain = load_model(str(folder), "cpu"), load_model(str(tiny_folder), "cpu")
    assert torch.equal(model.hf.lm_head.weight, plain.hf.lm_head.weight)
    assert not torch.equal(model.hf.lm_head.weight, model.embed.weight)
    assert memory_needed(str(folder), "cpu") == memory_needed(str(tiny_folder), "cpu")


def test_every_prompt_begins_as_janus_was_trained_and_pads_as_transformers_does(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "bare")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**generation, "pad_token_id": 3}))
    model, plain = load_model(str(folder), "cpu"), load_model(str(tiny_folder), "cpu")
    ids, expected = model.image_ids("two red dogs", ""), plain.image_ids("two red dogs", "")
    assert torch.equal(ids[0], expected[0]) and set(ids[1, 1:-1].tolist()) == {3}
