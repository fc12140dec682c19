import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milr_core.errors import InputError
from world.facts import FACT_OF, HELD
from world.held_out import GENEVAL_KEYS
from world.nouns import GENEVAL, NOUNS, plural
from world.phrases import CATEGORIES, LEADS, RELATIONS
from world.prompts import Phrase, Prompt, PromptError, parse, read, riddle, what_can_be_drawn
from world.reading import MOST_CHARACTERS
from world.sampling import split_of
from world.scene import COLORS
from world.words import LOOKS, NAMES, NEAREST, SHADES

# Lines in the style of GenEval's metadata, written for this test.
LINES = [
    {"tag": "single_object", "prompt": "a photo of a skis", "include": [{"class": "skis", "count": 1}]},
    {"tag": "two_object", "prompt": "a photo of an oven and a sheep",
     "include": [{"class": "oven", "count": 1}, {"class": "sheep", "count": 1}]},
    {"tag": "counting", "prompt": "a photo of three knifes", "include": [{"class": "knife", "count": 3}],
     "exclude": [{"class": "knife", "count": 4}]},
    {"tag": "counting", "prompt": "a photo of two couchs", "include": [{"class": "couch", "count": 2}],
     "exclude": [{"class": "couch", "count": 3}]},
    {"tag": "counting", "prompt": "a photo of four persons", "include": [{"class": "person", "count": 4}],
     "exclude": [{"class": "person", "count": 5}]},
    {"tag": "colors", "prompt": "a photo of an orange toothbrush",
     "include": [{"class": "toothbrush", "count": 1, "color": "orange"}]},
    {"tag": "position", "prompt": "a photo of an orange below a hot dog",
     "include": [{"class": "hot dog", "count": 1}, {"class": "orange", "count": 1, "position": ["below", 0]}]},
    {"tag": "color_attr", "prompt": "a photo of a white cup and an orange orange",
     "include": [{"class": "cup", "count": 1, "color": "white"}, {"class": "orange", "count": 1, "color": "orange"}]},
]  # fmt: skip
GENEVAL_FILE = Path(os.environ.get("MILR_GENEVAL", Path(__file__).parents[3] / "shared/benchmarks/geneval"))


def demands(text):
    spec = parse(text).spec()
    return {"tag": spec["tag"], "include": spec["include"], "exclude": spec["exclude"]}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["prompt"])
def test_a_line_in_genevals_form_demands_what_it_says(line):
    assert demands(line["prompt"]) == {
        "tag": line["tag"],
        "include": line["include"],
        "exclude": line.get("exclude", []),
    }


def test_every_line_of_geneval_demands_what_its_metadata_says_and_is_kept_from_training():
    file = GENEVAL_FILE if GENEVAL_FILE.is_file() else GENEVAL_FILE / "evaluation_metadata.jsonl"
    if not file.is_file():
        pytest.skip(f"GenEval's metadata is not at {file}; set MILR_GENEVAL to where it is")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 553
    composed = set()
    for line in lines:
        reading = read(line["prompt"])
        assert demands(line["prompt"]) == {k: line.get(k, []) for k in ("tag", "include", "exclude")}, line
        assert reading.notes == ()
        if line["tag"] not in ("single_object", "colors"):
            assert split_of(reading.prompt) == "test"
            composed.add(reading.prompt.key())
    assert len(composed) == len(GENEVAL_KEYS)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_reads_alone_in_number_and_in_every_color(noun):
    assert parse(noun) == Prompt((Phrase(noun),))
    assert parse(Phrase(noun).text()).phrases == (Phrase(noun),)
    assert parse(f"three {plural(noun)}").phrases == (Phrase(noun, 3),)
    for color in COLORS:
        assert parse(f"a {color} {noun}").phrases == (Phrase(noun, 1, color),)


@pytest.mark.parametrize("wording", FACT_OF)
def test_every_riddle_reads_alone(wording):
    reading = read(wording)
    assert reading.prompt == Prompt((riddle(wording),))
    assert reading.notes == ()


def test_every_lead_reads():
    for lead in LEADS:
        assert parse(f"{lead} a red dog") == Prompt((Phrase("dog", 1, "red"),), None, lead)


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("cat", "a cat"),
        ("2 cats and a dog", "two cats and a dog"),
        ("a red dog blue cat", "a red dog and a blue cat"),
        ("Mt. Fuji and two pairs of scissors", "mount fuji and two scissors"),
        ("Draw me a red cat, please!", "draw a red cat"),
        ("a cat to the left of a dog", "a cat left of a dog"),
        ("a dog on the left and a cat on the right", "a dog left of a cat"),
        ("a dog at the top and a cat at the bottom", "a dog above a cat"),
        ("an apple on top of a book", "an apple above a book"),
        ("an apple underneath the book", "an apple below a book"),
        ('"A RED BUS"', "a red bus"),
        ("the dog is above the cat", "a dog above a cat"),
        ("right of a cat is a dog", "a dog right of a cat"),
        ("To the left of two red cats there are three dogs.", "three dogs left of two red cats"),
        ("a car, which is red, left of a dog", "a red car left of a dog"),
        ("a dog in orange", "an orange dog"),
        ("two dogs, a car & 3 green apples", "two dogs, a car and three green apples"),
        ("a bird and a cat left of a dog", "a cat left of a dog and a bird"),
        ("a pair of scissors", "a scissors"),
        ("a couple of cats", "two cats"),
        ("a cat and a cat", "two cats"),
        ("two of the animal that barks in blue above a cat", "two of the animal that barks in blue above a cat"),
        ("The mountain which is a symbol of Japan.", "the mountain that is a symbol of japan"),
        ("a picture of a moon", "a picture of the moon"),
        ("under the tree is a dog and a cat", "a dog below a tree and a cat"),
        ("to the left of a cat a dog", "a dog left of a cat"),
        ("above a red car, two birds and a tree", "two birds above a red car and a tree"),
        ("below the king of all other animals is a car", "a car below the king of all other animals"),
        ("a dog - 2 cats", "a dog and two cats"),
        ("the animal that barks in orange, a cat and a cow", "the animal that barks in orange, a cat and a cow"),
    ],
)
def test_what_people_type_reads_without_a_note(typed, meant):
    reading = read(typed)
    assert reading.text == meant
    assert reading.notes == ()
    assert parse(meant) == reading.prompt


@pytest.mark.parametrize(
    "typed, meant, notes",
    [
        ("elefant", "an elephant", ("read 'elefant' as 'elephant'",)),
        ("a pictuer of a dog", "a picture of a dog", ("read 'pictuer' as 'picture'",)),
        ("two girafes", "two giraffes", ("read 'girafes' as 'giraffes'",)),
        ("trafic light", "a traffic light", ("read 'trafic' as 'traffic'",)),
        ("a bleu dgo", "a blue dog", ("read 'bleu' as 'blue'", "read 'dgo' as 'dog'",)),
        ("an aeroplane", "an airplane", ("read 'aeroplane' as 'airplane'",)),
        ("3 doughnuts", "three donuts", ("read 'doughnuts' as 'donuts'",)),
        ("a sofa and a television", "a couch and a tv", ("read 'sofa' as 'couch'", "read 'television' as 'tv'",)),
        ("a puppy", "a dog", ("read 'puppy' as 'dog'",)),
        ("santa's tree", "a christmas tree", ("read 'santas tree' as 'christmas tree'",)),
        ("a mouse", "a computer mouse", ("read 'mouse' as 'computer mouse'",)),
        ("a violet cat", "a purple cat", ("read 'violet' as 'purple'",)),
        ("cats", "two cats", ("read 'cats' as 'two cats'",)),
        ("some birds", "three birds", ("read 'some' as 'three'",)),
        ("a nice red cat", "a red cat", ("ignored: nice",)),
        ("a cat next to a dog", "a cat and a dog", ("read 'next to' as 'and'",)),
        ("a cat riding a horse", "a cat and a horse", ("ignored: riding",)),
        ("a big wooden table at sunset", "a dining table", ("ignored: at sunset", "ignored: big, wooden",)),
        ("a dog without a cat", "a dog", ("ignored: without a cat",)),
        ("a dog and no cats", "a dog", ("ignored: and no cats",)),
        ("a black and white cat", "a black cat", ("ignored: white",)),
        ("the symbol of japan", "the mountain that is a symbol of japan", ("read 'the symbol of japan' as",)),
        ("a cat 🐱", "a cat", ("ignored: 🐱",)),
        ("a dog on the left", "a dog", ("ignored: left",)),
        ("left of a cat", "a cat", ("ignored: left of",)),
        ("left of a cat and a dog", "a cat and a dog", ("ignored: left of",)),
        ("a dog right of", "a dog", ("ignored: right of",)),
        ("3-4 dogs", "four dogs", ("ignored: 3",)),
        ("a blu car", "a blue car", ("read 'blu' as 'blue'",)),
    ],
)  # fmt: skip
def test_what_is_changed_or_passed_over_is_said(typed, meant, notes):
    reading = read(typed)
    assert reading.text == meant
    for note in notes:
        assert any(said.startswith(note) for said in reading.notes), (note, reading.notes)
    assert parse(meant) == reading.prompt


def refusal(text):
    with pytest.raises(PromptError) as caught:
        read(text)
    error = caught.value
    assert isinstance(error, InputError)
    assert str(error) and "\n" not in str(error)
    assert len(set(error.suggestions)) == 3
    for suggestion in error.suggestions:
        assert read(suggestion).notes == (), suggestion
    return error


def test_an_unknown_thing_gets_the_prompt_around_the_three_nearest_in_meaning():
    assert refusal("a red wolf left of a car").suggestions == (
        "a red dog left of a car", "a red fox left of a car", "a red bear left of a car",
    )  # fmt: skip
    assert refusal("two wolves").suggestions == ("two dogs", "two foxes", "two bears")
    assert "wolf" in str(refusal("draw a wolf"))
    assert refusal("apple pie").suggestions[0] == "a pizza"
    assert refusal("a wolf and a hat").suggestions[0] == "a dog and a tie"


def test_an_unknown_word_gets_the_three_nearest_in_spelling():
    assert "a giraffe" in refusal("a giraxxy").suggestions


def test_an_unknown_riddle_gets_the_nearest_riddles():
    assert any("bees" in suggestion for suggestion in refusal("what bees make").suggestions)


@pytest.mark.parametrize("text, said", [
    ("seven cats", "up to 4 of a kind"),
    ("999999999999 cats", "up to 4 of a kind"),
    ("-1 dogs", "'-1' is no such number"),
    ("1.5 dogs", "'1.5' is no such number"),
    ("a cat and 1/2 pizza", "'1/2' is no such number"),
    ("three dogs, three cats and three birds", "up to 7 things"),
    ("a dog, a cat, a bird, a horse and a cow", "up to 4 different"),
    ("three cats and two cats", "up to 4 of a kind"),
    ("a cat above a dog below a bird", "one relation"),
    ("a cat left of a cat", "differ"),
    ("no cat", "what to leave out"),
    ("", "nothing to draw"),
    ("draw", "nothing to draw"),
    ("a red", "nothing to draw"),
    ("🐱", "nothing to draw"),
    ("²", "cannot read"),
    ("2² cats", "cannot read"),
    ("кошка", "cannot read"),
    ("cat " * 3000, "longer"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_in_one_line_with_three_suggestions(text, said):
    assert said in str(refusal(text))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    try:
        reading = read(text)
    except PromptError as error:
        assert len(error.suggestions) == 3
    else:
        assert reading.text == reading.prompt.text()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(
    "a the two four 2 no red orange cat dogs wolf hot dog and , with on left of above next to in riding nice is".split()
    + ["left of", "the animal that barks", "on the left", "some", "5"]), max_size=14).map(" ".join))  # fmt: skip
def test_words_in_any_order_are_read_or_refused_and_what_is_read_stays_the_same(text):
    try:
        reading = read(text)
    except PromptError as error:
        assert len(error.suggestions) == 3
    else:
        assert read(reading.text).prompt == reading.prompt


def test_a_prompt_demands_all_its_phrases():
    prompt = parse("a red dog left of two cars, three green apples and a white cat")
    assert prompt.category == "many"
    assert prompt.spec()["include"] == [
        {"class": "car", "count": 2},
        {"class": "dog", "count": 1, "color": "red", "position": ["left of", 0]},
        {"class": "apple", "count": 3, "color": "green"},
        {"class": "cat", "count": 1, "color": "white"},
    ]
    assert prompt.spec()["exclude"] == [
        {"class": "car", "count": 3},
        {"class": "apple", "count": 4, "color": "green"},
    ]


def test_categories_and_relations_are_what_the_grammar_says():
    assert set(CATEGORIES) >= {"single_object", "two_object", "counting", "colors", "position", "color_attr"}
    for relation in RELATIONS:
        assert parse(f"a dog {relation} a cat").relation == relation
    for held in sorted(HELD)[:5]:
        assert parse(held).category == "knowledge"
    assert "169 things" in what_can_be_drawn()


def test_the_tables_of_words_name_only_things_of_the_world_and_do_not_contradict():
    assert set(NAMES.values()) <= set(NOUNS)
    assert all(len(set(nouns)) == 3 and set(nouns) <= set(NOUNS) for nouns in NEAREST.values())
    assert len(NEAREST) >= 300
    assert set(SHADES.values()) <= set(COLORS)
    assert not set(NAMES) & set(NOUNS) and not set(NEAREST) & set(NOUNS)
    assert not {name for name in NAMES if name.split()[0] in COLORS and name.split()[-1] in NOUNS}
    assert not LOOKS & set(COLORS) and not LOOKS & set(NOUNS)
    assert set(GENEVAL) <= set(NOUNS)
    assert MOST_CHARACTERS >= 200
