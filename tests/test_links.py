"""Which words of a plan became which boxes."""

from milr_core.critics.base import Box
from ui.panels.links import clauses, linked


def box(label: str, x: float, y: float) -> Box:
    return Box(label, x - 0.1, y - 0.1, x + 0.1, y + 0.1)


def test_clauses_end_where_a_sentence_does():
    assert clauses("two things : red dog top , blue car left .".split()) == [[0, 1], [3, 4, 5], [7, 8, 9]]


def test_a_clause_takes_the_thing_it_names():
    boxes = [box("blue car", 0.8, 0.2), box("red dog", 0.5, 0.2)]
    found = linked("two things : red dog top , blue car top-right .".split(), boxes)
    assert found == {3: 1, 4: 1, 5: 1, 7: 0, 8: 0, 9: 0}


def test_of_equal_things_each_clause_takes_the_one_where_it_puts_it():
    boxes = [box("red dog", 0.85, 0.5), box("red dog", 0.15, 0.5), box("red dog", 0.5, 0.85)]
    found = linked("draw a red dog at left , a red dog at bottom , a red dog at right".split(), boxes)
    assert [found[at] for at in (2, 8, 14)] == [1, 2, 0]


def test_a_thing_in_another_color_is_still_what_its_clause_became_and_others_are_nobodys():
    boxes = [box("green dog", 0.5, 0.5), box("clock", 0.1, 0.1)]
    found = linked("red dog center , blue car left".split(), boxes)
    assert set(found.values()) == {0} and 4 not in found
    assert linked("red dog center".split(), []) == {}
