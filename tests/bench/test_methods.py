import pytest

from bench.methods import METHODS, parse_method, parse_methods
from bench.studies import STUDIES
from milr_core import InputError, SearchSettings
from milr_core.settings import PRESETS


def test_a_method_says_what_it_changes_and_by_whom_it_is_guided(tiny):
    methods = parse_methods("step0, text[lr=0.5, baseline=running]@self,best-of-n-early,step0")
    assert [m.name for m in methods] == ["step0", "text[baseline=running,lr=0.5]@self", "best-of-n-early"]
    assert methods[1].guide == "self" and methods[0].guide is None
    settings = methods[1].settings(SearchSettings(seed=7, steps=3), tiny)
    assert (settings.strategy, settings.lr, settings.baseline) == ("text", 0.5, "running")
    assert (settings.seed, settings.steps) == (7, 3)


def test_a_preset_leaves_the_methods_own_choice(tiny):
    settings = parse_method("image-random[preset=paper,lr=0.5]").settings(SearchSettings(), tiny)
    assert (settings.strategy, settings.positions, settings.lr) == ("image", "random", 0.5)
    assert settings.image_ratio == PRESETS["paper"]["image_ratio"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("jont", "no method"), ("text[lr=x]", "a number"), ("text[lr=-1]", "lr lies in"), ("text[speed=1]", "no setting"),
     ("text[seed=1]", "seeds are the run's"), ("text[preset=best]", "no preset"), ("text[lr=0.1", "no method")],
)  # fmt: skip
def test_bad_methods_say_what_is_wrong(text, says):
    with pytest.raises(InputError, match=says):
        parse_method(text)


def test_every_study_names_methods_that_there_are():
    for study in STUDIES.values():
        for text in study.methods:
            assert parse_method(text).kind in METHODS
