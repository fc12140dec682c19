import random

import pytest
from PIL import Image

from milr_core import Critic, CriticError, InputError, Mixture, Score, load_critic
from world.plans import satisfies
from world.sampling import prompt_set, random_items, random_scene
from world.scene import GROUND, IMAGE_SIZE, Item, render


class Constant(Critic):
    def __init__(self, name, value):
        self.name, self.value = name, value

    def score(self, images, prompt):
        return [Score(self.value, {"v": self.value}, f"{self.name} says so") for _ in images]


def test_mixture_is_the_normalised_weighted_mean_with_every_part_visible():
    mixture = Mixture([(3, Constant("a", 1.0)), (1, Constant("b", 0.2))])
    first, second = mixture.score([Image.new("RGB", (8, 8))] * 2, "x")
    assert first.value == second.value == pytest.approx(0.8)
    assert first.parts == {"a": 1.0, "a: v": 1.0, "b": 0.2, "b: v": 0.2} and "b says so" in first.reason


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_no_score_outside_zero_and_one(value):
    with pytest.raises(CriticError):
        Score(value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        3,
        "nope",
        "0.5*nope+0.5*oracle",
        "oracle+oracle",
        "x*oracle",
        "0*oracle+0*self",
        "0*oracle+self",
        "oracle+",
        "+oracle",
        "-1*oracle",
        "²*oracle",
        f"{'9' * 310}*oracle",
        "oracle " * 100,
        "oracle*0.5",
    ],
)
def test_bad_critics_are_refused(name, tiny):
    with pytest.raises(InputError):
        load_critic(name, model=tiny)


def test_self_needs_the_model_and_is_a_probability(tiny):
    with pytest.raises(InputError, match="model=model"):
        load_critic("self")
    critic = load_critic("self", model=tiny)
    images = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "white")]
    scores = critic.score(images, "two red dogs")
    assert all(0 <= s.value <= 1 for s in scores) and len({s.value for s in scores}) == 3
    assert critic.score(images[:1], "two red dogs")[0].value == pytest.approx(scores[0].value, abs=1e-5)


def test_self_reward_tells_right_from_wrong(embedded):
    """The embedded model's own eyes: a scene as asked against the same prompt with nothing right about the scene."""
    critic = load_critic("self", model=embedded)
    red = render([Item("dog", "red", "left"), Item("dog", "red", "top")])
    blue = render([Item("car", "blue", "center")])
    right, wrong = critic.score([red, blue], "two red dogs")
    assert right.value > 0.5 > wrong.value


@pytest.mark.parametrize("category, least", [("single_object", 0.9), ("counting", 0.8), ("color_attr", 0.75)])
def test_self_reward_ranks_right_pictures_above_others(embedded, category, least):
    """Share of pairs of a right and a wrong picture that it orders right; chance is 0.5."""
    critic, rng = load_critic("self", model=embedded), random.Random(7)
    right, wrong = [], []
    for prompt in [p for p in prompt_set("validation", 12) if p.category == category]:
        (score,) = critic.score([render(random_scene(prompt, rng))], prompt.text())
        right.append(score.value)
        items = random_items(prompt.total, rng)
        if not satisfies(items, prompt):
            wrong.append(critic.score([render(items)], prompt.text())[0].value)
    assert sum(a > b for a in right for b in wrong) / (len(right) * len(wrong)) > least


def test_mixtures_load_by_name(embedded):
    critic = load_critic("0.7*oracle+0.3*self", model=embedded)
    (score,) = critic.score([Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), GROUND)], "two red dogs")
    assert set(score.parts) >= {"oracle", "self"}
    assert score.value == pytest.approx(0.7 * score.parts["oracle"] + 0.3 * score.parts["self"], abs=1e-6)
    with pytest.raises(InputError, match="dragon"):
        critic.check_prompt("a dragon")
