"""How a checkpoint reads prompts: most take them as they are typed, some have a reader of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from milr_core.errors import InputError
from milr_core.janus.catalog import READERS


@dataclass(frozen=True)
class Reading:
    """What a prompt was understood as.

    text: the prompt in the words that the model was trained on. notes: sentences for people on what was read
    differently from how it was typed; empty where nothing was.
    """

    text: str
    notes: tuple[str, ...] = ()


Reader = Callable[[str], Reading]
"""Raises InputError, with suggestions where there are any, for a prompt that the model cannot draw."""


def reader_named(name: str | None) -> Reader:
    """The reader that a checkpoint's milr.json names, one of `READERS`; without a name prompts are taken as typed."""
    if name is None:
        return Reading
    module, function = READERS[name].split(":")
    return getattr(import_module(module), function)  # a world is not imported before a checkpoint asks for it


def typed(prompt: str) -> str:
    """A prompt as it was typed, stripped.

    Raises:
        InputError: it is empty, or holds half of a character.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("The prompt is empty. Say what to draw, for example: a red dog left of a blue car.")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise InputError("The prompt holds half of a character (a lone surrogate). Type it again.") from None
    return prompt.strip()
