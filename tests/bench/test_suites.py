import json

import pytest

from bench.suites import load_suite
from milr_core import InputError

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def test_geneval_keeps_the_line_and_counts_as_the_benchmark(tmp_path):
    rows = [{"tag": task, "include": [{"class": "dog", "count": 1}], "prompt": f"a dog {task}"} for task in TASKS]
    path = tmp_path / "evaluation_metadata.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = load_suite(f"geneval:{path}")
    assert [item.id for item in suite.items] == [f"{i:05d}" for i in range(6)]
    assert suite.items[4].metadata == rows[4] and suite.items[4].category == "position"
    assert set(suite.weights) == set(TASKS) and sum(suite.weights.values()) == pytest.approx(1)
    files = suite.layout(suite.items[4], 2)
    assert list(files) == ["00004/samples/0002.png", "00004/metadata.jsonl"]
    assert json.loads(files["00004/metadata.jsonl"]) == rows[4]


def test_compbench_reads_windows_lines_and_labels_and_names_images_as_its_evaluators_do(tmp_path):
    for name in ("color", "shape", "texture", "spatial", "non_spatial", "complex"):
        (tmp_path / f"{name}_val.txt").write_bytes(f"a {name} dog\ttrue\r\n\r\nthe red hat.\r\n".encode())
    suite = load_suite(f"compbench:{tmp_path}")
    assert len(suite.items) == 12 and suite.items[0].prompt == "a color dog"
    assert set(suite.weights.values()) == {1 / 6}
    assert list(suite.layout(suite.items[1], 3)) == ["color/samples/the red hat._000013.png"]
    with pytest.raises(InputError, match="0 to 9"):
        suite.layout(suite.items[1], 10)
    one = load_suite(f"compbench:{tmp_path / 'shape_val.txt'}")
    assert [item.category for item in one.items] == ["shape", "shape"] and one.weights == {"shape": 1}
    (tmp_path / "complex_val_spatial.txt").write_text("The red hat was on top of the brown coat rack.\n")
    (part,) = load_suite(f"compbench:{tmp_path / 'complex_val_spatial.txt'}").items
    assert part.critic_options == {"compbench": {"category": "complex"}}


@pytest.mark.parametrize(
    ("release", "category"), [("wise", {400: "culture", 560: "time", 700: "space", 701: "biology"}),
                              ("wise-verified", {400: "culture", 560: "space", 700: "biology", 880: "physics"})],
)  # fmt: skip
def test_wise_categories_come_from_the_ids_of_the_release(tmp_path, release, category):
    row = {"Explanation": "why", "Category": "c", "Subcategory": "s"}
    rows = [{"Prompt": f"prompt {number}", "prompt_id": number, **row} for number in category]
    (tmp_path / "a.json").write_text(json.dumps(rows[:2]))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[2:]))
    (tmp_path / "a_rewrite.json").write_text(json.dumps(rows[:2]))
    suite = load_suite(f"{release}:{tmp_path}")
    assert {item.number: item.category for item in suite.items} == category
    assert suite.items[0].metadata["Explanation"] == "why"
    assert list(suite.layout(suite.items[0], 1)) == ["seed-1/400.png"]
    assert sum(suite.weights.values()) == pytest.approx(1)


def test_prompt_files(tmp_path):
    (tmp_path / "mine.txt").write_text("\ufeffone cat\n\n  two dogs \n", encoding="utf-8")
    assert [item.prompt for item in load_suite(str(tmp_path / "mine.txt")).items] == ["one cat", "two dogs"]
    (tmp_path / "mine.csv").write_text('Category,Prompt\npets,"a cat, asleep"\n,a dog\n')
    suite = load_suite(str(tmp_path / "mine.csv"))
    assert [(i.prompt, i.category) for i in suite.items] == [("a cat, asleep", "pets"), ("a dog", "prompts")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("geneval:{}", '{"prompt": "a dog"}', "tag"), ("geneval:{}", "not json", "Line 1"),
        ("wise:{}", '[{"Prompt": "x"}]', "prompt_id"), ("{}", "", "no prompts"), ("wise", "", "not shipped"),
        ("wise:{}", '[{"Prompt": "x", "prompt_id": 1001}]', "1 to 1000"), ("geneval:nowhere", "", "cannot be read"),
        ("shapes:train", "", "validation"), ("pictures", "", "There is no suite"),
    ],
)  # fmt: skip
def test_bad_suites_say_what_is_wrong(tmp_path, name, content, says):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(InputError, match=says):
        load_suite(name.format(tmp_path / "a.txt"))


def test_any_first_prompts_of_shapes_are_balanced():
    items = load_suite("shapes").items
    assert len(items) == len({item.id for item in items}) == 350
    for limit in (7, 70):
        counts = [sum(i.category == c for i in items[:limit]) for c in {i.category for i in items}]
        assert set(counts) == {limit // 7}
    assert not {i.prompt for i in items} & {i.prompt for i in load_suite("shapes:validation").items}
