"""Each network from a checkpoint of its real class on disk: loaded, checked, batched, unloaded, beside a slow twin."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from milr_core import CriticError, load_critic
from milr_core.critics.base import FAILED, READY, UNLOADED
from milr_core.critics.geneval import COLORS
from milr_core.critics.geneval_spec import CLASSES, COCO_NAMES
from milr_core.critics.models.boxes import Detection, iou, suppressed
from milr_core.critics.models.clip import ClipLarge
from milr_core.critics.models.grounding import GroundingDino, name_of
from milr_core.critics.models.mask2former import Mask2Former, instances
from milr_core.critics.models.questions import BlipVqa, GitVqa
from tests.critics import tiny


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each network."""
    base = tmp_path_factory.mktemp("tiny-critics")
    writers = ("mask2former", "grounding_dino", "clip", "git", "blip", "qwen", "aesthetic_head")
    return {name: getattr(tiny, name)(base / name) for name in writers}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(3)]


def small(detector):
    """A detector that looks at fewer pixels than it would: the same code, faster."""
    detector.size = {"shortest_edge": 64, "longest_edge": 96}
    return detector


def critics_of(folders):
    geneval = load_critic("geneval", detector=str(folders["mask2former"]), clip=str(folders["clip"]), device="cpu")
    small(geneval.detector)
    mixed = load_critic(
        "mixed", detector=str(folders["grounding_dino"]), questions=str(folders["git"]), clip=str(folders["clip"]),
        head=str(folders["aesthetic_head"]), device="cpu",
    )  # fmt: skip
    compbench = load_critic(
        "compbench", questions=str(folders["blip"]), detector=str(folders["grounding_dino"]),
        clip=str(folders["clip"]), device="cpu",
    )  # fmt: skip
    compbench.questions.image_size = 48  # position embeddings of a 32 pixel checkpoint are interpolated
    aesthetic = load_critic("aesthetic", clip=str(folders["clip"]), head=str(folders["aesthetic_head"]), device="cpu")
    return {"geneval": geneval, "mixed": mixed, "compbench": compbench, "aesthetic": aesthetic}


@pytest.mark.parametrize("name", ["geneval", "mixed", "compbench", "aesthetic"])
def test_a_critic_loads_scores_in_a_batch_unloads_and_repeats_itself(folders, images, name):
    critic = critics_of(folders)[name]
    assert critic.state == UNLOADED and all(model.present for model in critic.models)
    critic.load()
    assert critic.state == READY
    prompt = "a cat left of a dog"
    scores = critic.score(images, prompt)
    assert len(scores) == 3 and all(0 <= s.value <= 1 and s.reason for s in scores)
    assert [s.value for s in critic.score(images, prompt)] == [s.value for s in scores]
    assert critic.score(images[1:2], prompt)[0].value == pytest.approx(scores[1].value, abs=1e-4)
    json.dumps([s.raw for s in scores])
    critic.unload()
    assert critic.state == UNLOADED and all(model.model is None for model in critic.models)
    assert [s.value for s in critic.score(images, prompt)] == [s.value for s in scores]


def test_weights_stay_frozen_and_on_the_device_asked_for(folders):
    model = ClipLarge(str(folders["clip"]), "cpu")
    model.load()
    assert not any(p.requires_grad for p in model.model.parameters()) and not model.model.training
    assert {p.device.type for p in model.model.parameters()} == {"cpu"} and model.model.dtype == torch.float32


def test_missing_wrong_and_damaged_weights_are_named_with_the_fix(folders, tmp_path):
    def fails(source, says):
        model = ClipLarge(str(source), "cpu")
        with pytest.raises(CriticError, match=says) as caught:
            model.load()
        assert model.state == FAILED and str(source) in str(caught.value) and "CLIPModel" in str(caught.value)
        return str(caught.value)

    said = fails(folders["git"], "type 'git', not 'clip'")
    assert "Download openai/clip-vit-large-patch14 into this folder" in said
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "cannot be loaded")
    lacking = tmp_path / "lacking"
    tiny.clip(lacking)
    tensors = load_file(lacking / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, lacking / "model.safetensors", {"format": "pt"})
    fails(lacking, "no values for 1 tensors, such as visual_projection.weight")
    (lacking / "model.safetensors").write_bytes(b"not tensors")
    fails(lacking, "cannot be loaded")


def test_a_hub_id_that_cannot_be_had_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    critic = load_critic("aesthetic", clip="nobody/no-such-clip", device="cpu")
    assert not critic.models[0].present and not ClipLarge("/no/such/folder").present
    with pytest.raises(CriticError, match="nobody/no-such-clip.*hf download nobody/no-such-clip"):
        critic.load()
    assert critic.state == FAILED


def test_a_detector_of_other_classes_is_refused(tmp_path):
    swapped = (COCO_NAMES[1], COCO_NAMES[0], *COCO_NAMES[2:])
    with pytest.raises(CriticError, match="its class 0 is 'bicycle', COCO's is 'person'"):
        Mask2Former(str(tiny.mask2former(tmp_path / "swapped", swapped)), "cpu").load()
    assert sum(a != b for a, b in zip(CLASSES, COCO_NAMES, strict=True)) == 3


def test_the_hub_preprocessor_is_not_believed(folders):
    """It says 384 x 384; GenEval's detector sees 800 on the shorter side, 1333 at most on the longer."""
    assert Mask2Former.size == {"shortest_edge": 800, "longest_edge": 1333}
    detector = Mask2Former(str(folders["mask2former"]), "cpu")
    detector.load()
    for size, expected in (((384, 384), (800, 800)), ((300, 100), (444, 1333))):
        image = Image.new("RGB", size)
        inputs = detector.image_processor([image], size=detector.size, size_divisor=0, return_tensors="pt")
        assert inputs["pixel_values"].shape[-2:] == expected


def test_instances_are_what_the_rule_says():
    """Three queries, two classes, 2 x 3 pixels, worked out by hand."""
    classes = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]]))
    masks = torch.full((3, 2, 3), -4.0)
    masks[0, 0, 1:] = 2.0  # sigmoid 0.8808
    masks[2, 1, 0] = 4.0  # sigmoid 0.9820
    found = instances(classes, masks)
    best, second = found[0], found[1]
    assert (best.name, second.name) == (CLASSES[0], CLASSES[1]) and len(found) == 6
    assert best.score == pytest.approx(0.7 * 0.880797, abs=1e-5) and best.box == (1, 0, 3, 1)
    assert second.score == pytest.approx(0.5 * 0.982014, abs=1e-5) and second.box == (0, 1, 1, 2)
    assert best.mask.tolist() == [[False, True, True], [False, False, False]]
    assert all(d.score == 0 for d in found if d.box == (0, 0, 0, 0)), "an empty mask counts for nothing"
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


def test_colors_are_the_nearest_of_averaged_texts(folders, images):
    critic = critics_of(folders)["geneval"]
    mask = np.zeros((48, 64), dtype=bool)
    mask[10:30, 20:50] = True
    objects = [Detection("cat", 0.9, (20, 10, 50, 30), mask), Detection("cat", 0.9, (0, 0, 64, 48))]
    got = critic.colors(images[0], objects, "cat")

    pixels = np.array(images[0])
    pixels[~mask] = 0x99
    crops = [Image.fromarray(pixels[10:30, 20:50]), images[0]]
    clip = critic.clip
    expected = []
    for crop in crops:
        vector, similarity = clip.of_images([crop])[0], []
        for color in COLORS:
            texts = [f"a photo of a {color} cat", f"a photo of a {color}-colored cat", f"a photo of a {color} object"]
            mean = sum(clip.of_texts([text])[0] for text in texts) / 3
            similarity.append(float(vector @ mean / mean.norm()))
        expected.append(COLORS[int(np.argmax(similarity))])
    assert got == expected


def test_git_answers_as_its_own_generation_does(folders, images):
    git = GitVqa(str(folders["git"]), "cpu")
    question = "is this a red cat?"
    (value,) = git.yes_probability(images[:1], [question])[0].tolist()
    ids = torch.tensor([[101, *git.tokenizer(question, add_special_tokens=False).input_ids]])
    pixels = git.image_processor(images[0], return_tensors="pt")["pixel_values"]
    output = git.model.generate(
        input_ids=ids, pixel_values=pixels, max_new_tokens=1, do_sample=False, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    probabilities = output.scores[0][0].softmax(-1)
    assert value == pytest.approx(
        float(probabilities[git.yes] / (probabilities[git.yes] + probabilities[git.no])), abs=1e-5
    )


def test_blip_answers_as_its_own_generation_does(folders, images):
    blip = BlipVqa(str(folders["blip"]), "cpu")
    blip.image_size = None  # generate() does not interpolate position embeddings by itself
    questions = ["a red cat?", "the plate?", "is this a red cat left of a dog?"]
    values = blip.yes_probability(images, questions)
    assert values.shape == (3, 3)
    pixels = blip.image_processor(images, return_tensors="pt")["pixel_values"]
    for column, question in enumerate(questions):
        ids = blip.tokenizer(question, return_tensors="pt").input_ids
        ids[:, 0] = tiny.VOCABULARY + 1
        output = blip.model.generate(
            pixel_values=pixels[1:2], input_ids=ids, max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        probabilities = output.scores[0][0].softmax(-1)
        expected = float(probabilities[blip.yes] / (probabilities[blip.yes] + probabilities[blip.no]))
        assert float(values[1, column]) == pytest.approx(expected, abs=1e-5)
    assert blip.model.config.vision_config.image_size == 32
    wide = BlipVqa(str(folders["blip"]), "cpu")
    wide.image_size = 64
    assert not torch.allclose(wide.yes_probability(images, questions), values, atol=1e-6), "it sees more pixels"
    assert BlipVqa.image_size == 480


def test_grounding_dino_finds_boxes_inside_the_image(folders, images):
    detector = GroundingDino(str(folders["grounding_dino"]), "cpu")
    rows = detector.detect(images, ["Red Cat", "dog"], threshold=0.0, text_threshold=0.0)
    assert len(rows) == 3 and all(rows)
    for row in rows:
        assert [d.score for d in row] == sorted((d.score for d in row), reverse=True)
        assert {d.name for d in row} <= {"red cat", "dog"}
        assert all(-64 <= d.box[0] <= d.box[2] <= 128 for d in row)
    assert detector.detect(images, ["cat"], threshold=1.0) == [[], [], []]


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("cat", "red cat"), ("red cat", "red cat"), ("dog", "dog"), ("bus", None), ("", None), ("red dog", "dog")],
)
def test_a_phrase_means_the_name_it_shares_most_words_with(phrase, expected):
    assert name_of(phrase, ["red cat", "dog"]) == expected


@pytest.mark.parametrize(
    ("phrase", "names", "expected"),
    [
        ("hot dog", ["dog", "hot dog"], "hot dog"),
        ("dog", ["hot dog", "dog"], "dog"),
        ("dog. hot dog", ["dog", "hot dog"], "hot dog"),
        ("teddy bear", ["bear", "teddy bear"], "teddy bear"),
        ("wine glass.", ["glass", "wine glass"], "wine glass"),
        ("glass", ["wine glass", "glass bottle"], "wine glass"),
        ("red dog. cat", ["cat", "red dog"], "red dog"),
        ("red dog . cat .", ["cat", "red dog"], "red dog"),
        ("cat.", ["cat"], "cat"),
        ("Café!", ["cafe"], "cafe"),
        ("t - shirt", ["shirt button", "t-shirt"], "t-shirt"),
        ("##s", ["s", "cats"], None),
        ("dog hot", ["dog", "hot dog"], "dog"),
        (".", ["dog", ""], None),
        ("dog", [], None),
    ],
)
def test_the_longest_name_of_whole_words_wins(phrase, names, expected):
    assert name_of(phrase, names) == expected
    assert name_of(phrase, names[::-1]) == expected


def phrase_of_authors(logits, ids, tokenizer, threshold=0.25):
    """Make a phrase as the authors' package does: the tokens above the threshold, without the ends and the dots."""
    chosen = (logits.sigmoid() > threshold).clone()
    chosen[0], chosen[255:] = False, False
    return tokenizer.decode([ids[i] for i in chosen.nonzero(as_tuple=True)[0].tolist()]).replace(".", "").strip()


def test_names_are_those_of_the_authors_phrases_on_the_same_logits(folders, images, monkeypatch):
    detector = GroundingDino(str(folders["grounding_dino"]), "cpu")
    detector.load()
    names = ["dog", "red dog", "cat"]
    generator = torch.Generator().manual_seed(0)
    text = detector.tokenizer("dog . red dog . cat .").input_ids
    logits = torch.full((1, 40, 256), -torch.inf)
    logits[..., : len(text)] = torch.randn(1, 40, len(text), generator=generator) * 2
    boxes = torch.rand(1, 40, 4, generator=generator)
    answer = type("Output", (), {"logits": logits, "pred_boxes": boxes})()
    monkeypatch.setattr(detector, "model", lambda **_: answer)
    (found,) = detector.detect(images[:1], names)
    expected = []
    for row in logits[0]:
        name = name_of(phrase_of_authors(row, text, detector.tokenizer), names)
        if row.sigmoid().max() > 0.35 and name is not None:
            expected.append((float(row.sigmoid().max()), name))
    assert [(d.score, d.name) for d in found] == sorted(expected, key=lambda pair: -pair[0])
    assert {d.name for d in found} == set(names)


def test_boxes():
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert iou((0, 0, 1, 1), (2, 2, 3, 3)) == iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
    a, b, c = (
        Detection("cat", s, box) for s, box in ((0.5, (0, 0, 10, 10)), (0.9, (1, 0, 11, 10)), (0.4, (30, 0, 40, 9)))
    )
    assert suppressed([a, b, c], 0.5) == [b, c]


def test_unified_asks_again_and_then_says_so(folders, images):
    critic = load_critic("unified", source=str(folders["qwen"]), device="cpu")
    critic.judge.max_new_tokens = 4
    with pytest.raises(CriticError, match="asked twice and gave no final score"):
        critic.score(images[:2], "a red cat")
    assert critic.state == READY
    one, two = critic.judge.answer(images[:2], "a red cat")
    assert critic.judge.answer(images[:1], "a red cat") == [one] and one != two


def test_self_writes_its_verdict_out_or_fails(embedded):
    critic = load_critic("self", model=embedded, protocol="json")
    with pytest.raises(CriticError, match="janus-icons.*(no verdict|has room)"):
        critic.score([Image.new("RGB", (96, 96))] * 2, "two red dogs")
