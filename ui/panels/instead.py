"""Prompts to try instead of one that cannot be drawn, as buttons."""

import gradio as gr

from ui.panels.scripted import scripted


def build_instead() -> gr.HTML:
    """Its value is a list of prompts; a press asks for one of them (event `choose`, with its `prompt`)."""
    return scripted(__file__, '<p class="chips"></p>', [], padding=False)
