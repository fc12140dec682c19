"""Who computes before whom. A turn is computed in a thread of its own, so that no connection holds the engine.

All that anyone learns of the others is how many are ahead, and for about how long.
"""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from milr_core import InputError

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Turn:
    """A place in the line, and what is computed once it is reached.

    work: computes, a step at each `next`, and says itself what went wrong. left: steps to come at most. visitor: whose
    share it counts to. context: of the request that asked, by which ZeroGPU knows whose quota is used.
    """

    work: Callable[[], Iterator[None]]
    left: Callable[[], int]
    visitor: str = ""
    begun: bool = False
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    def compute(self) -> None:
        for _ in self.work():
            pass


@dataclass(frozen=True)
class Place:
    """Where a visit stands: how many are ahead of it, None where that is not known; the seconds until its turn, where
    they are known; whether all wait for the engine."""

    ahead: int | None = None
    wait: float | None = None
    loading: bool = False


NOWHERE = Place()


class WaitingList:
    """The turns that compute or wait to, in order.

    at_once: how many are computed at the same time. places: how many there may be. share: how many of them one
    visitor's. start: makes a turn compute.
    """

    def __init__(self, at_once: int = 1, places: int = 50, share: int = 4):
        self.at_once, self.places, self.share = at_once, places, share
        self.start = self._in_thread
        self._lock = threading.RLock()
        self._turns: list[Turn] = []

    def join(self, turn: Turn) -> None:
        """Take a place at the end.

        Raises:
            InputError: the line is full, or the visitor has a share of it already.
        """
        with self._lock:
            if len(self._turns) >= self.places:
                raise InputError(f"{self.places} searches are waiting here already: try again in a few minutes.")
            if turn.visitor and sum(other.visitor == turn.visitor for other in self._turns) >= self.share:
                raise InputError(f"{self.share} searches of yours are waiting or running here: wait for one to end.")
            self._turns.append(turn)
            self._begin()

    def leave(self, turn: Turn) -> None:
        """Give up a place. A turn that computes keeps it until it has ended: stop it, and it does."""
        with self._lock:
            if not turn.begun and turn in self._turns:
                self._turns.remove(turn)

    def end(self, turn: Turn) -> None:
        """A turn has been computed: the next one begins."""
        with self._lock:
            if turn in self._turns:
                self._turns.remove(turn)
            self._begin()

    def open(self, at_once: int) -> None:
        """So many turns are computed at the same time from now on; 0: none begins before it is opened again."""
        with self._lock:
            self.at_once = at_once
            self._begin()

    def _begin(self) -> None:
        for turn in self._turns:
            if sum(other.begun for other in self._turns) >= self.at_once:
                return
            if not turn.begun:
                turn.begun = True
                self.start(turn)

    def _in_thread(self, turn: Turn) -> None:
        threading.Thread(target=self._compute, args=[turn], name="milr-turn", daemon=True).start()

    def _compute(self, turn: Turn) -> None:
        try:
            turn.context.run(turn.compute)
        except Exception:  # of the work itself, which has no other place to be seen
            logger.exception("A turn broke off.")
        finally:
            self.end(turn)

    def before(self, turn: Turn | None) -> list[Turn]:
        """The turns ahead of this one."""
        with self._lock:
            return self._turns[: self._turns.index(turn)] if turn in self._turns else []

    def holds(self, turn: Turn) -> bool:
        """Whether a turn waits or computes."""
        return turn in self._turns

    @property
    def waited_for(self) -> bool:
        """Whether anyone waits for a turn."""
        return any(not turn.begun for turn in self._turns)

    @property
    def empty(self) -> bool:
        return not self._turns
