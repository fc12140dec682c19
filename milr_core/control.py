"""The loop that every search is, and the hand on it: pause, go on, stop, change settings from another thread."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from milr_core.errors import InputError, Stopped
from milr_core.settings import KNOBS, SearchSettings, check
from milr_core.state import State, Step


@dataclass(frozen=True)
class Forming:
    """The picture of step `index` with the first `row` of `rows` rows of its cells; the others are plain."""

    index: int
    row: int
    rows: int
    image: Image.Image


class SearchControl:
    """One for each search. The search polls it between tokens and reads changed settings before each step.

    look: shown the picture of a step that takes long while it forms (`milr_core.forming`), by an engine that can.
    """

    def __init__(self) -> None:
        self.look: Callable[[Forming], None] | None = None
        self._condition = threading.Condition()
        self._paused = self._stopped = False
        self._changes: dict[str, Any] = {}

    def pause(self) -> None:
        """Hold the search after the token it is at; `go_on` continues as if nothing had happened."""
        with self._condition:
            self._paused = True

    def go_on(self) -> None:
        with self._condition:
            self._paused = False
            self._condition.notify_all()

    def stop(self) -> None:
        """End the search after the token it is at. The step under way is dropped, the steps before it stay."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def stopped(self) -> bool:
        return self._stopped

    def change(self, **values: Any) -> None:
        """Set live settings; in force from the start of the next step.

        Raises:
            InputError: an unknown or fixed setting, or a value outside its range. Nothing is changed then.
        """
        for name, value in values.items():
            check(name, value)
            if not KNOBS[name].live:
                raise InputError(f"{name} is fixed when a search starts; start a new one to change it.")
        with self._condition:
            self._changes |= values

    def in_force(self, settings: SearchSettings) -> SearchSettings:
        """`settings` with every change so far."""
        with self._condition:
            return replace(settings, **self._changes)

    def poll(self) -> None:
        """Between tokens: returns at once, waits while paused, raises Stopped when stopped."""
        if self._paused or self._stopped:
            with self._condition:
                self._condition.wait_for(lambda: self._stopped or not self._paused)
                if self._stopped:
                    raise Stopped


def drive(make: Callable[[State | None], State | None], state: State | None = None) -> Iterator[Step]:
    """The loop: steps after `state`, each made by `make` from the one before, until it gives None or a stop.

    make: of a state the next one, of None step 0; wherever that is computed. What it raises ends the loop.
    """
    try:
        while (state := make(state)) is not None:
            yield state.step
    except Stopped:
        return
