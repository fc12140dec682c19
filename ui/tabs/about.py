"""What MILR is, for those who never read the paper: four sentences and a drawing; whose work and weights these are."""

import os
from html import escape
from pathlib import Path

from milr_core import MODELS
from ui.panels.scripted import FILES

PAPER, AUTHORS = "https://arxiv.org/abs/2509.22761", "https://github.com/spatigen/milr"
NAME = "Multimodal Image generation via test-time Latent Reasoning"


README = Path(__file__).resolve().parents[2] / "README.md"
"""With the docs beside it; not in an installed package."""


def links() -> str:
    """Link to the paper, its authors' code, and this page's own code and docs where there are any."""
    space = os.environ.get("SPACE_ID")
    files = f"https://huggingface.co/spaces/{space}/blob/main" if space else FILES
    named = [("paper", PAPER), ("authors’ code", AUTHORS)]
    own = (("this project", README, "README.md"), ("docs", README.parent / "docs" / "ui.md", "docs/ui.md"))
    named += [(name, f"{files}/{where}") for name, file, where in own if space or file.is_file()]
    return " · ".join(f'<a href="{where}" target="_blank" rel="noopener">{name}</a>' for name, where in named)


def licence(name: str) -> str:
    """State the licence of a model's weights in a sentence, where it is known."""
    return f"Weights of {name}: {MODELS[name].licence}." if name in MODELS else ""


METHOD = (
    "The model first writes a plan of the picture and then draws it, and a critic scores the drawing between 0 and 1.",
    "While the score is too low, the search nudges the hidden vectors behind the first few words of the plan and the "
    "first few cells of the image, away from what has just failed (REINFORCE).",
    "The model then writes and draws again from there, and each attempt is scored, kept and shown.",
    "The best-scoring attempt is the answer; no weight of the model changes, so all of this is for your prompt alone.",
)
"""One sentence each."""

DRAWING = """<svg class="drawing" viewBox="0 0 548 150" role="img" aria-label="A loop: the model writes a plan, draws
it, a critic scores the drawing; if the score is low, the latents behind the first tokens of plan and drawing are moved,
and the model writes and draws again.">
<rect x="4" y="24" width="112" height="54" rx="10" class="box"/><text x="60" y="46" class="head">1 write</text>
<text x="60" y="64" class="small">a plan, token by token</text>
<path d="M118 51h22" class="line"/><path d="M140 51l-7 -4v8z" class="tip"/>
<rect x="146" y="24" width="112" height="54" rx="10" class="box"/><text x="202" y="46" class="head">2 draw</text>
<text x="202" y="64" class="small">the plan, cell by cell</text>
<path d="M260 51h22" class="line"/><path d="M282 51l-7 -4v8z" class="tip"/>
<rect x="288" y="24" width="112" height="54" rx="10" class="box"/><text x="344" y="46" class="head">3 score</text>
<text x="344" y="64" class="small">by a critic, 0 to 1</text>
<path d="M402 51h22" class="line"/><path d="M424 51l-7 -4v8z" class="tip"/>
<rect x="430" y="24" width="112" height="54" rx="10" class="box done"/>
<text x="486" y="46" class="head">good enough?</text><text x="486" y="64" class="small">the best is the answer</text>
<path d="M344 80v34q0 10 -10 10h-264q-10 0 -10 -10v-28" class="line"/><path d="M60 80l-4 8h8z" class="tip"/>
<path d="M202 124v-38" class="line"/><path d="M202 80l-4 8h8z" class="tip"/>
<text x="273" y="142" class="small">if not: nudge the hidden states of the first tokens, try again</text></svg>"""


def about(can_draw: str) -> str:
    """The About tab. can_draw: what the model says of itself."""
    licences = "".join(f"<li>{escape(licence(name))}</li>" for name in MODELS)
    return (
        f"<h2>MILR: {NAME}</h2><p>{links()}</p><p>{' '.join(METHOD)}</p>{DRAWING}<h2>What this model draws</h2>"
        f"<p>{escape(can_draw) or 'Anything; it is a general model.'}</p>"
        f"<h2>Whose work this is</h2><p>The method is that of the paper’s authors; this is an independent "
        f"implementation (Apache-2.0). The models that can be loaded:</p><ul>{licences}</ul>"
    )
