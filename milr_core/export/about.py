"""What a reader who never heard of any of this wants to know: the method, and the model with its licence."""

import re
from typing import NamedTuple

from milr_core import Cost
from milr_core.export.run import Run
from milr_core.export.words import counted, safe
from milr_core.janus.catalog import ASSETS

METHOD = (
    "The model writes a plan of the picture, then draws it; a critic scores the drawing between 0 and 1. While the "
    "score is too low, the search nudges the hidden numbers from which the first words of the plan and the first cells "
    "of the picture come, away from what has just failed. The model writes and draws again from there, and the best "
    "attempt is the answer. The model itself does not change: all this thinking is for one prompt."
)

PAPER = "https://arxiv.org/abs/2509.22761"
PAPER_CODE = "https://github.com/spatigen/milr"
DEEPSEEK_LICENCE = "https://github.com/deepseek-ai/DeepSeek-LLM/blob/HEAD/LICENSE-MODEL"


class ModelLicence(NamedTuple):
    """name: of the licence, empty where the run does not tell. link: to its text. note: where the model is from."""

    name: str
    link: str
    note: str


def licence(model: str) -> ModelLicence:
    """Name the licence of the weights that a run says it was made with."""
    if model.startswith(("deepseek-community/Janus", "deepseek-ai/Janus")):
        note = "by DeepSeek; the licence restricts what the model may be used for, and so does what passes it on"
        return ModelLicence("DeepSeek Model License", DEEPSEEK_LICENCE, note)
    for card in ASSETS.glob("*/README.md"):
        if card.parent.name == model:
            said = re.search(r"^license: *(\S+)", card.read_text(encoding="utf-8"), re.MULTILINE)
            name = said[1].replace("apache", "Apache") if said else ""
            return ModelLicence(name, "", "small, and part of MILR Studio, which trained it from nothing")
    return ModelLicence("", "", "the run does not tell its licence")


def _link(address: str, text: str) -> str:
    return f'<a href="{safe(address)}" rel="noopener noreferrer">{safe(text)}</a>'


def about(run: Run, link: str) -> str:
    """The method in short, links, and where this run comes from. link: an address at which the run can be opened."""
    terms = licence(run.model)
    named = _link(terms.link, terms.name) if terms.link else safe(terms.name)
    cost = sum((step.cost for step in run.steps), Cost())
    rows = {
        "Prompt": safe(run.prompt),
        "Model": safe(run.model),
        "Licence of the model": f"{named}{': ' if named else ''}{terms.note}.",
        "Its weights": f"<code>{safe(run.weights_hash)}</code>",
        "Scored by": safe(run.critic),
        "Watched by": safe(", ".join(run.steps[-1].observed)),
        "It took": f"{counted(cost.image_rollouts, 'picture')}, {counted(cost.critic_calls, 'score')}, "
        f"{cost.seconds:.1f} seconds of computing",
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in rows.items() if said)
    links = [
        _link(PAPER, "MILR: Improving Multimodal Image Generation via Test-Time Latent Reasoning (arXiv 2509.22761)"),
        _link(PAPER_CODE, "The code of its authors"),
    ]
    links += [_link(link, "This run in MILR Studio")] if link.startswith(("http://", "https://")) else []
    said = "".join(f"<li>{one}</li>" for one in links)
    made_with = "<p>Made with MILR Studio (Apache-2.0), in which such searches can be watched and steered.</p>"
    return f"<p>{METHOD}</p>{made_with}<ul>{said}</ul><dl>{listed}</dl>"
