"""The engines of a ZeroGPU Space, made before its page opens: what is loaded later never reaches the GPU."""

import spaces  # stands in for CUDA, and has to come before torch
from spaces.zero.config import get_config

from milr_core import InputError, memory_needed
from milr_core.janus import ALIASES
from milr_core.janus.catalog import EMBEDDED
from ui.engines.base import Engine
from ui.engines.local import LocalEngine, make_local
from ui.engines.models import Models
from ui.engines.zero import LARGE_BYTES, Lend, ZeroEngine


def engines(then: str, lend: Lend | None = None, factor: float | None = None) -> tuple[LocalEngine, Models]:
    """The embedded model computes on this machine's own processor; calls of another one borrow a GPU.

    then: the other one, or nothing. lend, factor: of this Space, unless they are given.
    """
    lend, factor = lend or spaces.GPU, factor or get_config()["duration_factor"]
    embedded, problem = make_local(EMBEDDED, lambda _: None, "cpu"), ""
    made: dict[str, Engine] = {EMBEDDED: embedded}
    if name := ALIASES.get(then, then):
        try:
            whole = memory_needed(name).peak > LARGE_BYTES
            made[name] = ZeroEngine(make_local(name, lambda _: None), lend, factor, whole)
        except InputError as error:
            problem = f"{name} was not loaded, so {EMBEDDED} is the only model here. {error}"
    return embedded, Models(EMBEDDED, made, lambda source, _: made[source], problem)
