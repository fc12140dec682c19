"""What a search strategy is: from the newest step, what the next one is drawn from.

The paper's is `search.Paper`; others are objects beside it. A strategy holds nothing of a run: what it wants to
remember it puts into its proposal, and finds it in the next state, also one that comes from the disk.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from milr_core.errors import InputError
from milr_core.janus import Janus
from milr_core.latents import Latents
from milr_core.settings import SearchSettings
from milr_core.state import State

MOST = 1 << 32
"""Beyond positions, ids of tokens and fingerprints."""


@dataclass(frozen=True)
class Proposal:
    """What a step is drawn from.

    state: the one to go on from: the newest, or an earlier one (see `kept`).
    latents: by kind ("text", "image"), what the tokens at the optimised positions are decoded from.
    new_text: whether a text is decoded: as `latents["text"]` begin it, or anew where there are none. Otherwise the
    text of `state` stays, and is drawn once more.
    temperature: of the text that follows the optimised tokens; 0 is greedy.
    seen: fingerprints of texts that are not to be drawn again: sampled once more, while patience lasts.
    norms: by kind that moved, of its gradient and of its update; what a step reports.
    memory: JSON-able (text, numbers, lists, objects), kept with the step on disk. kept: a state of this run to be at
    hand in the next proposal.
    """

    state: State
    latents: dict[str, Latents] = field(default_factory=dict)
    new_text: bool = False
    temperature: float = 0.0
    seen: tuple[int, ...] = ()
    norms: dict[str, tuple[float, float]] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    kept: State | None = None


def fingerprint(tokens: Sequence[int]) -> int:
    """Make a key by which a text is remembered."""
    return zlib.crc32(" ".join(map(str, tokens)).encode())


def remembered(memory: Mapping[str, Any], name: str) -> list[int]:
    """Small whole numbers that a strategy noted.

    Raises:
        InputError: what stands there is something else; runs come from files.
    """
    numbers = memory.get(name, [])
    if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < MOST for n in numbers):
        raise InputError("The memory of this run's search is damaged: go on from an earlier step.")
    return numbers


class Strategy(Protocol):
    """Decides what to draw next. Stateless: one object serves all runs, from several threads.

    method: what the steps that it makes are recorded as.
    """

    method: str

    def propose(self, model: Janus, state: State, s: SearchSettings) -> Proposal:
        """What step `state.index + 1` is drawn from. Tensors of `state` lie on the model's device.

        Of the newest step it may look at everything: `state.reward`, the critic's parts in `state.drawn.score.parts`
        (in [0, 1] each), all scores so far in `state.values`, what it remembered in `state.memory`, `state.kept`.
        """
        ...

    def finished(self, state: State, s: SearchSettings) -> bool:
        """Whether `state` is the last; unless a strategy says otherwise, where K steps are done or R is above tau."""
        return state.finished(s)
