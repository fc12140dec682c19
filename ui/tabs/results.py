"""The published results, as `python -m bench report … --docs docs/results.md` writes them, for the page."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from ui.events import AT_ONCE
from ui.panels.scripted import FILES

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "results.md"
"""Written by `python -m bench report`, with its pictures in a folder beside it; not in an installed package."""
MISSING = (
    "No results are published here: an installed package has none, a checkout has them in `docs/results.md`. "
    "They are made by\n\n"
    "    python -m bench run --suite world --methods step0,joint,best-of-n-early --limit 100 --seeds 3 --out RUN\n"
    "    python -m bench report RUN --docs docs/results.md\n"
)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^()\s]+)\)")
TABLE = re.compile(r"(?:^\|.*\n)+", re.M)
SCROLLED = '<div class="scroll" role="region" tabindex="0" aria-label="{}">\n\n{}\n</div>\n'
INTERVAL = re.compile(r"(?<=[\d%]) \[[^][]*\]")
"""Of a share or a difference."""


def build_results() -> None:
    """What was found, in three sentences and a chart; everything else is folded."""
    text = PUBLISHED.read_text(encoding="utf-8") if PUBLISHED.is_file() else None
    with gr.Column(elem_id="results-page"):
        if text is None:
            gr.Markdown(MISSING)
            return
        first, whole = results(text, lambda name: f"{FILES}/{name}")
        gr.Markdown(first, elem_id="findings")
        with gr.Accordion("Every table, chart and interval", open=False, elem_id="all-results") as folded:
            tables = gr.Markdown()
        folded.expand(lambda: whole, None, tables, **AT_ONCE)  # long: who opens a page does not wait for it


def findings(text: str) -> list[str]:
    """The sentences that the page opens with, without their intervals."""
    opening = text.partition("\nWritten on ")[0].split("\n\n")
    return [INTERVAL.sub("", said.strip()) for said in opening if said.strip() and not said.startswith("#")]


def results(text: str, address: Callable[[str], str]) -> tuple[str, str]:
    """Markdown: what was found with the first chart, and the page as it was written. address: of a picture, by its
    name."""

    def picture(found: re.Match[str]) -> str:
        source, name = escape(address(found[2])), escape(found[1])
        return SCROLLED.format(name, f'<img src="{source}" alt="{name}" loading="lazy">\n')

    body = re.sub(r"\A# .*\n", "", text)
    body = TABLE.sub(lambda m: SCROLLED.format("Table", m[0]), body)
    chart = PICTURE.search(body)
    said = "\n".join(f"- {line}" for line in findings(text))
    return f"## What was found\n\n{said}\n\n{picture(chart) if chart else ''}", PICTURE.sub(picture, body).lstrip()
