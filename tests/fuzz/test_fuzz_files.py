"""Anything at all in a file of prompts or of a benchmark: read, or refused in words that name it."""

import json

from hypothesis import given
from hypothesis import strategies as some

from bench.suites import load_suite
from milr_core import InputError
from milr_core.critics import critic_names, geneval_spec, options_for, parse, read_options
from milr_core.critics.phrases import noun_chunks, official_relation, relation, things, without_adjectives
from tests.fuzz.examples import fuzzed
from tests.fuzz.test_fuzz_judges import RECORDS, SCALARS

CELLS = some.text(some.sampled_from('ab ,;"\n\r\t²é'), max_size=8)
TABLES = some.lists(some.lists(CELLS, min_size=1, max_size=3).map(",".join), max_size=5).map("\n".join)
NAMES = some.sampled_from(("tag", "prompt", "include", "exclude", "class", "count", "color", "position", "Prompt",
                           "Explanation", "prompt_id", "category"))  # fmt: skip
VALUES = SCALARS | some.sampled_from(("counting", "dog", "red", "left of", "²", "1", 1, 0))
ROWS = some.recursive(
    VALUES, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=6), max_leaves=12
)
METADATA = some.one_of(
    some.lists(ROWS | RECORDS, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows))),
    some.lists(ROWS, max_size=4).map(json.dumps),
    some.text(max_size=60),
)


def read(path, name, text, marked):
    path.write_bytes((b"\xef\xbb\xbf" if marked else b"") + text.encode("utf-8", "surrogatepass"))
    try:
        suite = load_suite(name)
    except InputError as error:
        assert len(str(error)) < 2500
        return []
    assert all(item.prompt.strip() for item in suite.items)
    return suite.items


@fuzzed
@given(some.sampled_from(("prompt\n", "prompt,category\n", "prompt;category\n", "\n", "")), TABLES, some.booleans())
def test_tables(tmp_path_factory, header, text, marked):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    for item in read(path, str(path), header + text, marked):
        assert "\n" not in item.prompt and item.prompt == " ".join(item.prompt.split())


@fuzzed
@given(METADATA, some.booleans())
def test_benchmarks_files(tmp_path_factory, text, marked):
    path = tmp_path_factory.getbasetemp() / "any.json"
    for kind in ("geneval:", "wise:", "wise-verified:", "compbench:", ""):
        read(path, f"{kind}{path}", text, marked)


WORDS = some.sampled_from(
    (*"a an the two 2 ² ٣ red orange dog dogs hot left of on top and , . above".split(), "9" * 310)
)
PROMPTS = some.text(max_size=40) | some.lists(WORDS, max_size=10).map(" ".join)


@fuzzed
@given(PROMPTS)
def test_prompts(prompt):
    try:
        spec = geneval_spec.parse(prompt)
    except InputError:
        pass
    else:
        assert geneval_spec.check(spec) == spec
        assert all(geneval_spec.words_for(clause, prompt) in prompt for clause in spec["include"])
    for reader in (noun_chunks, official_relation, relation, without_adjectives):
        reader(prompt)
    try:
        things(prompt)
    except InputError:
        pass


@fuzzed
@given(ROWS | RECORDS)
def test_specs(spec):
    try:
        checked = geneval_spec.check(spec)
    except InputError as error:
        assert len(str(error)) < 2500
    else:
        assert geneval_spec.check(checked) == checked


PIECES = some.sampled_from(
    ("oracle", "self", "gpt-4o", "nope", "*", "+", "0.5", ".", "1e400", "²", " ", "-", "9" * 310)
)


@fuzzed
@given(some.text(max_size=20) | some.lists(PIECES, max_size=8).map("".join), some.lists(some.text(max_size=30)))
def test_expressions_and_options(text, said):
    try:
        terms = parse(text)
    except InputError:
        pass
    else:
        assert critic_names(text) == [term.name for term in terms] and all(term.weight > 0 for term in terms)
        options_for(text, {name: {"x": 1} for name in critic_names(text)})
    try:
        read_options(said)
    except InputError:
        pass
