"""Which model is loaded, for all visitors; another one is loaded in a thread while they go on with the one before."""

import gc
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from milr_core import MODELS, InputError, Loading, janus
from milr_core.janus import ALIASES, Progress
from milr_core.janus.catalog import EMBEDDED
from ui.engines.base import Engine
from ui.engines.unloaded import Unloaded, announced
from ui.panels.words import seconds

logger = logging.getLogger(__name__)

JANUS_PRO = "deepseek-community/Janus-Pro-1B"

BYTES_A_SECOND = 1e10
"""That two cores of a CPU read from memory: what limits a large model there, since every token reads all weights."""

TOKENS = 576 + 256
"""Of one step of a large model: an image, and a reasoning text at most."""

SLOW = 20.0
"""Seconds a step from which on a visitor is warned."""

Make = Callable[[str, Progress], Engine]


def make(name: str, progress: Progress) -> Engine:
    """An engine in this process. Raises InputError where the model cannot be loaded."""
    from ui.engines.local import make_local  # noqa: PLC0415 - torch and transformers: the page is open before them

    return make_local(name, progress)


def make_tried(name: str, progress: Progress, critic: str, prompt: str) -> Engine:
    """The same, tried out where the model is small: how long a step takes is known then, and the first is no slower."""
    from ui.engines.local import make_local, tried  # noqa: PLC0415 - as above

    engine = make_local(name, progress)
    progress(Loading("load", None, f"Trying {engine.facts.name} out"))
    return tried(engine, critic, prompt)


@dataclass(frozen=True)
class Needs:
    """Says what a model needs on this machine's best device.

    In bytes; seconds a step where they can be told without running it.
    """

    device: str
    peak: int
    seconds_a_step: float | None

    @property
    def fits(self) -> bool:
        return self.peak <= janus.free_bytes(self.device)

    @property
    def words(self) -> str:
        free = janus.free_bytes(self.device) / 1e9
        said = f"It takes {self.peak / 1e9:.1f} GB on {self.device}, where {free:.1f} are free"
        said += "." if self.fits else ": it does not fit."
        if self.seconds_a_step and self.seconds_a_step > SLOW:
            said += f" <b>One step takes about {seconds(self.seconds_a_step)} on this machine</b>, for everybody."
        return said


@cache
def needs(name: str) -> Needs:
    """What a model takes.

    Raises:
        InputError: there is no such model.
    """
    device = janus.default_device()
    memory = janus.memory_needed(name, device)
    slow = device == "cpu" and name != EMBEDDED
    return Needs(device, memory.peak, memory.weights / BYTES_A_SECOND * TOKENS if slow else None)


def roomy(name: str) -> bool:
    """Whether this machine has a GPU with room for a model."""
    return janus.default_device() == "cuda" and needs(name).fits


def fitting() -> list[str]:
    """The models offered by name that this machine has room for."""
    return [name for name in MODELS if name == EMBEDDED or needs(name).fits]


class Models:
    """One model at a time, for everybody.

    loaded: the one that is at first, empty where none is yet; it and `allowed` (names, ids, folders) are what visitors
    may load, shown without a folder's path. use: is handed the engine of a model that was loaded, and an `Unloaded`
    while there is none. said: of a loading under way. problem: why the last one failed. version: counts whatever
    changes. opened: once a page of it is.
    """

    def __init__(self, loaded: str, allowed: Iterable[str] = (), make: Make = make, problem: str = ""):
        self._names: dict[str, str] = {}
        self._make, self._lock = make, threading.Lock()
        self.use: Callable[[Engine], None] = lambda _: None
        self.loaded = loaded and self.shown(loaded)
        self.said: Loading | None = None
        self.problem, self.version = problem, 0
        self.thread: threading.Thread | None = None
        self.opened = threading.Event()
        self.offer((loaded, *allowed) if loaded else allowed)

    def offer(self, names: Iterable[str]) -> None:
        """More models that may be loaded."""
        self._names |= {self.shown(name): ALIASES.get(name, name) for name in names}
        self.version += 1

    @staticmethod
    def shown(name: str) -> str:
        """A name for visitors: an alias's own, a folder's without the path to it."""
        name = ALIASES.get(name, name)
        return Path(name).resolve().name if Path(name).is_dir() else name

    @property
    def choices(self) -> list[tuple[str, str]]:
        """(label, name) of every model that may be loaded."""
        return [(MODELS[name].label if name in MODELS else name, name) for name in self._names]

    def needs(self, name: str) -> Needs:
        """Raises InputError where it is not offered."""
        return needs(self._offered(name))

    def _offered(self, name: str) -> str:
        if name not in self._names:
            raise InputError(f"This page offers {', '.join(self._names)}; '{name}' is not among them.")
        return self._names[name]

    def load(self, name: str, busy: bool = False, told: Callable[[str], None] | None = None) -> None:
        """Begin to load. busy: whether anybody searches or waits to. told: takes why it failed, where somebody asked;
        else everybody is told.

        Raises:
            InputError: not offered, loaded already, no such model, or it has to wait.
        """
        source = self._offered(name)
        with self._lock:
            if self.said is not None:
                raise InputError(f"{self.said.words}. One model is loaded at a time: wait for it.")
            if name == self.loaded:
                raise InputError(f"{name} is the model that is loaded.")
            if busy:
                raise InputError(
                    "Searches are under way or waiting, on the model that is loaded for everybody. Load another one "
                    "when they are done."
                )
            if not self.loaded:
                self.use(Unloaded(announced(source)))
            self.problem = ""
            self._tell(Loading("load", None, f"Loading {name}"))
        self.thread = threading.Thread(target=self._load, args=(name, source, told), daemon=True)
        self.thread.start()

    def wait(self) -> None:
        """Wait for a loading under way."""
        if self.thread:
            self.thread.join()

    def _tell(self, said: Loading | None) -> None:
        self.said, self.version = said, self.version + 1

    def _load(self, name: str, source: str, told: Callable[[str], None] | None) -> None:
        try:
            self.use(self._make(source, self._tell))
            self.loaded = name
        except Exception as error:
            if not isinstance(error, InputError):
                logger.exception("Loading %s failed.", source)
            said = str(error).replace(source, name) or type(error).__name__
            said = f"{name} was not loaded{f', and {self.loaded} stays' if self.loaded else ''}. {said}"
            if not self.loaded:
                self.use(Unloaded(announced(source), said))
            if told:
                told(said)
            else:
                self.problem = said
        finally:
            self._tell(None)
            gc.collect()  # the model before, unless somebody's search still runs on it
