"""The step slider: the one choice of a step, which every panel follows."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from milr_core import SearchSettings
from ui.panels.scripted import scripted
from ui.run import Outline

TEMPLATE = """<div class="bar">
<button type="button" class="first" aria-label="First step">«</button>
<button type="button" class="back" aria-label="Step back">‹</button>
<input type="range" min="0" max="0" step="1" value="0" aria-label="Step shown">
<button type="button" class="on" aria-label="Step on">›</button>
<button type="button" class="last" aria-label="Last step">»</button>
<button type="button" class="play" aria-pressed="false">Play</button>
<p class="words"><output></output><span class="follow"></span></p></div>
<span class="announced" role="status" aria-live="polite"></span>"""


def build_stepper() -> gr.HTML:
    return scripted(__file__, TEMPLATE, stepper(0, [], None, 0))


def stepper(
    run: int,
    steps: Sequence[Outline],
    planned: SearchSettings | None,
    index: int,
    follow: bool = True,
    play: bool = False,
) -> dict[str, Any]:
    """What the slider says of each step. run: its number, so that the slider knows another run from a longer one.
    index: the step to begin with, and to rest at where `follow` says that no newer one is waited for. play: whether it
    plays by itself."""
    return {
        "run": run,
        "scores": [round(step.reward, 4) for step in steps],
        "best": steps[-1].best if steps else 0,
        "planned": max(planned.steps, len(steps) - 1) if planned else 0,
        "index": max(index, 0),
        "follow": follow,
        "play": play,
    }
