import random
from collections import Counter

import pytest

from world.facts import HELD
from world.nouns import NOUNS
from world.phrases import CATEGORIES, MOST_THINGS, Phrase, Prompt, riddle
from world.plans import STYLES, satisfies, write_plan
from world.prompts import read
from world.sampling import (
    SPLITS,
    WEIGHTS,
    placements,
    prompt_set,
    random_category,
    random_items,
    random_prompt,
    random_question,
    random_scene,
    split_of,
    vocabulary_texts,
)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("split", SPLITS)
def test_random_prompts_are_of_their_category_and_split_and_read_back(category, split):
    rng = random.Random(f"{category}/{split}")
    for _ in range(40):
        prompt = random_prompt(category, split, rng)
        assert prompt.category == category
        assert split_of(prompt) == split
        assert 1 <= prompt.total <= MOST_THINGS
        reading = read(prompt.text())
        assert reading.prompt == prompt
        assert reading.text == prompt.text()
        assert reading.notes == ()
        if split == "train":
            assert not any(phrase.wording in HELD for phrase in prompt.phrases)


def test_many_has_five_to_seven_things_nearly_all_with_a_color():
    rng = random.Random(0)
    prompts = [random_prompt("many", "train", rng) for _ in range(200)]
    assert {p.total for p in prompts} == {5, 6, 7}
    assert {len(p.phrases) for p in prompts} == {2, 3, 4}
    phrases = [phrase for p in prompts for phrase in p.phrases]
    assert sum(p.color is not None for p in phrases) > 0.8 * len(phrases)
    assert any(p.relation for p in prompts)


def test_knowledge_has_two_riddles_riddles_beside_plain_things_and_relations():
    rng = random.Random(0)
    prompts = [random_prompt("knowledge", "test", rng) for _ in range(300)]
    kinds = Counter((len(p.facts()), len(p.phrases), p.relation is not None) for p in prompts)
    assert {(1, 1, False), (2, 2, False), (2, 2, True), (1, 2, False), (1, 2, True)} <= set(kinds)
    held = sum(any(phrase.wording in HELD for phrase in p.phrases) for p in prompts)
    assert held >= 0.2 * len(prompts), "the test split must hold riddles whose form was never trained"


def test_splits_do_not_depend_on_lead_or_order():
    dog, car = Phrase("dog", 1, "red"), Phrase("car", 2)
    assert split_of(Prompt((dog, car), None, "draw")) == split_of(Prompt((car, dog)))
    assert Prompt((dog, car), "left of").key() == Prompt((car, dog), "right of").key()
    assert Prompt((dog, car), "above").key() == Prompt((car, dog), "below", "paint").key()
    assert Prompt((dog, car), "left of").key() != Prompt((car, dog), "left of").key()


def test_composed_keys_of_the_splits_are_disjoint():
    keys = {split: set() for split in SPLITS}
    rng = random.Random(3)
    for split, seen in keys.items():
        for category in CATEGORIES:
            seen |= {random_prompt(category, split, rng).key() for _ in range(100)}
    assert not keys["train"] & keys["test"] and not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]


def test_a_held_wording_is_never_for_training():
    for wording in HELD:
        assert split_of(Prompt((riddle(wording),))) != "train"
        assert split_of(Prompt((Phrase("dog"), riddle(wording)), "above", "draw")) != "train"


@pytest.mark.parametrize("category", CATEGORIES)
def test_random_scenes_satisfy_their_prompts(category):
    rng = random.Random(category)
    for _ in range(100):
        prompt = random_prompt(category, rng.choice(list(SPLITS)), rng)
        items = random_scene(prompt, rng)
        assert len({i.place for i in items}) == len(items) == prompt.total
        assert satisfies(items, prompt), (prompt.text(), items)


def test_what_the_prompt_leaves_free_is_mostly_a_things_own_color_and_any_place():
    rng = random.Random(0)
    scenes = [random_scene(Prompt((Phrase("dog"),)), rng)[0] for _ in range(300)]
    assert len({i.place for i in scenes}) == 9
    assert 0.7 < sum(i.color is None for i in scenes) / len(scenes) < 0.95


def test_placements_have_room_for_both_groups():
    assert placements("left of", 3, 3)
    assert all(len(set(places)) == 6 for places in placements("above", 3, 3))
    assert not placements("left of", 4, 4)


def test_random_items_fill_the_picture():
    items = random_items(9, random.Random(0))
    assert len({i.place for i in items}) == 9


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("simple", [True, False])
def test_questions_have_the_truth_that_was_wanted(wanted, simple):
    rng = random.Random(5)
    prompts = []
    for _ in range(150):
        items = random_items(rng.randint(1, 5), rng)
        prompt, truth = random_question(items, wanted, simple, rng)
        assert truth == wanted == satisfies(items, prompt)
        assert split_of(prompt) == "train"
        prompts.append(prompt)
    if simple:
        assert {len(p.phrases) for p in prompts} == {1}
    else:
        assert any(p.relation for p in prompts) and any(p.facts() for p in prompts)


def test_prompt_sets_are_the_same_each_time_and_spread():
    prompts = prompt_set("test", 12)
    assert Counter(p.category for p in prompts) == {category: 12 for category in CATEGORIES}
    assert len({p.text() for p in prompts}) == len(prompts)
    assert all(split_of(p) == "test" for p in prompts)
    prompt_set.cache_clear()
    assert prompt_set("test", 12) == prompts
    assert {p.total for p in prompts if p.category == "many"} == {5, 6, 7}


def test_training_meets_every_category():
    rng = random.Random(0)
    assert set(WEIGHTS) == set(CATEGORIES)
    assert {random_category(rng) for _ in range(300)} == set(CATEGORIES)


def test_the_vocabulary_covers_prompts_plans_and_every_noun():
    def words(text):
        return set(text.replace(",", " , ").replace(".", " . ").replace(":", " : ").split())

    known = set().union(*(words(text) for text in vocabulary_texts()))
    assert len(known) < 1300
    rng = random.Random(9)
    for split in SPLITS:
        for category in CATEGORIES:
            for _ in range(30):
                prompt = random_prompt(category, split, rng)
                plan = write_plan(random_scene(prompt, rng), rng.choice(STYLES), prompt.facts())
                assert words(prompt.text()) | words(plan) <= known
    assert all(set(noun.split()) <= known for noun in NOUNS)
