"""What a reader who never heard of any of this wants to know: the method, and the model with its licence."""

import re
from typing import NamedTuple

from milr_core.janus.catalog import ASSETS

METHOD = (
    "The model writes a plan of the picture, then draws it; a critic scores the drawing between 0 and 1. While the "
    "score is too low, the search nudges the hidden numbers from which the first words of the plan and the first cells "
    "of the picture come, away from what has just failed. The model writes and draws again from there, and the best "
    "attempt is the answer. The model itself does not change: all this thinking is for one prompt.",
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
    """Of the weights that a run says it was made with."""
    if model.startswith(("deepseek-community/Janus", "deepseek-ai/Janus")):
        note = "by DeepSeek; the licence restricts what the model may be used for, and so does what passes it on"
        return ModelLicence("DeepSeek Model License", DEEPSEEK_LICENCE, note)
    for card in ASSETS.glob("*/README.md"):
        if card.parent.name == model:
            said = re.search(r"^license: *(\S+)", card.read_text(encoding="utf-8"), re.MULTILINE)
            name = said[1].replace("apache", "Apache") if said else ""
            return ModelLicence(name, "", "small, and part of MILR Studio, which trained it from nothing")
    return ModelLicence("", "", "the run does not tell its licence")
