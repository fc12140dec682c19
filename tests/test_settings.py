import math

import pytest

from milr_core import InputError, SearchSettings
from milr_core.settings import KNOBS, PAPER, settings_from


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("text_ratio", 0, "(0, 1]"), ("text_ratio", 1.01, "(0, 1]"), ("image_ratio", -0.1, "(0, 1]"),
        ("lr", 0.0, "(0, 10]"), ("lr", -1, "(0, 10]"), ("lr", math.nan, "finite"), ("lr", "0.1", "finite"),
        ("lr", math.inf, "finite"), ("steps", -1, "[0, 1000]"), ("steps", 2.5, "whole"), ("steps", True, "whole"),
        ("strategy", "both", "joint"), ("positions", "first", "prefix"), ("seed", -1, "seed"),
        ("temperature", -1, "[0, 10]"), ("threshold", 1.5, "[0, 1]"), ("guidance", math.nan, "finite"),
        ("baseline", "half", "running"),
    ],
)  # fmt: skip
def test_bad_values_say_what_is_allowed(name, value, says):
    with pytest.raises(InputError) as caught:
        SearchSettings(**{name: value})
    assert name in str(caught.value) and says in str(caught.value)


def test_a_number_that_python_does_not_write_is_refused_in_words():
    for name in ("steps", "lr", "baseline"):
        with pytest.raises(InputError, match=f"{name} .*a number of thousands of digits"):
            SearchSettings(**{name: 10**5000})


def test_unknown_setting_is_named():
    with pytest.raises(InputError, match="learning_rate"):
        settings_from({"learning_rate": 0.1})


def test_retired_settings_open_at_their_default_and_are_refused_with_a_sentence_at_another_value():
    assert settings_from({"lr": 0.1, "batch": 1, "noise": "fresh", "trust": 0.0}) == SearchSettings(lr=0.1)
    with pytest.raises(InputError, match="batch .here 4. was retired"):
        settings_from({"batch": 4})


def test_nothing_given_is_the_models_recommendation_and_else_the_papers():
    resolved = SearchSettings(lr=0.5).resolve({"text_ratio": 0.7, "lr": 0.1})
    assert (resolved.lr, resolved.text_ratio, resolved.image_ratio) == (0.5, 0.7, PAPER["image_ratio"])
    assert None not in resolved.as_dict().values()


def test_every_setting_has_a_knob():
    assert set(SearchSettings().as_dict()) == set(KNOBS)
