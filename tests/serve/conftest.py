"""The search that replicas are compared with."""

import pytest
import torch

from milr_core import SearchControl, SearchSettings
from milr_core.engine import Job, run
from ui.engines.local import LocalEngine

PROMPT = "two red dogs left of a blue car"
LONG = SearchSettings(steps=10, threshold=1.0, seed=5)
"""No score is above 1: all steps are made."""


@pytest.fixture(scope="package")
def alone(embedded):
    """A search that was made in this process, with one thread, as replicas have one core: another number sums in
    another order.
    """
    engine, threads = LocalEngine(embedded), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(run(engine, engine.check(Job(PROMPT, LONG, "oracle")), SearchControl()))
    finally:
        torch.set_num_threads(threads)


def said(steps):
    return [(s.index, s.text, s.text_tokens, s.image_tokens, s.reward, s.best) for s in steps]


def identical(ours, theirs):
    """Bit for bit: what was decoded, and the latents that the next step starts from."""
    assert said(ours) == said(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.image.tobytes() == b.image.tobytes() and a.state.random.equal(b.state.random)
        assert a.state.drawn.text_hidden.equal(b.state.drawn.text_hidden)
        assert a.state.drawn.image_hidden.equal(b.state.drawn.image_hidden)
        for kind in a.state.latents.keys() | b.state.latents.keys():
            mine, other = a.state.latents[kind], b.state.latents[kind]
            assert mine.values.equal(other.values) and mine.positions.equal(other.positions)
