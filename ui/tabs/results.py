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
FINDING = re.compile(r"\*\*[^*]+\*\*\W*\w.*")


def build_results() -> gr.Markdown:
    text = PUBLISHED.read_text(encoding="utf-8") if PUBLISHED.is_file() else None
    return gr.Markdown(results(text, lambda name: f"{FILES}/{name}"), elem_id="results-page")


def findings(text: str) -> list[str]:
    """What each section found, first of all in it: a sentence that begins with the method in bold."""
    found = []
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, *lines = section.splitlines()
        said = [line for line in lines if FINDING.fullmatch(line) and not any(line in other for other in found)]
        found += [f"- {title.strip()}. {line}" for line in said[:1]]
    return found


def results(text: str | None, address: Callable[[str], str]) -> str:
    """Markdown: the findings, then the page as it was written. address: of a picture, by its name."""
    if text is None:
        return MISSING
    body = re.sub(r"\A# .*\n", "", text)
    body = PICTURE.sub(lambda m: f'<img src="{escape(address(m[2]))}" alt="{escape(m[1])}" loading="lazy">', body)
    body = TABLE.sub(lambda m: SCROLLED.format(m[0]), body)
    found = findings(text)
    return ("## Main findings\n\n" + "\n".join(found) + "\n\n" if found else "") + body.lstrip()
