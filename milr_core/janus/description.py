"""What MILR adds to a checkpoint: the optional file `milr.json` beside its weights."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from milr_core.errors import InputError
from milr_core.janus.catalog import READERS
from milr_core.settings import recommended_settings

FILE = "milr.json"
PROMPT = "{prompt}"


@dataclass(frozen=True)
class Description:
    """Every field may be left out of the file; what it holds beside them is for others.

    reasoning_template, question_template: the instruction to reason and the question of the self-reward, with
    `{prompt}` where the prompt goes. max_text_tokens: the longest reasoning text. can_draw: for people whose prompt is
    refused. recommended: search settings. reader: who reads prompts, a name in `catalog.READERS`.
    """

    reasoning_template: str = (
        "Someone wants a picture of: {prompt}\n"
        "Think about what it has to show before it is drawn. Work out anything that is only hinted at, then describe "
        "in one short paragraph every object with its number, color, size and position in the frame."
    )
    question_template: str = "Does this picture show exactly this: {prompt}? Answer yes or no."
    max_text_tokens: int = 256
    can_draw: str = ""
    recommended: dict[str, Any] = field(default_factory=dict)
    reader: str | None = None


def description_of(folder: Path) -> Description:
    """The description in a checkpoint's folder; the defaults where there is no such file.

    Raises:
        InputError: the file is no JSON object, or a value in it cannot be used.
    """
    path = folder / FILE
    if not path.exists():
        return Description()
    try:
        read = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}). Mend it, or remove it.") from error
    if not isinstance(read, dict):
        raise InputError(f"{path} holds no JSON object but {type(read).__name__}. Mend it, or remove it.")
    made = Description(**{f.name: read[f.name] for f in fields(Description) if f.name in read})
    if fault := _fault(made):
        raise InputError(f"{path}: {fault}. Mend it, or remove it.")
    return made


def _fault(made: Description) -> str:
    """What is wrong with the values, or nothing."""
    for name in ("reasoning_template", "question_template"):
        template = getattr(made, name)
        if not isinstance(template, str) or PROMPT not in template:
            return f"{name} is a text with {PROMPT} in it, not {template!r}"
    if type(made.max_text_tokens) is not int or made.max_text_tokens < 1:
        return f"max_text_tokens is a whole number of at least 1, not {made.max_text_tokens!r}"
    if not isinstance(made.can_draw, str):
        return f"can_draw is a text, not {made.can_draw!r}"
    if made.reader is not None and (not isinstance(made.reader, str) or made.reader not in READERS):
        return f"there is no reader {made.reader!r}; there are {', '.join(READERS)}"
    if not isinstance(made.recommended, dict):
        return f"recommended is an object of settings, not {made.recommended!r}"
    try:
        recommended_settings(made.recommended)
    except (InputError, TypeError) as error:
        return f"recommended cannot be used: {str(error).rstrip('.')}"
    return ""
