import re
from collections import Counter

import pytest

from world.facts import FACT_OF, FACTS, FACTS_ABOUT, FIELDS, HELD
from world.nouns import NOUNS
from world.scene import COLORS


def test_all_six_fields_have_many_facts_and_each_kind_of_answer_occurs():
    assert len(FACTS) >= 210
    counts = Counter(fact.field for fact in FACTS)
    assert set(counts) == set(FIELDS)
    assert min(counts.values()) >= 30
    assert sum(fact.color is not None for fact in FACTS) >= 40
    assert sum(fact.count is not None for fact in FACTS) >= 30


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.wordings[0])
def test_a_fact_is_well_formed(fact):
    assert 2 <= len(fact.wordings) <= 3
    assert fact.noun in NOUNS
    assert fact.color is None or fact.color in COLORS
    assert fact.count is None or 1 <= fact.count <= 4
    assert len(fact.sentence.split()) <= 9
    for wording in fact.wordings:
        assert 3 <= len(wording.split()) <= 11
    for text in (fact.sentence, *fact.wordings):
        assert re.fullmatch(r"[a-z0-9]+(?: [a-z0-9]+)*", text)
        assert not set(text.split()) & {"and", "above", "below"}, "such words join phrases in a prompt"
    if fact.held:
        assert fact.held in fact.wordings
        assert fact.trained, "training must be able to ask for every fact"


def test_no_wording_asks_for_two_answers():
    assert len(FACT_OF) == sum(len(fact.wordings) for fact in FACTS)


def test_a_wording_does_not_name_its_answer_unless_a_color_or_a_count_is_asked():
    def names_itself(fact, wording):
        return re.search(rf"\b{fact.noun}s?\b", wording) and fact.noun not in ("computer mouse",)

    assert [w for w, fact in FACT_OF.items() if not fact.color and not fact.count and names_itself(fact, w)] == []


def test_a_sentence_says_the_answer():
    for fact in FACTS:
        if fact.count:
            number = ("one", "two", "three", "four")[fact.count - 1]
            assert number in fact.sentence.split() or fact.sentence.startswith(("a pair", "some")), fact
        if fact.color:
            assert re.search(rf"\b{fact.color}\b", fact.sentence), fact
        if not fact.color and not fact.count:
            assert fact.noun in fact.sentence or fact.noun.split()[-1] in fact.sentence, fact


def test_about_a_quarter_of_the_facts_keep_one_wording_from_training():
    assert 0.2 <= len(HELD) / len(FACTS) <= 0.4
    for wording in HELD:
        assert wording not in FACT_OF[wording].trained


def test_facts_are_found_by_their_noun():
    assert {fact for facts in FACTS_ABOUT.values() for fact in facts} == set(FACTS)
    assert any("barks" in wording for fact in FACTS_ABOUT["dog"] for wording in fact.wordings)


def test_the_vocabulary_of_riddles_is_moderate():
    assert len({w for fact in FACTS for text in (fact.sentence, *fact.wordings) for w in text.split()}) < 1200
