"""How often a page is drawn while steps come faster than anyone can look."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.05
"""Between two looks at a search that is waited for or watched."""

EVERY = 0.25
"""Seconds between two updates at least: a telephone's browser needs most of that to draw one."""

SHARE = 0.05
"""Of the time, that updates may take from the search. Steps that came in between are shown with the next."""


class Pace:
    """Keeps the pace of one turn. The first update is due at once; where a step takes seconds, so is every other."""

    def __init__(self, every: float = EVERY, share: float = SHARE):
        self._every, self._share = every, share
        self._next = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    @contextmanager
    def update(self) -> Iterator[None]:
        """Around making and sending an update, to learn what one costs."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._next = now + max(self._every, (now - began) / self._share)
