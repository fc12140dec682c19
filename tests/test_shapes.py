"""The embedded model's world: grammar, plans, renderer, oracle, splits, tokens, training."""

import itertools
import random

import numpy as np
import pytest
import torch
from PIL import Image

from milr_core import InputError
from shapes import facts
from shapes.model import make_processor, make_tokenizer
from shapes.oracle import is_right, judge, relations
from shapes.plans import STYLES, plan_is_right, random_plan, read_plan, satisfies, write_plan
from shapes.prompts import CATEGORIES, parse, unknown_words
from shapes.sampling import SPLITS, prompt_set, random_items, random_scene, split_of
from shapes.scene import COLORS, PLACES, SHAPES, SIZES, Item, render
from shapes.tokens import patch_tokens, tokenize
from shapes.train import CHECKPOINT
from shapes.train_language import Curriculum, sequence_loss, train_language
from shapes.train_vq import train_vq

ALL = [prompt for split in SPLITS for prompt in prompt_set(split, 50)]


def test_the_world_is_as_large_as_promised():
    assert len(SHAPES) >= 4 and len(COLORS) >= 7 and len(SIZES) == 3
    assert len(facts.COLOR_FACTS) + len(facts.COUNT_FACTS) + len(facts.SHAPE_FACTS) >= 40
    assert set(facts.COLOR_FACTS.values()) <= set(COLORS) and set(facts.SHAPE_FACTS.values()) <= set(SHAPES)
    assert {p.category for p in ALL} == set(CATEGORIES)


def test_what_is_written_is_read_back_the_same():
    for prompt in ALL:
        again = parse(prompt.text())
        assert (
            again.spec()["include"] == prompt.spec()["include"] and again.spec()["exclude"] == prompt.spec()["exclude"]
        )
        assert again.category == prompt.category


def test_splits_are_disjoint_in_what_they_ask():
    keys = {split: {p.key() for p in prompt_set(split, 50)} for split in SPLITS}
    assert (
        not keys["train"] & keys["test"]
        and not keys["train"] & keys["validation"]
        and not keys["validation"] & keys["test"]
    )
    for split in SPLITS:
        prompts = prompt_set(split, 50)
        assert len({p.text() for p in prompts}) == len(prompts) == 350
        assert all(split_of(parse(p.text())) == split for p in prompts)


@pytest.mark.parametrize(
    ("text", "include", "exclude"),
    [
        ("a red circle", [{"class": "circle", "count": 1, "color": "red"}], []),
        ("Three GREEN triangles!", [{"class": "triangle", "count": 3, "color": "green"}], [4]),
        ("a triangle the colour of grass", [{"class": "triangle", "count": 1, "color": "green"}], []),
        ("as many squares as wheels on a car", [{"class": "square", "count": 4}], [5]),
        (
            "a big purple thing shaped like a coin",
            [{"class": "circle", "count": 1, "color": "purple", "size": "large"}],
            [],
        ),
        (
            "two red circles to the left of a blue square",
            [
                {"class": "square", "count": 1, "color": "blue"},
                {"class": "circle", "count": 2, "color": "red", "position": ["left of", 0]},
            ],
            [3],
        ),
    ],
)
def test_parsing(text, include, exclude):
    spec = parse(text).spec()
    assert spec["include"] == include and [clause["count"] for clause in spec["exclude"]] == exclude


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a dragon and a unicorn", "dragon, unicorn"), ("ten circles", "ten"), ("red", "expected a shape"),
        ("draw", "expected a shape"), ("a circle the color of red", "color riddle"),
        ("a circle left of a square and a cross", "two groups"), ("a red blue circle", "one color"),
        ("", "names no shape"), ("a thing", "expected a shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(text, says):
    with pytest.raises(InputError, match=says):
        parse(text)


def test_the_tokenizer_knows_every_word_of_the_world():
    tokenizer, rng = make_tokenizer(), random.Random(0)
    for prompt in ALL:
        plan = random_plan(random_scene(prompt, rng), prompt, rng)
        for text in (prompt.text(), plan):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            assert tokenizer.unk_token_id not in ids and tokenizer.decode(ids) == text
    assert unknown_words("a gray circle") == ["gray"]
    assert tokenizer.unk_token_id in tokenizer("a gray circle").input_ids


def test_plans_read_back_and_judge_as_the_drawing_does():
    rng = random.Random(0)
    for prompt in ALL:
        for items in (random_scene(prompt, rng), random_items(rng.randint(1, 4), rng)):
            verdict = judge(render(items), prompt.spec()).raw["correct"]
            assert verdict == satisfies(items, prompt)
            for style in STYLES:
                plan = write_plan(items, style, prompt.facts())
                assert read_plan(plan) == items and plan_is_right(plan, prompt) == verdict
    assert (
        read_plan("draw a red circle at top, a red circle at top.") is None
        and read_plan("beige glove beige glove") is None
    )


def test_the_oracle_sees_every_shape_color_size_and_place():
    places = itertools.cycle(PLACES)
    for shape in SHAPES:
        for color in COLORS:
            for size in SIZES:
                place = next(places)
                for side in (96, 384):
                    image = render([Item(shape, color, place, size)]).resize((side, side), Image.Resampling.BICUBIC)
                    (seen,) = judge(image, parse("a circle").spec()).raw["detections"]
                    assert (seen["shape"], seen["color"], seen["size"]) == (shape, color, size)


def test_the_oracle_refuses_what_is_not_clean():
    image = render([Item("circle", "red", "center", "large")])
    assert judge(image, parse("a red circle").spec()).value == 1
    half = image.copy()
    half.paste((38, 92, 216), (48, 30, 66, 66))
    assert not judge(half, parse("a red circle").spec()).raw["correct"]
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8))
    score = judge(noise, parse("a red circle").spec())
    assert not score.raw["correct"] and score.value <= 0.8 and score.reason


def test_wrong_pictures_are_wrong_and_scored_by_their_parts():
    spec = parse("two red circles left of a blue square").spec()
    good = [Item("circle", "red", "top-left"), Item("circle", "red", "left"), Item("square", "blue", "right")]
    assert judge(render(good), spec).value == 1
    for bad in (
        good[:2],
        good[1:],
        [*good, Item("circle", "red", "bottom-left")],
        [good[0], good[2], Item("circle", "red", "right")],
    ):
        items = [i for n, i in enumerate(bad) if i.place not in {j.place for j in bad[:n]}]
        score = judge(render(items), spec)
        assert not score.raw["correct"] and 0 < score.value <= 0.8


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 10, 10], [20, 0, 30, 10], {"left of"}),
        ([0, 0, 10, 10], [20, 20, 30, 30], {"left of", "above"}),
        ([0, 0, 10, 10], [20, 36, 30, 46], {"above"}),
        ([10, 10, 20, 20], [11, 11, 21, 21], set()),
        # A shift of 30 between boxes of 100 leaves 10 after the margin of 20: a third of it, below one half.
        ([100, 100, 200, 200], [130, 100, 230, 200], set()),
    ],
)
def test_geneval_positions(a, b, expected):
    assert relations(a, b) == expected


def test_images_are_tokens_and_back():
    rng = random.Random(0)
    assert 300 < len(patch_tokens()) < 400
    for _ in range(20):
        image = render(random_items(rng.randint(1, 9), rng))
        assert len(tokenize(image)) == 36
    assert set(tokenize(render([]))) == {0}


def test_training_sequences_are_formatted_as_the_search_formats_them(embedded):
    rng = random.Random(0)
    curriculum = Curriculum(embedded.processor)
    tokenizer = embedded.processor.tokenizer

    def given(sequence) -> list[int]:
        return [token for token, predicted in zip(sequence.ids, sequence.predicted, strict=True) if not predicted]

    sequence = curriculum.text(rng)
    prompt = tokenizer.decode(given(sequence), skip_special_tokens=True).removeprefix("plan ")
    assert given(sequence) == embedded.reasoning_ids(prompt).tolist() and sequence.ids[-1] == embedded.end_token
    while True:
        sequence = curriculum.image(rng)
        if tokenizer.pad_token_id not in given(sequence):
            break
    said = tokenizer.decode(given(sequence), skip_special_tokens=True)
    prompt, _, plan = said.partition(". ")
    assert given(sequence) == embedded.image_ids(prompt, plan)[0].tolist()


def test_quiz_answers_are_true_and_the_first_question_is_put_as_the_critic_puts_it(embedded):
    rng = random.Random(3)
    curriculum = Curriculum(embedded.processor)
    tokenizer = embedded.processor.tokenizer
    said = []
    for _ in range(40):
        quiz = curriculum.quiz(rng)
        image = Image.fromarray(quiz.pixels)
        turns = tokenizer.decode(quiz.ids).split("<|User|>")[1:]
        for turn in turns:
            question, _, answer = turn.partition("<|Assistant|>")
            prompt = parse(question.split("<end_of_image>")[-1].strip().removeprefix("is this ").removesuffix("?"))
            answer = answer.replace("<|end|>", "").strip()
            assert (answer == "yes") == judge(image, prompt.spec()).raw["correct"], (prompt.text(), answer)
            assert split_of(prompt) == "train"
            said.append(answer)
        assert len(turns) == sum(quiz.predicted)
        first = turns[0].split("<end_of_image>")[-1].partition("<|Assistant|>")[0].strip()
        chat = embedded.processor(text=embedded.chat(first, with_image=True), images=[image], return_tensors="pt")
        asked = chat.input_ids[0].tolist()
        assert quiz.ids[: len(asked)] == asked
    assert 0.4 < said.count("yes") / len(said) < 0.6


def test_every_place_that_satisfies_a_relation_is_drawn_and_no_other():
    prompt = parse("three circles left of three squares")
    scenes = {tuple((i.shape, i.place) for i in random_scene(prompt, random.Random(seed))) for seed in range(200)}
    assert len(scenes) == 7
    assert all(is_right(render(random_scene(prompt, random.Random(seed))), prompt) for seed in range(20))


def test_training_goes_on_where_it_stopped(tmp_path):
    whole = train_vq(tmp_path / "a", 4, 2, "cpu")
    train_vq(tmp_path / "b", 4, 2, "cpu", stop_after=2)
    resumed = train_vq(tmp_path / "b", 4, 2, "cpu")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    language = train_language(tmp_path / "c", 2, 4, "cpu")
    curriculum, rng = Curriculum(make_processor()), random.Random(5)
    loss, _ = sequence_loss(language, [curriculum.image(rng) for _ in range(4)], "cpu")
    assert torch.isfinite(loss)


def test_the_checkpoint_is_small_and_complete():
    files = {path.name: path.stat().st_size for path in CHECKPOINT.iterdir()}
    assert sum(files.values()) <= 25e6
    assert {"model.safetensors", "config.json", "milr.json", "README.md", "tokenizer.json", "evaluation.json"} <= set(
        files
    )
