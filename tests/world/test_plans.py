import random

import pytest

from world.facts import FACTS
from world.nouns import NOUNS
from world.phrases import CATEGORIES, Phrase, Prompt, riddle
from world.plans import STYLES, matching, places_satisfy, plan_is_right, random_plan, read_plan, satisfies, write_plan
from world.sampling import random_items, random_prompt, random_scene
from world.scene import PLACES, Item, natural_color

SCENE = [Item("orange", "orange", "top"), Item("hot dog", None, "left"), Item("statue of liberty", "red", "center")]


@pytest.mark.parametrize("style", STYLES)
def test_a_plan_is_read_back_as_it_was_written(style):
    assert read_plan(write_plan(SCENE, style, ["the dog barks", "rust is brown"])) == SCENE
    rng = random.Random(0)
    for count in range(1, 10):
        items = random_items(count, rng)
        assert read_plan(write_plan(items, style)) == items


def test_the_styles_differ_in_words():
    assert write_plan(SCENE[:2], "sentence") == "draw an orange orange at top, a hot dog at left."
    assert write_plan(SCENE[:2], "list") == "two things: orange orange top, hot dog left."
    assert write_plan(SCENE[:2], "map") == "top an orange orange, left a hot dog."
    with pytest.raises(ValueError, match="style"):
        write_plan(SCENE, "poem")


def test_tokens_with_spaces_around_points_read_the_same():
    assert read_plan("the symbol of japan is mount fuji . draw mount fuji at top , a dog at left .") == [
        Item("mount fuji", None, "top"),
        Item("dog", None, "left"),
    ]


@pytest.mark.parametrize(
    "text",
    ["", ".", "dog", "draw a dog", "draw a dog at nowhere.", "draw a red at top.", "top top",
     "a dog at top, a cat at top.",
     "draw a wolf at top.", "left", "draw", "one thing: ,", "two things"],
)  # fmt: skip
def test_what_is_no_plan_reads_as_none(text):
    assert read_plan(text) is None


def test_places_satisfy_follows_the_rule_of_whole_cells():
    assert places_satisfy("left of", "left", "right")
    assert places_satisfy("left of", "top-left", "center")
    assert not places_satisfy("left of", "top-left", "bottom")
    assert not places_satisfy("left of", "top", "bottom")
    assert places_satisfy("above", "top", "bottom-left") and places_satisfy("below", "bottom-left", "top")
    for a in PLACES:
        for b in PLACES:
            assert places_satisfy("left of", a, b) == places_satisfy("right of", b, a)
            assert places_satisfy("above", a, b) == places_satisfy("below", b, a)


def test_an_untinted_thing_counts_as_having_its_own_color():
    noun = next(n for n in NOUNS if natural_color(n) == "red")
    items = [Item(noun, None, "top")]
    assert satisfies(items, Prompt((Phrase(noun, 1, "red"),)))
    assert not satisfies(items, Prompt((Phrase(noun, 1, "blue"),)))
    assert matching(items, noun, None) == items
    assert not satisfies([Item(noun, "blue", "top")], Prompt((Phrase(noun, 1, "red"),)))


def test_satisfies_counts_relates_and_excludes():
    dogs = [Item("dog", "red", "top-left"), Item("dog", "red", "left")]
    car = [Item("car", "blue", "right")]
    prompt = Prompt((Phrase("dog", 2, "red"), Phrase("car", 1, "blue")), "left of")
    assert satisfies(dogs + car, prompt)
    assert not satisfies(dogs[:1] + car, prompt)
    assert not satisfies([*dogs, Item("dog", "red", "bottom-left"), *car], prompt), "one more than asked"
    assert not satisfies([*dogs, Item("car", "blue", "bottom-left")], prompt)
    assert satisfies([*dogs, Item("dog", "green", "bottom"), *car], prompt), "an extra of another color is no red dog"
    assert satisfies(dogs, Prompt((Phrase("dog"),))), "GenEval excludes one more only where a number is asked"


def test_a_riddle_of_a_color_and_a_count_is_judged_by_its_answer():
    clocks = next(f for f in FACTS if f.noun == "clock" and f.count == 4)
    four = [Item("clock", None, place) for place in PLACES[:4]]
    assert satisfies(four, Prompt((riddle(clocks.wordings[0]),)))
    assert not satisfies(four[:3], Prompt((riddle(clocks.wordings[0]),)))
    rust = next(f for f in FACTS if f.noun == "car" and f.color == "brown")
    assert plan_is_right("rust is brown. draw a brown car at top.", Prompt((riddle(rust.wordings[0]),)))
    assert not plan_is_right("rust is brown. draw a red car at top.", Prompt((riddle(rust.wordings[0]),)))


def test_plans_of_the_longest_prompts_stay_short():
    """Words as the tokenizer counts them: a noun of several words is one, so are points and commas."""
    rng, longest = random.Random(1), 0
    for _ in range(400):
        prompt = random_prompt(rng.choice(("many", "knowledge")), "train", rng)
        plan = random_plan(random_scene(prompt, rng), prompt, rng)
        for noun in NOUNS:
            plan = plan.replace(noun, noun.replace(" ", "_"))
        longest = max(longest, len(plan.replace(",", " ,").replace(".", " .").replace(":", " :").split()))
    assert longest <= 75


def test_random_plans_of_random_scenes_are_right():
    rng = random.Random(2)
    for category in CATEGORIES:
        for _ in range(60):
            prompt = random_prompt(category, "train", rng)
            plan = random_plan(random_scene(prompt, rng), prompt, rng)
            assert plan_is_right(plan, prompt), (prompt.text(), plan)
            assert all(plan.find(sentence) >= 0 for sentence in prompt.facts())
