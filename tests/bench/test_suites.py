import json

import pytest

from bench.suites import load_suite
from milr_core import InputError, load_critic
from milr_core.critics.geneval_spec import TAGS, read_metadata
from milr_core.critics.wise_spec import SCALES, read_items

TASKS = TAGS


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
    (tmp_path / "merge.json").write_text("\ufeff" + json.dumps(rows), encoding="utf-8")
    suite = load_suite(f"{release}:{tmp_path}")
    assert [item.number for item in read_items(tmp_path)] == list(category), "the critic reads the same"
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
        ("wise:{}", '[{"Prompt": "x", "Explanation": "y", "prompt_id": 1001}]', "1 to 1000"),
        ("geneval:nowhere", "", "cannot be read"),
        ("wise:{}", '[{"Prompt": "x", "Explanation": "y", "prompt_id": "²"}]', "prompt_id"),
        ("wise:{}", f'[{{"Prompt": "x", "Explanation": "y", "prompt_id": {10**310}}}]', "1 to 1000"),
        ("wise:{}", '[1]', "Entry 1 of .* is no JSON object"), ("wise:{}", "3", "Line 1 of .* is no JSON object"),
        ("geneval:{}", '\n["tag"]', "Line 2 of|no JSON object"), ("geneval:{}", '{"tag": {}, "prompt": "x"}', "tag"),
        ("geneval:{}", '{"tag": "counting", "prompt": "x"}', "Line 1 of .* is no GenEval spec"),
        ("geneval:{}", "[" * 100_000, "not JSON"),
        ("world:train", "", "validation"), ("pictures", "", "There is no suite"),
    ],
)  # fmt: skip
def test_bad_suites_say_what_is_wrong(tmp_path, name, content, says):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(InputError, match=says):
        load_suite(name.format(tmp_path / "a.txt"))


HEADER = "prompt,category\n"
READ = {
    "comma.csv": (b"prompt,category\na cat,pets\n", [("a cat", "pets")]),
    "SHOUT.CSV": (b"PROMPT\na cat\n", [("a cat", "prompts")]),
    "semicolon.csv": (b"prompt;category\na cat, asleep;pets\n", [("a cat, asleep", "pets")]),
    "tab.csv": (b"category\tprompt\npets\ta cat, asleep\n", [("a cat, asleep", "pets")]),
    "tab.tsv": (b"prompt\na cat, asleep\n", None),
    "bom.csv": (b"\xef\xbb\xbfprompt\r\na cat\r\n", [("a cat", "prompts")]),
    "mac.csv": (b"prompt\ra cat\ra dog\r", [("a cat", "prompts"), ("a dog", "prompts")]),
    "quoted.csv": (b'"prompt","category"\n"two cats\nand a dog",a\n', [("two cats and a dog", "a")]),
    "doubled.csv": (b'prompt\n"a ""big"" cat"\n', [('a "big" cat', "prompts")]),
    "blank.csv": (b"\n\nprompt\n   \n\na cat\n", [("a cat", "prompts")]),
    "empty-cells.csv": (b"prompt,category\n , \na cat,\n", [("a cat", "prompts")]),
    "lines.jsonl": (b'{"prompt": "a\\ncat"}\n\n{"Prompt": "a dog", "category": "pets"}\n',
                    [("a cat", "prompts"), ("a dog", "pets")]),
    "list.json": (b'[{"prompt": "a cat"}]', [("a cat", "prompts")]),
}  # fmt: skip
REFUSED = {
    "unquoted.csv": (
        HEADER + "a red dog, a blue car,b\n",
        "Line 2 of .*unquoted.csv has 3 cells.*header 2.*comma",
    ),
    "short.csv": (HEADER + "a cat,b\ntwo red dogs\n", "Line 3 of .*short.csv has 1 cell,"),
    "extra.csv": ("prompt\na red dog, a blue car\n", "Line 2 of .* has 2 cells"),
    "after.csv": ('\nprompt\n"two\ncats"\na,b\n', "Line 5 of"),
    "nothing.csv": (HEADER + " ,pets\n", "Line 2 of .* has no prompt"),
    "open.csv": (HEADER + '"a cat,pets\n', "Line 2 of .*is no row of a table"),
    "stray.csv": (HEADER + '"a" cat,pets\n', "Line 2 of"),
    "long.csv": (HEADER + "x" * 200_000 + ",pets\n", "Line 2 of .*field larger"),
    "other.csv": ("text\na cat\n", "column named prompt; it has text"),
    "two.csv": ("prompt,prompt\na cat,a dog\n", "named twice"),
    "latin.csv": (HEADER + "caf\udce9,pets\n", "latin.csv cannot be read: it is no text in UTF-8"),
    "none.csv": ("", "column named prompt; it has none"),
    "list.jsonl": ('["a cat"]\n', "no JSON object"),
    "number.jsonl": ('{"prompt": "a"}\n{"prompt": 3}\n', "Line 2 of .*no text named prompt"),
    "half.jsonl": ('{"prompt": "a \\ud83d cat"}\n', "Line 1 of .* is not JSON"),
    "torn.jsonl": ('{"prompt": "a"}\n{"prompt": \n', "Line 2 of .* is not JSON"),
}


@pytest.mark.parametrize("name", READ)
def test_files_of_ones_own_are_read_as_they_are_meant(tmp_path, name):
    content, expected = READ[name]
    (tmp_path / name).write_bytes(content)
    if expected is None:  # a comma is no separator where tabs are: the header has one column
        expected = [("a cat, asleep", "prompts")]
    assert [(item.prompt, item.category) for item in load_suite(str(tmp_path / name)).items] == expected


@pytest.mark.parametrize("name", REFUSED)
def test_or_refused_by_file_and_line(tmp_path, name):
    content, says = REFUSED[name]
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=says):
        load_suite(str(tmp_path / name))


def test_suite_and_critic_read_the_same_files(tmp_path):
    row = {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"}
    item = {"Prompt": "x y", "Explanation": "e", "Category": "Culture", "prompt_id": 1}
    for name, text in (
        ("list.json", "[{}]"),
        ("lines.jsonl", "{}\n"),
        ("bom.json", "\ufeff[{}]"),
        ("b", "\ufeff{}\n\n"),
    ):
        (tmp_path / name).write_text(text.replace("{}", json.dumps(row)), encoding="utf-8")
        assert read_metadata(tmp_path / name) == {"a photo of a bench": row}
        assert load_suite(f"geneval:{tmp_path / name}").items[0].metadata == row
        (tmp_path / name).write_text(text.replace("{}", json.dumps(item)), encoding="utf-8")
        load_critic("wise", key="k", data=tmp_path / name).check_prompt("x y")
        assert load_suite(f"wise:{tmp_path / name}").items[0].number == 1
        (tmp_path / name).unlink()
    (tmp_path / "a.json").write_text(json.dumps([item]))
    (tmp_path / "b.json").write_text(json.dumps([item | {"Prompt": "z"}]))
    with pytest.raises(InputError, match="b.json: prompt_id 1 is there twice, with different words"):
        load_suite(f"wise:{tmp_path}")
    assert SCALES["original"].weights == load_suite(f"wise:{tmp_path / 'a.json'}").weights


def test_any_first_prompts_of_the_world_are_balanced():
    items = load_suite("world").items
    assert len(items) == len({item.id for item in items}) == 400
    for limit in (8, 80):
        counts = [sum(i.category == c for i in items[:limit]) for c in {i.category for i in items}]
        assert set(counts) == {limit // 8}
    assert not {i.prompt for i in items} & {i.prompt for i in load_suite("world:validation").items}


def test_geneval_2_is_read_from_a_users_file(tmp_path):
    row = {
        "prompt": "four white bicycles", "atom_count": 3, "skills": ["count", "attribute", "object"],
        "vqa_list": [["How many bicycles are in the image?", "four"], ["Are the bicycles white?", "Yes"]],
    }  # fmt: skip
    path = tmp_path / "geneval2_data.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (item,) = load_suite(f"geneval2:{path}").items
    assert (item.prompt, item.category, item.metadata) == (row["prompt"], "atoms-3", row)
    path.write_text(json.dumps({"prompt": "a dog"}) + "\n")
    with pytest.raises(InputError, match="vqa_list"):
        load_suite(f"geneval2:{path}")
    with pytest.raises(InputError, match="not shipped"):
        load_suite("geneval2")
