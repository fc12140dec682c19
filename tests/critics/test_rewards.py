"""The decision logic of mixed, compbench, wise, unified and aesthetic, on given boxes, answers and marks."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image

from milr_core import CriticError, InputError, Score, load_critic
from milr_core.critics.compbench import complex_parts, position_score, spatial_score
from milr_core.critics.mixed import PRESETS, grounding_score, settled
from milr_core.critics.models.boxes import Detection
from milr_core.critics.phrases import (
    Relation,
    Thing,
    noun_chunks,
    official_relation,
    relation,
    thing,
    things,
    without_adjectives,
)
from milr_core.critics.self_reward import verdict
from milr_core.critics.unified import Unified, mark_of
from milr_core.critics.wise import wiscore
from milr_core.critics.wise_spec import SCALES
from tests.critics.loopback import Endpoint

PROMPTS = Path("/work/shared/benchmarks/t2i-compbench")
IMAGE = Image.new("RGB", (16, 16), "red")


def at(x, y, side=100):
    """A box around a center."""
    return (x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def found(name, score, box=(0, 0, 10, 10)):
    return Detection(name, score, box)


# T2I-CompBench


@pytest.mark.parametrize(
    ("place", "first", "second", "expected"),
    [
        ("on the left of", at(100, 200), at(300, 200), 1.0),
        ("on the left of", at(300, 200), at(100, 200), 0.0),
        ("on the right of", at(300, 200), at(100, 200), 1.0),
        ("on the top of", at(200, 100), at(200, 300), 1.0),
        ("on the bottom of", at(200, 300), at(200, 100), 1.0),
        ("on the bottom of", at(200, 100), at(200, 300), 0.0),
        ("on the left of", at(100, 100), at(300, 300), 0.0),  # |dx| = |dy| is neither
        ("on the left of", at(100, 100), at(300, 299), 1.0),
        ("on the left of", (0, 0, 100, 100), (50, 0, 150, 100), 0.1 / (50 / 150)),  # overlap is taken off
        ("on the left of", (0, 0, 100, 100), (90, 0, 190, 100), 1.0),  # IoU 0.0526
        ("near", at(100, 100), at(240, 400), 1.0),  # one distance below 150 is enough
        ("near", at(100, 100), at(250, 400), 0.5),
        ("next to", at(0, 0), at(300, 200), 0.5),
        ("on side of", at(0, 0), at(-300, -200), 0.5),
        ("on top of", at(200, 100), at(200, 300), 0.0),  # the benchmark knows the words and gives them nothing
    ],
)
def test_positions_score_by_the_formula(place, first, second, expected):
    assert position_score(place, first, second) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (found("a", 0.8, at(100, 200)), found("b", 0.6, at(300, 200)), 0.25 * 1.4 + 0.5),
        (found("a", 0.8, at(300, 200)), found("b", 0.6, at(100, 200)), 0.0),  # 0.35 is below 0.5
        (found("a", 1.0, at(300, 200)), found("b", 1.0, at(100, 200)), 0.5),  # exactly 0.5 stays
        (found("a", 1.0), None, 0.0),
        (None, found("b", 1.0), 0.0),
        (None, None, 0.0),
    ],
)
def test_spatial_score_by_the_formula(first, second, expected):
    assert spatial_score("on the left of", first, second) == pytest.approx(expected)


def test_three_in_one_takes_the_parts_that_apply():
    spatial, action = ["The hat was on top of the rack."], ["The dog ran by."]
    assert complex_parts("the hat was on top of the rack", spatial, action) == ("attributes", "spatial")
    assert complex_parts("The dog ran by.", spatial, action) == ("attributes", "action")
    assert complex_parts("Something else.", spatial, action) == ("attributes", "spatial", "action")


def test_compbench_combines_what_its_models_say(monkeypatch):
    """Given answers, boxes and cosines, through the critic itself."""
    critic = load_critic("compbench", device="cpu")
    answers = torch.tensor([[0.5, 0.8]])
    boxes = [found("hat", 0.8, (1, 6, 4, 9)), found("rack", 0.6, (11, 6, 14, 9)), found("hat", 0.9, (0, 0, 1, 1))][:2]
    monkeypatch.setattr(critic.questions, "yes_probability", lambda images, questions: answers)
    monkeypatch.setattr(critic.detector, "detect", lambda images, names: [boxes])
    monkeypatch.setattr(critic.clip, "of_images", lambda images: torch.tensor([[0.6, 0.8]]))
    asked = []
    monkeypatch.setattr(critic.clip, "of_texts", lambda texts: asked.append(texts) or torch.tensor([[0.0, 1.0]]))
    (score,) = critic.score([IMAGE], "a red hat on the left of a rack")
    assert score.parts == pytest.approx({"attributes": 0.4, "spatial": 0.25 * 1.4 + 0.5})
    assert score.value == pytest.approx((0.4 + 0.85) / 2)
    hat, rack = score.boxes
    assert (hat.label, hat.state, hat.words) == ("hat", "found", "hat") and rack.state == "found"
    assert (hat.x0, hat.y0, hat.x1, hat.y1) == (1 / 16, 6 / 16, 4 / 16, 9 / 16)
    (score,) = critic.score([IMAGE], "a red hat and a rack")
    assert score.parts == pytest.approx({"attributes": 0.4, "action": 0.8}) and score.value == pytest.approx(0.6)
    assert asked == [["a hat and a rack"]] and score.boxes == ()
    for category, value in (("color", 0.4), ("non_spatial", 0.8), ("spatial", 0.85)):
        critic.category = category
        assert critic.score([IMAGE], "a red hat on the left of a rack")[0].value == pytest.approx(value)


def test_compbench_options_and_prompts_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="categories are color"):
        load_critic("compbench", category="numeracy")
    with pytest.raises(InputError, match="cannot be read"):
        load_critic("compbench", data=tmp_path)
    with pytest.raises(InputError, match="where they are"):
        load_critic("compbench", category="spatial").check_prompt("a red hat")
    with pytest.raises(InputError, match="no noun"):
        load_critic("compbench", category="color").check_prompt("and on the left")
    critic = load_critic("compbench", category="color", chunks=lambda prompt: [f"part {i}" for i in range(20)])
    assert critic.chunks("x") == [f"part {i}" for i in range(8)] and len(critic.models) == 1


@pytest.mark.parametrize(
    ("prompt", "chunks"),
    [
        ("a green bench and a blue bowl", ["a green bench", "a blue bowl"]),
        ("rubber sole shoes and fluffy clouds", ["rubber sole shoes", "fluffy clouds"]),
        ("The red hat was on top of the brown coat rack.", ["the red hat", "the brown coat rack"]),
        ("a cow on the left of a car", ["a cow", "a car"]),
        ("The oblong boom propelled the circular boat", ["the oblong boom", "the circular boat"]),
        ("on the left", []),
    ],
)
def test_noun_chunks(prompt, chunks):
    assert noun_chunks(prompt) == chunks


@pytest.mark.parametrize(
    ("prompt", "bare"),
    [
        ("The red hat was on top of the brown coat rack.", "The hat was on top of the coat rack."),
        ("The soft, fluffy pillow and a shiny Orange", "The, pillow and a Orange"),
        ("an orange on a light", "an orange on a light"),
        ("The sleek black car sped down the winding road.", "The car sped down the road."),
    ],
)
def test_adjectives_are_left_out_and_nouns_stay(prompt, bare):
    assert without_adjectives(prompt) == bare


def test_relations_are_read_as_the_benchmark_does_or_in_anybodys_words():
    assert official_relation("a girl on the top of a frog") == Relation("person", "on the top of", "frog")
    assert official_relation("The red hat was on top of the brown coat rack.") == Relation("hat", "on top of", "rack")
    assert official_relation("a wine glass above a kite") is None
    assert relation("a wine glass above a kite") == Relation("wine glass", "on the top of", "kite")
    assert relation("a girl to the left of a man") == Relation("girl", "on the left of", "man")
    assert relation("a girl and a man") is None


@pytest.mark.skipif(not PROMPTS.is_dir(), reason=f"the benchmark's prompts are not at {PROMPTS}")
def test_every_spatial_prompt_of_the_benchmark_is_read():
    for line in (PROMPTS / "spatial_val.txt").read_text().split("\n"):
        if line:
            said = official_relation(line)
            person = {"girl", "boy", "man", "woman"}
            words = ["person" if word in person else word for word in line.split()]
            assert (words[1], words[-1]) == (said.first, said.second) and said.place in line
    critic = load_critic("compbench", data=PROMPTS)
    lines = [line for line in (PROMPTS / "complex_val.txt").read_text().split("\n") if line]
    kinds = [critic.parts_of(line) for line in lines]
    assert {len(kind) for kind in kinds} == {2, 3} and len(lines) == 300
    for name in ("color", "shape", "texture"):
        for line in (PROMPTS / f"{name}_val.txt").read_text().split("\n"):
            assert not line or noun_chunks(line)


# MixedReward


def test_things():
    assert thing("two red dogs") == Thing("dogs", 2, "red")
    assert things("a photo of two red dogs left of a blue car") == [
        Thing("dogs", 2, "red"),
        Thing("car", 1, "blue"),
    ]
    assert Thing("dogs", 2, "red").question() == "Are there 2 red dogs?"
    assert Thing("car", 1, "blue").question() == "Is this a blue car?"
    assert thing("3 cats") == Thing("cats", 3) and thing("² cats") == Thing("² cats")
    assert thing(f"{'9' * 5000} cats").count == 1
    with pytest.raises(InputError, match="names nothing"):
        things("and on the left")


LEFT = Relation("a", "on the left of", "b")


@pytest.mark.parametrize(
    ("wanted", "said", "boxes", "expected"),
    [
        ([], LEFT, [found("a", 0.5, at(100, 200)), found("b", 0.5, at(300, 200))], 1.0),
        ([], LEFT, [found("a", 0.5, at(300, 200)), found("b", 0.5, at(100, 200))], 0.4 / 0.9),
        ([], LEFT, [found("a", 0.5)], 0.2 / 0.9),
        ([], LEFT, [], 0.0),
        ([Thing("a", 2)], None, [found("a", 0.5, at(100, 100)), found("a", 0.4, at(300, 100))], 1.0),
        ([Thing("a", 2)], None, [found("a", 0.5, at(100, 100)), found("a", 0.4, at(102, 100))], 0.2),  # one, twice
        ([Thing("a", 2)], None, [found("a", 0.5, at(i * 110, 100)) for i in range(3)], 0.2),
        ([Thing("a", 2)], None, [], 0.0),
        ([Thing("a"), Thing("b")], None, [found("a", 0.5)], 0.5),
    ],
)
def test_grounding_scores(wanted, said, boxes, expected):
    assert grounding_score(wanted, said, boxes) == pytest.approx(expected)


def test_weights_are_presets_or_settings():
    assert settled("three") == pytest.approx({"grounding": 0.4, "questions": 0.4, "unified": 0.2})
    assert settled({"grounding": 1, "aesthetic": 3}) == {"grounding": 0.25, "aesthetic": 0.75}
    assert all(sum(preset.values()) == pytest.approx(1) for preset in PRESETS.values())
    for wrong in ("heavy", {"hpsv3": 1}, {"grounding": 0}, {"grounding": float("nan")}, {}):
        with pytest.raises(InputError, match="mixed|weight"):
            load_critic("mixed", weights=wrong)
    assert len(load_critic("mixed").models) == 4 and len(load_critic("mixed", weights="three").models) == 3


def test_mixed_shows_every_part(monkeypatch):
    critic = load_critic("mixed", weights={"grounding": 0.5, "questions": 0.3, "aesthetic": 0.2}, device="cpu")
    monkeypatch.setattr(critic.detector, "detect", lambda images, names: [[found(names[0], 0.9)]] * len(images))
    monkeypatch.setattr(critic.questions, "yes_probability", lambda images, asked: torch.tensor([[0.2, 0.6]] * 2))
    monkeypatch.setattr(critic.aesthetic, "score", lambda images, prompt: [Score(0.9), Score(0.1)])
    first, second = critic.score([IMAGE, IMAGE], "a red cat and a dog")
    assert first.parts == pytest.approx({"grounding": 0.5, "questions": 0.4, "aesthetic": 0.9})
    assert first.value == pytest.approx(0.5 * 0.5 + 0.3 * 0.4 + 0.2 * 0.9)
    assert second.value == pytest.approx(first.value - 0.2 * 0.8)
    assert [(box.label, box.state, box.words) for box in first.boxes] == [("cat", "found", "red cat")]


def test_mixed_takes_a_clip_of_preferences(monkeypatch):
    critic = load_critic("mixed", weights={"preference": 1.0}, preference="/a/folder", device="cpu")
    assert [model.source for model in critic.models] == ["/a/folder"]
    monkeypatch.setattr(critic.preference, "of_images", lambda images: torch.tensor([[0.6, 0.8], [-1.0, 0.0]]))
    monkeypatch.setattr(critic.preference, "of_texts", lambda texts: torch.tensor([[1.0, 0.0]]))
    assert [score.value for score in critic.score([IMAGE, IMAGE], "x")] == pytest.approx([0.6, 0.0])


def test_boxes_say_what_was_asked_for_otherwise():
    two = [found("a", 0.9, (0, 0, 8, 8)), found("a", 0.8, (8, 8, 16, 16)), found("a", 0.7, (0, 0, 8, 9))]
    boxes = load_critic("mixed", device="cpu")._boxes(IMAGE, [*two, found("b", 0.5)], [Thing("a", 3)], None)
    assert [box.state for box in boxes] == ["missed", "missed", "ignored", "ignored"]
    boxes = load_critic("mixed", device="cpu")._boxes(IMAGE, two, [Thing("a", 2, "red")], None)
    assert [box.state for box in boxes] == ["found", "found", "ignored"] and boxes[0].words == "red a"
    left = Relation("a", "on the left of", "b")
    pair = [found("a", 0.9, (10, 0, 14, 4)), found("b", 0.9, (0, 0, 4, 4))]
    boxes = load_critic("mixed", device="cpu")._boxes(IMAGE, pair, [], left)
    assert [box.state for box in boxes] == ["missed", "missed"]
    assert asdict(Score(0.5, boxes=boxes))["boxes"][0]["x0"] == 10 / 16


# UnifiedReward, aesthetics, SelfReward's JSON


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("All is there.\nFinal Score: 4", 4.0),
        ("**Final Score:** 3.5 of 5", 3.5),
        ("Final Score: 2 … no, final score: 5", 5.0),
        ("Final Score: 7", None),
        ("Final Score: 0", None),
        ("four out of five", None),
        ("", None),
    ],
)
def test_final_scores(answer, expected):
    assert mark_of(answer, "final") == expected


def test_unified_reminds_once(monkeypatch):
    critic = Unified(device="cpu")
    asked = []

    def answer(images, question):
        asked.append((len(images), "Do not forget" in question))
        return ["Final Score: 5", "hm"] if len(asked) == 1 else ["Final Score: 2"]

    monkeypatch.setattr(critic.judge, "answer", answer)
    assert [s.value for s in critic.score([IMAGE, IMAGE], "x")] == [1.0, 0.25]
    assert asked == [(2, False), (1, True)]


def test_the_second_unified_gives_three_marks(monkeypatch):
    with pytest.raises(InputError, match="releases are 1.0 and 2.0"):
        Unified(release="3.0")
    critic = Unified("CodeGoat24/UnifiedReward-2.0-qwen3vl-8b", device="cpu")
    answer = "Alignment Score (1-5): 5\n**Coherence Score**: 3.0\nStyle Score: 1"
    monkeypatch.setattr(critic.judge, "answer", lambda images, question: [answer])
    (score,) = critic.score([IMAGE], "x")
    assert score.value == 0.5 and score.parts == {"alignment score": 1.0, "coherence score": 0.5, "style score": 0.0}
    monkeypatch.setattr(critic.judge, "answer", lambda images, question: [answer.replace("Style", "Stile")])
    with pytest.raises(CriticError, match="no alignment or coherence or style score"):
        critic.score([IMAGE], "x")


@pytest.mark.parametrize(("mark", "value"), [(1.0, 0.0), (5.5, 0.5), (10.0, 1.0), (0.2, 0.0), (11.0, 1.0)])
def test_aesthetic_marks_are_cut_to_the_scale(monkeypatch, mark, value):
    critic = load_critic("aesthetic", device="cpu")
    monkeypatch.setattr(critic.clip, "of_images", lambda images: torch.zeros(1, 4))
    monkeypatch.setattr(critic.head, "marks", lambda embeddings: torch.tensor([mark]))
    assert critic.score([IMAGE], "x")[0].value == pytest.approx(value)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('Objects: one. {"Score": 0}', 0),
        ('{"Score": -1}', -1),
        ('{"objects": 1} then {"Score": -1} end', -1),
        ('{"Score": 1}', None),
        ('{"Score": -1', None),
        ('{"Score": true}', None),
        ("Score 0", None),
    ],
)
def test_a_written_verdict_is_read_or_is_none(answer, expected):
    assert verdict(answer) == expected


# WISE


@pytest.mark.parametrize(
    ("marks", "expected"),
    [((2, 2, 2), 1.0), ((0, 0, 0), 0.0), ((2, 0, 0), 0.7), ((0, 2, 0), 0.2), ((0, 0, 2), 0.1), ((1, 2, 1), 0.6)],
)
def test_wiscore(marks, expected):
    assert wiscore(*marks) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scale", "prompt_id", "category"),
    [
        ("original", 1, "culture"), ("original", 400, "culture"), ("original", 401, "time"), ("original", 567, "time"),
        ("original", 568, "space"), ("original", 700, "space"), ("original", 701, "biology"),
        ("original", 801, "physics"), ("original", 901, "chemistry"), ("original", 1000, "chemistry"),
        ("verified", 520, "time"), ("verified", 521, "space"), ("verified", 640, "space"),
        ("verified", 641, "biology"), ("verified", 761, "physics"), ("verified", 881, "chemistry"),
    ],
)  # fmt: skip
def test_categories_by_prompt_id(scale, prompt_id, category):
    assert SCALES[scale].category_of(prompt_id) == category
    for wrong in (0, 1001, None):
        with pytest.raises(InputError, match="prompt_id"):
            SCALES[scale].category_of(wrong)


@pytest.fixture
def endpoint():
    server = Endpoint()
    yield server
    server.close()


def test_wise_judges_through_the_endpoint_on_either_scale(endpoint, tmp_path):
    items = [{"Prompt": "the plant of Mother's Day", "Explanation": "a carnation", "Category": "x", "Subcategory": "y",
              "prompt_id": 7}]  # fmt: skip
    (tmp_path / "items.json").write_text(json.dumps(items))
    common = {"data": tmp_path, "base_url": endpoint.url, "key": "k", "retries": 0}
    endpoint.replies = [json.dumps({"consistency": 2, "realism": 1, "aesthetic_quality": 0})]
    (score,) = load_critic("wise", **common).score([IMAGE], "the plant of Mother's Day")
    assert score.value == pytest.approx((0.7 * 2 + 0.2) / 2) and score.raw["prompt_id"] == 7
    body = endpoint.requests[-1][0]
    assert body["model"] == "gpt-6-luna" and "a carnation" in body["messages"][1]["content"][0]["text"]
    endpoint.replies = [json.dumps({"reason": "a carnation", "correct": 1})]
    (score,) = load_critic("wise", scale="verified", **common).score([IMAGE], "the plant of Mother's Day")
    assert score.value == 1.0 and score.raw["scale"] == "verified"
    body = endpoint.requests[-1][0]
    assert (
        body["model"] == "Qwen3.5-35B-A3B"
        and "could use" in body["messages"][0]["content"]
        and body["chat_template_kwargs"] == {"enable_thinking": False}
    )
    for bad in ({"consistency": 3, "realism": 1, "aesthetic_quality": 0}, {"reason": "", "correct": 2}):
        endpoint.replies = [json.dumps(bad)]
        with pytest.raises(CriticError, match="not the JSON"):
            load_critic("wise", scale="verified" if "correct" in bad else "original", **common).score(
                [IMAGE], items[0]["Prompt"]
            )


def test_wise_needs_its_items(tmp_path):
    with pytest.raises(InputError, match="explanation"):
        load_critic("wise", key="k").check_prompt("anything")
    load_critic("wise", key="k", explanation="a carnation").check_prompt("anything")
    with pytest.raises(InputError, match="scales are original, verified"):
        load_critic("wise", key="k", scale="both")
    with pytest.raises(InputError, match="no items"):
        load_critic("wise", key="k", data=tmp_path)
    (tmp_path / "bad.json").write_text('[{"Prompt": 1}]')
    with pytest.raises(InputError, match="Entry 1 of .*bad.json.*prompt_id"):
        load_critic("wise", key="k", data=tmp_path)
