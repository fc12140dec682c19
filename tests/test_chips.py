"""The examples that the page offers begin wrong and end right, with nothing that nobody asked for."""

import pytest

from examples.chips import CRITIC, MOST_STEPS, Chip, attempt, read
from milr_core import Janus, load_critic
from ui.panels.chips import chosen

CHIPS = read()


def test_they_are_of_different_kinds_and_the_page_offers_them():
    assert len(CHIPS) >= 5 and len({chip.kind for chip in CHIPS}) == len(CHIPS)
    assert [(chip.prompt, chip.seed) for chip in chosen()] == [(chip.prompt, chip.seed) for chip in CHIPS]


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.prompt)
def test_a_chip_begins_wrong_and_ends_right_with_nothing_uninvited(chip: Chip, embedded: Janus):
    steps = attempt(embedded, load_critic(CRITIC, model=embedded), chip.prompt, chip.seed)
    assert steps and steps[0].reward < 0.9 and steps[-1].reward == 1.0
    assert steps[-1].score.raw["also_drew"] == [] and steps[-1].index == chip.steps <= MOST_STEPS
