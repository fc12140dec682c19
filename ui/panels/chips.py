"""Examples to press: each is a prompt and a seed that were checked to begin wrong and to end right."""

import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

CHOSEN = Path(__file__).resolve().parents[1] / "chips.json"
"""Written by `python -m examples.chips`."""


@dataclass(frozen=True)
class Chip:
    """A prompt and the seed to draw it with."""

    prompt: str
    seed: int = 0


def chosen() -> tuple[Chip, ...]:
    """The examples in their order; the first is what stands in the prompt at first."""
    return tuple(Chip(chip["prompt"], chip["seed"]) for chip in json.loads(CHOSEN.read_text(encoding="utf-8")))


class Chips:
    """A button for each."""

    def __init__(self) -> None:
        self.all = chosen()
        self.first = self.all[0]

    def render(self) -> None:
        with gr.Row(elem_id="examples", elem_classes="chips"):
            gr.HTML("Try", elem_classes="before-chips", padding=False)
            self.buttons = [gr.Button(chip.prompt, size="sm", elem_classes="chip") for chip in self.all]
