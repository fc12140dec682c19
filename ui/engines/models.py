"""Which model is loaded, for all visitors; another one is loaded in a thread while they go on with the one before."""

import gc
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from milr_core import MODELS, InputError, Loading, free_bytes, load_model, memory_needed
from milr_core.janus import ALIASES, Progress
from milr_core.janus.catalog import EMBEDDED
from milr_core.janus.devices import default_device
from ui.engines.base import Engine
from ui.engines.local import LocalEngine
from ui.panels.words import seconds

logger = logging.getLogger(__name__)

JANUS_PRO = "deepseek-community/Janus-Pro-1B"

BYTES_A_SECOND = 1e10
"""That two cores of a CPU read from memory: what limits a large model there, since every token reads all weights."""

THREADS = torch.get_num_threads()
"""As this process was started."""

TOKENS = 576 + 256
"""Of one step of a large model: an image, and a reasoning text at most."""

SMALL = 200_000_000
"""Bytes of weights up to which a model is small."""

SLOW = 20.0
"""Seconds a step from which on a visitor is warned."""

Make = Callable[[str, Progress], Engine]


def make_local(name: str, progress: Progress, device: str | None = None) -> LocalEngine:
    """An engine in this process; device: default the best one."""
    device = device or default_device()
    small = device == "cpu" and memory_needed(name, "cpu").weights <= SMALL
    # A second thread gains a small model nothing, and where the page takes its core now and then the first waits.
    torch.set_num_threads(1 if small else THREADS)
    model = load_model(name, device, progress=progress)
    progress(Loading("load", None, f"Reading the weights of {model.name} once more for their hash"))
    return LocalEngine(model)


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
        return self.peak <= free_bytes(self.device)

    @property
    def words(self) -> str:
        said = f"It takes {self.peak / 1e9:.1f} GB on {self.device}, where {free_bytes(self.device) / 1e9:.1f} are free"
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
    device = default_device()
    memory = memory_needed(name, device)
    slow = device == "cpu" and name != EMBEDDED
    return Needs(device, memory.peak, memory.weights / BYTES_A_SECOND * TOKENS if slow else None)


def fitting() -> list[str]:
    """The models offered by name that this machine has room for."""
    return [name for name in MODELS if name == EMBEDDED or needs(name).fits]


class Models:
    """One model at a time, for everybody.

    loaded: the one that is at first; it and `allowed` (names, ids, folders) are what visitors may load, shown without
    a folder's path. use: is handed the engine of a model that was loaded. said: of a loading under way. problem: why
    the last one failed. version: counts whatever changes.
    """

    def __init__(self, loaded: str, allowed: Iterable[str] = (), make: Make = make_local, problem: str = ""):
        self._names: dict[str, str] = {}
        self._make, self._lock = make, threading.Lock()
        self.use: Callable[[Engine], None] = lambda _: None
        self.loaded = self.shown(loaded)
        self.said: Loading | None = None
        self.problem, self.version = problem, 0
        self.thread: threading.Thread | None = None
        self.offer((loaded, *allowed))

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
            InputError: not offered, loaded already, or it has to wait.
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
            self.problem = ""
            self._tell(Loading("load", None, f"Loading {name}"))
        self.thread = threading.Thread(target=self._load, args=(name, source, told), daemon=True)
        self.thread.start()

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
            said = f"{name} was not loaded, and {self.loaded} stays. {said}"
            if told:
                told(said)
            else:
                self.problem = said
        finally:
            self._tell(None)
            gc.collect()  # the model before, unless somebody's search still runs on it
