"""The embedded world's suites: held-out, balanced, judged by its oracle; and GenEval's own file on the world."""

import json
from collections import Counter

import pytest

from bench.run import in_the_world
from bench.suites import check_unique, load_suite
from bench.world_suites import GENEVAL_FILE, GENEVAL_VARIABLE
from milr_core.critics.geneval_spec import TAGS
from milr_core.errors import InputError
from world.facts import FIELDS
from world.phrases import CATEGORIES
from world.prompts import parse
from world.sampling import split_of

LINES = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {"tag": "single_object", "include": [{"class": "cow", "count": 1}], "prompt": "a photo of a cow"},
    {
        "tag": "counting", "include": [{"class": "clock", "count": 2}],
        "exclude": [{"class": "clock", "count": 3}], "prompt": "a photo of two clocks",
    },
]  # fmt: skip


@pytest.mark.parametrize(("name", "categories"), [("world", CATEGORIES), ("geneval-like", TAGS), ("riddles", FIELDS)])
def test_the_worlds_suites_are_held_out_and_any_first_of_them_balanced(name, categories):
    suite = load_suite(name)
    check_unique(suite.items)
    assert suite.critic == "oracle" and {item.category for item in suite.items} == set(categories)
    assert all(split_of(parse(item.prompt)) == "test" for item in suite.items)
    first = Counter(item.category for item in suite.limited(2 * len(categories)).items)
    assert set(first.values()) == {2}
    assert {item.metadata["prompt"] for item in suite.items} == {item.prompt for item in suite.items}


def test_genevals_file_is_found_where_the_environment_says(tmp_path, monkeypatch):
    path = tmp_path / GENEVAL_FILE
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    monkeypatch.setenv(GENEVAL_VARIABLE, str(tmp_path))
    suite = load_suite("geneval", embedded=True)
    assert suite.critic == "oracle" and [item.category for item in suite.items[:2]] == ["single_object", "counting"]
    assert load_suite("geneval").critic == "geneval"
    monkeypatch.setenv(GENEVAL_VARIABLE, str(tmp_path / "gone.jsonl"))
    with pytest.raises(InputError, match=GENEVAL_VARIABLE):
        load_suite("geneval")


def test_training_prompts_are_no_suite():
    with pytest.raises(InputError, match="validation and test"):
        load_suite("world:train")


def test_a_model_is_of_the_world_where_its_description_says_so(tmp_path):
    (tmp_path / "milr.json").write_text(json.dumps({"reader": "world"}))
    assert in_the_world(str(tmp_path)) and in_the_world("janus-icons")
    (tmp_path / "milr.json").write_text("{}")
    assert not in_the_world(str(tmp_path)) and not in_the_world("deepseek-community/Janus-Pro-1B")


def test_the_papers_prompts_are_genevals_own_where_there_are_any_and_riddles(tmp_path, monkeypatch):
    path = tmp_path / GENEVAL_FILE
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    monkeypatch.setenv(GENEVAL_VARIABLE, str(path))
    suite = load_suite("paper")
    check_unique(suite.items)
    tasks = ["single_object", "counting", *FIELDS]
    assert suite.critic == "oracle" and sorted(item.category for item in suite.items[: len(tasks)]) == sorted(tasks)
    assert suite.weights == dict.fromkeys(suite.weights, 1 / len(tasks))
    monkeypatch.setattr("bench.world_suites.geneval_file", lambda: None)
    assert {item.category for item in load_suite("paper").items} == {*TAGS, *FIELDS}
