"""The adapter of groundingdino-py, against a stand-in with the package's documented functions."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch
from PIL import Image

from milr_core import CriticError, InputError, load_critic
from milr_core.critics.base import FAILED, READY, UNLOADED
from milr_core.critics.models.grounding import TEXT_THRESHOLD, THRESHOLD, GroundingDino
from milr_core.critics.models.grounding_py import CHECKPOINT, GroundingDinoPy, corners, detector_of

# center x, center y, width, height as shares of the image; score; phrase
ANSWERS = [
    ((0.5, 0.5, 0.5, 0.5), 0.6, "cat"),
    ((0.25, 0.625, 0.5, 0.25), 0.9, "dog"),
    ((0.5, 0.5, 1.0, 1.0), 0.5, "bus"),
    ((0.5, 0.5, 0.1, 0.1), 0.3, "cat"),
]


class Network(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)


@pytest.fixture
def asked(monkeypatch):
    """A package `groundingdino` whose `predict` answers ANSWERS above the threshold; what it was asked, in order."""
    calls = []

    def load_model(model_config_path, model_checkpoint_path, device="cuda"):
        calls.append((model_config_path, model_checkpoint_path, device))
        model = Network()
        model.load_state_dict(torch.load(model_checkpoint_path)["model"], strict=False)
        return model

    def predict(model, image, caption, box_threshold, text_threshold, device="cuda"):
        calls.append((tuple(image.shape), caption, box_threshold, text_threshold, device))
        rows = [row for row in ANSWERS if row[1] > box_threshold]
        boxes = torch.tensor([row[0] for row in rows]).reshape(-1, 4)
        return boxes, torch.tensor([row[1] for row in rows]), [row[2] for row in rows]

    class Resize:
        def __init__(self, sizes, max_size):
            assert (sizes, max_size) == ([800], 1333)

        def __call__(self, image, target):
            return image, target

    class Compose:
        def __init__(self, steps):
            self.first = steps[0]

        def __call__(self, image, target):
            image, target = self.first(image, target)
            return torch.zeros(3, image.height, image.width), target

    parts = {
        "": {"__path__": ["/site/groundingdino"]},
        ".util": {},
        ".util.inference": {"load_model": load_model, "predict": predict},
        ".datasets": {},
        ".datasets.transforms": {
            "RandomResize": Resize, "Compose": Compose, "ToTensor": object, "Normalize": lambda mean, std: None,
        },
    }  # fmt: skip
    for name, contents in parts.items():
        module = ModuleType(f"groundingdino{name}")
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return calls


@pytest.fixture
def checkpoint(tmp_path):
    torch.save({"model": Network().state_dict()}, tmp_path / CHECKPOINT)
    return tmp_path / CHECKPOINT


def test_boxes_phrases_and_thresholds(asked, checkpoint):
    detector = detector_of(f"groundingdino-py:{checkpoint}", "cpu")
    assert isinstance(detector, GroundingDinoPy) and detector.present and detector.state == UNLOADED
    images = [Image.new("RGB", (200, 100)), Image.new("L", (64, 64))]
    wide, square = detector.detect(images, ["Red Cat ", "dog", "dog"])
    assert detector.state == READY and not any(p.requires_grad for p in detector.model.parameters())
    assert asked[0] == ("/site/groundingdino/config/GroundingDINO_SwinT_OGC.py", str(checkpoint), "cpu")
    assert asked[1] == ((3, 100, 200), "red cat . dog .", THRESHOLD, TEXT_THRESHOLD, "cpu") and asked[2][0] == (
        3,
        64,
        64,
    )
    assert [(d.name, d.box) for d in wide] == [("dog", (0, 50, 100, 75)), ("red cat", (50, 25, 150, 75))]
    assert [d.score for d in wide] == pytest.approx([0.9, 0.6])
    assert [d.box for d in square] == [(0, 32, 32, 48), (16, 16, 48, 48)]
    assert [d.name for d in detector.detect(images[:1], ["cat"], 0.2, 0.1)[0]] == ["cat", "cat"]
    assert asked[-1][2:4] == (0.2, 0.1)
    assert detector.detect(images, ["cat"], 0.95) == [[], []]
    detector.unload()
    assert detector.state == UNLOADED and detector.model is None
    assert corners((0.5, 0.5, 1, 1), images[0]) == (0, 0, 200, 100)


@pytest.mark.parametrize("critic", [("mixed", {"weights": {"grounding": 1}}), ("compbench", {"category": "spatial"})])
def test_critics_take_it_by_their_option(asked, checkpoint, critic):
    name, options = critic
    made = load_critic(name, detector=f"groundingdino-py:{checkpoint}", device="cpu", **options)
    (score,) = made.score([Image.new("RGB", (480, 480))], "a cat on the right of a dog")
    place = 0.5  # the place is right, but the boxes overlap by 0.2 of their union
    expected = {"mixed": (0.4 + 0.5 * place) / 0.9, "compbench": 0.25 * (0.6 + 0.9) + 0.5 * place}[name]
    assert score.value == pytest.approx(expected) and made.state == READY
    assert type(load_critic(name, detector="some/folder").detector) is GroundingDino


@pytest.mark.skipif(importlib.util.find_spec("groundingdino") is not None, reason="groundingdino-py is installed")
def test_where_the_package_is_absent_it_says_what_to_do():
    said = "No module named 'groundingdino'.*transformers 4 and torchvision.*leave the option detector out"
    with pytest.raises(InputError, match=said):
        load_critic("mixed", detector="groundingdino-py:weights.pth")


@pytest.mark.parametrize("where", ["load_model", "predict"])
def test_a_package_that_transformers_5_cannot_run_says_what_to_do(asked, checkpoint, monkeypatch, where):
    def gone(*_, **__):
        raise AttributeError("'BertModel' object has no attribute 'get_head_mask'")

    monkeypatch.setattr(sys.modules["groundingdino.util.inference"], where, gone)
    detector = detector_of(f"groundingdino-py:{checkpoint}", "cpu")
    with pytest.raises(InputError, match="get_head_mask.*needs.*transformers 4"):
        detector.detect([Image.new("RGB", (8, 8))], ["cat"])


def test_no_checkpoint_none_there_and_half_of_one_are_errors(asked, tmp_path):
    with pytest.raises(InputError, match="Name the checkpoint"):
        detector_of("groundingdino-py", "cpu")
    detector = detector_of(f"groundingdino-py:{tmp_path}/no.pth", "cpu")
    with pytest.raises(CriticError, match="no.pth.*no such file.*hf download ShilongLiu/GroundingDINO"):
        detector.load()
    assert detector.state == FAILED and not detector.present
    torch.save({"model": {"module.weight": torch.zeros(2, 2)}}, tmp_path / CHECKPOINT)
    with pytest.raises(CriticError, match="no values for 1 tensors, such as bias"):
        detector_of(f"groundingdino-py:{tmp_path / CHECKPOINT}", "cpu").load()
