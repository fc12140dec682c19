"""Steps faster than the eye: fewer updates, and no step less."""

import pytest

from ui import redraw_pace
from ui.redraw_pace import Pace


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(redraw_pace, "time", made)
    return made


def test_updates_keep_their_distance(clock: Clock):
    made = Pace(every=0.25, share=0.05)
    assert made.due, "the first step is shown at once"
    with made.update():
        pass
    assert not made.due
    clock.now += 0.26
    assert made.due, "one that costs nothing waits no longer than that"


def test_updates_take_no_more_than_their_share(clock: Clock):
    made, taken, began = Pace(every=0.25, share=0.05), 0.0, clock.now
    for _ in range(10_000):
        clock.now += 0.01  # the search
        if made.due:
            with made.update():
                clock.now += 0.04
                taken += 0.04
    assert 0.045 <= taken / (clock.now - began) <= 0.05
