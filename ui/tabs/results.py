"""The published results, as `python -m bench report … --docs docs/results.md` writes them, for the page."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

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
SCROLLED = '<div class="scroll" role="region" tabindex="0" aria-label="Table">\n\n{}\n</div>\n'
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
        with gr.Accordion("Every table, chart and interval", open=False, elem_id="all-results"):
            gr.Markdown(whole)


def findings(text: str) -> list[str]:
    """The sentences that the page opens with, without their intervals."""
    opening = text.partition("\nWritten on ")[0].split("\n\n")
    return [INTERVAL.sub("", said.strip()) for said in opening if said.strip() and not said.startswith("#")]


def results(text: str, address: Callable[[str], str]) -> tuple[str, str]:
    """Markdown: what was found with the first chart, and the page as it was written. address: of a picture, by its
    name."""
    body = re.sub(r"\A# .*\n", "", text)
    body = PICTURE.sub(lambda m: f'<img src="{escape(address(m[2]))}" alt="{escape(m[1])}" loading="lazy">', body)
    body = TABLE.sub(lambda m: SCROLLED.format(m[0]), body)
    chart = re.search(r"<img [^>]*>", body)
    said = "\n".join(f"- {line}" for line in findings(text))
    return f"## What was found\n\n{said}\n\n{chart[0] if chart else ''}\n", body.lstrip()
